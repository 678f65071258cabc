"""The UCI Online Retail file: invoices of a gift shop as orders, refunds and anonymous sessions.

Items and customers come before the lines that name them, but the file only implies them, so it is taken in
first and its lines are handed out after. https://archive.ics.uci.edu/dataset/352/online+retail (CC BY 4.0)
"""

import re
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from app.readers.base import ReaderError, Record, Rejected, chunks, shown
from app.readers.files import SourceFile, csv_rows
from app.readers.values import ISO, parse_number, parse_time

_COLUMNS: Final = [
    *("InvoiceNo", "StockCode", "Description", "Quantity"),
    *("InvoiceDate", "UnitPrice", "CustomerID", "Country"),
]
_WIDTH: Final = len(_COLUMNS)
_PRODUCT = re.compile(r"[0-9]{5}[A-Za-z]*|DCGS[0-9A-Za-z]*")
_TIME_FORMATS: Final = (ISO, "%m/%d/%Y %H:%M")
"""As in the file here, and as in the widespread copy that Excel wrote (December 1 is 12/1)."""

SKIPPED: Final = ("duplicate", "not_a_product", "stock_adjustment", "no_price")
"""Why a well-formed row gives no interaction, in the order in which the reasons are tried."""

_DUPLICATE, _NOT_A_PRODUCT, _ADJUSTMENT, _NO_PRICE = range(len(SKIPPED))

_Rows = Iterable[tuple[int, list[str] | str]]


class _Invoices:
    """All rows taken in: their facts, the items and customers behind them, and the lines that are kept.

    Lines are kept as columns of shared values (some 60 bytes a line), which is much less than the rows, and
    saves parsing the file twice.
    """

    def __init__(self) -> None:
        self.rows = self.without_customer = self.cancellations = 0
        self.revenue = 0.0
        self.skipped = [0 for _ in SKIPPED]
        self.rejected: list[Rejected] = []
        self.invoices: dict[str, str] = {}  # to itself, so that lines share one string
        self.stock: dict[str, tuple[str, bool]] = {}  # the same, and whether the code is that of a product
        self.countries: dict[str, Counter[str]] = {}  # of each customer, by invoices
        self.titles: dict[str, Counter[str]] = {}
        self.prices: dict[str, float] = {}
        self.item_lines: dict[str, int] = {}
        self.user_lines: dict[str, int] = {}
        self.line_invoices: list[str] = []
        self.line_stocks: list[str] = []
        self.line_customers: list[str] = []  # "" where there is none
        self.line_times: list[str] = []
        self.line_quantities = array("q")
        self.line_prices = array("d")
        self.line_numbers = array("q")

    def take(self, rows: _Rows) -> None:
        """Take in all rows, in one long loop because calls for each row would double its time."""
        invoices, stocks, countries = self.invoices, self.stock, self.countries
        titles, prices, skipped = self.titles, self.prices, self.skipped
        keep_invoice, keep_stock = self.line_invoices.append, self.line_stocks.append
        keep_customer, keep_time = self.line_customers.append, self.line_times.append
        keep_quantity, keep_price = self.line_quantities.append, self.line_prices.append
        keep_number = self.line_numbers.append
        quantities: dict[str, int] = {}
        amounts: dict[str, float] = {}
        times: dict[str, str] = {}
        customers: dict[str, str] = {"": ""}
        seen: set[int] = set()  # hashes: the rows themselves would take some 300 MB
        for line, row in rows:
            if len(row) != _WIDTH or isinstance(row, str):
                self.rejected.append(_malformed(line, row))
                continue
            invoice, stock, description, quantity_text, moment, price_text, customer, country = row
            self.rows += 1
            if not customer:
                self.without_customer += 1
            elif customer not in customers:
                customers[customer] = customer
                countries[customer] = Counter((country,))
                self.user_lines[customer] = line
            elif invoice not in invoices:
                countries[customer][country] += 1
            invoice = invoices.setdefault(invoice, invoice)
            is_cancelled = invoice[:1] == "C"
            self.cancellations += is_cancelled
            if stock not in stocks:
                stocks[stock] = stock, _PRODUCT.fullmatch(stock) is not None
            stock, is_product = stocks[stock]
            # Few values repeat often: looking a parsed one up is cheaper than parsing, and shares it.
            try:
                if quantity_text not in quantities:
                    quantities[quantity_text] = _whole(quantity_text)
                if price_text not in amounts:
                    amounts[price_text] = float(parse_number(price_text))
                if moment not in times:
                    times[moment] = _time(moment)
            except ValueError as error:
                self.rejected.append(Rejected(line, "bad_value", str(error)))
                continue
            quantity, price = quantities[quantity_text], amounts[price_text]
            self.revenue += quantity * price
            before = len(seen)
            seen.add(hash(tuple(row)))
            if len(seen) == before:
                skipped[_DUPLICATE] += 1
            elif not is_product:
                skipped[_NOT_A_PRODUCT] += 1
            elif quantity == 0 or (quantity < 0) != is_cancelled:
                # A cancellation has a negative quantity, a sale a positive one: this corrects the stock.
                skipped[_ADJUSTMENT] += 1
            elif price <= 0:
                skipped[_NO_PRICE] += 1
            else:
                keep_invoice(invoice)
                keep_stock(stock)
                keep_customer(customers[customer])
                keep_quantity(quantity)
                keep_price(price)
                keep_time(times[moment])
                keep_number(line)
                if stock not in titles:
                    titles[stock] = Counter()
                    self.item_lines[stock] = line
                described = titles[stock]
                described[description] = described.get(description, 0) + 1
                if quantity > 0 or stock not in prices:
                    prices[stock] = price  # the last one it was sold at; a refund repeats an older one

    def items(self) -> Iterator[Record]:
        for stock, titles in self.titles.items():
            fields = {"item_id": stock, "price": self.prices[stock], "currency": "GBP"}
            if (title := _title(titles)) is not None:
                fields["title"] = title
            yield Record("item", fields, self.item_lines[stock])

    def users(self) -> Iterator[Record]:
        for customer, countries in self.countries.items():
            attributes = {"country": countries.most_common(1)[0][0]}
            line = self.user_lines[customer]
            yield Record("user", {"user_id": customer, "attributes": attributes}, line)


class OnlineRetailReader:
    """Reads OnlineRetail.csv, plain or gzip: items, customers, then the lines of the invoices."""

    def __init__(self, path: Path) -> None:
        """Raises ReaderError if there is no such file."""
        self._file = SourceFile(path)
        self._taken = _Invoices()
        self._is_taken = False
        self._purchases = self._refunds = 0

    @property
    def total_bytes(self) -> int:
        """Twice the file: the first half of the way is reading it, the second handing out its lines."""
        return 2 * self._file.size

    def position(self) -> int:
        """Bytes consumed, and then the same share of the file as that of its lines handed out."""
        if not self._is_taken:
            return self._file.position()
        lines = len(self._taken.line_numbers)
        share = (self._purchases + self._refunds) / lines if lines else 1.0
        return self._file.size + int(self._file.size * share)

    def read(self) -> Iterator[list[Record | Rejected]]:
        """Rejections, items, users, then purchases and refunds in the order of the file."""
        return chunks(self._records())

    def summary(self) -> dict[str, int | float]:
        """Facts of all rows as published, then what became of them."""
        taken = self._taken
        return {
            "rows": taken.rows,
            "invoices": len(taken.invoices),
            "stock_codes": len(taken.stock),
            "customers": len(taken.countries),
            "rows_without_customer": taken.without_customer,
            "cancellation_rows": taken.cancellations,
            "duplicate_rows": taken.skipped[_DUPLICATE],
            "revenue": round(taken.revenue, 2),
            "items": len(taken.titles),
            "purchases": self._purchases,
            "refunds": self._refunds,
            **{f"skipped_{reason}": count for reason, count in zip(SKIPPED, taken.skipped, strict=True)},
            "rejected": len(taken.rejected),
        }

    def _records(self) -> Iterator[Record | Rejected]:
        self._is_taken = False
        self._purchases = self._refunds = 0
        try:
            self._take("utf-8-sig")
        except ReaderError as error:
            if not isinstance(error.__cause__, UnicodeDecodeError):
                raise
            # Other copies of the file are Windows text: pound signs and accents in Latin-1.
            self._take("latin-1")
        self._is_taken = True
        yield from self._taken.rejected
        yield from self._taken.items()
        yield from self._taken.users()
        yield from self._lines()

    def _take(self, encoding: str) -> None:
        self._taken = _Invoices()
        with self._file.text(encoding) as text:
            rows = csv_rows(text)
            header = next(rows, (1, "the file is empty"))[1]
            if header != _COLUMNS:
                found = header if isinstance(header, str) else ", ".join(header)
                raise ReaderError(f"{self._file.path} is not Online Retail: its header is {shown(found)}")
            self._taken.take(rows)

    def _lines(self) -> Iterator[Record]:
        """The lines that were kept, as interactions."""
        ordinals: dict[str, int] = {}
        taken = self._taken
        for invoice, stock, customer, occurred_at, quantity, price, line in zip(
            taken.line_invoices,
            taken.line_stocks,
            taken.line_customers,
            taken.line_times,
            taken.line_quantities,
            taken.line_prices,
            taken.line_numbers,
            strict=True,
        ):
            # The same article twice on one invoice, in rows that differ: the ordinal keeps them apart.
            name = f"online-retail:{invoice}:{stock}"
            ordinal = ordinals[name] = ordinals.get(name, 0) + 1
            if quantity > 0:
                event = "purchase"
                self._purchases += 1
            else:
                event = "refund"
                self._refunds += 1
            fields: dict[str, object] = {
                "item_id": stock,
                "event": event,
                "quantity": abs(quantity),
                "price": price,
                "currency": "GBP",
                "order_id": invoice,
                "occurred_at": occurred_at,
                "event_id": f"{name}:{ordinal}",
            }
            if customer:
                fields["user_id"] = customer
            else:
                fields["session_id"] = "invoice:" + invoice
            yield Record("interaction", fields, line)


def _title(descriptions: Counter[str]) -> str | None:
    """The most common description; clerks' notes ("check", "?? lost") are in lower case, titles never."""
    for description, _ in descriptions.most_common():
        if description != description.lower():
            return description.strip()
    return None


def _whole(text: str) -> int:
    number = parse_number(text)
    if not isinstance(number, int):
        raise ValueError(f"{shown(text)} is not a whole number")
    return number


def _time(text: str) -> str:
    for time_format in _TIME_FORMATS:
        with suppress(ValueError):
            return parse_time(text, time_format)
    raise ValueError(f"{shown(text)} is not a time")


def _malformed(line: int, row: list[str] | str) -> Rejected:
    if isinstance(row, str):
        return Rejected(line, "unreadable_row", row)
    return Rejected(line, "wrong_columns", f"{len(row)} columns instead of {_WIDTH}")

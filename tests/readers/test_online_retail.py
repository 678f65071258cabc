"""Invoices as orders, refunds and sessions; what is skipped and why; the published facts."""

import gzip
from pathlib import Path

import pytest

from app.readers.base import ReaderError, Record
from app.readers.online_retail import OnlineRetailReader
from tests.readers.reading import read_all

_HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"
_DAY = "2010-12-01 08:26:00"
_ROWS = [
    f"1,85123A,check,6,{_DAY},2.55,17850,United Kingdom",
    f"1,85123A,HEART HOLDER ,2,{_DAY},2.55,17850,United Kingdom",  # the same article in another row
    f"1,85123A,HEART HOLDER ,2,{_DAY},2.55,17850,United Kingdom",  # an exact duplicate
    f'2,71053,"LANTERN, ""WHITE""\nMETAL",1,{_DAY},3.39,,France',
    f"C3,85123A,HEART HOLDER,-2,{_DAY},2.10,17850,United Kingdom",
    f"C4,71053,LANTERN,-1,{_DAY},3.39,,France",
    f"5,POST,POSTAGE,1,{_DAY},18,12583,France",
    f"5,gift_0001_20,Dotcomgiftshop Gift Voucher,1,{_DAY},17.02,,United Kingdom",
    f"6,22139,amazon,0,{_DAY},1,,United Kingdom",
    f"6,22139,damaged,-5,{_DAY},0,,United Kingdom",
    f"6,22139,,56,{_DAY},0,,United Kingdom",
    f"A7,B,Adjust bad debt,1,{_DAY},-11062.06,,United Kingdom",
    f"8,DCGS0003,BOXED GLASS ASHTRAY,1,{_DAY},2.46,12583,France",
]


def _write(path: Path, rows: list[str], encoding: str = "utf-8") -> Path:
    path.write_bytes("\r\n".join([_HEADER, *rows, ""]).encode(encoding))
    return path


def _interactions(records: list[Record]) -> list[Record]:
    return [record for record in records if record.kind == "interaction"]


def test_items_users_then_lines(tmp_path: Path) -> None:
    records, rejected = read_all(OnlineRetailReader(_write(tmp_path / "retail.csv", _ROWS)))
    assert rejected == []
    assert [record.kind for record in records] == ["item"] * 3 + ["user"] * 2 + ["interaction"] * 6
    assert records[0] == Record(
        "item", {"item_id": "85123A", "title": "HEART HOLDER", "price": 2.55, "currency": "GBP"}, 2
    )
    assert [record.fields["item_id"] for record in records[:3]] == ["85123A", "71053", "DCGS0003"]
    assert records[3].fields == {"user_id": "17850", "attributes": {"country": "United Kingdom"}}
    assert records[5] == Record(
        "interaction",
        {
            "user_id": "17850",
            "item_id": "85123A",
            "event": "purchase",
            "quantity": 6,
            "price": 2.55,
            "currency": "GBP",
            "order_id": "1",
            "occurred_at": "2010-12-01T08:26:00Z",
            "event_id": "online-retail:1:85123A:1",
        },
        2,
    )


def test_repeats_duplicates_and_sessions(tmp_path: Path) -> None:
    records, _ = read_all(OnlineRetailReader(_write(tmp_path / "retail.csv", _ROWS)))
    lines = _interactions(records)
    assert [line.fields["event_id"] for line in lines] == [
        "online-retail:1:85123A:1",
        "online-retail:1:85123A:2",
        "online-retail:2:71053:1",
        "online-retail:C3:85123A:1",
        "online-retail:C4:71053:1",
        "online-retail:8:DCGS0003:1",
    ]
    anonymous = lines[2].fields
    assert anonymous["session_id"] == "invoice:2"
    assert "user_id" not in anonymous
    assert lines[4].fields["session_id"] == "invoice:C4"
    # The quoted line break makes the rows after it start one line further down.
    assert [line.line for line in lines] == [2, 3, 5, 7, 8, 15]


def test_cancellations_are_refunds(tmp_path: Path) -> None:
    records, _ = read_all(OnlineRetailReader(_write(tmp_path / "retail.csv", _ROWS)))
    refunds = [line.fields for line in _interactions(records) if line.fields["event"] == "refund"]
    assert [(one["order_id"], one["quantity"], one["price"]) for one in refunds] == [
        ("C3", 2, 2.10),
        ("C4", 1, 3.39),
    ]


def test_the_summary_counts_raw_rows_and_every_skip(tmp_path: Path) -> None:
    reader = OnlineRetailReader(_write(tmp_path / "retail.csv", _ROWS))
    read_all(reader)
    revenue = 6 * 2.55 + 4 * 2.55 + 3.39 - 2 * 2.10 - 3.39 + 18 + 17.02 - 11062.06 + 2.46
    assert reader.summary() == {
        "rows": 13,
        "invoices": 8,
        "stock_codes": 7,
        "customers": 2,
        "rows_without_customer": 7,
        "cancellation_rows": 2,
        "duplicate_rows": 1,
        "revenue": pytest.approx(revenue, abs=0.005),
        "items": 3,
        "purchases": 4,
        "refunds": 2,
        "skipped_duplicate": 1,
        "skipped_not_a_product": 3,
        "skipped_stock_adjustment": 2,
        "skipped_no_price": 1,
        "rejected": 0,
    }


def test_gzip_gives_the_same(tmp_path: Path) -> None:
    plain = _write(tmp_path / "retail.csv", _ROWS)
    packed = tmp_path / "retail.csv.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert read_all(OnlineRetailReader(packed)) == read_all(OnlineRetailReader(plain))
    assert OnlineRetailReader(packed).total_bytes == 2 * packed.stat().st_size


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ("1,85123A,HOLDER,6", "wrong_columns"),
        (f"1,85123A,HOLDER,six,{_DAY},2.55,17850,France", "bad_value"),
        (f"1,85123A,HOLDER,6,{_DAY},cheap,17850,France", "bad_value"),
        (f"1,85123A,HOLDER,6,{_DAY},nan,17850,France", "bad_value"),
        ("1,85123A,HOLDER,6,yesterday,2.55,17850,France", "bad_value"),
    ],
)
def test_a_bad_row_is_rejected_with_its_line(tmp_path: Path, row: str, code: str) -> None:
    reader = OnlineRetailReader(_write(tmp_path / "retail.csv", [_ROWS[0], row, _ROWS[12]]))
    records, rejected = read_all(reader)
    assert [(bad.line, bad.code) for bad in rejected] == [(3, code)]
    assert len(_interactions(records)) == 2
    assert reader.summary()["rejected"] == 1


def test_the_copies_with_american_dates_and_latin_1(tmp_path: Path) -> None:
    row = "1,85123A,CAFÉ £1,6,12/1/2010 8:26,2.55,17850,France"
    reader = OnlineRetailReader(_write(tmp_path / "retail.csv", [row], "latin-1"))
    records, rejected = read_all(reader)
    assert rejected == []
    assert records[0].fields["title"] == "CAFÉ £1"
    assert records[2].fields["occurred_at"] == "2010-12-01T08:26:00Z"
    assert reader.summary()["rows"] == 1


def test_the_last_country_and_price_that_count(tmp_path: Path) -> None:
    rows = [
        f"{invoice},85123A,HOLDER,{quantity},{_DAY},{price},17850,{country}"
        for invoice, quantity, price, country in [
            ("1", 1, 2.0, "Cyprus"),
            ("2", 1, 3.0, "Austria"),
            ("3", 1, 4.0, "Austria"),
            ("C4", -1, 9.0, "Cyprus"),
            ("5", 1, 5.0, "Austria"),
            ("C6", -1, 2.0, "Spain"),
        ]
    ]
    records, _ = read_all(OnlineRetailReader(_write(tmp_path / "retail.csv", rows)))
    assert records[0].fields["price"] == 5.0
    assert records[1].fields["attributes"] == {"country": "Austria"}


def test_more_than_one_chunk(tmp_path: Path) -> None:
    rows = [f"{number},85123A,HOLDER,1,{_DAY},1,17850,France" for number in range(12_000)]
    records, _ = read_all(OnlineRetailReader(_write(tmp_path / "retail.csv", rows)))
    assert len(records) == 12_002
    assert len({record.fields["event_id"] for record in _interactions(records)}) == 12_000


def test_what_is_no_online_retail_file(tmp_path: Path) -> None:
    path = tmp_path / "retail.csv"
    with pytest.raises(ReaderError, match="No such file"):
        OnlineRetailReader(path)
    path.write_text("")
    with pytest.raises(ReaderError, match="the file is empty"):
        read_all(OnlineRetailReader(path))
    path.write_text("a,b\n1,2\n")
    with pytest.raises(ReaderError, match="its header is 'a, b'"):
        read_all(OnlineRetailReader(path))


def test_truncated_gzip(tmp_path: Path) -> None:
    whole = gzip.compress(_write(tmp_path / "retail.csv", _ROWS).read_bytes())
    (tmp_path / "cut.gz").write_bytes(whole[:-20])
    with pytest.raises(ReaderError, match=r"cut\.gz is truncated"):
        read_all(OnlineRetailReader(tmp_path / "cut.gz"))

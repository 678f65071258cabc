"""Public data sets as Vitrine's training sees them, without a database between."""

import csv
import gzip
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from app.core.events import DEFAULT_WEIGHTS
from app.learning.dataset import Dataset, InteractionLog, ItemTable
from app.readers.base import Record
from app.readers.movielens import MovieLensReader
from benchmarks.options import Options

_STOCK_CODE = re.compile(r"[0-9]{5}[A-Za-z]*")


def given(options: Options) -> Iterator[tuple[str, Dataset]]:
    """Name and content of each public data set whose place is given."""
    if options.movielens is not None:
        yield "MovieLens", movielens(options.movielens)
    if options.lastfm is not None:
        yield "Last.fm", lastfm(options.lastfm)
    if options.online_retail is not None:
        yield "Online Retail", online_retail(options.online_retail)


def movielens(directory: Path) -> Dataset:
    """Ratings as `rate`; films with title and genres."""
    films: dict[str, dict[str, Any]] = {}
    rated: list[dict[str, Any]] = []
    for chunk in MovieLensReader(directory).read():
        for row in chunk:
            if isinstance(row, Record) and row.kind == "item":
                films[row.fields["item_id"]] = row.fields
            elif isinstance(row, Record) and row.kind == "interaction":
                rated.append(row.fields)
    return build(
        "rate",
        users=[row["user_id"] for row in rated],
        items=[row["item_id"] for row in rated],
        times=np.array([row["occurred_at"].rstrip("Z") for row in rated], dtype="datetime64[ms]"),
        titles={name: film["title"] for name, film in films.items()},
        categories={name: film["categories"] for name, film in films.items()},
        values=[row["value"] for row in rated],
    )


def lastfm(directory: Path) -> Dataset:
    """Plays of artists: one `view_item` for each listener and artist, the plays as its quantity.

    The set has no times: all are equal, and the order of the rows is random (the file's is by plays).
    """
    rows = np.loadtxt(directory / "user_artists.dat", dtype=np.int64, skiprows=1)
    rows = np.random.default_rng(0).permutation(rows)
    with (directory / "artists.dat").open(encoding="utf-8") as file:
        titles = {line.split("\t")[0]: line.split("\t")[1] for line in file}
    return build(
        "view_item",
        users=rows[:, 0].astype(str),
        items=rows[:, 1].astype(str),
        times=np.full(len(rows), np.datetime64("2011-05-01", "ms")),
        titles=titles,
        quantities=rows[:, 2],
    )


def online_retail(path: Path) -> Dataset:
    """Purchases: rows with a customer, a positive quantity and a stock code of five digits (and letters)."""
    with _text(path) as file:
        rows = [
            row
            for row in csv.DictReader(file)
            if row["CustomerID"] and int(row["Quantity"]) > 0 and _STOCK_CODE.fullmatch(row["StockCode"])
        ]
    return build(
        "purchase",
        users=[row["CustomerID"] for row in rows],
        items=[row["StockCode"] for row in rows],
        times=np.array([row["InvoiceDate"] for row in rows], dtype="datetime64[ms]"),
        titles={row["StockCode"]: row["Description"].strip() for row in rows},
        quantities=[int(row["Quantity"]) for row in rows],
        prices=[float(row["UnitPrice"]) for row in rows],
    )


def build(
    event: str,
    users: Sequence[str] | NDArray[np.str_],
    items: Sequence[str] | NDArray[np.str_],
    times: NDArray[np.datetime64],
    titles: dict[str, str],
    categories: dict[str, list[str]] | None = None,
    values: Sequence[float] | None = None,
    quantities: Sequence[int] | NDArray[np.int64] | None = None,
    prices: Sequence[float] | None = None,
) -> Dataset:
    """Interactions of one kind; equal times stay in the order of the rows."""
    n = len(users)
    user_ids, user = np.unique(np.asarray(users), return_inverse=True)
    item_ids, item = np.unique(np.asarray(items), return_inverse=True)
    missing, one = np.full(n, np.nan), np.ones(n)
    moments = times.astype("datetime64[ms]").astype(np.int64)
    log = InteractionLog(
        subject=user.astype(np.int32),
        item=item.astype(np.int32),
        event=np.zeros(n, dtype=np.int16),
        value=np.asarray(missing if values is None else values, dtype=np.float32),
        quantity=np.asarray(one if quantities is None else quantities, dtype=np.float32),
        price=np.asarray(missing if prices is None else prices, dtype=np.float32),
        occurred_at=moments,
    ).where(np.argsort(moments, kind="stable").astype(np.int64))
    names = item_ids.tolist()
    empty = [""] * len(names)
    table = ItemTable(
        title=[titles.get(name, "") for name in names],
        description=empty,
        categories=[(categories or {}).get(name, []) for name in names],
        brand=empty,
        tags=[[] for _ in names],
        price=np.full(len(names), np.nan, dtype=np.float32),
    )
    return Dataset(
        user_keys=np.arange(1, len(user_ids) + 1, dtype=np.int64),
        n_subjects=len(user_ids),
        item_keys=np.arange(1, len(names) + 1, dtype=np.int64),
        items=table,
        event_names=(event,),
        log=log,
        as_of=int(moments.max()),
        event_weights=DEFAULT_WEIGHTS,
    )


def _text(path: Path) -> IO[str]:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")

"""MovieLens as GroupLens publishes it: ML-100K, ML-1M, and the CSV files of ML-20M, 25M and latest."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from app.readers.base import Kind, ReaderError, Record, Rejected, chunks, shown
from app.readers.files import SourceFile, bounded_lines, csv_rows
from app.readers.values import parse_number, unix_text, utc_text

_MONTHS: Final = {
    name: number
    for number, name in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), start=1
    )
}
_RELEASED = re.compile(r"(\d{1,2})-([A-Za-z]{3})-(\d{4})")
_NO_GENRE: Final = frozenset({"unknown", "(no genres listed)", ""})

# ML-1M gives codes; its README gives their meaning.
_AGES: Final = {
    "1": "under 18",
    "18": "18-24",
    "25": "25-34",
    "35": "35-44",
    "45": "45-49",
    "50": "50-55",
    "56": "56 and over",
}
_OCCUPATIONS: Final = (
    "other",
    "academic/educator",
    "artist",
    "clerical/admin",
    "college/grad student",
    "customer service",
    "doctor/health care",
    "executive/managerial",
    "farmer",
    "homemaker",
    "K-12 student",
    "lawyer",
    "programmer",
    "retired",
    "sales/marketing",
    "scientist",
    "self-employed",
    "technician/engineer",
    "tradesman/craftsman",
    "unemployed",
    "writer",
)

_Row = tuple[int, list[str] | str]
_Parsed = tuple[Kind, dict[str, Any]]
_Parse = Callable[[list[str]], _Parsed]


@dataclass(frozen=True)
class _Layout:
    """One published format: its files, encoding, and separators of ratings and of the rest (or CSV)."""

    ratings: str
    items: str
    users: str | None
    genres: str | None
    encoding: str
    separators: tuple[str, str] | None

    @property
    def files(self) -> list[str]:
        return [name for name in (self.ratings, self.items, self.users, self.genres) if name]


_LAYOUTS: Final = (
    _Layout("u.data", "u.item", "u.user", "u.genre", "latin-1", ("\t", "|")),
    _Layout("ratings.dat", "movies.dat", "users.dat", None, "latin-1", ("::", "::")),
    _Layout("ratings.csv", "movies.csv", None, None, "utf-8-sig", None),
)


class MovieLensReader:
    """Reads one unpacked MovieLens folder: films as items, people as users, ratings as `rate`."""

    def __init__(self, directory: Path) -> None:
        """Raises ReaderError if a file of the format is missing."""
        if not directory.is_dir():
            raise ReaderError(f"{directory} is not a directory")
        self._layout = _layout_of(directory)
        for name in self._layout.files:
            if not (directory / name).is_file():
                raise ReaderError(f"{directory / name} is missing")
        self._files = {name: SourceFile(directory / name) for name in self._layout.files}
        self._reset()

    def _reset(self) -> None:
        self._users: set[str] = set()
        self._items: set[str] = set()
        self._ratings = 0
        self._rejected = 0

    @property
    def total_bytes(self) -> int:
        """Bytes of the files that are read."""
        return sum(file.size for file in self._files.values())

    def position(self) -> int:
        """Bytes consumed over all files."""
        return sum(file.position() for file in self._files.values())

    def read(self) -> Iterator[list[Record | Rejected]]:
        """Items, then users (where the format has them), then ratings."""
        return chunks(self._records())

    def summary(self) -> dict[str, int | float]:
        """Ratings, and the users and items that any file names."""
        return {
            "ratings": self._ratings,
            "users": len(self._users),
            "items": len(self._items),
            "rejected": self._rejected,
        }

    def _records(self) -> Iterator[Record | Rejected]:
        self._reset()
        layout = self._layout
        if layout.genres:
            names = self._genre_names(layout.genres)
            yield from self._parsed(layout.items, 5 + len(names), lambda row: self._item_100k(row, names))
        else:
            yield from self._parsed(layout.items, 3, self._item)
        if layout.users:
            yield from self._parsed(layout.users, 5, self._user_100k if layout.genres else self._user_1m)
        yield from self._parsed(layout.ratings, 4, self._rating)

    def _parsed(self, name: str, width: int, parse: _Parse) -> Iterator[Record | Rejected]:
        """Rows of one file as records; a row of another width or with a bad value is rejected."""
        for line, row in self._rows(name):
            if isinstance(row, str):
                code, detail = "unreadable_row", row
            elif len(row) != width:
                code, detail = "wrong_columns", f"{len(row)} columns instead of {width}"
            else:
                try:
                    kind, fields = parse(row)
                except ValueError as error:
                    code, detail = "bad_value", str(error)
                else:
                    yield Record(kind, fields, line)
                    continue
            self._rejected += 1
            yield Rejected(line, code, f"{name}: {detail}")

    def _rows(self, name: str) -> Iterator[_Row]:
        layout = self._layout
        with self._files[name].text(layout.encoding) as text:
            if layout.separators is None:
                rows = csv_rows(text)
                next(rows, None)  # the header
                yield from rows
                return
            separator = layout.separators[0 if name == layout.ratings else 1]
            for line, raw in enumerate(bounded_lines(text), start=1):
                if content := raw.rstrip("\r\n"):
                    yield line, content.split(separator)

    def _genre_names(self, name: str) -> list[str]:
        """Genre names in the order of their number, which is the order of the flags in u.item."""
        numbered: dict[int, str] = {}
        for line, row in self._rows(name):
            if len(row) != 2 or not row[1].isdecimal() or len(row[1]) > 9:
                raise ReaderError(f"{self._files[name].path}, line {line}: expected name|number")
            numbered[int(row[1])] = row[0]
        if sorted(numbered) != list(range(len(numbered))):
            raise ReaderError(f"{self._files[name].path}: the genres are not numbered from 0 without gaps")
        return [numbered[number] for number in range(len(numbered))]

    def _item_100k(self, row: list[str], names: list[str]) -> _Parsed:
        flags = row[5:]
        genres = [name for name, flag in zip(names, flags, strict=True) if flag == "1"]
        kind, fields = self._film(row[0], row[1], genres)
        if (released := _release(row[2])) is not None:
            fields["available_from"] = released
        return kind, fields

    def _item(self, row: list[str]) -> _Parsed:
        return self._film(row[0], row[1], row[2].split("|"))

    def _film(self, item: str, title: str, genres: list[str]) -> _Parsed:
        self._items.add(_id(item))
        categories = [genre for genre in genres if genre not in _NO_GENRE]
        return "item", {"item_id": item, "title": title.strip(), "categories": categories}

    def _user_100k(self, row: list[str]) -> _Parsed:
        user, age, gender, occupation, code = row
        attributes = {"age": parse_number(age), "gender": gender, "occupation": occupation, "zip": code}
        self._users.add(_id(user))
        return "user", {"user_id": user, "attributes": attributes}

    def _user_1m(self, row: list[str]) -> _Parsed:
        user, gender, age, occupation, code = row
        if age not in _AGES:
            raise ValueError(f"{shown(age)} is not an age code")
        if not occupation.isdecimal() or int(occupation) >= len(_OCCUPATIONS):
            raise ValueError(f"{shown(occupation)} is not an occupation code")
        self._users.add(_id(user))
        attributes = {
            "age_group": _AGES[age],
            "gender": gender,
            "occupation": _OCCUPATIONS[int(occupation)],
            "zip": code,
        }
        return "user", {"user_id": user, "attributes": attributes}

    def _rating(self, row: list[str]) -> _Parsed:
        user, item, value, timestamp = row
        fields = {
            "user_id": _id(user),
            "item_id": _id(item),
            "event": "rate",
            "value": float(parse_number(value)),
            "occurred_at": unix_text(parse_number(timestamp)),
            "event_id": f"movielens:{user}:{item}:{timestamp}",
        }
        self._users.add(user)
        self._items.add(item)
        self._ratings += 1
        return "interaction", fields


def _layout_of(directory: Path) -> _Layout:
    for layout in _LAYOUTS:
        if (directory / layout.ratings).is_file():
            return layout
    # A folder that has a film list but no ratings is the same format with a file lost: name that file.
    for layout in _LAYOUTS:
        if (directory / layout.items).is_file():
            raise ReaderError(f"{directory / layout.ratings} is missing")
    wanted = ", ".join(layout.ratings for layout in _LAYOUTS)
    raise ReaderError(f"{directory} has no MovieLens ratings: none of {wanted}")


def _id(text: str) -> str:
    if not text:
        raise ValueError("the id is empty")
    return text


def _release(text: str) -> str | None:
    """The day in "01-Jan-1995" (not by strptime, whose month names follow the locale), or None."""
    parts = _RELEASED.fullmatch(text.strip())
    if parts is None or (month := _MONTHS.get(parts[2].lower())) is None:
        return None
    try:
        return utc_text(datetime(int(parts[3]), month, int(parts[1])))
    except ValueError:
        return None

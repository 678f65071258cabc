"""Inputs guided by the coverage that they reach: one target, until its time is over or a property fails.

Needs Atheris (the extra `fuzz`). libFuzzer ends the process, so that each target runs in one of its own:
`python -m tests.fuzz` starts them.
"""

import sys
import tempfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, Final

WORDS: Final = (
    *("price", "tags", "brand", "category", "attributes.x", "created_at", "`a b`", "and", "or", "not", "in"),
    *("has", "under", "starts with", "contains", "between", "exists", "missing", "(", ")", "[", "]", ","),
    *(
        "$a",
        "$b",
        "5",
        "-1.5",
        "1e300",
        "0.1",
        '"x"',
        "'y'",
        '"2026-01-01"',
        '"2026-01-01T00:00:00Z"',
        "true",
    ),
    *("false", "=", "==", "!=", "<", "<=", ">", ">=", "\\", "'", '"', "`", " ", ".", "٣", "é", "ſ"),
)
_KEYS: Final = ("field", "op", "value", "and", "or", "not", "parameter", "a/b~c", "x" * 120)
_LEAVES: Final = (*WORDS, None, True, False, 0, -1, 0.1, 1e308, 10**30, 2**64, "starts with", "2026-01-01")
SEEDS: Final[dict[str, list[bytes]]] = {
    "filter": [
        b"\x00price <= 50 and category under 'Shoes > Running' and not tags has \"sale\"",
        b"\x00brand in $a or price between $a and 5 or `attributes.x y` starts with 'x'",
        b"\x01" + bytes(range(60)),
    ],
    "tree": [
        b'\x00{"and":[{"field":"price","op":"<=","value":50},{"not":{"field":"tags","op":"has","value":"x"}}]}',
        b'\x00{"field":"brand","op":"in","value":{"parameter":"a"}}',
        b"\x01" + bytes(range(80)),
    ],
    "ndjson": [b'{"user_id":"u"}\n{"kind":"item","item_id":"i"}\r\n\n[1]\n{"type":"users"}'],
    "csv": [
        b"\x00id,at,price,tags,rest\nu,2026-01-01T00:00:00Z,1,a|b,c\n",
        b'\x01id;price;tags\ni;"1,5";a>b\n',
        b"\x02id\tprice\tat\ttags\nu\t1\t1700000000000\tx\n",
        b"\x03id,at\ns,02/01/2026 +0100\n",
    ],
    "movielens": [
        b"\x001\t2\t3\t881250949\n\xff\xff1|Toy|01-Jan-1995||url|1|0\n\xff\xff1|24|M|tech|85711\n\xff\xffA|0\nB|1\n",
        b"\x011::2::3::978300760\n\xff\xff2::Toy::A|B\n\xff\xff1::F::1::10::48067\n",
        b"\x02userId,movieId,rating,timestamp\n1,2,3.5,964982703\n\xff\xffmovieId,title,genres\n2,Toy,A|B\n",
    ],
    "online-retail": [
        b"InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"
        b"536365,85123A,HOLDER,6,2010-12-01 08:26:00,2.55,17850,UK\n"
        b"C536379,22556,TIN,-1,12/1/2010 9:41,27.5,,UK\n536365,POST,x,1,2010-12-01,1e3,1,FR\n"
    ],
    "mapping": [b"id\x00|\x00%d/%m/%Y\x00,\x00utf-8\x00;\x00id;at;price\na;02/01/2026;1,5\n"],
}


def plain_from(content: bytes) -> Any:
    """A JSON value that the bytes describe, one after the other."""
    places = iter(content)

    def one(depth: int) -> Any:
        code = next(places, 0)
        if code % 4 == 0 and depth < 70:
            return {_KEYS[next(places, 0) % len(_KEYS)]: one(depth + 1) for _ in range(next(places, 0) % 4)}
        if code % 4 == 1 and depth < 70:
            return [one(depth + 1) for _ in range(next(places, 0) % 4)]
        if code % 4 == 2:
            names = ("price", "tags", "brand", "attributes.x", "categories", "created_at")
            operators = ("=", "<", "in", "between", "has", "under", "contains", "exists", "starts with", "!=")
            return {
                "field": names[next(places, 0) % len(names)],
                "op": operators[next(places, 0) % len(operators)],
                "value": one(depth + 1),
            }
        return _LEAVES[next(places, 0) % len(_LEAVES)]

    return one(0)


def text_from(content: bytes) -> str:
    """Words and signs of the language, that the bytes number."""
    return " ".join(WORDS[code % len(WORDS)] for code in content)


def targets(folder: Path) -> dict[str, Callable[[bytes], None]]:
    """By name what is done with each input."""
    filters = import_module("tests.fuzz.filters")
    sources = import_module("tests.fuzz.sources")
    orjson = import_module("orjson")
    given = {"a": ["x", 1], "b": 2}

    def a_text(content: bytes) -> None:
        shown = content[1:].decode("utf-8", "surrogatepass" if content[:1] == b"\x02" else "replace")
        filters.check_text(text_from(content[1:]) if content[:1] == b"\x01" else shown, given)

    def a_tree(content: bytes) -> None:
        try:
            plain = plain_from(content[1:]) if content[:1] == b"\x01" else orjson.loads(content[1:])
        except ValueError:
            return
        filters.check_tree(plain, given)

    def a_filter_of_any_bytes(content: bytes) -> None:
        try:
            a_text(content)
        except UnicodeDecodeError:
            return

    def films(content: bytes) -> None:
        sources.check_films(folder, content[1:].split(b"\xff\xff"), content[0] if content else 0)

    def a_mapping(content: bytes) -> None:
        *words, rest = content.split(b"\x00", 6)
        sources.check_mapping([word.decode("utf-8", "replace") for word in words], rest, folder)

    return {
        "filter": a_filter_of_any_bytes,
        "tree": a_tree,
        "ndjson": lambda content: sources.check_ndjson(folder, content),
        "csv": lambda content: sources.check_csv(folder, content[1:], content[0] if content else 0),
        "movielens": films,
        "online-retail": lambda content: sources.check_invoices(folder, content),
        "mapping": a_mapping,
    }


def main() -> None:
    """`python -m tests.fuzz.guided TARGET SECONDS KEPT`; what breaks a property is written into KEPT."""
    name, seconds, kept = sys.argv[1:4]
    atheris = import_module("atheris")
    with atheris.instrument_imports(include=["app"]), tempfile.TemporaryDirectory() as place:
        folder, corpus = Path(place) / "files", Path(place) / "corpus"
        folder.mkdir()
        corpus.mkdir()
        for number, seed in enumerate(SEEDS[name]):
            (corpus / str(number)).write_bytes(seed)
        for found in Path(kept).glob(f"{name}-*"):
            (corpus / found.name).write_bytes(found.read_bytes())
        target = targets(folder)[name]
        options = [
            f"-max_total_time={seconds}",
            "-max_len=4096",
            "-len_control=10",
            "-timeout=5",
            "-rss_limit_mb=1024",
            f"-artifact_prefix={kept}/{name}-",
            "-print_final_stats=1",
        ]
        atheris.Setup([sys.argv[0], *options, str(corpus)], target)
        atheris.Fuzz()


if __name__ == "__main__":
    main()

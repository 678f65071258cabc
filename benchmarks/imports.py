"""Import of the Online Retail file by the command line, in rows per second."""

import csv
import gzip
import tempfile
import time
from pathlib import Path
from statistics import median

from app.readers.online_retail import OnlineRetailReader
from benchmarks import processes
from benchmarks.machine import mebibytes, say, show, spread
from benchmarks.options import Options


def run(options: Options) -> None:
    """Import into a new SQLite database, alternating with only reading the file."""
    if options.online_retail is None:
        say("Skipped: give --online-retail FILE.")
        return
    file = options.online_retail.resolve()
    rows = _rows(file)
    imported, read, peaks = [], [], []
    for _ in range(options.rounds):
        with tempfile.TemporaryDirectory(prefix="vitrine-bench-") as folder:
            finished = processes.run(
                Path(folder),
                f"sqlite:///{folder}/import.db",
                *("-m", "app.cli", "import", "online-retail", str(file)),
            )
        imported.append(finished.seconds)
        peaks.append(mebibytes(finished.max_rss))
        started = time.perf_counter()
        for _chunk in OnlineRetailReader(file).read():
            pass
        read.append(time.perf_counter() - started)
    show(
        f"{rows:,} rows, {options.rounds} alternating rounds: median (range)",
        ("", "seconds", "rows/s"),
        [
            ("vitrine import", spread(imported, 1), f"{rows / median(imported):,.0f}"),
            ("only reading", spread(read, 1), f"{rows / median(read):,.0f}"),
        ],
    )
    say(
        f"import / reading: {median(imported) / median(read):.1f}; peak memory {max(peaks):,.0f} MiB. "
        "The import's time includes its start and the schema."
    )


def _rows(file: Path) -> int:
    opened = gzip.open if file.suffix == ".gz" else open
    with opened(file, "rt", encoding="latin-1", newline="") as text:
        return sum(1 for _ in csv.reader(text)) - 1

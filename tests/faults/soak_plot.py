"""What was seen during a soak, as a table and as a picture."""

import csv
from html import escape
from pathlib import Path

from tests.faults.watch import Sample

_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _RIGHT = 960, 480, 60, 40, 200
_COLOURS = ("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#17becf", "#7f7f7f")


def write_csv(path: Path, samples: list[Sample], sizes: list[tuple[float, float, float]]) -> None:
    """One line for each sample of a process, and one for each look at the database and the versions."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["seconds", "process", "pid", "rss_mib", "pss_mib", "own_mib", "files", "threads"])
        for one in samples:
            figures = [f"{one.rss:.2f}", f"{one.pss:.2f}", f"{one.own:.2f}", one.files, one.threads]
            writer.writerow([f"{one.at:.1f}", one.process, one.pid, *figures])
        for at, database, versions in sizes:
            writer.writerow([f"{at:.1f}", "database", "", f"{database:.2f}", "", "", "", ""])
            writer.writerow([f"{at:.1f}", "versions", "", f"{versions:.2f}", "", "", "", ""])


def draw(path: Path, processes: dict[tuple[str, int], list[Sample]], seconds: float) -> None:
    """The proportional memory (PSS) of each process over time."""
    highest = max((one.pss for samples in processes.values() for one in samples), default=1.0) * 1.1
    across, up = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _BOTTOM - 20

    def place(at: float, mib: float) -> str:
        return f"{_LEFT + across * at / seconds:.1f},{_HEIGHT - _BOTTOM - up * mib / highest:.1f}"

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" '
        'font-size="12"><rect width="100%" height="100%" fill="white"/>'
    ]
    for step in range(6):
        mib, at = highest * step / 5, seconds * step / 5
        y = place(0, mib).split(",")[1]
        x = place(at, 0).split(",")[0]
        parts.append(f'<path d="M{place(0, mib)} L{place(seconds, mib)}" stroke="#ddd"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y}" text-anchor="end">{mib:.0f}</text>')
        parts.append(f'<text x="{x}" y="{_HEIGHT - 18}" text-anchor="middle">{at / 60:.0f}</text>')
    parts.append(f'<text x="{_LEFT}" y="14">MiB (PSS) by minutes</text>')
    for number, ((name, pid), samples) in enumerate(sorted(processes.items())):
        colour = _COLOURS[number % len(_COLOURS)]
        line = " ".join(place(one.at, one.pss) for one in samples)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        parts.append(
            f'<text x="{_WIDTH - _RIGHT + 10}" y="{30 + 18 * number}" fill="{colour}">'
            f"{escape(name)} {pid}</text>"
        )
    path.write_text("\n".join([*parts, "</svg>\n"]))

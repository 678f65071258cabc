"""Inputs made up for as long as you like: `make fuzz FUZZ_ARGS="filter csv --seconds 120"`."""

import argparse
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

from tests.fuzz.guided import SEEDS


def main() -> int:
    """Run the targets that are asked for; 1 if a property failed anywhere."""
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="for each guided target")
    parser.add_argument("--minutes", type=float, default=5, help="for stateful, on both databases together")
    parser.add_argument("--seed", type=int, default=None, help="for stateful; default: another one each time")
    parser.add_argument("--kept", type=Path, default=None, help="folder for inputs that break a property")
    parser.add_argument(
        "targets",
        nargs="*",
        default=[*SEEDS, "stateful"],
        help=f"{', '.join(SEEDS)}: guided by coverage, needs Atheris; stateful: calls over the whole OpenAPI "
        "document that follow one another, on SQLite and PostgreSQL",
    )
    asked = parser.parse_args()
    unknown = [target for target in asked.targets if target not in (*SEEDS, "stateful")]
    if unknown:
        parser.error(f"there is no target {', '.join(unknown)}")
    guided = [target for target in asked.targets if target != "stateful"]
    if guided and find_spec("atheris") is None:
        parser.error("Atheris is not installed: pip install --editable '.[fuzz]'")
    kept = asked.kept or Path(tempfile.mkdtemp(prefix="vitrine-fuzz-"))
    kept.mkdir(parents=True, exist_ok=True)
    failed = [target for target in guided if not _guided(target, asked.seconds, kept)]
    if "stateful" in asked.targets:
        from tests.fuzz.stateful import explore

        if not explore(asked.minutes * 60, asked.seed):
            failed.append("stateful")
    print(f"failed: {', '.join(failed)}; inputs are in {kept}" if failed else "nothing failed", flush=True)
    return min(1, len(failed))


def _guided(target: str, seconds: float, kept: Path) -> bool:
    """Whether the properties of a target held; a summary, and the end of what was said if they did not."""
    began = time.monotonic()
    log = kept / f"log-of-{target}"
    with log.open("wb") as out:
        command = [sys.executable, "-m", "tests.fuzz.guided", target, str(int(seconds)), str(kept)]
        status = subprocess.run(command, stdout=out, stderr=out, check=False).returncode
    lines = log.read_text(errors="replace").splitlines()
    runs = next((line.split()[-1] for line in lines if "number_of_executed_units" in line), "?")
    last = next((line for line in reversed(lines) if " cov: " in line), "")
    reached = last.partition(" cov: ")[2].split(" ")[0] or "?"
    print(f"== {target}: {runs} inputs, {reached} edges, {time.monotonic() - began:.0f} s", flush=True)
    if status:
        print("\n".join(lines[-60:]), flush=True)
    return status == 0


if __name__ == "__main__":
    sys.exit(main())

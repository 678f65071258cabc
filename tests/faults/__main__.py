"""Many rounds of faults, with a summary: `make faults FAULT_ARGS="--rounds 200"`."""

import argparse
import shutil
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from tests.faults.cluster import cluster
from tests.faults.outage import outage
from tests.faults.overload import overload
from tests.faults.replicas import lose_replicas
from tests.faults.rounds import Rounds
from tests.faults.service import Service, prepare
from tests.faults.soak import soak
from tests.faults.training_stages import die_everywhere


def main() -> int:
    """Play the parts that are asked for; 1 if anything was lost or failed."""
    parser = argparse.ArgumentParser(prog="make faults", description=__doc__)
    parser.add_argument("--rounds", type=int, default=200, help="rounds on each database")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--outage-seconds", type=float, default=30.0)
    parser.add_argument("--kills", type=int, default=10, help="replicas that are killed under load")
    parser.add_argument(
        "parts",
        nargs="*",
        default=["sqlite", "postgresql", "stages", "outage", "replicas", "overload"],
        help="sqlite, postgresql: kill everything while events come; stages: trainers die at each stage; "
        "outage: the database goes away under load; replicas: one of several is killed under load; "
        "overload: ten times as many calls as can be answered; soak: mixed load for an hour (not by default)",
    )
    parser.add_argument("--overload-seconds", type=float, default=30.0)
    parser.add_argument("--minutes", type=float, default=60.0, help="of the soak")
    parser.add_argument("--warm-minutes", type=float, default=10.0, help="of it that are not judged")
    parser.add_argument("--train-minutes", type=float, default=5.0, help="between two trainings")
    parser.add_argument("--rate", type=float, default=15.0, help="calls a second of the soak")
    parser.add_argument("--scale", type=float, default=1.0, help="of the soak's shop: 20,000 users at 1")
    parser.add_argument("--every", type=float, default=10.0, help="seconds between two samples")
    parser.add_argument(
        "--database", help="an empty one for the soak, or `postgresql`: a server of its own; default: SQLite"
    )
    parser.add_argument(
        "--output", type=Path, default=Path("var/soak"), help="for the soak's table and picture"
    )
    asked = parser.parse_args()
    failed = 0
    for part in asked.parts:
        print(f"== {part}", flush=True)
        began = time.monotonic()
        with ExitStack() as stack:
            folder = Path(tempfile.mkdtemp(prefix="vitrine-faults-"))
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            if part == "sqlite" or part == "postgresql":
                lines, failures = _rounds(stack, part, folder, asked.rounds, asked.seed)
            elif part == "stages":
                lines, failures = die_everywhere(folder)
            elif part == "outage":
                lines, failures = outage(stack, folder, asked.outage_seconds)
            elif part == "overload":
                lines, failures = overload(folder, asked.overload_seconds)
            elif part == "soak":
                lines, failures = soak(asked, folder)
            else:
                lines, failures = lose_replicas(stack, folder, asked.kills)
        print("\n".join([*lines, f"{time.monotonic() - began:.0f} s"]), flush=True)
        failed += failures
    return min(1, failed)


def _rounds(stack: ExitStack, part: str, folder: Path, rounds: int, seed: int) -> tuple[list[str], int]:
    server = stack.enter_context(cluster()) if part == "postgresql" else None
    url = f"sqlite:///{folder}/vitrine.db" if server is None else server.url
    prepare(url)
    service = Service(folder, url)
    stack.callback(service.close)
    service.wait_ready()
    played = Rounds(service, server, seed)
    try:
        for number in range(rounds):
            played.play()
            if (number + 1) % 10 == 0:
                print(f"   {number + 1} rounds, {len(played.figures.failures)} failures", flush=True)
        played.end()
    except BaseException:
        print(service.log())
        raise
    return played.figures.lines(), len(played.figures.failures)


if __name__ == "__main__":
    sys.exit(main())

"""An hour of mixed load on the whole service, with the memory of each process drawn: it has to stay flat."""

import argparse
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from statistics import median

import numpy as np
from sqlalchemy import text

from app.db import migrate
from app.db.queries import interactions
from app.db.session import Database
from app.simulation.config import ShopConfig
from app.simulation.shop import simulate
from tests.faults.cluster import cluster
from tests.faults.ingesting import stored
from tests.faults.service import Service
from tests.faults.soak_load import Mixed
from tests.faults.soak_plot import draw, write_csv
from tests.faults.watch import MIB, Sample, Watch
from tests.training.shops import ingest_shop

USERS, ITEMS, INTERACTIONS = 20_000, 2_000, 200_000
SLOPE_MIB = 2.0
"""That a process may grow in ten minutes, by the line through the medians of its parts."""
TRAINER_SLOPE_MIB = 10.0
"""The trainer, which has its data only while it trains, and a little more of them each time."""
GROWTH = 1.1
"""That its last memory may be of its first after the warm-up."""
FILES, THREADS = 64, 5
"""That it may have more at the end than it ever had in the first half after the warm-up."""
_PARTS = 10


def soak(asked: argparse.Namespace, folder: Path) -> tuple[list[str], int]:
    """Run it: a summary, how much was wrong. Writes `soak.csv` and `soak.svg` into the folder asked for."""
    out: Path = asked.output
    out.mkdir(parents=True, exist_ok=True)
    seconds, warm = asked.minutes * 60, asked.warm_minutes * 60
    with ExitStack() as stack:
        url = asked.database or f"sqlite:///{folder}/vitrine.db"
        if url == "postgresql":
            url = stack.enter_context(cluster()).url
        database = Database(url)
        stack.callback(database.close)
        migrate.upgrade(database)
        sizes_of = (round(size * asked.scale) for size in (USERS, ITEMS, INTERACTIONS))
        shop = ShopConfig(**dict(zip(("users", "items", "interactions"), sizes_of, strict=True)))
        ingest_shop(database, simulate(shop))
        with database.read() as connection:
            before = interactions.highest_key(connection)
        service = Service(folder, url)
        stack.callback(service.close)
        service.wait_ready()
        service.wait_trained(service.train(), 1_200)
        print(f"   the shop is trained; {asked.minutes:g} minutes begin", flush=True)
        sizes: list[tuple[float, float, float]] = []
        load = Mixed(service.address(), shop.users, shop.items, asked.rate)
        watch = Watch(lambda: [one.pid for one in (*service.apis, *service.trainers)], asked.every)
        began = time.monotonic()
        next_training = 60.0
        with watch, load:
            while (passed := time.monotonic() - began) < seconds:
                sizes.append((passed, _database_mib(database), _folder_mib(service.artifacts)))
                if passed >= next_training:
                    load.train()
                    next_training += asked.train_minutes * 60
                load.wait(min(asked.every, seconds - passed))
            alive = [one.is_running() for one in (*service.apis, *service.trainers)]
        ended = [str(service.wait_trained(run_id, 600)["state"]) for run_id in dict.fromkeys(load.trainings)]
        counts, _ = stored(database, before)
        write_csv(out / "soak.csv", watch.samples, sizes)
        draw(out / "soak.svg", watch.by_process(), seconds)
    wrong = [f"{said}" for said in load.failures]
    wrong += [f"lost: {name}" for name in load.acknowledged if not counts[name]]
    wrong += [f"stored {count} times: {name}" for name, count in counts.items() if name and count > 1]
    wrong += [f"a training ended as {state}" for state in ended if state not in ("succeeded", "rejected")]
    wrong += [] if all(alive) else ["a process ended"]
    lines = [f"{asked.minutes:g} minutes at {asked.rate:g} calls a second, {len(ended)} trainings"]
    lines.append("answers: " + ", ".join(f"{name}: {count}" for name, count in sorted(load.answers.items())))
    slowest = sorted(load.slowest.items(), key=lambda pair: -pair[1])[:5]
    lines.append("slowest: " + ", ".join(f"{kind} {took:.1f} s" for kind, took in slowest))
    lines.append(f"events acknowledged {len(load.acknowledged)}, found {len(counts)}")
    lines.append(
        f"database {sizes[0][1]:.0f} to {sizes[-1][1]:.0f} MiB, versions {sizes[0][2]:.0f} to "
        f"{sizes[-1][2]:.0f} MiB; {out / 'soak.csv'}, {out / 'soak.svg'}"
    )
    for (name, pid), samples in sorted(watch.by_process().items()):
        said, found = judge(f"{name} {pid}", samples, warm)
        lines.append(said)
        wrong += found
    return [*lines, f"failures {len(wrong)}", *(f"  {one}" for one in wrong[:30])], len(wrong)


def judge(name: str, samples: list[Sample], warm: float) -> tuple[str, list[str]]:
    """What a process came to after the warm-up, and what of it is wrong.

    Its own memory has to stay flat. What it maps of the versions' files comes and goes with the system's
    cache and grows with the shop; a version that is never let go shows in the number of files. Of the trainer
    it is what it keeps between trainings: the least of each part, which is longer than from one to the next.
    """
    later = [sample for sample in samples if sample.at >= warm]
    if len(later) < 2 * _PARTS:
        return f"{name}: only {len(later)} samples after the warm-up", [f"{name} was not there to the end"]

    def parts(
        take: Callable[[Sample], float], of: Callable[[Iterable[float]], float] = median
    ) -> list[float]:
        return [float(of([take(one) for one in part])) for part in np.array_split(np.array(later), _PARTS)]

    trains = name.startswith("trainer")
    times, memory = parts(lambda one: one.at), parts(lambda one: one.own, min if trains else median)
    slope = float(np.polyfit(times, memory, 1)[0]) * 600
    pss = parts(lambda one: one.pss)
    files, threads = parts(lambda one: one.files), parts(lambda one: one.threads)
    wrong = []
    if slope > (TRAINER_SLOPE_MIB if trains else SLOPE_MIB):
        wrong.append(f"{name} grows by {slope:.1f} MiB in ten minutes")
    if memory[-1] > GROWTH * memory[0]:
        wrong.append(f"{name} grew from {memory[0]:.0f} to {memory[-1]:.0f} MiB")
    for what, counts in (("files", files), ("threads", threads)):
        # Connections and threads come and go, and versions differ in their files; a version that is never
        # let go is some hundreds of them.
        if counts[-1] > max(counts[: _PARTS // 2]) + (FILES if what == "files" else THREADS):
            wrong.append(f"{name} has {counts[-1]:.0f} {what}, {counts[0]:.0f} after the warm-up")
    return (
        f"{name}: its own {memory[0]:.0f} to {memory[-1]:.0f} MiB ({slope:+.1f} in ten minutes), "
        f"with mapped files {pss[0]:.0f} to {pss[-1]:.0f}, at most {max(one.pss for one in later):.0f}; "
        f"files {files[0]:.0f} to {files[-1]:.0f}, threads {threads[0]:.0f} to {threads[-1]:.0f}"
    ), wrong


def _database_mib(database: Database) -> float:
    if database.embedded:
        statement = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
    else:
        statement = "SELECT pg_database_size(current_database())"
    with database.read() as connection:
        return float(connection.execute(text(statement)).scalar_one()) / MIB


def _folder_mib(folder: Path) -> float:
    sizes = []
    for path in folder.rglob("*"):
        try:
            sizes.append(path.stat().st_size)
        except FileNotFoundError:  # a version that is pruned just now
            continue
    return sum(sizes) / MIB

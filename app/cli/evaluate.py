"""`vitrine evaluate`"""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, cast

import orjson
import typer

from app.cli.console import fail, open_database, out, progress_bar
from app.cli.imports import Importing
from app.cli.reports import show_measures
from app.core.settings import Settings
from app.core.telemetry import set_up_logs
from app.db import migrate
from app.db.session import Database
from app.learning.dataset import Dataset
from app.learning.recommenders.base import NotEnoughData
from app.readers.base import Reader, ReaderError
from app.readers.movielens import MovieLensReader
from app.readers.ndjson import NdjsonReader
from app.readers.online_retail import OnlineRetailReader
from app.training.evaluation import PROTOCOLS, Plan, ProtocolName, evaluate
from app.training.pipeline import Recipe
from app.training.progress import Progress
from app.training.snapshot import load_snapshot

_File = typer.Option(exists=True, dir_okay=False, readable=True, rich_help_panel="Data")


def evaluate_command(
    movielens: Annotated[
        Path | None,
        typer.Option(exists=True, file_okay=False, help="An unpacked MovieLens set", rich_help_panel="Data"),
    ] = None,
    online_retail: Annotated[Path | None, _File] = None,
    ndjson: Annotated[Path | None, _File] = None,
    protocol: Annotated[
        str | None,
        typer.Option(help=f"What is held out: {', '.join(PROTOCOLS)}; default: as the trainer chooses"),
    ] = None,
    share: Annotated[
        float, typer.Option(min=0.01, max=0.9, help="Held out by time, strong and sessions")
    ] = 0.2,
    folds: Annotated[int, typer.Option(min=2, max=100, help="Of each user's items, by random")] = 5,
    fold_limit: Annotated[int | None, typer.Option(min=1, help="Run only so many of the folds")] = None,
    n: Annotated[int, typer.Option("--n", min=1, max=1000, help="Length of the lists")] = 10,
    users: Annotated[int, typer.Option(min=1, help="Users who are asked about, at most")] = 5_000,
    families: Annotated[bool, typer.Option("--families", help="Measure each family alone too")] = False,
    sampled_negatives: Annotated[
        int, typer.Option(min=0, max=10_000, help="Rank each held-out item among so many random ones too")
    ] = 0,
    repeats: Annotated[
        bool | None,
        typer.Option("--repeats/--no-repeats", help="Whether what a user knows may come again"),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Default: VITRINE_SEED")] = None,
    search_seconds: Annotated[
        float | None, typer.Option(min=0, help="Of each training; default: VITRINE_SEARCH_SECONDS")
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", dir_okay=False, help="Write the figures there as JSON")
    ] = None,
) -> None:
    """Train on a part of the data as the trainer would, and measure the lists on the rest.

    The data is the shop's own (VITRINE_DATABASE_URL) unless files are given. Nothing is published.
    """
    if protocol is not None and protocol not in PROTOCOLS:
        fail(f"--protocol is one of {', '.join(PROTOCOLS)}, not '{protocol}'", 2)
    if fold_limit is not None and fold_limit > folds:
        fail(f"--fold-limit {fold_limit} is more than the {folds} folds", 2)
    if json_file is not None and not json_file.resolve().parent.is_dir():
        fail(f"--json: there is no folder {json_file.resolve().parent}", 2)
    settings = Settings()
    seed = settings.seed if seed is None else seed
    seconds = settings.search_seconds if search_seconds is None else search_seconds
    plan = Plan(
        protocol=cast("ProtocolName | None", protocol),
        n=n,
        share=share,
        folds=folds,
        fold_limit=fold_limit,
        users=users,
        families=families,
        sampled_negatives=sampled_negatives,
        repeats=repeats,
        seed=seed,
    )
    makers: list[Callable[[], Reader]] = []
    if movielens is not None:
        makers.append(lambda: MovieLensReader(movielens))
    if online_retail is not None:
        makers.append(lambda: OnlineRetailReader(online_retail))
    if ndjson is not None:
        makers.append(lambda: NdjsonReader(ndjson, None))
    if len(makers) > 1:
        fail("give one source of data, not several", 2)
    with progress_bar() as bar:
        task = bar.add_task("read", total=1.0)

        def tell(stage: str, fraction: float) -> None:
            bar.update(task, description=f"{stage:<9}", completed=fraction)

        try:
            whole = Progress(tell)
            dataset = _load(settings, makers[0] if makers else None, whole.part("read", 0.0, 0.1))
            recipe = Recipe(settings.weights, seed, seconds, settings.trainer_memory_mb, analytics=None)
            figures = evaluate(dataset, recipe, plan, whole.part("evaluate", 0.1, 0.99))
        except (NotEnoughData, ReaderError) as error:
            bar.stop()
            fail(str(error))
        except KeyboardInterrupt:
            bar.stop()
            fail("interrupted", 130)
        tell("done", 1.0)
    show_measures(figures)
    if json_file is not None:
        try:
            json_file.write_bytes(orjson.dumps(figures, option=orjson.OPT_INDENT_2))
        except OSError as error:
            fail(f"--json: {error}")
        out.print(f"The figures are in {json_file}.", highlight=False, markup=False, soft_wrap=True)


def _load(settings: Settings, make: Callable[[], Reader] | None, progress: Progress) -> Dataset:
    """The data of the shop, or of a file by way of a database that is gone afterwards."""
    if make is None:
        return load_snapshot(open_database(settings), settings.weights, progress).dataset
    set_up_logs("warning", "console")
    with tempfile.TemporaryDirectory(prefix="vitrine-evaluate-") as folder:
        database = Database(f"sqlite:///{folder}/shop.db")
        try:
            migrate.upgrade(database)
            _import(database, make(), progress.part("import", 0.0, 0.8))
            return load_snapshot(database, settings.weights, progress.part("snapshot", 0.8, 1.0)).dataset
        finally:
            database.close()


def _import(database: Database, reader: Reader, progress: Progress) -> None:
    importing = Importing(database)
    for chunk in reader.read():
        importing.store(chunk)
        progress.done(reader.position() / max(1, reader.total_bytes))
    if importing.reasons:
        reasons = ", ".join(f"{code} {count:,}" for code, count in importing.reasons.most_common())
        out.print(f"Rows left out: {reasons}", style="yellow")

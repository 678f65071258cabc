"""`vitrine demo`"""

import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.console import err, fail, out
from app.cli.demo.folder import FOLDER, DemoError, fresh_folder
from app.simulation.config import ShopConfig
from app.simulation.shop import Shop, simulate

if TYPE_CHECKING:
    from app.cli.demo.service import Service

_FRIENDS = 1.5
"""Mean number of friends of a customer: each tie is a call of its own, so not too many."""
_INTERRUPTED = 130
"""Exit status, as a shell gives it to a command that Ctrl-C ended."""


def demo(
    leave: Annotated[
        bool, typer.Option("--exit", help="End when all is shown, rather than serve on")
    ] = False,
    port: Annotated[int, typer.Option(min=0, max=65535, help="If it is taken, a free one is used")] = 8000,
    seed: Annotated[int, typer.Option(min=0, help="Another seed, another shop")] = 7,
    users: Annotated[int, typer.Option(min=20, max=1_000_000, help="Customers of the shop")] = 600,
    items: Annotated[int, typer.Option(min=20, max=1_000_000, help="Products of the shop")] = 400,
    interactions: Annotated[
        int, typer.Option(min=500, max=50_000_000, help="Clicks, purchases, ratings … about that many")
    ] = 40_000,
) -> None:
    """Set up a shop in ./var/demo, play its customers against the service, train, and show the answers."""
    if find_spec("httpx2") is None:
        fail("The demo needs the package httpx2: pip install 'vitrine[demo]'")
    # A shop whose last day was yesterday: the same all day long, and its latest events are fresh.
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    config = ShopConfig(
        seed=seed, users=users, items=items, interactions=interactions, end=midnight, friends=_FRIENDS
    )
    stage = _Stage(config, port, leave)
    try:
        with fresh_folder() as folder:
            stage.run(folder)
    except DemoError as error:
        fail(f"Demo: {error}")
    except KeyboardInterrupt:
        if stage.shown:
            out.print("Stopped.")
            return
        err.print("Interrupted.")
        sys.exit(_INTERRUPTED)


@dataclass
class _Stage:
    """One run of the demo."""

    config: ShopConfig
    port: int
    leave: bool
    shown: bool = False
    """Whether everything was shown, so that an interruption is the regular end."""

    def run(self, folder: Path) -> None:
        """Start, play, train, show, and serve on until interrupted."""
        # Here, so that the other commands work without the packages of the demo.
        from app.cli.demo.service import free_port, interrupted_by_any_end, running_service

        with interrupted_by_any_end():
            port = free_port(self.port)
            if self.port not in (port, 0):
                out.print(f"Port {self.port} is taken; using {port}.", highlight=False)
            with err.status("simulating a shop"):
                shop = simulate(self.config)
            with running_service(folder, port) as service:
                try:
                    with err.status("starting the service"):
                        service.wait_until_ready()
                    self._perform(service, shop)
                except DemoError:
                    for line in service.last_log_lines():
                        err.print(f"  {line}", style="dim", markup=False, highlight=False)
                    raise

    def _perform(self, service: "Service", shop: Shop) -> None:
        from app.cli.demo.play import play, train
        from app.cli.demo.showing import Showing

        out.print(
            f"A simulated shop (seed {self.config.seed}) on a database of its own in {FOLDER}; "
            f"the service's log is {FOLDER / service.log.name}.",
            highlight=False,
        )
        played = play(service, shop)
        out.print(
            f"Sent over HTTP: {self.config.items:,} items, {self.config.users:,} users, "
            f"{played.relations:,} ties, {played.streamed:,} interactions in streams, "
            f"{played.batched:,} in batches, {played.single:,} one by one, {played.orders:,} orders.",
            highlight=False,
        )
        showing = Showing(service, shop)
        showing.show_training(train(service))
        showing.show_answers()
        self.shown = True
        if not self.leave:
            showing.show_calls()
            service.serve()

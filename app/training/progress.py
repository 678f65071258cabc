"""How far a run is, and whether it should go on."""

from collections.abc import Callable
from dataclasses import dataclass


class Interrupted(Exception):
    """The run must stop here: cancelled, taken over by another trainer, or the trainer is shutting down."""


@dataclass(frozen=True)
class Progress:
    """A part of a run, from one fraction of the whole to another."""

    tell: Callable[[str, float], None]
    """Takes the stage and the fraction of the whole; raises Interrupted if the run must stop."""
    stage: str = "snapshot"
    start: float = 0.0
    end: float = 1.0

    def part(self, stage: str, start: float, end: float) -> "Progress":
        """A stage of the run, from one fraction of this part to another."""
        width = self.end - self.start
        part = Progress(self.tell, stage, self.start + start * width, self.start + end * width)
        part.done(0.0)
        return part

    def done(self, fraction: float) -> None:
        """Say how much of this part is done, 0–1."""
        self.tell(self.stage, self.start + min(1.0, fraction) * (self.end - self.start))

"""Tiny data sets whose right answers are known."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

from app.learning.dataset import DAY_MS, Dataset, Histories, InteractionLog, ItemTable

AS_OF = 1_800_000_000_000
WEIGHTS = {"view": 1.0, "cart": 2.0, "purchase": 5.0, "rate": 3.0}


class Event(NamedTuple):
    """What somebody did with an item."""

    subject: str
    item: str
    event: str = "view"
    days_ago: float = 0.0
    rating: float | None = None
    quantity: float = 1.0
    price: float | None = None


class Text(NamedTuple):
    """What the catalogue says of an item."""

    title: str = ""
    description: str = ""
    categories: Sequence[str] = ()
    brand: str = ""
    tags: Sequence[str] = ()
    price: float | None = None


@dataclass(frozen=True)
class World:
    """A data set and the names behind its indices."""

    dataset: Dataset
    subjects: tuple[str, ...]
    """Users first, then sessions; each sorted."""
    items: tuple[str, ...]
    """Sorted."""

    def row(self, subject: str) -> int:
        return self.subjects.index(subject)

    def column(self, item: str) -> int:
        return self.items.index(item)

    def history(self, *items: str) -> Histories:
        """One history with a preference of 1 for each of the items."""
        return self.histories([items])

    def histories(self, rows: Sequence[Sequence[str]]) -> Histories:
        """A batch of such histories."""
        matrix = np.zeros((len(rows), len(self.items)), dtype=np.float32)
        for number, items in enumerate(rows):
            for item in items:
                matrix[number, self.column(item)] = 1.0
        sparse = csr_array(matrix)
        return Histories(sparse, np.zeros(sparse.nnz, dtype=np.float32))


def item_table(texts: Sequence[Text]) -> ItemTable:
    """A catalogue of the given items, in that order."""
    return ItemTable(
        title=[text.title for text in texts],
        description=[text.description for text in texts],
        categories=[list(text.categories) for text in texts],
        brand=[text.brand for text in texts],
        tags=[list(text.tags) for text in texts],
        price=np.array([_or_nan(text.price) for text in texts], dtype=np.float32),
    )


def world(
    events: Sequence[tuple[object, ...]],
    texts: Mapping[str, Text] | None = None,
    sessions: Sequence[str] = (),
    users: Sequence[str] = (),
    weights: Mapping[str, float] = WEIGHTS,
) -> World:
    """A world of the events, each a tuple of `Event`'s fields.

    `sessions` names the subjects that are anonymous, `users` further ones that did nothing, and `texts`
    the catalogue (items that only events name are without text).
    """
    done = sorted((Event(*event) for event in events), key=lambda event: -event.days_ago)  # type: ignore[arg-type]
    named = sorted(({event.subject for event in done} | set(users)) - set(sessions))
    subjects = (*named, *sorted(sessions))
    texts = texts or {}
    items = tuple(sorted({event.item for event in done} | set(texts)))
    log = InteractionLog(
        subject=np.array([subjects.index(event.subject) for event in done], dtype=np.int32),
        item=np.array([items.index(event.item) for event in done], dtype=np.int32),
        event=np.array([list(weights).index(event.event) for event in done], dtype=np.int16),
        value=np.array([_or_nan(event.rating) for event in done], dtype=np.float32),
        quantity=np.array([event.quantity for event in done], dtype=np.float32),
        price=np.array([_or_nan(event.price) for event in done], dtype=np.float32),
        occurred_at=np.array([AS_OF - round(event.days_ago * DAY_MS) for event in done], dtype=np.int64),
    )
    dataset = Dataset(
        user_keys=np.arange(len(named), dtype=np.int64) + 1,
        n_subjects=len(subjects),
        item_keys=np.arange(len(items), dtype=np.int64) + 1,
        items=item_table([texts.get(item, Text()) for item in items]),
        event_names=tuple(weights),
        log=log,
        as_of=AS_OF,
        event_weights=dict(weights),
    )
    return World(dataset, subjects, items)


def befriended(made: World) -> World:
    """The world in which each subject is tied to four users whose number is as even or odd as its own."""
    dataset = made.dataset
    ties = np.zeros((dataset.n_subjects, dataset.n_users), dtype=np.float32)
    for row, subject in enumerate(made.subjects):
        alike = [
            user for user in range(dataset.n_users) if (user - int(subject[1:])) % 2 == 0 and user != row
        ]
        ties[row, [alike[(row + step) % len(alike)] for step in range(4)]] = 1.0
    return World(replace(dataset, ties=csr_array(ties)), made.subjects, made.items)


def _or_nan(number: float | None) -> float:
    return float("nan") if number is None else number


def checkerboard(n_subjects: int = 24, n_items: int = 16) -> World:
    """Two tastes: subjects and items are even or odd, and only like meets like.

    Each subject has not met two items of its taste: those are what it should be shown next. The last
    quarter of the subjects are anonymous sessions. Even items are running shoes, odd ones are tea.
    """
    events: list[tuple[object, ...]] = []
    for subject in range(n_subjects):
        for place in range(n_items // 2):
            if (place - subject // 2) % (n_items // 2) >= 2:
                item = 2 * place + subject % 2
                days_ago = float((7 * subject + 3 * item) % 40)
                events.append((f"s{subject:02}", f"i{item:02}", "view", days_ago))
                if place % 3 == 0:  # what one comes back to
                    events.append((f"s{subject:02}", f"i{item:02}", "view", days_ago + 5))
    kinds = (
        Text("Running shoe", "Light and fast", ("Shoes > Running",), "Hermes", ("sport",)),
        Text("绿茶 龙井", "春天的新茶", ("食品 > 茶",), "西湖", ("有机",)),
    )
    texts = {
        f"i{item:02}": kinds[item % 2]._replace(title=f"{kinds[item % 2].title} {item}")
        for item in range(n_items)
    }
    sessions = [f"s{subject:02}" for subject in range(n_subjects - n_subjects // 4, n_subjects)]
    return world(events, texts, sessions)

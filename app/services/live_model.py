"""A model version open for serving, with what it says to anybody kept from request to request."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError
from sqlalchemy import Connection

from app.learning.artifacts import ArtifactError, read_version
from app.learning.dataset import Histories
from app.learning.ranking.blend import Blend, normalised, normalised_together
from app.learning.ranking.combined import Combined, Ground
from app.learning.recommenders.base import Scores
from app.learning.recommenders.evidence import Evidence
from app.learning.recommenders.popularity import ItemScores
from app.learning.recommenders.sparse import empty_history
from app.learning.version import ModelVersion
from app.services.arrivals import Arrivals
from app.services.catalogue import Catalogue

_MOST_GROUNDS = 16
"""Blends of which is kept what they say to anybody: two numbers for each item."""


@dataclass
class LiveModel:
    """A model version open for serving."""

    name: str
    version: ModelVersion
    content: dict[str, Any]
    arrivals: Arrivals
    _by_key: NDArray[np.int64]
    _positions: NDArray[np.int64]
    _ranked: dict[str, tuple[NDArray[np.int64], Scores]] = field(default_factory=dict)
    _of_nobody: dict[str, Scores | Evidence] = field(default_factory=dict)
    _grounds: OrderedDict[tuple[tuple[str, float], ...], Ground] = field(default_factory=OrderedDict)
    _indexes: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))

    @classmethod
    def open(cls, artifacts: Path, name: str) -> "LiveModel":
        """Map a version's files; raises ArtifactError if anything about them is wrong."""
        content, arrays = read_version(artifacts, name, verify=True)
        try:
            version = ModelVersion.from_store(content, arrays)
        except (KeyError, ValueError, TypeError) as error:
            raise ArtifactError(
                f"version {name} was written by another release, and this one cannot read it: {_told(error)}"
            ) from error
        opened = cls(
            name, version, content, Arrivals(version), np.argsort(version.item_keys), np.empty(0, np.int64)
        )
        try:
            opened._prepare()
        except (KeyError, ValueError, TypeError, IndexError) as error:
            raise ArtifactError(f"version {name} cannot be asked: {_told(error)}") from error
        return opened

    def indexes_of(self, keys: NDArray[np.int64]) -> NDArray[np.int64]:
        """The model's index of each item, by database key; -1 where the training did not know it."""
        if not len(self._by_key):
            return np.full(len(keys), -1, dtype=np.int64)
        places = np.searchsorted(self.version.item_keys, keys, sorter=self._by_key)
        found = self._by_key[np.minimum(places, len(self._by_key) - 1)]
        return np.where(self.version.item_keys[found] == keys, found, -1)

    def take_in(self, connection: Connection, catalogue: Catalogue) -> None:
        """Compare the items that came since the training with those the model knows."""
        keys = catalogue.keys
        if self.arrivals.behind(len(keys), catalogue.revision):
            self.arrivals.refresh(connection, keys, self.indexes_of(keys) >= 0, catalogue.revision)

    def positions(self, catalogue: Catalogue) -> NDArray[np.int64]:
        """Position in the catalogue of each of the model's items; all of them are in it."""
        if len(self._positions) != self.version.n_items:
            self._positions = catalogue.positions_of(np.asarray(self.version.item_keys))
        return self._positions

    def _prepare(self) -> None:
        """Work out what is the same at every request, so that none has to wait for it."""
        for blend in self.version.blends.named.values():
            self.combined(blend, self.family_scores(self.nothing_known, blend))

    def family_scores(self, history: Histories, blend: Blend) -> dict[str, Scores | Evidence]:
        """Normalised scores of each family of a blend, for a batch of one; not to be written to.

        Those for somebody of whom nothing is known are the same at every request, so they are kept.
        """
        models = self.version.recommenders
        is_known = history.matrix.nnz or (history.ties is not None and history.ties.nnz)
        return {
            name: normalised(models[name], history)
            if is_known and not isinstance(models[name], ItemScores)
            else self._scores_of_nobody(name)
            for name in blend.weights
        }

    @cached_property
    def nothing_known(self) -> Histories:
        """A batch of one of whom nothing is known."""
        return empty_history(self.version.n_items)

    @cached_property
    def uses_ties(self) -> bool:
        """Whether it matters with whom a person is connected."""
        return "social" in self.version.blends.families

    def family_scores_of(
        self, histories: Histories, blends: Sequence[Blend]
    ) -> list[dict[str, Scores | Evidence]]:
        """The same for several people, and the blend of each."""
        found: list[dict[str, Scores | Evidence]] = [{} for _ in blends]
        rows_of: dict[str, list[int]] = {}
        is_known = np.diff(histories.matrix.indptr) > 0
        for row, blend in enumerate(blends):
            for name in blend.weights:
                if is_known[row] and not isinstance(self.version.recommenders[name], ItemScores):
                    rows_of.setdefault(name, []).append(row)
                else:
                    found[row][name] = self._scores_of_nobody(name)
        for name, rows in rows_of.items():
            some = histories.take(np.array(rows))
            scores = normalised_together(self.version.recommenders[name], some)
            for row, of_row in zip(rows, scores, strict=True):
                found[row][name] = of_row
        return found

    def _scores_of_nobody(self, name: str) -> Scores | Evidence:
        if name not in self._of_nobody:
            found = normalised(self.version.recommenders[name], self.nothing_known)
            self._of_nobody[name] = found.told if isinstance(found, Evidence) else found
        return self._of_nobody[name]

    def combined(self, blend: Blend, scores: Mapping[str, Scores | Evidence]) -> Combined:
        """The scores of all items by a blend, from those of its families."""
        cold, same = self.version.cold, blend.impersonal(scores)
        key = tuple(sorted(same.weights.items()))
        ground = self._grounds.get(key)
        if ground is not None:
            with suppress(KeyError):  # another thread may just have let it go
                self._grounds.move_to_end(key)
        else:
            nothing = np.zeros((1, self.version.n_items), dtype=np.float32)
            ground = Ground.of(same.combine(scores) if same.weights else nothing, cold)
            self._grounds[key] = ground
            while len(self._grounds) > _MOST_GROUNDS:
                self._grounds.popitem(last=False)
        return Combined.of(ground, blend.personal(scores), cold)

    def indexes(self, catalogue: Catalogue) -> NDArray[np.int64]:
        """The model's index of each item by its position in the catalogue; -1 where it does not know it."""
        if len(self._indexes) < len(catalogue):
            indexes = np.full(len(catalogue), -1, dtype=np.int64)
            indexes[self.positions(catalogue)] = np.arange(self.version.n_items)
            self._indexes = indexes
        return self._indexes

    def ranked(self, family: str, catalogue: Catalogue) -> tuple[NDArray[np.int64], Scores] | None:
        """Positions and scores of the items that a family has for anybody, the best first, ties by item id.

        None if the version has no such family. It is the same at every request, so it is kept.
        """
        if family not in self._ranked:
            model = self.version.recommenders.get(family)
            if model is None:
                return None
            scores = model.score(empty_history(self.version.n_items))[0]
            # Stable, and the model's items are in order of their ids.
            order = np.argsort(-scores, kind="stable")[: np.count_nonzero(scores > 0)]
            self._ranked[family] = (self.positions(catalogue)[order], scores[order])
        return self._ranked[family]


def _told(error: Exception) -> str:
    """What of a version cannot be read, in one line."""
    if isinstance(error, KeyError):
        return f"it has no {error}"
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        return f"{error.title}.{place}: {first['msg']}"
    return " ".join(str(error).split())

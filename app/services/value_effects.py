"""What moving items by their value did to a list: what it gained, and what that cost in relevance."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from app.services.picking import Pick
from app.services.shop_rules import AppliedRules


def effects_of(
    rules: AppliedRules, field: str, listed: Sequence[Pick], without: Sequence[Pick]
) -> dict[str, Any]:
    """The list beside the one `without` value, whose pins carry the scores of the first."""
    scores = sum(_unmoved(rules, pick) if pick.source == "pinned" else pick.score for pick in without)
    relevance = sum(_unmoved(rules, pick) for pick in listed) / scores if scores > 0 else None
    return {
        "value": {
            "field": field,
            "mean": _mean(rules, listed),
            "mean_without": _mean(rules, without),
            "relevance": None if relevance is None else round(relevance, 6),
        }
    }


def _unmoved(rules: AppliedRules, pick: Pick) -> float:
    return pick.score if rules.moves is None else pick.score / float(rules.moves[pick.position])


def _mean(rules: AppliedRules, picks: Sequence[Pick]) -> float | None:
    if rules.worth is None:
        return None
    values = rules.worth.values[[pick.position for pick in picks]]
    known = values[~np.isnan(values)]
    # Divided first: the sum of values near the largest number would be endless.
    return round(float((known / len(known)).sum()), 6) if len(known) else None

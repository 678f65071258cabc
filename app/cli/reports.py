"""Figures as tables that people read."""

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from app.cli.console import out

_COLUMNS = {
    "ndcg": "nDCG",
    "recall": "recall",
    "precision": "precision",
    "map": "MAP",
    "hit_rate": "hits",
    "coverage": "coverage",
}
_MORE = {"f1": "F1", "map": "MAP", "mrr": "MRR", "coverage": "coverage", "gini": "Gini"}
_BEYOND = {
    "novelty": "novelty",
    "diversity": "diversity",
    "calibration": "calibration",
    "popularity_lift": "popularity lift",
}
_SAMPLED = {"sampled_hit_rate": "sampled hits", "sampled_ndcg": "sampled nDCG"}
_ROWS = {"new": "this version", "active": "the one before", "popularity": "popularity"}
_GROUPS = {"new": "new: 1-2", "light": "light: 3-5", "medium": "medium: 6-20", "heavy": "heavy: 21+"}
_CAPTION = "nDCG ± half the width of its 95 % interval"
_SHOWN_FAMILIES = 4
"""Families of a blend that are named."""


def show_evaluation(evaluation: dict[str, Any]) -> None:
    """What a training found out about its own quality."""
    protocol = evaluation["protocol"]
    if "top_n" in evaluation:
        top = evaluation["top_n"]
        out.print(
            f"Lists of {protocol['list_length']}, {protocol['split']} split, "
            f"{protocol['test_users']} users, seen items {protocol['seen_items']}:"
        )
        rows = {label: top[name] for name, label in _ROWS.items() if name in top}
        _table(_COLUMNS, rows)
        _show_beyond(rows)
        _show_training_groups(top)
    else:
        out.print(
            "Too few users, or sessions where nobody logs in, went on after the split to judge the lists."
        )
    _show_ratings(evaluation.get("ratings"))


def show_measures(evaluation: dict[str, Any]) -> None:
    """What `vitrine evaluate` measured."""
    data, protocol = evaluation["data"], evaluation["protocol"]
    sessions = f" and {data['sessions']:,} anonymous sessions" if data["sessions"] else ""
    out.print(
        f"{data['interactions']:,} interactions of {data['users']:,} users{sessions} "
        f"with {data['items']:,} items, {data['from'][:10]} to {data['to'][:10]}.",
        highlight=False,
    )
    out.print(_protocol_line(protocol), highlight=False)
    models = evaluation["models"]
    accuracy = Table("", "nDCG", "95 % interval", "recall", "precision", "hits")
    for name, figures in models.items():
        columns = (figures[column] for column in ("recall", "precision", "hit_rate"))
        interval = _interval(figures["ndcg_interval"])
        accuracy.add_row(_label(name), _shown(figures["ndcg"]), interval, *map(_shown, columns))
    out.print(accuracy)
    rows = {_label(name): figures for name, figures in models.items()}
    _table(_MORE, rows)
    _show_beyond(rows)
    if all(column in figures for column in _SAMPLED for figures in models.values()):
        _table(_SAMPLED, rows)
        out.print("Sampled figures are not comparable with those of whole lists.")
    _show_groups(evaluation["groups"])
    for name, gain in evaluation["gain_over"].items():
        if name == "popularity":
            interval = _interval(gain["ndcg_interval"])
            out.print(
                f"nDCG over popularity: {gain['ndcg']:+.4f} (95 % interval {interval}).", highlight=False
            )
    _show_ratings(evaluation["ratings"])
    _show_choices(evaluation["choices"])


def _protocol_line(protocol: dict[str, Any]) -> str:
    parts = "" if protocol["folds"] is None else f" ({protocol['parts']} of {protocol['folds']} folds)"
    users = f"{protocol['users']:,} users"
    if protocol["users_sampled"]:
        users += f", sampled from {protocol['eligible_users']:,}"
    reason = "" if protocol["reason"] == "as asked for" else f" Why this protocol: {protocol['reason']}."
    return (
        f"Lists of {protocol['list_length']}, {protocol['split'].replace('_', '-')} protocol{parts}, "
        f"{users}, seen items {protocol['seen_items']}.{reason}"
    )


def _show_beyond(rows: Mapping[str, Mapping[str, Any]]) -> None:
    """Measures beside accuracy, where there are any."""
    if any(figures.get("novelty") is not None for figures in rows.values()):
        _table(_BEYOND, rows)


def _show_training_groups(top: dict[str, Any]) -> None:
    groups: dict[str, Any] = top.get("groups", {})
    prefixes = {label: "" if name == "new" else f"{name}_" for name, label in _ROWS.items() if name in top}
    table = Table("known items", "users", *(f"{label}, nDCG" for label in prefixes), caption=_CAPTION)
    for group, figures in groups.items():
        cells = (_with_interval(figures, prefix) for prefix in prefixes.values())
        table.add_row(_GROUPS.get(group, group), f"{figures['users']:,}", *cells)
    if groups:
        out.print(table)


def _show_groups(groups: dict[str, dict[str, Any]]) -> None:
    names = [name for name in ("automatic", "popularity") if name in groups]
    table = Table("known items", "users", *(f"{_label(name)}, nDCG" for name in names), caption=_CAPTION)
    for group, figures in groups[names[0]].items():
        cells = (_with_interval(groups[name][group], "") for name in names)
        table.add_row(_GROUPS.get(group, group), f"{figures['users']:,}", *cells)
    out.print(table)


def _with_interval(figures: Mapping[str, Any], prefix: str) -> str:
    """A mean and half the width of its interval, as far as there is one."""
    mean, interval = figures.get(f"{prefix}ndcg"), figures.get(f"{prefix}ndcg_interval")
    if mean is None:
        return "-"
    return f"{mean:.3f}" if interval is None else f"{mean:.3f} ± {(interval[1] - interval[0]) / 2:.3f}"


def _show_ratings(ratings: Mapping[str, Any] | None) -> None:
    if ratings:
        errors = f"RMSE {ratings['rmse']:.4f}, MAE {ratings['mae']:.4f}"
        out.print(f"Ratings: {errors} over {ratings['ratings']:,} held out.", highlight=False)


def _show_choices(choices: list[dict[str, Any]]) -> None:
    """What was chosen by itself, and what the gate would have said."""
    for number, choice in enumerate(choices, 1):
        weights = sorted(choice["blends"]["usual"].items(), key=lambda pair: -pair[1])
        named = ", ".join(f"{_label(name)} {weight:.2f}" for name, weight in weights[:_SHOWN_FAMILIES])
        more = ", …" if len(weights) > _SHOWN_FAMILIES else ""
        which = f" (part {number})" if len(choices) > 1 else ""
        out.print(
            f"Training took {choice['training_seconds']:.0f} s{which}; its usual blend: {named}{more}.",
            highlight=False,
        )
        if choice["rejected"]:
            out.print(f"A training would have been rejected: {choice['rejected']}.", style="yellow")


def _table(columns: Mapping[str, str], rows: Mapping[str, Mapping[str, Any]]) -> None:
    table = Table("", *columns.values())
    for label, figures in rows.items():
        table.add_row(label, *(_shown(figures.get(column)) for column in columns))
    out.print(table)


def _label(name: str) -> str:
    return "automatic choice" if name == "automatic" else name.replace("_", " ")


def _interval(interval: list[float]) -> str:
    return f"{interval[0]:.4f} to {interval[1]:.4f}"


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"

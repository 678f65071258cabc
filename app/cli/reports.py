"""Figures as tables that people read."""

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
_ROWS = {"new": "this version", "active": "the one before", "popularity": "popularity"}


def show_evaluation(evaluation: dict[str, Any]) -> None:
    """What a training found out about its own quality."""
    protocol = evaluation["protocol"]
    if "top_n" in evaluation:
        out.print(
            f"Lists of {protocol['list_length']}, {protocol['split']} split, "
            f"{protocol['test_users']} users, seen items {protocol['seen_items']}:"
        )
        table = Table("", *_COLUMNS.values())
        for name, label in _ROWS.items():
            if name in evaluation["top_n"]:
                figures = evaluation["top_n"][name]
                table.add_row(label, *(f"{figures[column]:.4f}" for column in _COLUMNS))
        out.print(table)
    else:
        out.print("Too few users went on after the split to judge the lists.")
    if evaluation.get("ratings"):
        ratings = evaluation["ratings"]
        errors = f"RMSE {ratings['rmse']:.4f}, MAE {ratings['mae']:.4f}"
        out.print(f"Ratings: {errors} over {ratings['ratings']} held out.")

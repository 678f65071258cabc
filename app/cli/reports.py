"""Figures as tables that people read."""

from typing import Any

from rich.table import Table

from app.cli.console import out

_COLUMNS = ("ndcg", "recall", "precision", "map", "hit_rate", "coverage")


def show_evaluation(evaluation: dict[str, Any]) -> None:
    """What a training found out about its own quality."""
    protocol = evaluation["protocol"]
    if "top_n" in evaluation:
        n = protocol["list_length"]
        split = f"{protocol['split']} split, {protocol['test_users']} users, seen items excluded"
        table = Table("", *(f"{name}@{n}" for name in _COLUMNS), title=f"Top {n} ({split})")
        for name, label in (
            ("new", "this version"),
            ("active", "the one before"),
            ("popularity", "popularity"),
        ):
            if name in evaluation["top_n"]:
                figures = evaluation["top_n"][name]
                table.add_row(label, *(f"{figures[column]:.4f}" for column in _COLUMNS))
        out.print(table)
    else:
        out.print("Too few users went on after the split to judge the lists.")
    if evaluation.get("ratings"):
        ratings = evaluation["ratings"]
        out.print(
            f"Ratings: RMSE {ratings['rmse']:.4f}, MAE {ratings['mae']:.4f} over {ratings['ratings']} held out."
        )

"""The only list of recommender families."""

from app.learning.recommenders import (
    als,
    category_popularity,
    content,
    ease,
    item_neighbours,
    popularity,
    recently_viewed,
    repeat,
    rp3beta,
    session_neighbours,
    social,
    transitions,
    trending,
    truncated_svd,
    user_neighbours,
)
from app.learning.recommenders.base import Family

FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        popularity.FAMILY,
        trending.FAMILY,
        category_popularity.FAMILY,
        social.FAMILY,
        repeat.FAMILY,
        recently_viewed.FAMILY,
        session_neighbours.FAMILY,
        transitions.FAMILY,
        user_neighbours.FAMILY,
        item_neighbours.FAMILY,
        rp3beta.FAMILY,
        truncated_svd.FAMILY,
        ease.FAMILY,
        als.FAMILY,
        content.FAMILY,
    )
}
"""Every family by its name, the cheapest to fit first."""

APART = "@"
"""Between a family's name and that of an audience for which the family has a model of its own."""


def family_of(model: str) -> Family:
    """The family of a model of a version: `ease` and `ease@idle` are both EASE. Raises `KeyError`."""
    return FAMILIES[model.partition(APART)[0]]

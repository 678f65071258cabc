"""The only list of recommender families."""

from app.learning.recommenders import (
    als,
    category_popularity,
    content,
    ease,
    item_neighbours,
    popularity,
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

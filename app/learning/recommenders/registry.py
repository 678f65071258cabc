"""The only list of recommender families."""

from app.learning.recommenders import (
    content,
    item_neighbours,
    popularity,
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
        item_neighbours.FAMILY,
        user_neighbours.FAMILY,
        truncated_svd.FAMILY,
        content.FAMILY,
    )
}
"""Every family by its name."""

"""Names of storefront events: the GA4 name that is stored, and the spellings accepted for it."""

import re
from typing import Final

DEFAULT_WEIGHTS: Final[dict[str, float]] = {
    "view_item": 1.0,
    "view_item_list": 0.0,
    "search": 0.0,
    "select_item": 1.0,
    "add_to_wishlist": 3.0,
    "add_to_cart": 3.0,
    "remove_from_cart": -1.0,
    "begin_checkout": 2.0,
    "purchase": 5.0,
    "refund": -5.0,
    "rate": 5.0,
    "view_promotion": 0.0,
    "select_promotion": 0.0,
    "service_contact": 0.0,
}
"""Implicit weight of each standard event; that of `rate` belongs to the best rating of the shop's scale."""

ALIASES: Final[dict[str, str]] = {
    "detail-page-view": "view_item",
    "Product Viewed": "view_item",
    "detailviews": "view_item",
    "view": "view_item",
    "category-page-view": "view_item_list",
    "Product List Viewed": "view_item_list",
    "Products Searched": "search",
    "Product Clicked": "select_item",
    "click": "select_item",
    "Product Added to Wishlist": "add_to_wishlist",
    "bookmarks": "add_to_wishlist",
    "like": "add_to_wishlist",
    "add-to-cart": "add_to_cart",
    "Product Added": "add_to_cart",
    "cartadditions": "add_to_cart",
    "Product Removed": "remove_from_cart",
    "Checkout Started": "begin_checkout",
    "purchase-complete": "purchase",
    "Order Completed": "purchase",
    "purchases": "purchase",
    "Order Refunded": "refund",
    "Order Cancelled": "refund",
    "ratings": "rate",
    "rating": "rate",
    "Promotion Viewed": "view_promotion",
    "promotion-offered": "view_promotion",
    "Promotion Clicked": "select_promotion",
}

ITEMLESS: Final[frozenset[str]] = frozenset(
    {
        *("view_item_list", "search", "begin_checkout", "view_promotion", "select_promotion"),
        "service_contact",
    }
)
"""Standard events that may come without an item."""

CONTACT: Final = "service_contact"
CONTACT_TYPES: Final = ("complaint", "question", "return")
"""What a `service_contact` may be about, by `type` in its context."""

_CUSTOM = re.compile(r"[a-z0-9_]{1,64}")


def canonical(name: str) -> str | None:
    """The name under which an event is stored, or None if the spelling is not accepted."""
    if name in DEFAULT_WEIGHTS:
        return name
    return ALIASES.get(name) or (name if _CUSTOM.fullmatch(name) else None)

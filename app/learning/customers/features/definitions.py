"""One definition of each feature: its name, unit, window and meaning. Days are UTC days."""

from typing import Final

from app.learning.customers.features.table import Feature

USUAL_PRICE_SHARE: Final = 0.95
"""Share of an item's median price below which a unit counts as discounted."""
PAUSE_MINUTES: Final = 30
"""Pause after which a visit is over."""
WINDOWS: Final = (7, 30, 90)
"""Lengths of the recent windows, in days."""
TREND_DAYS: Final = 30

FEATURES: Final = (
    Feature("recency_days", "days", "Time since the last interaction"),
    Feature("tenure_days", "days", "Time since the first interaction"),
    Feature("interactions", "events", "Interactions of any kind"),
    Feature("active_days", "days", "Days with an interaction"),
    Feature("median_gap_days", "days", "Usual time between active days; with one such day, the time since"),
    Feature("distinct_items", "items", "Different items interacted with"),
    Feature("frequency", "days", "Days with a purchase"),
    Feature("monetary", "currency", "Money spent, less refunds; purchases without a price count 0"),
    Feature("purchase_value", "currency", "Money spent, less refunds, per day with a purchase"),
    Feature("views_per_purchase", "views", "Items viewed per item line bought; per one if none was"),
    Feature("refund_share", "share", "Refunds per item line bought, at most 1; 0 if none was"),
    Feature("recent_share", "share", "Interactions of the last 30 days among all"),
    Feature(
        "purchase_recency_days",
        "days",
        "Time since the last purchase; without one, since the shop's first event",
    ),
    Feature("purchase_tenure_days", "days", "Time since the first purchase; 0 without one"),
    Feature(
        "purchase_gap_days",
        "days",
        "Usual time between days with a purchase; with fewer than two, as the time since the last purchase",
    ),
    Feature(
        "purchase_gap_spread_days", "days", "Standard deviation of the times between days with a purchase"
    ),
    Feature("purchase_overdue", "times", "Time since the last purchase in usual times between purchases"),
    Feature("basket_lines", "lines", "Item lines per day with a purchase"),
    Feature("basket_units", "units", "Units per day with a purchase"),
    Feature("top_category_share", "share", "Share of the customer's largest category in the money spent"),
    Feature(
        "category_diversity",
        "categories",
        "Categories that the money went to, as many as equal ones would be (exponential of the entropy)",
    ),
    Feature("discount_share", "share", "Units bought below 95 % of the item's median price"),
    Feature("visits", "visits", "Visits, which end with a pause of 30 minutes"),
    Feature("visits_without_purchase", "share", "Visits in which nothing was bought"),
    Feature("morning_share", "share", "Interactions from 6:00 to 12:00 UTC"),
    Feature("afternoon_share", "share", "Interactions from 12:00 to 18:00 UTC"),
    Feature("evening_share", "share", "Interactions from 18:00 to 24:00 UTC"),
    Feature("night_share", "share", "Interactions from 0:00 to 6:00 UTC"),
    Feature("weekend_share", "share", "Interactions on Saturday or Sunday, UTC"),
    *(
        Feature(f"interactions_{days}d", "events", f"Interactions of the last {days} days")
        for days in WINDOWS
    ),
    *(
        Feature(f"frequency_{days}d", "days", f"Days with a purchase in the last {days} days")
        for days in WINDOWS
    ),
    *(
        Feature(f"spend_{days}d", "currency", f"Money spent in the last {days} days, refunds not subtracted")
        for days in WINDOWS
    ),
    Feature(
        "interactions_trend",
        "share",
        "Interactions of the last 30 days less those of the 30 days before, of both together (-1 to 1)",
    ),
    Feature(
        "spend_trend",
        "share",
        "Money spent in the last 30 days less that of the 30 days before, of both together (-1 to 1)",
    ),
    Feature("service_contacts", "contacts", "Contacts with the service"),
    Feature("complaints", "contacts", "Contacts with the service that were complaints"),
    Feature(
        "service_recency_days",
        "days",
        "Time since the last contact with the service; without one, since the shop's first event",
    ),
)
"""All features, in the order of the columns. Unless a window is named, all of the history counts."""

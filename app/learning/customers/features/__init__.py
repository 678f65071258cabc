"""What a customer's behaviour looks like in numbers, as of a moment."""

from app.learning.customers.features.attributes import AttributeColumn, AttributeTable, attribute_table
from app.learning.customers.features.behaviour import ItemFacts, customer_features, item_facts
from app.learning.customers.features.definitions import FEATURES
from app.learning.customers.features.table import Feature, FeatureTable

__all__ = [
    "FEATURES",
    "AttributeColumn",
    "AttributeTable",
    "Feature",
    "FeatureTable",
    "ItemFacts",
    "attribute_table",
    "customer_features",
    "item_facts",
]

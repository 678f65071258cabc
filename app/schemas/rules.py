"""Wire types of association rules and of what is bought together."""

from typing import Annotated, Literal

from pydantic import Field

from app.schemas.fields import Answer, Id, UserRef, Wire
from app.schemas.recommendations import Count

MAX_CART = 200

Side = Literal["any", "antecedent", "consequent"]
RuleOrder = Literal["strength", "lift", "confidence", "support"]
TogetherSource = Literal["bought_together", "similar", "content", "popular"]


class RuleItem(Answer):
    item_id: str
    title: str | None


class AssociationRule(Answer):
    antecedent: list[RuleItem] = Field(description="Who buys all of these")
    consequent: RuleItem = Field(description="buys this one too")
    count: int = Field(description="Baskets that hold all items of the rule")
    support: float = Field(description="Share of all baskets that hold all items of the rule, 0–1")
    confidence: float = Field(description="Share of the baskets with the antecedent that hold the consequent")
    lift: float = Field(description="Confidence over the consequent's share of all baskets; 1: independent")
    leverage: float = Field(description="Support above what independence would have")
    conviction: float | None = Field(
        description="How much more often the rule would fail by chance; null: infinite, it never fails"
    )


class RuleThresholds(Answer):
    min_support: float
    min_support_from: Literal["given", "found"] = Field(
        description="Whether the shop's settings gave the support, or the training found it"
    )
    min_count: int = Field(description="Least number of baskets with all items of a rule")
    min_confidence: float
    min_lift: float
    max_length: int = Field(description="Most items of a rule")
    false_discoveries: float = Field(description="Share of the rules that may be chance")
    n_baskets: int
    n_itemsets: int = Field(description="Sets of items that were in as many baskets")
    n_tested: int = Field(description="Rules that were tested for chance")


class RuleList(Answer):
    model_version: str
    as_of: str = Field(description="The moment of the data from which the rules were learned")
    thresholds: RuleThresholds | None = Field(
        description="What the training used; null if there are no rules"
    )
    n_rules: int = Field(description="Rules of the version")
    n_matching: int = Field(description="Those of them that were asked for, on all pages")
    missing: str | None = Field(description="What rules would need, where there is too little to learn from")
    rules: list[AssociationRule]
    next_cursor: str | None


class BoughtTogetherRequest(Wire):
    """A cart, and how many items to go with it."""

    item_ids: list[Id] = Field(
        min_length=1, max_length=MAX_CART, description="The cart; what comes twice counts once"
    )
    n: Count = 10
    user_id: UserRef | None = Field(
        None,
        description="Leave out what this user bought (of the latest 500 events): within a day, or ever, "
        "where the shop's customers hardly buy again",
    )


class TogetherItem(Answer):
    item_id: str
    rank: int
    score: float = Field(
        description="To be compared within a source only; of `bought_together`: confidence times lift"
    )
    source: TogetherSource
    because: Annotated[list[str], Field(description="Items of the cart that the rule names; else empty")]
    support: float | None = Field(description="Of the rule; null for another source")
    confidence: float | None = Field(description="Of the rule; null for another source")
    lift: float | None = Field(description="Of the rule; null for another source")


class TogetherList(Answer):
    model_version: str | None = Field(description="null before the first training")
    as_of: str
    items: list[TogetherItem]
    warnings: list[str] = []

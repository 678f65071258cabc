"""Wire types of recommendations, rankings, similar things and lists."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field, StrictBool, model_validator
from pydantic_core import PydanticCustomError

from app.schemas.fields import Answer, Id, UserRef, Wire, bounded
from app.schemas.interactions import Event
from app.schemas.shop_rules import Boost, Cap, ItemFilter, Parameters, Pin, Value

MAX_N = 500
Count = Annotated[int, Field(ge=1, le=MAX_N, strict=True)]
Allowed = Literal[
    "collaborative",
    "content",
    "session",
    "social",
    "buy_again",
    "recent",
    "bought_together",
    "trending",
    "popular",
    "latest",
]
Source = Literal[Allowed, "pinned"]
Field_ = Literal[
    "title",
    "description",
    "categories",
    "brand",
    "price",
    "cost",
    "currency",
    "tags",
    "image_url",
    "url",
    "availability",
    "group_id",
    "attributes",
]


class SessionEvent(Wire):
    item_id: Id
    event: Event = "view_item"


class SessionContext(Wire):
    """This visit: the id of a session whose events were sent, or the events themselves."""

    session_id: Id | None = None
    events: list[SessionEvent] = Field(default=[], max_length=500, description="Oldest first")


class ListSettings(Wire):
    """What a request says of its list, or a scenario of all lists of a placement."""

    n: Count = 10
    about: Literal["person", "item", "cart"] = Field(
        "person",
        description="What carries the scores: all that is known of the person, with `item_ids`, or "
        "`item_ids` alone, as the `item` that a page shows or as a `cart`",
    )
    sources: Annotated[list[Allowed], Field(min_length=1, max_length=10)] | None = Field(
        None, description="What may fill the list; null: everything"
    )
    category: Annotated[str, bounded(500)] | None = Field(
        None, description='Only items under this path, e.g. "Shoes"'
    )
    exclude_seen: StrictBool | None = Field(
        None,
        description="Leave out items that the user interacted with; "
        "default: yes, but what was bought on an earlier day may return where customers buy again",
    )
    exclude_bought_days: Annotated[int, Field(ge=0, le=3650, strict=True)] = Field(
        0, description="Leave out what the person bought within so many days, whatever `exclude_seen` says"
    )
    fields: list[Field_] = Field(default=[], description="Item fields to answer along with each item")
    explain: StrictBool = Field(False, description="Say which of the person's own items carried each one")
    filter: ItemFilter | None = Field(None, description="Only items that pass, as a text or a tree")
    parameters: Parameters = Field(default={}, description="Values for `$name` in filters")
    fallback: Literal["strict", "relax"] = Field(
        "strict",
        description="If too few items pass the filter: a shorter list, or filled with others of the category",
    )
    boost: list[Boost] = Field(default=[], max_length=20, description="What counts more or less")
    value: Value | None = Field(
        None,
        description="Moves up what is worth more to the shop; the answer says in `effects` what that did",
        examples=[{"field": "margin", "weight": 0.3}],
    )
    pins: list[Pin] = Field(default=[], max_length=50, description="Items that have their place")
    caps: list[Cap] = Field(default=[], max_length=10, description="At most so many of a kind")
    diversity: Annotated[float, Field(ge=0, le=1, strict=True)] = Field(
        0.0, description="0: by score alone; towards 1: each item unlike those before it"
    )
    minimum_score: Annotated[float, Field(ge=0, allow_inf_nan=False, strict=True)] | None = Field(
        None, description="Leave out what scores less, also what is only popular or new"
    )

    @model_validator(mode="after")
    def _pinned_once(self) -> Self:
        for name in ("position", "item_id"):
            if len({getattr(pin, name) for pin in self.pins}) < len(self.pins):
                raise PydanticCustomError(
                    "duplicate_pin", "Two pins have the same {name}", {"name": name, "field": "pins"}
                )
        if any(pin.position > self._places for pin in self.pins):
            raise PydanticCustomError("pin_beyond_n", "A pin's position is beyond n", {"field": "pins"})
        return self

    @property
    def _places(self) -> int:
        """How many items the list may turn out to have."""
        return self.n


class RecommendationRequest(ListSettings):
    """For whom, what for, and how many."""

    scenario: Annotated[str, bounded(256)] | None = Field(
        None, description="Placement whose settings count wherever the request says nothing else"
    )
    user_id: UserRef | None = None
    session: SessionContext | None = None
    item_ids: list[Id] = Field(default=[], max_length=500, description="Context such as the cart")
    exclude: list[Id] = Field(default=[], max_length=10_000, description="Items not to recommend")
    after: Id | None = Field(
        None,
        description="`recommendation_id` of the list that this one goes on from: what that list and those "
        "before it showed does not come again",
    )

    @property
    def _places(self) -> int:
        return self.n if self.scenario is None or "n" in self.model_fields_set else MAX_N


class ListQuery(BaseModel):
    """What a list may be asked for in a query string."""

    n: int = Field(10, ge=1, le=MAX_N, description="How many")
    scenario: Annotated[str, bounded(256)] | None = Field(
        None,
        description="Placement whose settings count wherever the call says nothing else",
    )
    category: str | None = Field(
        None, max_length=500, description='Only items under this path, e.g. "Shoes > Running"'
    )
    exclude_seen: bool | None = Field(
        None,
        description="Leave out what the user interacted with; default: yes, but what was bought "
        "on an earlier day may return where the shop's customers buy again",
    )
    explain: bool = Field(False, description="Say why each item is recommended")
    filter: str | None = Field(
        None,
        max_length=4000,
        description='Only items that pass, e.g. `price <= 50 and not tags has "sale"`',
    )
    after: Id | None = Field(
        None, description="`recommendation_id` of the list that this one goes on from, without repeats"
    )


class RecommendationBatch(Wire):
    requests: list[RecommendationRequest] = Field(min_length=1, max_length=1_000)
    distinct: StrictBool = Field(
        False,
        description="No item in two of the lists: the earlier request has it, or else the one that pins it",
    )


class Evidence(Answer):
    item_id: str = Field(description="An item of the person's own history")
    title: str | None
    weight: float = Field(description="Its share in all that speaks for the recommended item, 0–1")
    event: str = Field(description="What the person did with it, at the most")


class Likeness(Answer):
    item_id: str
    title: str | None
    weight: float = Field(description="Its share in what it and others alike lend to the item, 0–1")


class Reason(Answer):
    text: str
    source: Source = Field(description="What carried the item most")
    because: list[Evidence] = Field(
        default=[],
        description="The person's own items that carried it, the most telling first; what their weights lack "
        "of 1 came from further items, from popularity or from other people",
    )
    shared: list[str] = Field(
        default=[],
        description="For content: categories, brand, tags and words that it has in common with the first of "
        "`similar_to`, or else of `because`, the most telling first",
    )
    similar_to: list[Likeness] = Field(
        default=[],
        description="For an item that nobody has chosen yet: those that are described like it and lend it "
        "their score",
    )
    related_users: int | None = Field(
        default=None, description="How many of the users with whom the person is connected like it, if any"
    )


class Recommendation(Answer):
    item_id: str
    rank: int
    score: float
    source: Source
    reason: Reason | None = None
    item: dict[str, Any] | None = None


class ValueEffect(Answer):
    field: str
    mean: float | None = Field(description="Of the field over the items of the list that have it")
    mean_without: float | None = Field(description="Of the list as it would be without `value`")
    relevance: float | None = Field(
        description="Sum of the list's scores before `value` moved them, divided by the sum of the scores of "
        "the list without it; null where nothing has a score"
    )


class Effects(Answer):
    value: ValueEffect


class Recommendations(Answer):
    recommendation_id: str
    model_version: str | None = Field(description="null before the first training")
    as_of: str = Field(description="The moment whose data the answer counts")
    scenario: str | None = Field(description="Whose settings were used; null: the defaults")
    items: list[Recommendation]
    warnings: list[str] = []
    effects: Effects | None = Field(default=None, description="Only where the list has a `value`")


class RecommendationsBatch(Answer):
    results: list[Recommendations]


class RankingRequest(Wire):
    user_id: UserRef | None = None
    session: SessionContext | None = None
    item_ids: list[Id] = Field(min_length=1, max_length=1_000)

    @model_validator(mode="after")
    def _someone(self) -> Self:
        if self.user_id is None and self.session is None:
            raise PydanticCustomError("missing", "Give user_id or session", {"field": "user_id"})
        return self


class RankedItem(Answer):
    item_id: str
    rank: int
    score: float = Field(description="0 for items that no model knows")


class Ranking(Answer):
    model_version: str | None
    as_of: str
    items: list[RankedItem]
    warnings: list[str] = []


class ScoredItem(Answer):
    item_id: str
    rank: int
    score: float
    item: dict[str, Any] | None = None


class ItemList(Answer):
    model_version: str | None = None
    as_of: str
    items: list[ScoredItem]
    warnings: list[str] = []


class ScoredUser(Answer):
    user_id: str
    rank: int
    score: float = Field(description="Similarity, 0–1")


class UserList(Answer):
    model_version: str
    as_of: str
    users: list[ScoredUser]

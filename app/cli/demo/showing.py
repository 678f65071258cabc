"""Ask the service and show its answers, beside what is true of the simulated shop."""

import time
from collections.abc import Iterable
from typing import Any

from app.cli.console import out
from app.cli.demo.folder import FOLDER
from app.cli.demo.knowledge import Knowledge
from app.cli.demo.service import Service
from app.cli.demo.tables import beside, listed, rows
from app.simulation.customers import user_id
from app.simulation.shop import Shop

_LENGTH = 5
_CHECKED = 200
"""Customers whose recommendations are checked."""
_MEASURES = (
    ("ndcg", "nDCG"),
    ("recall", "recall"),
    ("precision", "precision"),
    ("hit_rate", "hit rate"),
    ("coverage", "coverage of the catalogue"),
)


class Showing:
    """What there is to see after the training."""

    def __init__(self, service: Service, shop: Shop) -> None:
        self._service = service
        self._known = Knowledge(shop)
        self._customers = self._known.customers()

    def show_training(self, run: dict[str, Any]) -> None:
        """What the training says of its own quality."""
        out.print(f"Model version {run['model_version']} is trained and served.", highlight=False)
        evaluation = run["metrics"]
        protocol = evaluation["protocol"]
        if "top_n" in evaluation:
            self._show_quality(evaluation["top_n"], protocol)
        if evaluation["ratings"]:
            ratings = evaluation["ratings"]
            out.print(
                f"Rating prediction: RMSE {ratings['rmse']:.3f}, MAE {ratings['mae']:.3f} "
                f"over {ratings['ratings']} held-out ratings.",
                highlight=False,
            )

    def _show_quality(self, figures: dict[str, Any], protocol: dict[str, Any]) -> None:
        n = protocol["list_length"]
        new, popular = figures["new"], figures["popularity"]
        low, high = figures["gain_over_popularity"]["ndcg"]
        rows(
            f"Judged on what {protocol['test_users']} customers did next",
            ("measure", "this version", "popularity", "times as good"),
            [
                (
                    label + (f"@{n}" if name != "coverage" else ""),
                    f"{new[name]:.3f}",
                    f"{popular[name]:.3f}",
                    f"{new[name] / popular[name]:.1f}" if popular[name] > 0 else "",
                )
                for name, label in _MEASURES
            ],
            (1, 2, 3),
            f"{protocol['split']} split, items seen before {protocol['seen_items']};\n"
            f"gain in nDCG {low:.3f} to {high:.3f} (95 % interval)",
        )

    def show_answers(self) -> None:
        """Everything, one table after the other."""
        for user in self._customers:
            self._show_customer(user)
        # A short history shows best how much a few clicks weigh.
        self._show_fresh_clicks(min(self._customers, key=lambda user: int(self._known.active[user])))
        self._show_visitor()
        self._show_cart()
        self._show_similar()
        self._show_ratings(self._customers[0])
        self._show_segments()
        self._show_lists()
        self._show_check()

    def show_calls(self) -> None:
        """Where the service is, and calls to try."""
        address, user = self._service.address, user_id(self._customers[0])
        item = self._known.offered(0, 1)[0]
        click = f'{{"user_id": "{user}", "item_id": "{item}", "event": "view_item"}}'
        out.print(f"\n[bold]Vitrine serves on {address}[/bold]", highlight=False)
        out.print(f"Its documentation is on {address}/docs. Try:\n", highlight=False)
        for line in (
            f"curl '{address}/v1/users/{user}/recommendations?n=5&explain=true'",
            f"curl '{address}/v1/items/{item}/similar?n=5'",
            f"curl {address}/v1/segments",
            f"curl -H 'Content-Type: application/json' {address}/v1/interactions \\\n  -d '{click}'",
        ):
            out.print(line, soft_wrap=True, highlight=False, markup=False)
        out.print(f"\nCtrl-C ends it; the data stays in {FOLDER} until the next demo.", highlight=False)

    def _recommend(self, **request: Any) -> list[dict[str, Any]]:
        answer = self._service.post("/v1/recommendations", {"n": _LENGTH, "explain": True, **request})
        return list(answer["items"])

    def _titles(self, items: Iterable[str]) -> list[tuple[str, str | None]]:
        return [(self._known.title(item), None) for item in items]

    def _reasoned(self, items: list[dict[str, Any]], user: int | None = None) -> list[tuple[str, str | None]]:
        """Titles with reasons; with a user, what is of the user's taste is ticked."""
        entries: list[tuple[str, str | None]] = []
        for item in items:
            tick = user is not None and self._known.suits(user, item["item_id"])
            title = self._known.title(item["item_id"])
            entries.append((f"✓ {title}" if tick else title, f"{item['source']}: {item['reason']['text']}"))
        return entries

    def _show_customer(self, user: int) -> None:
        path = f"/v1/users/{user_id(user)}/interactions"
        events = self._service.get(path, limit=1000)["interactions"]
        bought = [event for event in events if event["event"] == "purchase"]
        latest = list(dict.fromkeys(event["item_id"] for event in bought))
        beside(
            self._known.name(user),
            {
                "bought last": listed(self._titles(latest[:_LENGTH]), numbered=False),
                "recommended, and why": listed(self._reasoned(self._recommend(user_id=user_id(user)), user)),
            },
            (2, 3),
            "✓ of the customer's true taste, which the service was not told",
        )

    def _show_fresh_clicks(self, user: int) -> None:
        taste = (int(self._known.truth.user_taste[user]) + 1) % self._known.shop.config.tastes
        seen = self._known.seen(user)
        clicked = [item for item in self._known.offered(taste, 20) if item not in seen][:3]
        before = {item["item_id"] for item in self._recommend(user_id=user_id(user))}
        for item in clicked:
            for event in ("view_item", "add_to_cart"):
                self._service.post(
                    "/v1/interactions", {"user_id": user_id(user), "item_id": item, "event": event}
                )
        asked = time.perf_counter()
        after = self._recommend(user_id=user_id(user))
        took = (time.perf_counter() - asked) * 1000
        entries = [
            (f"+ {title}" if item["item_id"] not in before else title, note)
            for item, (title, note) in zip(after, self._reasoned(after), strict=True)
        ]
        beside(
            f"The same {user_id(user)} a moment later, without another training",
            {
                "just put into the cart": listed(self._titles(clicked), numbered=False),
                "recommended now": listed(entries),
            },
            (2, 3),
            f"+ not in the list before the clicks. Answered in {took:.0f} ms, with reasons.",
        )

    def _show_visitor(self) -> None:
        looked = self._known.offered(2 % self._known.shop.config.tastes, 3)
        events = [{"item_id": item, "event": "view_item"} for item in looked]
        beside(
            "A new visitor, known by nothing but this visit",
            {
                "looked at": listed(self._titles(looked), numbered=False),
                "recommended": listed(self._reasoned(self._recommend(session={"events": events}))),
            },
            (2, 3),
        )

    def _show_cart(self) -> None:
        pairs = self._known.pairs()[:2]
        if not pairs:
            return
        cart = [one for one, _ in pairs]
        companions = {other for _, other in pairs}
        items = self._recommend(item_ids=cart)
        entries = [
            (f"∞ {title}" if item["item_id"] in companions else title, note)
            for item, (title, note) in zip(items, self._reasoned(items), strict=True)
        ]
        beside(
            "What goes with a cart",
            {"in the cart": listed(self._titles(cart), numbered=False), "recommended": listed(entries)},
            (2, 3),
            "∞ customers of this shop really buy it together with what is in the cart",
        )

    def _show_similar(self) -> None:
        taste = int(self._known.truth.user_taste[self._customers[-1]])
        # One with an English title, since its look-alikes are English too.
        item = next(item for item in self._known.offered(taste, 50) if self._known.title(item).isascii())
        lists = {
            name: listed(
                self._titles(
                    entry["item_id"]
                    for entry in self._service.get(f"/v1/items/{item}/similar", n=_LENGTH, by=by)["items"]
                )
            )
            for by, name in (("behaviour", "by what people chose"), ("content", "by what they are"))
        }
        beside(f"Similar to: {self._known.title(item)}", lists, (1, 1))

    def _show_ratings(self, user: int) -> None:
        taste = int(self._known.truth.user_taste[user])
        tastes = self._known.shop.config.tastes
        asked = [
            *(item for item in self._known.offered(taste, 4)),
            *(item for item in self._known.offered((taste + 2) % tastes, 3)),
        ]
        body = {"user_id": user_id(user), "item_ids": list(dict.fromkeys(asked))}
        answer = self._service.post("/v1/predictions/ratings", body)
        predicted = sorted(
            (entry for entry in answer["predictions"] if entry["rating"] is not None),
            key=lambda entry: -entry["rating"],
        )
        rows(
            f"Ratings that {user_id(user)} would give, from 1 to {answer['scale']['high']:g}",
            ("item", "category", "rating"),
            [
                (
                    self._known.title(entry["item_id"]),
                    self._known.category(entry["item_id"]),
                    f"{entry['rating']:.1f} ± {entry['std']:.1f}",
                )
                for entry in predicted
            ],
            (2,),
        )

    def _show_segments(self) -> None:
        answer = self._service.get("/v1/segments", kind="kmeans")
        currency = self._known.shop.config.currency
        rows(
            "Customer segments",
            ("name", "customers", "share", "what sets them apart (median)"),
            [
                (
                    segment["name"],
                    f"{segment['size']:,}",
                    f"{segment['share']:.0%}",
                    ", ".join(_distinction(mark, currency) for mark in segment["distinguishing"]),
                )
                for segment in answer["segments"]
            ],
            (1, 2),
        )

    def _show_lists(self) -> None:
        lists = {
            name: listed(
                self._titles(entry["item_id"] for entry in self._service.get(path, n=_LENGTH)["items"])
            )
            for name, path in (("trending this week", "/v1/trending"), ("popular this month", "/v1/popular"))
        }
        beside("For everybody", lists, (1, 1))

    def _show_check(self) -> None:
        """Compare the recommendations of many customers with their true tastes."""
        users = self._known.sample(_CHECKED)
        requests = [{"user_id": user_id(user), "n": 10} for user in users]
        results = self._service.post("/v1/recommendations/batch", {"requests": requests})["results"]
        popular = [entry["item_id"] for entry in self._service.get("/v1/popular", n=500)["items"]]
        recommended: list[bool] = []
        shown: list[bool] = []
        for user, result in zip(users, results, strict=True):
            seen = self._known.seen(user)
            unseen = [item for item in popular if item not in seen]
            recommended += [self._known.suits(user, item["item_id"]) for item in result["items"]]
            shown += [self._known.suits(user, item) for item in unseen[:10]]
        chance = 1 / self._known.shop.config.tastes
        rows(
            f"Checked against the truth, {len(users)} customers × 10 items",
            ("shown to them", "of their true taste"),
            [
                ("Vitrine's recommendations", _percent(sum(recommended) / max(1, len(recommended)))),
                ("popular items", _percent(sum(shown) / max(1, len(shown)))),
                ("items by chance", _percent(chance)),
            ],
            (1,),
        )


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _distinction(mark: dict[str, Any], currency: str) -> str:
    name, centre = mark["feature"].replace("_", " ").removesuffix(" days"), mark["centre"]
    if mark["unit"] == "share":
        return f"{name} {_percent(centre)}"
    unit = {"days": " days", "currency": f" {currency}"}.get(mark["unit"], "")
    return f"{name} {centre:,.0f}{unit}" if centre >= 10 else f"{name} {centre:.2g}{unit}"

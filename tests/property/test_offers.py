"""That the history of offers is a function of the answers, and what it is.

Belongs here: truths 2, 3, 4, 6 and 8 for offers on tiny markets, against an oracle that walks through the answers.
Does not belong here: schedules and the simulated market (`tests/integration/test_offers`).
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pipelines.captures import Capture
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.verify import verify
from pipelines.scopes import ALL_MODELS, PROVIDERS, ZDR_OFFERS, offers_scope
from tests.property.small import empty_warehouse, in_batches
from tests.property.test_order import examples

START = datetime(2026, 8, 3, tzinfo=UTC)
HOURS = (0, 1, 5, 9, 12, 24, 30, 36, 48, 60)
MODELS = ("a/one", "a/one:free", "b/two?x=1&y")
TAGS = ("ash", "ash", "birch/fp8", "cloud")
PRICES = ("0.1", "0.10", "0.2", "0.3", "0", "-1", None)
DAMAGED = (b"", b"<html>", b"[]", b'{"data": {"id": "a/one"}}', b'{"error": {"code": 500, "message": "no"}}')

Price = tuple[str, Decimal | None]
"""Status and value."""

Shown = dict[tuple[str, int], dict[str, Price]]
"""Prices by kind, by tag and number of each offer that an answer lists."""

MARTS = {
    "offers": "EXCLUDE (first_seen_at)",
    "offer_price_history": "",
    "offer_price_changes": "",
    "offer_events": "",
    "offer_measurements": "",
    "provider_history": "",
    "cheapest_offers": "",
    "price_spread": "",
    "offer_differences": "",
    "price_changes": "",
    "schema_drift": "",
}


@dataclass(frozen=True)
class Answer:
    """A capture, and a person's word on it."""

    capture: Capture
    decision: str | None = None


class Market:
    """Answers about three models, their offers, providers and the list, in any order, shown by its seed alone."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        chance = self.chance = random.Random(seed)
        self.hours = sorted(chance.sample(HOURS, chance.randint(4, len(HOURS))))
        self._asked = {model: self._what_is_asked(chance) for model in MODELS}
        answers = [
            *(self._offers(chance) for _ in range(chance.randint(12, 30))),
            *(self._list(chance, hours) for hours in self.hours if chance.random() < 0.9),
            *(self._others(chance) for _ in range(chance.randint(0, 4))),
        ]
        self.answers = list({one.capture.snapshot_id: one for one in answers}.values())

    def __repr__(self) -> str:
        return f"Market({self._seed})"

    def batches(self) -> list[list[Answer]]:
        return in_batches(self.answers, self.chance)

    def _what_is_asked(self, chance: random.Random) -> dict[float, list[tuple[str, dict[str, Any]]]]:
        """A model's offers at each hour: tag and pricing. Most stay as they were, some come to another's price."""
        offers = [(tag, _pricing(chance)) for tag in TAGS]
        asked: dict[float, list[tuple[str, dict[str, Any]]]] = {}
        for hours in self.hours:
            offers = [
                (tag, chance.choice((pricing, pricing, pricing, _pricing(chance), chance.choice(offers)[1])))
                for tag, pricing in offers
            ]
            made = chance.choice((0, 2, 3, 3, 4, 4, 4))
            asked[hours] = [offers[place] for place in sorted(chance.sample(range(len(TAGS)), made))]
        return asked

    def _offers(self, chance: random.Random) -> Answer:
        model, hours = chance.choice(MODELS), chance.choice(self.hours)
        endpoints = [
            {
                "model_id": model,
                "tag": tag,
                "provider_name": tag.title(),
                "quantization": chance.choice((None, "fp8")),
                "pricing": pricing,
                "uptime_last_5m": chance.random() * 100,
                "status": chance.choice((0, -1)),
                "supported_parameters": chance.sample(["x", "y"], 2),
                **chance.choice(({},) * 7 + ({"novel": chance.random()},)),
            }
            for tag, pricing in self._asked[model][hours]
        ]
        told = chance.choice((model,) * 11 + ("a/other",))
        body = json.dumps({"data": {"id": told, "endpoints": endpoints}}).encode()
        if chance.random() < 1 / 8:
            unreadable = {"prompt": chance.choice(("abc", "1e99"))}
            endpoints = [{**endpoint, "pricing": unreadable} for endpoint in endpoints]
            broken = json.dumps({"data": {"id": model, "endpoints": endpoints}}).encode()
            body = chance.choice((*DAMAGED, broken, broken, broken))
        decision = chance.choice((None,) * 9 + ("accept", "accept", "reject"))
        return Answer(Capture(offers_scope(model), START + timedelta(hours=hours), body, "small"), decision)

    def _list(self, chance: random.Random, hours: float) -> Answer:
        asked = {model: self._asked[model][hours] or [("", _pricing(chance))] for model in MODELS}
        listed = [{"id": model, "pricing": chance.choice(asked[model])[1]} for model in MODELS]
        body = json.dumps({"data": listed}).encode()
        return Answer(Capture(ALL_MODELS, START + timedelta(hours=hours), body, "small"))

    def _others(self, chance: random.Random) -> Answer:
        providers = [
            {"slug": slug, "name": slug.title(), "headquarters": chance.choice((None, "US"))}
            for slug in chance.sample(("ash", "birch"), chance.randint(1, 2))
        ]
        zdr = [{"model_id": chance.choice(MODELS), "tag": chance.choice(TAGS)} for _ in range(chance.randint(0, 2))]
        scope, data = chance.choice(((PROVIDERS, providers), (ZDR_OFFERS, zdr)))
        return Answer(
            Capture(
                scope, START + timedelta(hours=chance.choice(self.hours)), json.dumps({"data": data}).encode(), "small"
            )
        )


def _pricing(chance: random.Random) -> dict[str, Any]:
    kinds = {kind: chance.choice(PRICES) for kind in ("prompt", "completion") if chance.random() < 0.85}
    return {kind: price for kind, price in kinds.items() if price is not None}


markets = st.builds(Market, st.integers(0, 2**32))


def load(ledger: Ledger, batch: Iterable[Answer]) -> None:
    batch = list(batch)
    ledger.load([one.capture for one in batch])
    ledger.commit(
        decisions=[
            {"snapshot_id": one.capture.snapshot_id, "decision": one.decision, "reason": "because"}
            for one in batch
            if one.decision is not None
        ]
    )


@contextmanager
def warehouse_of(batches: Iterable[Iterable[Answer]]) -> Iterator[Ledger]:
    with empty_warehouse() as ledger:
        for batch in batches:
            load(ledger, batch)
        yield ledger


def told(ledger: Ledger) -> dict[str, list[str]]:
    return {
        mart: sorted(map(str, ledger.rows(f"SELECT * {but} FROM catalogue.marts.{mart}")))
        for mart, but in MARTS.items()
    }


# --- the oracle -----------------------------------------------------------------------------------------------------


def accepted(answers: Sequence[Answer], model: str) -> list[tuple[datetime, Shown]]:
    """What the answers about a model that make history show, in order of time."""
    by_instant: dict[datetime, tuple[str, Shown]] = {}
    for one in answers:
        if one.capture.scope != offers_scope(model) or one.decision == "reject":
            continue
        shown, is_readable = _read(one.capture.body, model)
        if shown is None or not (is_readable or one.decision == "accept"):
            continue
        former = by_instant.get(one.capture.observed_at)
        if former is None or one.capture.sha256 < former[0]:
            by_instant[one.capture.observed_at] = one.capture.sha256, shown
    return sorted((at, shown) for at, (_, shown) in by_instant.items())


def _read(body: bytes, model: str) -> tuple[Shown | None, bool]:
    try:
        data = json.loads(body)["data"]
        endpoints = data["endpoints"] if data["id"] == model else None
    except (ValueError, TypeError, KeyError):
        return None, False
    if endpoints is None:
        return None, False
    shown: Shown = {}
    for tag in TAGS:
        twins = [endpoint["pricing"] for endpoint in endpoints if endpoint["tag"] == tag]
        ranked = sorted(twins, key=_place_among_twins)
        for number, pricing in enumerate(ranked, start=1):
            shown[tag, number] = {kind: _price(text) for kind, text in pricing.items()}
    return shown, all(price[0] != "unreadable" for prices in shown.values() for price in prices.values())


def _place_among_twins(pricing: dict[str, str]) -> tuple[Any, ...]:
    spelled = json.dumps(pricing, sort_keys=True, separators=(",", ":"))
    return _rank(pricing.get("prompt")), _rank(pricing.get("completion")), spelled


def _rank(text: str | None) -> tuple[bool, Decimal]:
    usd = _price(text)[1] if text else None
    return usd is None, usd or Decimal(0)


def _price(text: str) -> Price:
    if text == "-1":
        return "dynamic", None
    if text in ("abc", "1e99"):
        return "unreadable", None
    return ("free" if Decimal(text) == 0 else "listed"), Decimal(text)


UNLISTED: Price = ("unlisted", None)


def events(history: Sequence[tuple[datetime, Shown]]) -> Iterator[tuple[datetime, str, int, str]]:
    seen = set(history[0][1]) if history else set()
    for (_, before), (at, now) in pairwise(history):
        for offer in now.keys() - before.keys():
            yield at, *offer, "returned" if offer in seen else "added"
        for offer in before.keys() - now.keys():
            yield at, *offer, "withdrawn"
        seen |= now.keys()


def price_changes(history: Sequence[tuple[datetime, Shown]], kinds: Iterable[str]) -> Iterator[tuple[Any, ...]]:
    """(changed_at, last_seen_at, tag, twin_no, kind, old, new, after_absence) between successive sights of an offer."""
    for offer in {offer for _, shown in history for offer in shown}:
        sights = [(place, at, shown[offer]) for place, (at, shown) in enumerate(history) if offer in shown]
        for (place, at, old), (later, now_at, new) in pairwise(sights):
            for kind in kinds:
                was, now = old.get(kind, UNLISTED), new.get(kind, UNLISTED)
                if was != now:
                    yield now_at, at, *offer, kind, was, now, later != place + 1


def is_routing(
    history: Sequence[tuple[datetime, Shown]], kind: str, after: datetime, until: datetime, old: Price, new: Price
) -> bool:
    """Whether some offer shows ``new`` from the last answer by ``after`` to the first from ``until`` on, in each, and
    none went from ``old`` to ``new`` in two successive sights between which the change may lie."""
    before = [place for place, (at, _) in enumerate(history) if at <= after]
    behind = [place for place, (at, _) in enumerate(history) if at >= until]
    if not before or not behind:
        return False
    around = [shown for _, shown in history[before[-1] : behind[0] + 1]]
    had_it = any(
        all(offer in shown and shown[offer].get(kind, UNLISTED) == new for shown in around) for offer in around[0]
    )
    came_to_it = any(
        (was, now) == (old, new) and changed_at > after and seen_at < until
        for changed_at, seen_at, _, _, one, was, now, _ in price_changes(history, (kind,))
        if one == kind
    )
    return had_it and not came_to_it


def _told_price(text: str | None) -> Price:
    return UNLISTED if text is None else _price(text)


# --- properties -----------------------------------------------------------------------------------------------------


@examples(8)
@given(market=markets)
def test_offers_are_what_the_oracle_tells(market: Market) -> None:
    """Truths 2, 6 and 8. Seen red with twins ranked by how prices are spelled, with `after_absence` never true, with an
    answer about another model taken at its word, and with spells that go on over an answer without the offer.
    """
    with warehouse_of(market.batches()) as ledger:
        for model in MODELS:
            history = accepted(market.answers, model)
            found = ledger.rows(
                "SELECT happened_at, tag, twin_no, event FROM marts.offer_events WHERE model_id = ?", [model]
            )
            assert sorted(found) == sorted(events(history))
            rows = ledger.rows(
                "SELECT changed_at, last_seen_at, tag, twin_no, price_kind, old_price_text, new_price_text, "
                "after_absence FROM marts.offer_price_changes WHERE model_id = ?",
                [model],
            )
            changes = [(*row[:5], *map(_told_price, row[5:7]), row[7]) for row in rows]
            assert sorted(changes, key=str) == sorted(price_changes(history, ("prompt", "completion")), key=str)
            last = history[-1][1] if history else {}
            now = ledger.rows("SELECT tag, twin_no FROM marts.offers WHERE model_id = ?", [model])
            assert sorted(now) == sorted(last)
            measured = ledger.rows("SELECT count(*) FROM marts.offer_measurements WHERE model_id = ?", [model])
            assert measured == [(sum(len(shown) for _, shown in history),)]


@examples(8)
@given(market=markets)
def test_a_change_is_explained_by_what_was_captured_around_it(market: Market) -> None:
    """No false routing and none missed, whatever was captured of the offers and when.

    Seen red with an unchanged price that need not be seen before the change, or after it, without the offers that came
    to the price themselves, and with a change of an offer that must lie wholly within the list's.
    """
    with warehouse_of(market.batches()) as ledger:
        rows = ledger.rows(
            "SELECT model_id, price_kind, last_seen_at, changed_at, old_price_text, new_price_text, explained_by "
            "FROM marts.price_changes"
        )
        for model, kind, after, until, old, new, explained_by in rows:
            history = accepted(market.answers, model)
            routed = is_routing(history, kind, after, until, _told_price(old), _told_price(new))
            assert explained_by == ("routing" if routed else None), (model, kind, after, until)


@examples(6)
@given(market=markets)
def test_neither_order_nor_repetition_matters(market: Market) -> None:
    """Truths 3 and 4: lists and sweeps come in any order, in any batches, and again. Seen red with runs that are told
    anew from the first altered answer and not from the last before it."""
    with warehouse_of(market.batches()) as ledger, warehouse_of([market.answers]) as other:
        assert told(ledger) == told(other)
        load(ledger, [Answer(one.capture) for one in market.answers])
        assert told(ledger) == told(other)


@examples(4)
@given(market=markets)
def test_a_rebuild_equals_what_is_stored(market: Market) -> None:
    """Truth 1, also where a rebuild reads together the packs that were appended one by one. Seen red with numbers that
    count in the order of keys within a batch."""
    with empty_warehouse() as ledger:
        batches = market.batches()
        ledger.commit([pack for batch in batches for pack in ledger.store([one.capture for one in batch]).packs])
        load(ledger, market.answers)
        assert verify(ledger).findings == ()

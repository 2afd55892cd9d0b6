"""That a request is told what it pays, and a change of rules what it means, whatever the rules are.

Belongs here: truths 6 and 11 beyond the headline, on tiny catalogues rich in rules: `request_prices_at`, the Python
function beside it, `price_rule_changes`. Does not belong here: how rules are read (`tests/unit/test_pricing.py`), flips
(`test_order`), cases with answers known by hand (`tests/integration/test_rules.py`).
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pipelines.ledger.ledger import Ledger
from pipelines.pricing import request_prices
from tests.compare import assert_marts_equal, ledger_marts
from tests.oracle import Answer, Listed, listed_at, tell
from tests.oracle import request_prices as told_prices
from tests.property.small import IDS, KINDS, PRICES, START, an_answer, in_batches, load, warehouse_of
from tests.property.test_order import examples

Row = dict[str, Any]

RULED_KINDS = ("prompt", "prompt", "prompt", "completion", "image", "audio")
"""Rules name few prices, so that they compete; ``audio`` is in rules alone."""

VALUES = ("0.1", "0.10", "0.2", "0.20", "0.3", "0", "-0", "-1", "0.0000000208333333333333")

EDGES = (0, 1, 175, 800, 900, 1000, 1030, 1700, 1830, 2359, 2400)
"""Where windows open and close; no clock shows 175."""

DAYS: Sequence[list[str]] = (
    ["monday", "tuesday"],
    ["sunday"],
    ["saturday", "sunday"],
    ["friday", "wednesday"],
    [],
    ["Monday", "feast"],
)

TIERS = (0, 0, 900, 900, 100_000, -5)

TOKENS = (0, 1, 899, 900, 901, 100_000, 100_001)

UNKNOWN: tuple[Row, ...] = (
    {"max_latency_ms": 900},
    {"region": ["eu", "us"]},
    {"utc_start": 2500},
    {"utc_end": "1700"},
    {"utc_days": "monday"},
    {"min_prompt_tokens": "900"},
    {"feast": {"name": "easter"}, "weather": "fine"},
)

MINUTE = 1 / 60
HOURS = (
    *(-8, 0, 1 - MINUTE, 1, 1 + MINUTE / 2, 2, 9 - MINUTE / 60, 9, 10.5, 16 - MINUTE, 16, 16 + MINUTE, 18),
    *(26, 34.5, 50, 74, 98, 121, 122, 24 * 6 + 1, 24 * 6 + 10.5, 24 * 7, 24 * 8 + 10, 24 * 16),
)
"""When answers are given, counted from Monday at eight: on edges of windows, and beside them."""


class Schedules:
    """Answers about five or six models that hardly change but for their prices and rules, in batches of any order.

    Shown by its seed alone.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        chance = self.chance = random.Random(seed)
        shown = {one: _versions(one, chance) for one in IDS[: chance.choice((5, 6))]}
        hours = chance.sample(HOURS, chance.randint(6, 16))
        all_share = chance.choice((0.5, 0.8, 1))
        answers = [an_answer(shown, hours, all_share, chance) for _ in range(chance.randint(8, 16))]
        unique = {(one.observed_at, one.lists_every_modality, one.body): one for one in answers}
        self.batches = in_batches(list(unique.values()), chance)

    def __repr__(self) -> str:
        return f"Schedules({self._seed})"

    @property
    def answers(self) -> list[Answer]:
        return [one for batch in self.batches for one in batch]

    def known_after(self, batches: int) -> list[Answer]:
        return [one for batch in self.batches[:batches] for one in batch]

    def an_instant(self) -> datetime:
        """At an answer, beside one, or at or beside an edge of a window on any day."""
        chance = self.chance
        if chance.random() < 0.5:
            at = START + timedelta(hours=chance.choice(HOURS))
        else:
            edge = chance.choice(EDGES)
            at = START.replace(hour=0) + timedelta(days=chance.randint(0, 17), hours=edge // 100, minutes=edge % 100)
        return at + timedelta(seconds=chance.choice((0, 0, 0, -1, 1, -60, 3600)))


schedules = st.builds(Schedules, st.integers(0, 2**32))


def _versions(model_id: str, chance: random.Random) -> Sequence[Row]:
    """A model with two headlines under each of one to three lists of rules, so that it flips as well as changes.

    A further list has the same rules in another order, or with prices and days spelled otherwise.
    """
    rules = [[_rule(chance) for _ in range(chance.choice((0, 1, 1, 2, 3, 4)))] for _ in range(chance.randint(1, 3))]
    rules.append(chance.choice((_respelled, _swapped))(chance.choice(rules), chance))
    outputs = chance.choice((["text"], ["text"], ["text", "image"], ["image"]))
    return [
        {
            "id": model_id,
            "architecture": {"output_modalities": outputs},
            "pricing": {
                **{kind: chance.choice(PRICES) for kind in KINDS if chance.random() < 0.6},
                "overrides": one if one else chance.choice(([], None)),
            },
        }
        for one in rules
        for _ in range(2)
    ]


def _rule(chance: random.Random) -> Row:
    rule: Row = {}
    if chance.random() < 0.7:
        rule |= {key: chance.choice(EDGES) for key in ("utc_start", "utc_end") if chance.random() < 0.8}
    if chance.random() < 0.3:
        rule["utc_days"] = chance.choice(DAYS)
    if chance.random() < 0.4:
        rule["min_prompt_tokens"] = chance.choice(TIERS)
    if chance.random() < 0.15:
        rule |= chance.choice(UNKNOWN)
    return rule | {chance.choice(RULED_KINDS): chance.choice(VALUES) for _ in range(chance.choice((1, 1, 2)))}


def _respelled(rules: Sequence[Row], chance: random.Random) -> list[Row]:
    other = {"0.1": "0.10", "0.10": "0.1", "0.2": "0.20", "0.20": "0.2", "0": "-0", "-0": "0", "-1": "-1.0"}
    return [
        {
            key: value[::-1] if isinstance(value, list) else other.get(value, value) if key in RULED_KINDS else value
            for key, value in rule.items()
        }
        for rule in rules
    ]


def _swapped(rules: Sequence[Row], chance: random.Random) -> list[Row]:
    return chance.sample(rules, len(rules))


def learnt_at(ledger: Ledger) -> datetime:
    moment: datetime = ledger.rows("SELECT max(recorded_at) FROM catalogue.core.commits")[0][0]
    return moment


def asked_prices(ledger: Ledger, at: datetime, prompt_tokens: int, known_at: datetime | None) -> list[Row]:
    """The rows of `request_prices_at` as plain values."""
    known = "NULL" if known_at is None else f"'{known_at.isoformat()}'"
    macro = f"request_prices_at('{at.isoformat()}', {prompt_tokens}, known_at := {known})"
    return ledger_marts(ledger, (macro,))[macro]


def by_price(rows: Sequence[Row]) -> dict[tuple[str, str], Row]:
    named = {(row["model_id"], row["price_kind"]): row for row in rows}
    assert len(named) == len(rows)
    return named


COLUMNS = ("model_id", "price_kind", "unit", "price_text", "price_usd", "price_status", "rule_no", "unknown_conditions")
"""Those of `request_prices_at` of which the Python function knows."""


def function_prices(listed: Listed, at: datetime, prompt_tokens: int) -> Iterator[Row]:
    for kind, told in request_prices(listed.pricing, at, prompt_tokens, listed.base_texts()).items():
        price, unknown = told.price, list(told.unknown_conditions) or None
        values = (listed.model_id, kind, told.unit, told.text, price.usd, price.status, told.rule_no, unknown)
        yield dict(zip(COLUMNS, values, strict=True))


@examples(10)
@given(schedules=schedules)
def test_a_request_pays_what_the_rules_say(schedules: Schedules) -> None:
    """Truths 6, 7 and 11: the macro, the Python function and the oracle agree, on the present and on any past."""
    chance = schedules.chance
    with warehouse_of([]) as ledger:
        known = []
        for batch in schedules.batches:
            load(ledger, batch)
            known.append(learnt_at(ledger))
        for _ in range(16):
            at, prompt_tokens = schedules.an_instant(), chance.choice(TOKENS)
            batches, known_at = chance.choice([*enumerate(known, start=1), (len(known), None)])
            found = asked_prices(ledger, at, prompt_tokens, known_at)
            models = listed_at(schedules.known_after(batches), at)
            told = [row for one in models for row in told_prices(one, at, prompt_tokens)]
            assert by_price(found) == by_price(told)
            said = [row for one in models for row in function_prices(one, at, prompt_tokens)]
            assert by_price([{column: row[column] for column in COLUMNS} for row in found]) == by_price(said)


@examples(14)
@given(schedules=schedules)
def test_changes_of_rules_are_what_the_oracle_tells(schedules: Schedules) -> None:
    """Truths 3 and 11, for any order and batches: rules that change, and flips beside them."""
    with warehouse_of(schedules.batches) as ledger:
        told = tell(schedules.answers)
        expected = {name: told[name] for name in ("price_rule_changes", "price_rule_history", "price_changes")}
        assert_marts_equal(ledger_marts(ledger, tuple(expected)), expected)


MOMENTS = tuple(
    START.replace(hour=0) + timedelta(days=day, hours=edge // 100, minutes=edge % 100 + shift)
    for day in range(7)
    for edge in EDGES
    for shift in (-1, 0)
)
"""At least one in every stretch of a week in which no window opens or closes."""


@examples(10)
@given(schedules=schedules)
def test_a_repricing_is_when_some_request_pays_another_number(schedules: Schedules) -> None:
    """Truth 11: what `is_repricing` means, told by the Python function under the two price lists; where the base of one
    is not known nobody can say."""
    with warehouse_of([schedules.answers]) as ledger:
        rows = ledger_marts(ledger, ("price_rule_changes",))["price_rule_changes"]
    changes: dict[tuple[str, datetime, datetime], list[Row]] = {}
    for row in rows:
        changes.setdefault((row["model_id"], row["last_seen_at"], row["changed_at"]), []).append(row)
    for model_id, *times in schedules.chance.sample(sorted(changes), min(len(changes), 6)):
        lists = [next(one for one in listed_at(schedules.answers, at) if one.model_id == model_id) for at in times]
        for kind in {*KINDS, *RULED_KINDS}:
            told = changes[model_id, times[0], times[1]]
            tiers = {row["min_prompt_tokens"]: row for row in told if row["price_kind"] == kind}
            assert not tiers or None in tiers
            for least, most in tiers_of(tiers):
                row = tiers.get(None if least == 0 else least - 1, {"unknown_minutes": 0, "is_repricing": False})
                if row["unknown_minutes"] == 0:
                    pays_another = any(
                        is_another_number(lists, kind, at, tokens) for at in MOMENTS for tokens in (least, most)
                    )
                    assert row["is_repricing"] == pays_another, (model_id, times, kind, least)


def tiers_of(thresholds: Collection[int | None]) -> Iterator[tuple[int, int]]:
    """The smallest and the largest request of each tier; all requests are one where there is no threshold."""
    starts = sorted(0 if one is None else one + 1 for one in thresholds) or [0]
    yield from zip(starts, [*(one - 1 for one in starts[1:]), 10**12], strict=True)


def is_another_number(lists: Sequence[Listed], kind: str, at: datetime, prompt_tokens: int) -> bool:
    told = [request_prices(one.pricing, at, prompt_tokens, one.base_texts()).get(kind) for one in lists]
    numbers = {one.price.usd for one in told if one is not None and one.price.usd is not None}
    return len(numbers) == 2

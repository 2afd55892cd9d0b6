"""Sixty days of peak-hour schedules: no flip is told as a repricing, and no repricing as a flip.

Belongs here: truth 11 against timelines written in this module, which say what every model truly cost when; nothing of
what a change was is read off the captures. Does not belong here: the other marts (`test_truth`).

A timeline decides what a change between two sightings was:

- the rules are others: a repricing, with `has_rule_change`;
- the rules are the same and one of them names the price by the clock: a flip, unless the price outside every window is
  another than it was when last it showed, which it does at every sighting at which no window of then holds;
- nothing but the base can have moved: a repricing.

What captures cannot decide does not occur in the timelines:

- a base that is, was or will be the value of a band of the same price: whoever sees it does not know which it is;
- a base that never showed: whether it moved cannot be known, so every model is first seen without a schedule;
- a window whose start is its end: empty for one reader, the whole day for another;
- a price that is listed only within windows: it becomes listed and unlisted, which are no repricings anyway.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pipelines.captures import Capture
from pipelines.ledger.ledger import Ledger
from pipelines.scopes import ALL_MODELS

START = datetime(2026, 7, 15, tzinfo=UTC)
DAYS = 60
MODELS = 24

KINDS = ("prompt", "completion", "input_cache_read")
WEEK = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
WORKDAYS, WEEKEND = WEEK[:5], WEEK[5:]

Rule = dict[str, Any]
"""Conditions as the API spells them; prices are decimals."""

Rules = list[Rule]


class PriceList(NamedTuple):
    """What a model costs: ``base`` where no rule says otherwise."""

    base: dict[str, Decimal]
    rules: Rules

    def bands(self, kind: str) -> Rules:
        """The rules that give the price a value by the clock alone."""
        return [rule for rule in self.rules if kind in rule and not rule.keys() & {"min_prompt_tokens", "region"}]

    def band_at(self, kind: str, at: datetime) -> Decimal | None:
        """The value that a window gives the price; None outside every window. The last window that is open counts."""
        values = [rule[kind] for rule in self.bands(kind) if is_open(rule, at)]
        return values[-1] if values else None

    def headline(self, at: datetime) -> dict[str, Decimal]:
        prices = dict(self.base)
        for kind in prices:
            band = self.band_at(kind, at)
            if band is not None:
                prices[kind] = band
        return prices


def is_open(rule: Rule, at: datetime) -> bool:
    """Whether it is a day of the window, and the time lies in [start, end), midnight notwithstanding."""
    if "utc_days" in rule and WEEK[at.weekday()] not in rule["utc_days"]:
        return False
    start, end = rule.get("utc_start", 0), rule.get("utc_end", 2400)
    clock = 100 * at.hour + at.minute
    return start <= clock < end if start < end else not end <= clock < start


# --- timelines ------------------------------------------------------------------------------------------------------


@dataclass
class Timeline:
    """The life of one model: what it costs from when on, and when it is not listed."""

    model_id: str
    lists: list[tuple[datetime, PriceList]] = field(default_factory=list)
    absences: list[tuple[datetime, datetime]] = field(default_factory=list)

    def at(self, at: datetime) -> PriceList | None:
        """The price list in force, None while the model is not listed."""
        if at < self.lists[0][0] or any(start <= at < end for start, end in self.absences):
            return None
        return [one for since, one in self.lists if since <= at][-1]


class Author:
    """Writes the timeline of one model. ``chance`` decides everything.

    Values are small numbers that are used once for a price, and again for its other prices: what is a band of one is a
    base of another, and of a long-context tier.
    """

    def __init__(self, number: int, chance: random.Random) -> None:
        self.chance = chance
        self.kinds = KINDS[: chance.choice((1, 2, 2, 3, 3))]
        self.used: dict[str, set[Decimal]] = {kind: set() for kind in self.kinds}
        self.timeline = Timeline(f"a/{number}")
        self.schedule: Rules = []
        self.tiers: Rules = []
        self.base = {kind: self.value(kind) for kind in self.kinds}
        self.former = dict(self.base)

    def value(self, kind: str) -> Decimal:
        """One that the price never had; rather one that another price has now, or zero."""
        taken = {
            one for rule in (*self.tiers, *self.schedule) for other, one in rule.items() if isinstance(one, Decimal)
        }
        choices = sorted(taken - self.used[kind]) if self.chance.random() < 0.6 else []
        number = next(one for one in map(Decimal, range(1, 999)) if one not in self.used[kind])
        value = self.chance.choice(choices) if choices else number
        if value == number and self.chance.random() < 0.05 and 0 not in self.used[kind]:
            value = Decimal(0)
        self.used[kind].add(value)
        return value

    def write(self) -> Timeline:
        at = START + timedelta(hours=self.chance.choice((0, 0, 0, 24 * 5, 24 * 20.5)))
        self.publish(at)
        at += timedelta(days=2.5)
        while at < START + timedelta(days=DAYS):
            at += timedelta(hours=self.chance.choice((1, 3, 7, 20, 50, 100, 200)), minutes=self.chance.randint(0, 59))
            self.chance.choice(self.turns())()
            self.publish(at)
        for _ in range(self.chance.randint(0, 3)):
            gone = START + timedelta(days=25 + self.chance.random() * 33)
            self.timeline.absences.append((gone, gone + timedelta(hours=self.chance.choice((5, 9, 15, 40, 80)))))
        return self.timeline

    def publish(self, at: datetime) -> None:
        self.timeline.lists.append((at, PriceList(dict(self.base), [*self.tiers, *self.schedule])))

    def turns(self) -> list[Callable[[], None]]:
        """What may happen next; the same more often that is to happen more often."""
        turns = [self.reprice, self.reprice, self.come_back, self.change_tiers]
        if self.schedule:
            return [*turns, self.reprice, self.reprice_bands, self.change_schedule, self.end_schedule]
        return [*turns, self.start_schedule, self.start_schedule, self.start_schedule]

    def reprice(self) -> None:
        self.former = dict(self.base)
        for kind in self.chance.sample(self.kinds, self.chance.randint(1, len(self.kinds))):
            self.base[kind] = self.value(kind)

    def come_back(self) -> None:
        self.base, self.former = dict(self.former), dict(self.base)

    def start_schedule(self) -> None:
        self.schedule = self.chance.choice(SHAPES)(self)
        self.perhaps_reprice()

    change_schedule = start_schedule

    def end_schedule(self) -> None:
        self.schedule = []
        self.perhaps_reprice()

    def reprice_bands(self) -> None:
        self.schedule = [
            {key: self.value(key) if key in KINDS else value for key, value in rule.items()} for rule in self.schedule
        ]
        self.perhaps_reprice()

    def perhaps_reprice(self) -> None:
        if self.chance.random() < 0.3:
            self.reprice()

    def change_tiers(self) -> None:
        """A long-context tier, one in peak hours only, or one with a condition that nobody knows; or none any more.

        None of them ever is the headline price, so any value will do.
        """
        conditions: tuple[Rule, ...] = (
            {"min_prompt_tokens": 200_000},
            {"min_prompt_tokens": 200_000, "utc_start": 600, "utc_end": 1800},
            {"utc_start": 0, "utc_end": 1200, "region": "eu"},
        )
        tiers = self.chance.sample(conditions, self.chance.choice((0, 1, 2)))
        self.tiers = [{**one, "prompt": Decimal(self.chance.randint(1, 30))} for one in tiers]

    def band(self, *kinds: str, **conditions: Any) -> Rule:
        """A window for those of ``kinds`` that the model has, or for some of all."""
        named = [kind for kind in kinds if kind in self.kinds]
        named = named or self.chance.sample(self.kinds, self.chance.randint(1, len(self.kinds)))
        return {**conditions, **{kind: self.value(kind) for kind in named}}


def _whole_day(author: Author) -> Rules:
    """Two values that take turns, as the real ones do: no hour is left to the base."""
    low, high = author.band(*KINDS[:2]), author.band(*KINDS[:2])
    edges = ((1000, 100, low), (100, 400, high), (400, 600, low), (600, 1000, high))
    return [{"utc_start": start, "utc_end": end, **band} for start, end, band in edges]


def _overlapping(author: Author) -> Rules:
    """Cheaper at the week's end, but dearer again in the day, whatever the day."""
    return [author.band("prompt", utc_days=WEEKEND), author.band("prompt", utc_start=1130, utc_end=2030)]


def _one_price_each(author: Author) -> Rules:
    return [
        author.band("prompt", utc_start=600, utc_end=1200),
        author.band("completion", utc_start=1100, utc_end=2000),
        author.band("input_cache_read", utc_start=1800, utc_end=600),
    ]


SHAPES: tuple[Callable[[Author], Rules], ...] = (
    _whole_day,
    _overlapping,
    _one_price_each,
    lambda author: [author.band(utc_start=900, utc_end=1700)],
    lambda author: [author.band(utc_start=600, utc_end=1800)],
    lambda author: [author.band(utc_start=2200, utc_end=630)],
    lambda author: [author.band(utc_start=1800, utc_end=0)],
    lambda author: [author.band(utc_start=1800, utc_end=600, utc_days=WORKDAYS)],
    lambda author: [author.band(utc_days=WEEKEND)],
    lambda author: [author.band(utc_days=("monday", "wednesday")), author.band(utc_days=("thursday",), utc_end=1200)],
    lambda author: [author.band(utc_start=1200)],
    lambda author: [author.band(utc_end=600)],
    lambda author: [author.band(utc_start=0, utc_end=600), author.band(utc_start=1200, utc_end=1800)],
)


# --- captures -------------------------------------------------------------------------------------------------------


def every_six_hours(chance: random.Random) -> Iterator[datetime]:
    """With some minutes more or less, or to the second; after two days some are missing."""
    for number in range(DAYS * 4):
        at = START + timedelta(hours=6 * number, minutes=30)
        at += timedelta(minutes=-30) if chance.random() < 0.15 else timedelta(seconds=chance.randint(-3300, 1500))
        if at >= START and (number < 8 or chance.random() > 0.07):
            yield at


def daily(chance: random.Random) -> Iterator[datetime]:
    """At five past midnight; after two days some are missing."""
    for number in range(DAYS):
        if number < 2 or chance.random() > 0.07:
            yield START + timedelta(days=number, minutes=5)


def body(timelines: Sequence[Timeline], at: datetime, chance: random.Random) -> bytes:
    models = []
    for timeline in timelines:
        prices = timeline.at(at)
        if prices is not None:
            pricing: dict[str, Any] = {kind: spell(value, chance) for kind, value in prices.headline(at).items()}
            if prices.rules:
                pricing["overrides"] = [_spell_rule(rule, chance) for rule in prices.rules]
            models.append({"id": timeline.model_id, "pricing": pricing})
    return json.dumps({"data": models}).encode()


def _spell_rule(rule: Rule, chance: random.Random) -> Rule:
    """In any order, as is the order of days."""
    spelled = {key: spell(value, chance) if isinstance(value, Decimal) else value for key, value in rule.items()}
    if "utc_days" in spelled:
        spelled["utc_days"] = chance.sample(spelled["utc_days"], len(spelled["utc_days"]))
    return dict(chance.sample(list(spelled.items()), len(spelled)))


def spell(value: Decimal, chance: random.Random) -> str:
    return chance.choice((f"{value}", f"{value}", f"{value}.0", f"{value}e0", f"{value}.00"))


# --- what the changes are -------------------------------------------------------------------------------------------


class Change(NamedTuple):
    """A row of `price_changes`, as far as a timeline tells it."""

    model_id: str
    price_kind: str
    changed_at: datetime
    last_seen_at: datetime
    change_kind: str
    old_price_usd: Decimal
    new_price_usd: Decimal
    has_rule_change: bool
    is_schedule_flip: bool
    is_repricing: bool
    after_absence: bool


def true_changes(timeline: Timeline, times: Sequence[datetime]) -> Iterator[Change]:
    """What befell a model between each two successive of its sightings at ``times``."""
    before: tuple[datetime, PriceList] | None = None
    shown: dict[str, Decimal] = {}
    was_absent = False
    for at in times:
        prices = timeline.at(at)
        if prices is None:
            was_absent = True
            continue
        if before is not None:
            then, former = before
            old_prices = former.headline(then)
            for kind, new in prices.headline(at).items():
                old = old_prices[kind]
                if new != old:
                    has_rule_change = former.rules != prices.rules
                    is_base_as_shown = prices.band_at(kind, at) is not None or shown[kind] == prices.base[kind]
                    is_flip = not has_rule_change and bool(prices.bands(kind)) and is_base_as_shown
                    yield Change(
                        timeline.model_id,
                        kind,
                        at,
                        then,
                        change_kind(old, new),
                        old,
                        new,
                        has_rule_change,
                        is_flip,
                        not is_flip,
                        was_absent,
                    )
        shown |= {kind: base for kind, base in prices.base.items() if prices.band_at(kind, at) is None}
        before, was_absent = (at, prices), False


def change_kind(old: Decimal, new: Decimal) -> str:
    if old == 0:
        return "became_paid"
    if new == 0:
        return "became_free"
    return "increase" if new > old else "decrease"


# --- the simulation -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Simulation:
    seed: int
    captured: Callable[[random.Random], Iterator[datetime]]
    is_shuffled: bool = False

    def __str__(self) -> str:
        return f"{self.captured.__name__}-{self.seed}{'-shuffled' * self.is_shuffled}"


SIMULATIONS = (
    Simulation(0, every_six_hours),
    Simulation(1, every_six_hours, is_shuffled=True),
    Simulation(2, every_six_hours),
    Simulation(3, daily),
    Simulation(4, daily, is_shuffled=True),
)

simulated = pytest.mark.parametrize("simulation", SIMULATIONS, ids=str)


class Played(NamedTuple):
    timelines: list[Timeline]
    times: list[datetime]
    captures: list[Capture]

    def true_changes(self) -> list[Change]:
        return [change for timeline in self.timelines for change in true_changes(timeline, self.times)]


@cache
def play(simulation: Simulation) -> Played:
    chance = random.Random(simulation.seed)
    timelines = [Author(number, chance).write() for number in range(MODELS)]
    times = list(simulation.captured(chance))
    captures = [Capture(ALL_MODELS, at, body(timelines, at, chance), "archive:schedules") for at in times]
    if simulation.is_shuffled:
        chance.shuffle(captures)
    return Played(timelines, times, captures)


def changes_told(captures: Sequence[Capture], warehouse: Path) -> list[Change]:
    with Ledger(warehouse) as ledger:
        for start in range(0, len(captures), 64):
            ledger.load(captures[start : start + 64])
        assert ledger.rows("SELECT count(*) FROM catalogue.marts.snapshots") == [(len(captures),)]
        rows = ledger.rows(f"SELECT {', '.join(Change._fields)} FROM catalogue.marts.price_changes")
    return [Change(*row) for row in rows]


@simulated
def test_no_false_repricing_and_none_missed(simulation: Simulation, tmp_path: Path) -> None:
    """Truth 11, row by row.

    Seen red with flips to a value that the schedule gives any price, with windows that wrap midnight taken as empty or
    their ends as inclusive, with `utc_days` passed over, with the base the first headline outside all windows, with
    long-context tiers or rules with unknown conditions taken for windows, and with flips while rules change. Was red
    with headlines taken for no base because a later schedule has a window at that hour.
    """
    played = play(simulation)
    told, true = Counter(changes_told(played.captures, tmp_path)), Counter(played.true_changes())
    differences = [f"only told: {one}" for one in sorted((told - true).elements())]
    differences += [f"only true: {one}" for one in sorted((true - told).elements())]
    assert not differences, "\n".join([f"of {true.total()} changes", *differences[:20]])


def test_the_timelines_leave_nothing_out() -> None:
    """What the test above is for occurs, and more than once."""
    times: Counter[str] = Counter()
    for simulation in SIMULATIONS:
        played = play(simulation)
        by_id = {timeline.model_id: timeline for timeline in played.timelines}
        for change in played.true_changes():
            prices = by_id[change.model_id].at(change.changed_at)
            assert prices is not None
            times.update(_traits(change, prices))
    assert {trait: times[trait] > 5 for trait in TRAITS} == dict.fromkeys(TRAITS, True), times


TRAITS = (
    *("a flip into a window", "a flip out of all windows", "a flip over an absence", "a flip from or to zero"),
    *("a flip of a price with a wrapping window", "a flip of a price with days", "a flip beside a tier"),
    *("a repricing under a schedule", "a repricing under a schedule to a value in another rule"),
    *("a repricing with other rules", "a repricing without a schedule", "a repricing over an absence"),
)


def _traits(change: Change, prices: PriceList) -> Iterator[str]:
    bands = prices.bands(change.price_kind)
    is_inside = prices.band_at(change.price_kind, change.changed_at) is not None
    what = "a flip" if change.is_schedule_flip else "a repricing"
    if change.after_absence:
        yield f"{what} over an absence"
    if change.is_schedule_flip:
        yield f"{what} into a window" if is_inside else f"{what} out of all windows"
        if 0 in (change.old_price_usd, change.new_price_usd):
            yield f"{what} from or to zero"
        if any(rule.get("utc_start", 0) > rule.get("utc_end", 2400) for rule in bands):
            yield f"{what} of a price with a wrapping window"
        if any("utc_days" in rule for rule in bands):
            yield f"{what} of a price with days"
        if len(prices.rules) > len(bands) and any("min_prompt_tokens" in rule for rule in prices.rules):
            yield f"{what} beside a tier"
    elif change.has_rule_change:
        yield f"{what} with other rules"
    elif bands:
        yield f"{what} under a schedule"
        if any(change.new_price_usd in rule.values() for rule in prices.rules):
            yield f"{what} under a schedule to a value in another rule"
    else:
        yield f"{what} without a schedule"


@pytest.mark.parametrize(("base", "is_flip"), [("3", True), ("1", False)], ids=["as it showed", "as it was long ago"])
def test_a_base_shows_wherever_no_window_of_then_is_open(base: str, is_flip: bool, tmp_path: Path) -> None:
    """Truth 11: where a later schedule has a window is nothing to a headline that was captured before it. Was red so.

    The price is 1 at midnight and 3 at noon, without rules; the next day noon is dear; then the base shows again.
    """
    dear = {"utc_start": 900, "utc_end": 1700, "prompt": "9"}
    shown: Sequence[tuple[int, str, Rules]] = ((0, "1", []), (12, "3", []), (36, "9", [dear]), (48, base, [dear]))
    captures = [
        Capture(ALL_MODELS, START + timedelta(hours=hours), _listing(prompt, rules), "archive:schedules")
        for hours, prompt, rules in shown
    ]
    *_, change = sorted(changes_told(captures, tmp_path), key=lambda one: one.changed_at)
    assert (change.is_schedule_flip, change.is_repricing) == (is_flip, not is_flip)


def _listing(prompt: str, rules: Rules) -> bytes:
    return json.dumps({"data": [{"id": "a/b", "pricing": {"prompt": prompt, "overrides": rules}}]}).encode()

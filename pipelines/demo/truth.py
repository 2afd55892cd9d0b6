"""What captures taken at given instants must show, computed from the simulation's own timelines.

Belongs here: the types of the truth, and the walks over captures that a warehouse is held against.
Does not belong here: JSON in any form; a truth that parsed the listing could share a reader's mistakes.

Every walk takes the times of captures of one scope, in order; a capture shows only what was asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from typing import Literal, NamedTuple

from pipelines.demo.simulated import PriceValue, Rule, SimulatedModel

EventName = Literal["added", "removed", "returned"]
Outcome = Literal["announced", "moved", "withdrawn", "passed_still_listed", "removed"]


class TrueRule(NamedTuple):
    """One rule as numbers: its conditions (None or empty where it has none) and US dollars by price kind."""

    min_prompt_tokens: int | None
    utc_start: int | None
    utc_end: int | None
    utc_days: tuple[str, ...]
    other_conditions: dict[str, int]
    prices: dict[str, PriceValue]

    @classmethod
    def of(cls, rule: Rule) -> TrueRule:
        """The numbers of ``rule``."""
        return cls(
            min_prompt_tokens=rule.min_prompt_tokens,
            utc_start=rule.utc_start,
            utc_end=rule.utc_end,
            utc_days=rule.utc_days,
            other_conditions=dict(rule.other_conditions),
            prices={kind: price.value for kind, price in rule.prices},
        )


class TruePriceChange(NamedTuple):
    """A headline price that two successive sightings of a model show differently, as numbers.

    ``old`` and ``new`` are None while the key is absent. ``after_absence``: a capture between the two lacked
    the model. ``is_schedule_flip``: only the clock moved, through a schedule; base and rules are as before.
    """

    changed_at: datetime
    last_seen_at: datetime
    model_id: str
    price_kind: str
    old: PriceValue | None
    new: PriceValue | None
    after_absence: bool
    is_schedule_flip: bool


class TrueEvent(NamedTuple):
    """A model that a capture lists and the one before did not, or the other way round."""

    happened_at: datetime
    model_id: str
    event: EventName


class TrueExpiration(NamedTuple):
    """One announcement of a date, and what had become of it by the last capture.

    ``previous_date`` is the date that this one replaced while it stood. ``removed_at`` is the first capture
    without the model, where the outcome is ``removed``.
    """

    model_id: str
    expiration_date: date
    announced_at: datetime
    previous_date: date | None
    outcome: Outcome
    removed_at: datetime | None


class _Sighting(NamedTuple):
    """A capture that lists the model. ``after_absence``: the one before does not, but an earlier one does."""

    at: datetime
    after_absence: bool


def price_changes(
    models: Iterable[SimulatedModel], times: Sequence[datetime], wanted: frozenset[str]
) -> list[TruePriceChange]:
    """Every headline price change, by time, model and price kind."""
    return sorted(
        (change for model in models for change in _price_changes(model, times, wanted)),
        key=lambda change: (change.changed_at, change.model_id, change.price_kind),
    )


def events(models: Iterable[SimulatedModel], times: Sequence[datetime], wanted: frozenset[str]) -> list[TrueEvent]:
    """Every coming and going, by time and model; the first capture makes nobody new."""
    return sorted(event for model in models for event in _events(model, times, wanted))


def expirations(
    models: Iterable[SimulatedModel], times: Sequence[datetime], wanted: frozenset[str]
) -> list[TrueExpiration]:
    """Every announcement of a date, by model and time."""
    found = (expiration for model in models for expiration in _expirations(model, times, wanted))
    return sorted(found, key=lambda expiration: (expiration.model_id, expiration.announced_at))


def _sightings(model: SimulatedModel, times: Sequence[datetime], wanted: frozenset[str]) -> Iterator[_Sighting]:
    was_seen = is_absent = False
    for at in times:
        if model.answers(at, wanted):
            yield _Sighting(at, was_seen and is_absent)
            was_seen, is_absent = True, False
        else:
            is_absent = True


def _price_changes(
    model: SimulatedModel, times: Sequence[datetime], wanted: frozenset[str]
) -> Iterator[TruePriceChange]:
    seen_at: datetime | None = None
    seen: dict[str, PriceValue] = {}
    for at, after_absence in _sightings(model, times, wanted):
        shown = {kind: price.value for kind, price in model.headline_at(at).items()}
        if seen_at is not None and shown != seen:
            for kind in sorted(seen.keys() | shown.keys()):
                old, new = seen.get(kind), shown.get(kind)
                if old != new:
                    is_flip = _is_price_list_unchanged(model, kind, seen_at, at)
                    yield TruePriceChange(at, seen_at, model.id, kind, old, new, after_absence, is_flip)
        seen_at, seen = at, shown


def _is_price_list_unchanged(model: SimulatedModel, kind: str, before: datetime, after: datetime) -> bool:
    """Whether base price and rules are equal as numbers at both instants: then only the clock has moved."""
    same_base = model.base_at(before).get(kind) == model.base_at(after).get(kind)
    return same_base and model.rules_at(before) == model.rules_at(after)


def _events(model: SimulatedModel, times: Sequence[datetime], wanted: frozenset[str]) -> Iterator[TrueEvent]:
    was_seen = was_listed = bool(times) and model.answers(times[0], wanted)
    for at in times[1:]:
        is_listed = model.answers(at, wanted)
        if is_listed and not was_listed:
            yield TrueEvent(at, model.id, "returned" if was_seen else "added")
        elif was_listed and not is_listed:
            yield TrueEvent(at, model.id, "removed")
        was_seen, was_listed = was_seen or is_listed, is_listed


def _expirations(model: SimulatedModel, times: Sequence[datetime], wanted: frozenset[str]) -> Iterator[TrueExpiration]:
    standing: TrueExpiration | None = None
    last_seen_at: datetime | None = None
    for at, _ in _sightings(model, times, wanted):
        last_seen_at = at
        day, standing_day = model.expires.at(at), standing.expiration_date if standing else None
        if day == standing_day:
            continue
        if standing:
            yield standing._replace(outcome="moved" if day else "withdrawn")
        standing = TrueExpiration(model.id, day, at, standing_day, "announced", None) if day else None
    if standing and last_seen_at:
        yield _at_the_end(standing, last_seen_at, times)


def _at_the_end(last: TrueExpiration, seen_at: datetime, times: Sequence[datetime]) -> TrueExpiration:
    """``last``, the announcement that still stands, as the last capture leaves it.

    ``seen_at`` is the last sighting. On the day itself a date has not passed.
    """
    if seen_at < times[-1]:
        return last._replace(outcome="removed", removed_at=next(at for at in times if at > seen_at))
    if last.expiration_date < times[-1].date():
        return last._replace(outcome="passed_still_listed")
    return last

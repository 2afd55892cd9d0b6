"""One simulated model: its timelines, what it costs at an instant, and the JSON object it is listed as.

Belongs here: quotes, rules, the model and its rendering.
Does not belong here: which models there are and what befalls them (`cast`), what captures show (`truth`).
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, Final, Literal

from pipelines.demo.timeline import Timeline

PriceValue = Decimal | Literal["dynamic"]
"""What a price is worth: US dollars, or ``"dynamic"`` for "-1"."""


class Absence(Enum):
    """The type of :data:`ABSENT`."""

    ABSENT = "absent"


ABSENT: Final = Absence.ABSENT
"""In a field's timeline: the key is not there at all, which is not the same bytes as ``null``."""

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


@dataclass(frozen=True)
class Quote:
    """A price as listed. Two quotes are equal when they are worth the same, however they are spelled."""

    text: str = field(compare=False)
    value: PriceValue

    def times(self, factor: str) -> Quote:
        """The price multiplied by ``factor``, spelled without an exponent or trailing zeros."""
        assert isinstance(self.value, Decimal), "a dynamic price cannot be multiplied"
        product = (self.value * Decimal(factor)).normalize()
        return quote(format(product, "f"))


def quote(text: str) -> Quote:
    """The quote that ``text`` spells; "-1" is dynamic, "-0" is worth zero."""
    if text == "-1":
        return Quote(text, "dynamic")
    return Quote(text, abs(Decimal(text)) if Decimal(text) == 0 else Decimal(text))


FREE = quote("0")
DYNAMIC = quote("-1")


@dataclass(frozen=True)
class Rule:
    """One entry of ``overrides``; equal to another when conditions and values are, whatever the spelling.

    ``utc_start`` and ``utc_end`` are integers HHMM, half-open, and may wrap midnight.
    ``other_conditions`` are conditions that no document names; a rule with one is listed but never applied.
    """

    prices: tuple[tuple[str, Quote], ...]
    min_prompt_tokens: int | None = None
    utc_start: int | None = None
    utc_end: int | None = None
    utc_days: tuple[str, ...] = ()
    other_conditions: tuple[tuple[str, int], ...] = ()

    def holds_at(self, at: datetime) -> bool:
        """Whether a request of few tokens made at ``at`` (UTC) is billed by this rule."""
        if self.min_prompt_tokens is not None or self.other_conditions:
            return False
        if self.utc_days and WEEKDAYS[at.weekday()] not in self.utc_days:
            return False
        if self.utc_start is None or self.utc_end is None:
            return True
        now = at.hour * 100 + at.minute
        if self.utc_start < self.utc_end:
            return self.utc_start <= now < self.utc_end
        return now >= self.utc_start or now < self.utc_end

    def document(self) -> dict[str, Any]:
        """The rule as listed."""
        conditions: dict[str, Any] = {
            "min_prompt_tokens": self.min_prompt_tokens,
            "utc_start": self.utc_start,
            "utc_end": self.utc_end,
            "utc_days": list(self.utc_days) or None,
            **dict(self.other_conditions),
        }
        listed = {key: value for key, value in conditions.items() if value is not None}
        return listed | {kind: price.text for kind, price in self.prices}


@dataclass(eq=False)
class SimulatedModel:
    """A model and everything that ever happens to it.

    ``fields`` holds the plain top-level keys, ``architecture`` those of that object (the modalities apart),
    ``prices`` the base price of each kind (None while the key is absent). ``has_benchmarks`` adds the object
    that is another one every hour. An alias lists the prices and rules of ``target``, whatever they are then.
    """

    number: int
    id: str
    inputs: Timeline[tuple[str, ...]]
    outputs: Timeline[tuple[str, ...]]
    fields: dict[str, Timeline[Any]]
    architecture: dict[str, Timeline[Any]]
    prices: dict[str, Timeline[Quote | None]]
    top_provider: dict[str, Timeline[Any]]
    has_benchmarks: Timeline[bool]
    is_listed: Timeline[bool] = field(default_factory=lambda: Timeline(True))
    rules: Timeline[tuple[Rule, ...]] = field(default_factory=lambda: Timeline(()))
    expires: Timeline[date | None] = field(default_factory=lambda: Timeline(None))
    target: Timeline[SimulatedModel] | None = None

    def answers(self, at: datetime, wanted: frozenset[str]) -> bool:
        """Whether a listing of the output modalities ``wanted`` ("all": every one) has this model."""
        return self.is_listed.at(at) and ("all" in wanted or not wanted.isdisjoint(self.outputs.at(at)))

    def priced_as(self, at: datetime) -> SimulatedModel:
        """The model whose prices this one lists: an alias's target, else itself."""
        return self if self.target is None else self.target.at(at)

    def rules_at(self, at: datetime) -> tuple[Rule, ...]:
        """The rules in the order listed."""
        return self.priced_as(at).rules.at(at)

    def base_at(self, at: datetime) -> dict[str, Quote]:
        """The price of each kind outside every rule; kinds whose key is absent are not in it."""
        lines = self.priced_as(at).prices
        return {kind: price for kind, line in lines.items() if (price := line.at(at)) is not None}

    def headline_at(self, at: datetime) -> dict[str, Quote]:
        """The price of each kind as listed: the base, or the band of a schedule that is in force."""
        headline = self.base_at(at)
        for rule in self.rules_at(at):
            if rule.holds_at(at):
                headline.update((kind, price) for kind, price in rule.prices if kind in headline)
        return headline

    def document(self, at: datetime) -> dict[str, Any]:
        """The model as listed at ``at``; every few days an array whose order means nothing comes in another order."""
        listed = {"id": self.id} | _present(self.fields, at)
        stretch = (at.toordinal() + self.number) // _DAYS_IN_ONE_ORDER
        order = random.Random(f"{self.id}/{stretch}")
        listed["supported_parameters"] = order.sample(
            listed["supported_parameters"], len(listed["supported_parameters"])
        )
        inputs, outputs = self.inputs.at(at), self.outputs.at(at)
        listed["architecture"] = {
            "modality": f"{'+'.join(inputs)}->{'+'.join(outputs)}",
            "input_modalities": inputs,
            "output_modalities": outputs,
        } | _present(self.architecture, at)
        listed["pricing"] = self._pricing(at)
        listed["top_provider"] = _present(self.top_provider, at)
        expires = self.expires.at(at)
        listed["expiration_date"] = expires.isoformat() if expires else None
        if self.target is not None and "alias_target" in listed:
            target = self.target.at(at)
            listed["alias_target"] = {"slug": target.id, "name": target.fields["name"].at(at)}
        if self.has_benchmarks.at(at):
            listed["benchmarks"] = self._benchmarks(at)
        return listed

    def _pricing(self, at: datetime) -> dict[str, Any]:
        pricing: dict[str, Any] = {kind: price.text for kind, price in self.headline_at(at).items()}
        if rules := self.rules_at(at):
            pricing["overrides"] = [rule.document() for rule in rules]
        return pricing

    def _benchmarks(self, at: datetime) -> dict[str, Any]:
        hour = int(at.timestamp()) // 3600
        scores = [(self.number * 389 + hour * step) % 1000 / 10 for step in (7, 11, 13)]
        names = ("intelligence_index", "coding_index", "agentic_index")
        return {"design_arena": [], "artificial_analysis": dict(zip(names, scores, strict=True))}


_DAYS_IN_ONE_ORDER = 30


def _present(lines: dict[str, Timeline[Any]], at: datetime) -> dict[str, Any]:
    return {key: value for key, line in lines.items() if (value := line.at(at)) is not ABSENT}

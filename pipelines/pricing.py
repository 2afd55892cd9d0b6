"""Price kinds, prices and rules: what a price's text means, and what a request pays.

Belongs here: reading a price exactly, the unit of a kind, the conditions of rules, when a rule holds.
Does not belong here: where prices come from (`flatten`) and how they are stored (`ledger`).

Sources: OpenRouter's model schema (pricing keys and their units), and what public captures hold.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, Literal

import orjson

PriceStatus = Literal["listed", "free", "dynamic", "unreadable"]

PRICE_DIGITS = 38
PRICE_SCALE = 24
"""Prices are DECIMAL(38, 24): 14 digits before the point, 24 after. The longest seen has 23."""

UNITS: Mapping[str, str] = {
    "prompt": "token",
    "completion": "token",
    "internal_reasoning": "token",
    "input_cache_read": "token",
    "input_cache_write": "token",
    "input_cache_write_1h": "token",
    "audio": "audio token",
    "audio_output": "audio token",
    "input_audio_cache": "audio token",
    "image_token": "image token",
    "image": "image",
    "image_output": "image",
    "request": "request",
    "web_search": "search",
    "discount": "fraction",
}
"""What one of each documented price kind buys. A kind not named here has the unit ``unknown``."""

CONDITIONS = frozenset({"min_prompt_tokens", "utc_start", "utc_end", "utc_days"})
"""The documented conditions of a rule."""

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?0*[0-9]{1,4})?")
_DYNAMIC = Decimal(-1)


@dataclass(frozen=True)
class Price:
    """A price as read: ``usd`` is exact US dollars per unit, and None unless the status is listed or free."""

    status: PriceStatus
    usd: Decimal | None


_UNREADABLE = Price("unreadable", None)


@lru_cache(maxsize=65536)
def read_price(text: str) -> Price:
    """What ``text`` says, to the last digit; never raises and never rounds.

    "-1" is ``dynamic``; zero, "-0" included, is ``free``; other negative numbers, anything that is not a decimal
    number in ASCII of at most 400 characters, and a number that DECIMAL(38, 24) cannot hold exactly are ``unreadable``.
    """
    if len(text) > 400 or not _NUMBER.fullmatch(text):
        return _UNREADABLE
    try:
        value = Decimal(text)
    except InvalidOperation:
        return _UNREADABLE
    if value == _DYNAMIC:
        return Price("dynamic", None)
    if value < 0:
        return _UNREADABLE
    if value == 0:
        return Price("free", Decimal(0))
    digits, exponent = _significand(value)
    if exponent < -PRICE_SCALE or len(digits) + exponent > PRICE_DIGITS - PRICE_SCALE:
        return _UNREADABLE
    return Price("listed", value)


def _significand(value: Decimal) -> tuple[str, int]:
    """The digits of a positive ``value`` without trailing zeros, and the power of ten of the last of them."""
    _, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    text = "".join(map(str, digits)).lstrip("0")
    stripped = text.rstrip("0")
    return stripped, exponent + len(text) - len(stripped)


def unit_of(kind: str, pricing: Mapping[str, Any]) -> str:
    """What one of ``kind`` buys in the price list ``pricing`` (kind to text).

    ``image`` is documented as per picture, yet on text models it repeats the prompt price and is per token; it is per
    picture wherever ``image_token`` stands beside it.
    """
    unit = UNITS.get(kind, "unknown")
    if kind != "image" or "image_token" in pricing:
        return unit
    image, prompt = (read_price(str(pricing.get(key))) for key in ("image", "prompt"))
    return "token" if image.status == "listed" and image.usd == prompt.usd else unit


def number_key(text: str) -> str:
    """A spelling that two texts share exactly when they mean the same price: "0.10" and "0.1" do."""
    price = read_price(text)
    if price.status == "listed":
        digits, exponent = _significand(Decimal(text))
        return f"{digits}e{exponent}"
    return price.status if price.status != "unreadable" else f"unreadable:{text}"


def in_window(start: int, end: int, hhmm: int) -> bool:
    """Whether the time of day ``hhmm`` lies in the half-open UTC window [start, end), which may wrap midnight."""
    return start <= hhmm < end if start <= end else hhmm >= start or hhmm < end


@dataclass(frozen=True)
class Rule:
    """One entry of ``overrides``: well-formed documented conditions, those that are not understood, texts by kind."""

    conditions: Mapping[str, Any]
    unknown_conditions: Mapping[str, Any]
    prices: Mapping[str, str]

    @property
    def is_window(self) -> bool:
        """Whether the clock alone says when it holds, so that the headline is now its price and now another."""
        conditions = self.conditions
        is_timed = any(key in conditions for key in ("utc_start", "utc_end", "utc_days"))
        return is_timed and "min_prompt_tokens" not in conditions and not self.unknown_conditions

    def holds(self, moment: datetime, prompt_tokens: int) -> bool:
        """Whether it applies to a request of ``prompt_tokens`` at ``moment``: all its conditions must hold.

        One whose conditions are not all understood never applies.
        """
        least = self.conditions.get("min_prompt_tokens")
        has_enough = least is None or prompt_tokens > least
        return not self.unknown_conditions and has_enough and clock_holds(self.conditions, moment)


def clock_holds(rule: Mapping[str, Any], moment: datetime) -> bool:
    """Whether the time conditions of ``rule`` hold at ``moment``; other conditions are not looked at."""
    moment = moment.astimezone(UTC)
    start, end, days = rule.get("utc_start"), rule.get("utc_end"), rule.get("utc_days")
    if (start is not None or end is not None) and not in_window(
        start or 0, 2400 if end is None else end, moment.hour * 100 + moment.minute
    ):
        return False
    return not days or DAYS[moment.weekday()] in days


def split_pricing(pricing: Any) -> tuple[dict[str, str], list[Rule], dict[str, Any]]:
    """Headline texts by kind, the rules, and what is neither (by its path) of a ``pricing`` as received."""
    if not isinstance(pricing, dict):
        return {}, [], {"pricing": pricing}
    headline: dict[str, str] = {}
    oddities: dict[str, Any] = {}
    rules: list[Rule] = []
    for kind, value in pricing.items():
        if kind == "overrides" and isinstance(value, list) and all(isinstance(rule, dict) for rule in value):
            rules = [_read_rule(rule) for rule in value]
        elif value is None:
            continue
        elif isinstance(value, str):
            headline[kind] = value
        elif kind in UNITS:
            headline[kind] = orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
        else:
            oddities[f"pricing.{kind}"] = value
    return headline, rules, oddities


def _read_rule(rule: Mapping[str, Any]) -> Rule:
    """A key of a rule is a condition where it is documented as one and well-formed, a price where it is a known price
    kind or a text that reads as a number, and otherwise a condition that is not understood."""
    conditions: dict[str, Any] = {}
    unknown: dict[str, Any] = {}
    prices: dict[str, str] = {}
    for key, value in rule.items():
        if value is None:
            continue
        if key in CONDITIONS:
            (conditions if _is_condition(key, value) else unknown)[key] = value
        elif (key in UNITS and isinstance(value, str)) or (
            isinstance(value, str) and read_price(value).status != "unreadable"
        ):
            prices[key] = value
        else:
            unknown[key] = value
    return Rule(conditions, unknown, prices)


def _is_condition(key: str, value: Any) -> bool:
    if key == "utc_days":
        return isinstance(value, list) and all(isinstance(day, str) for day in value)
    return type(value) is int and (0 <= value <= 2400 if key.startswith("utc_") else abs(value) < 2**63)


@dataclass(frozen=True)
class RequestPrice:
    """What one unit of a kind costs a request. ``rule_no`` (from 1) is the rule that says so; None: no rule does.

    ``unknown_conditions`` are those of later rules for this kind that were not applied because nobody knows them.
    """

    text: str
    price: Price
    unit: str
    rule_no: int | None
    unknown_conditions: tuple[Mapping[str, Any], ...] = ()


def request_prices(
    pricing: Mapping[str, Any], moment: datetime, prompt_tokens: int, base: Mapping[str, str | None] | None = None
) -> dict[str, RequestPrice]:
    """What a request of ``prompt_tokens`` at ``moment`` pays under a model's ``pricing`` as received, by price kind.

    The base is what the headline says, then come the rules that hold; a later one wins for each kind. Where a schedule
    names a kind the headline may be a band of it rather than the base: ``base`` gives the text of such kinds as they
    were last captured outside every window, None where they were not listed then. It is used only where no rule holds.
    """
    headline, rules, _ = split_pricing(pricing)
    scheduled = {kind for rule in rules if rule.is_window for kind in rule.prices}
    texts: dict[str, tuple[str | None, int | None]] = {kind: (text, None) for kind, text in headline.items()}
    for kind, text in (base or {}).items():
        if kind in scheduled:
            texts[kind] = text, None
    for number, rule in enumerate(rules, start=1):
        if rule.holds(moment, prompt_tokens):
            texts.update((kind, (text, number)) for kind, text in rule.prices.items())
    return {
        kind: RequestPrice(text, read_price(text), unit_of(kind, headline), number, _passed_over(rules, kind, number))
        for kind, (text, number) in texts.items()
        if text is not None
    }


def _passed_over(rules: Sequence[Rule], kind: str, applied: int | None) -> tuple[Mapping[str, Any], ...]:
    """The unknown conditions of rules that could win over the one that was applied."""
    later = rules[applied or 0 :]
    return tuple(rule.unknown_conditions for rule in later if rule.unknown_conditions and kind in rule.prices)

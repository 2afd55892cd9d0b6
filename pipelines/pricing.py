"""Price kinds, prices and rules: what a price's text means.

Belongs here: reading a price exactly, the unit of a kind, the conditions of rules, when a rule holds.
Does not belong here: where prices come from (`flatten`) and how they are stored (`ledger`).

Sources: OpenRouter's model schema (pricing keys and their units), and what public captures hold.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, Literal

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


def clock_holds(rule: Mapping[str, Any], moment: datetime) -> bool:
    """Whether the time conditions of ``rule`` hold at ``moment``; other conditions are not looked at."""
    moment = moment.astimezone(UTC)
    start, end, days = rule.get("utc_start"), rule.get("utc_end"), rule.get("utc_days")
    if (start is not None or end is not None) and not in_window(
        start or 0, 2400 if end is None else end, moment.hour * 100 + moment.minute
    ):
        return False
    return not days or DAYS[moment.weekday()] in days

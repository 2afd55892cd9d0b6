"""What a repriced log comes to: by month, model, author and tag.

Belongs here: adding up exactly, other currencies, rounding. Does not belong here: the cost of a row (`repricing`), how
a table looks.

Totals are added as whole dollars and fractions apart, so that no sum can overflow, and told as Python decimals. One
that DECIMAL(38, 24) does not hold is marked, and the others stand.
"""

from __future__ import annotations

import decimal
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

from pipelines.reports.currency import Rates
from pipelines.reports.repricing import LIMIT, Repriced

DIMENSIONS = ("total", "month", "model", "author", "tag", "confidence", "assumption")

ROUNDINGS = ("half-even", "half-up")
"""To the nearest, and what lies in the middle to the even digit (banker's) or away from zero."""

_WIDE = decimal.Context(prec=100, traps=[decimal.InvalidOperation, decimal.Inexact])
"""Wide enough that no sum of a log is ever rounded; if it were, that would be an error."""


@dataclass(frozen=True)
class Total:
    """What the rows come to that share ``value`` of ``dimension``: see :data:`DIMENSIONS`.

    ``lower_usd`` and ``upper_usd`` bound ``cost_usd`` where prices changed between two snapshots. ``variance_usd`` is
    what was billed less what it cost, of the rows that tell both. ``converted`` is ``cost_usd`` in another currency.
    """

    dimension: str
    value: str
    request_count: int
    priced_count: int
    cost_usd: Decimal
    lower_usd: Decimal
    upper_usd: Decimal
    billed_usd: Decimal | None
    variance_usd: Decimal | None
    converted: Fraction | None

    @property
    def unpriced_count(self) -> int:
        """Rows that have no cost, and so are in no amount."""
        return self.request_count - self.priced_count

    @property
    def fits(self) -> bool:
        """Whether DECIMAL(38, 24) holds its amounts."""
        return all(abs(one) < LIMIT for one in (self.cost_usd, self.lower_usd, self.upper_usd))


@dataclass(frozen=True)
class Summary:
    """The totals of a log, and the days whose rates were used for them (the day of a rate, by the day it was for)."""

    totals: Sequence[Total]
    rate_days: Mapping[date, date]

    def of(self, dimension: str) -> list[Total]:
        """The totals of one dimension, the largest first; months in their order."""
        found = [one for one in self.totals if one.dimension == dimension]
        if dimension == "month":
            return sorted(found, key=lambda one: one.value)
        return sorted(found, key=lambda one: (-one.cost_usd, -one.request_count, one.value))


def summarise(repriced: Repriced, rates: Rates | None = None, relation: str = "repriced") -> Summary:
    """The totals of ``relation``, which has the rows of ``repriced``.

    Raises :class:`pipelines.reports.currency.MissingRateError` if a day has no rate.
    """
    published = repriced.published
    amounts = _amounts(repriced)
    has_tag = repriced.usage.has("tag")
    utc = "time AT TIME ZONE 'UTC'"
    day = f"CAST({utc} AS DATE)" if rates else f"CAST(date_trunc('month', {utc}) AS DATE)"
    sums = ", ".join(exact_sum(amount, name) for name, amount in amounts.items())
    published.run("DROP TABLE IF EXISTS summed")
    published.run(
        f"""
        CREATE TEMP TABLE summed AS
        SELECT
            {day} AS day, coalesce(model_id, model) AS model,
            ltrim(split_part(coalesce(model_id, model), '/', 1), '~') AS author,
            {"coalesce(tag, '')" if has_tag else "''"} AS tag, confidence, coalesce(assumptions, '') AS assumption,
            count(*) AS request_count, count(cost_usd) AS priced_count, {sums}
        FROM {relation} GROUP BY ALL
        """
    )
    if rates:
        rates.require(one for (one,) in published.ask("SELECT min(day) FROM summed WHERE priced_count > 0").rows if one)
    columns = {
        "total": "''",
        "month": "strftime(day, '%Y-%m')",
        "model": "model",
        "author": "author",
        **({"tag": "tag"} if has_tag else {}),
        "confidence": "confidence",
        "assumption": "assumption",
    }
    totals: list[Total] = []
    rate_days: dict[date, date] = {}
    for dimension, column in columns.items():
        parts = ", ".join(f"sum({name}_whole), sum({name}_part)" for name in amounts)
        rows = published.ask(
            f"""
            SELECT {column} AS value, {"day" if rates else "CAST(NULL AS DATE)"} AS day,
                sum(request_count), sum(priced_count), {parts}
            FROM summed GROUP BY ALL ORDER BY ALL
            """
        ).rows
        totals += _totals(dimension, rows, list(amounts), rates, rate_days)
    return Summary(totals, rate_days)


def exact_sum(amount: str, name: str) -> str:
    """Two columns whose sum is that of ``amount``: neither can overflow, whatever the rows are."""
    part = f"{amount} - trunc({amount})"
    return f"coalesce(sum(trunc({amount})), 0) AS {name}_whole, coalesce(sum({part}), 0) AS {name}_part"


def add(*amounts: Decimal) -> Decimal:
    """The exact sum of ``amounts``."""
    total = Decimal(0)
    for amount in amounts:
        total = _WIDE.add(total, Decimal(amount))
    return total


def less(one: Decimal, other: Decimal) -> Decimal:
    """The exact difference."""
    return _WIDE.subtract(one, other)


def _amounts(repriced: Repriced) -> dict[str, str]:
    amounts = {
        "cost_usd": "cost_usd",
        "lower_usd": "coalesce(lower_usd, cost_usd)",
        "upper_usd": "coalesce(upper_usd, cost_usd)",
    }
    if repriced.usage.has("billed_usd"):
        amounts |= {"billed_usd": "billed_usd", "variance_usd": "variance_usd"}
    return amounts


def _totals(
    dimension: str,
    rows: Iterable[tuple[Any, ...]],
    names: Sequence[str],
    rates: Rates | None,
    rate_days: dict[date, date],
) -> list[Total]:
    """One total for each value, of rows that tell it for each day where rates are asked of it."""
    found: dict[str, dict[str, Any]] = {}
    for value, day, request_count, priced_count, *parts in rows:
        nothing = {"requests": 0, "priced": 0, "converted": Fraction(0), **dict.fromkeys(names, Decimal(0))}
        one = found.setdefault(value, nothing)
        one["requests"] += int(request_count)
        one["priced"] += int(priced_count)
        for place, name in enumerate(names):
            amount = add(parts[2 * place], parts[2 * place + 1])
            one[name] = add(one[name], amount)
            if rates and name == "cost_usd" and priced_count:
                rate = rates.on(day)
                rate_days[day] = rate.day
                one["converted"] += Fraction(amount) * rate.per_usd
    return [
        Total(
            dimension,
            value,
            one["requests"],
            one["priced"],
            one["cost_usd"],
            one["lower_usd"],
            one["upper_usd"],
            one.get("billed_usd"),
            one.get("variance_usd"),
            one["converted"] if rates else None,
        )
        for value, one in found.items()
    ]


def rounded(amount: Decimal | Fraction, digits: int, rounding: str) -> Decimal:
    """``amount`` to ``digits`` after the point, once and from its exact value; see :data:`ROUNDINGS`."""
    exact = Fraction(amount)
    scaled = abs(exact) * 10**digits
    whole, rest = divmod(scaled.numerator, scaled.denominator)
    twice = 2 * rest
    if twice > scaled.denominator or (twice == scaled.denominator and (rounding == "half-up" or whole % 2)):
        whole += 1
    sign = 1 if exact < 0 and whole else 0
    return Decimal((sign, tuple(map(int, str(whole))), -digits))

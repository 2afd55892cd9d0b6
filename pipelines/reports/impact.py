"""What changes of prices did to a bill: between two dates, and on the month to come.

Belongs here: the decomposition of a change of spend, expiring models in use and what could replace them.
Does not belong here: what a request costs (`repricing`), how a table looks.

The period goes from one date to another; the former one is as long and ends where it begins. Every request is priced
three times: at its own instant, by the price lists in force at the period's beginning, and by those at its end.

- price effect: what the requests of both periods cost less what the same requests cost by the prices of the beginning;
  for the former period with the sign turned, since its prices are where the bill comes from;
- volume effect: what the former period costs by the prices of the beginning, times the growth of its number of
  requests;
- mix effect: the rest of the change by these prices: other models, larger or smaller requests.

The three add up to the change of spend, digit by digit: the volume effect is a quotient and rounded once to 24 digits,
and the mix effect takes what is left.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from pipelines.errors import UsageError
from pipelines.reports.repricing import Question, Repriced, price_again
from pipelines.reports.summaries import add, exact_sum, less, rounded

MONTH = timedelta(days=30)
"""How much usage before the end of the period stands for the month to come."""

DIGITS = 24


@dataclass(frozen=True)
class Effects:
    """A change of spend in US dollars and what it is made of; ``label`` is a model, or empty for all of them."""

    label: str
    former_count: int
    request_count: int
    former_usd: Decimal
    spend_usd: Decimal
    price_usd: Decimal
    volume_usd: Decimal
    mix_usd: Decimal
    month_at_start_usd: Decimal
    """The last month's requests by the prices of the beginning."""
    month_at_end_usd: Decimal
    """The same by the prices of the end: the month to come at the same usage."""

    @property
    def change_usd(self) -> Decimal:
        """The change of spend."""
        return less(self.spend_usd, self.former_usd)


@dataclass(frozen=True)
class Expiring:
    """A model in use that is announced to go away, its spend in the last month, and the cheapest that could replace it.

    ``replacement_usd`` is what the month's prompt and completion tokens cost there at its headline prices, ``same_usd``
    what they cost at those of the model itself; None where no price is known.
    """

    model_id: str
    expiration_date: Any
    days_left: int
    request_count: int
    month_usd: Decimal
    same_usd: Decimal | None
    replacement: str | None
    replacement_usd: Decimal | None


@dataclass(frozen=True)
class Impact:
    """See the module. ``without_start_count`` requests had no price at the beginning: their own stood in for it."""

    total: Effects
    models: Sequence[Effects]
    expiring: Sequence[Expiring]
    unpriced_count: int
    without_start_count: int
    without_end_count: int


def impact(repriced: Repriced, start: datetime, end: datetime) -> Impact:
    """What happened between ``start`` and ``end``; ``repriced`` is any repricing of the log.

    Raises :class:`UsageError` unless ``start`` lies before ``end``.
    """
    if start >= end:
        raise UsageError("--from must lie before --to")
    published, question = repriced.published, repriced.question
    for name, prices_of in (("own", None), ("started", start), ("ended", end)):
        price_again(repriced, replace(question, prices_of=prices_of))
        published.run(
            f"CREATE OR REPLACE TEMP TABLE costs_{name} AS SELECT row_no, time, model_id, cost_usd FROM repriced"
        )
    moments = {"former": start - (end - start), "start": start, "end": end, "month": end - MONTH}
    rows = published.ask(_COSTS, moments).records()
    models = [_effects(str(row["model_id"]), row) for row in rows]
    whole = _added(rows)
    return Impact(
        _effects("", whole),
        sorted(models, key=lambda one: (-abs(one.change_usd), one.label)),
        _expiring(repriced, question, moments),
        whole["unpriced_count"],
        whole["without_start_count"],
        whole["without_end_count"],
    )


_SUMS = ("former_own", "former_start", "own", "started", "month_start", "month_end")

_COUNTS = ("former_count", "request_count", "unpriced_count", "without_start_count", "without_end_count")

_FORMER = "o.time >= $former AND o.time < $start AND o.cost_usd IS NOT NULL"
_PERIOD = "o.time >= $start AND o.time < $end AND o.cost_usd IS NOT NULL"
_MONTH = "o.time >= $month AND o.time < $end AND o.cost_usd IS NOT NULL"


def _when(condition: str, amount: str, name: str) -> str:
    return exact_sum(f"CASE WHEN {condition} THEN {amount} END", name)


_COSTS = f"""
SELECT
    o.model_id,
    count(*) FILTER ({_FORMER}) AS former_count,
    count(*) FILTER ({_PERIOD}) AS request_count,
    count(*) FILTER (o.cost_usd IS NULL AND o.time >= least($former, $month) AND o.time < $end) AS unpriced_count,
    count(*) FILTER (s.cost_usd IS NULL AND (({_FORMER}) OR ({_PERIOD}))) AS without_start_count,
    count(*) FILTER (e.cost_usd IS NULL AND ({_MONTH})) AS without_end_count,
    {_when(_FORMER, "o.cost_usd", "former_own")},
    {_when(_FORMER, "coalesce(s.cost_usd, o.cost_usd)", "former_start")},
    {_when(_PERIOD, "o.cost_usd", "own")},
    {_when(_PERIOD, "coalesce(s.cost_usd, o.cost_usd)", "started")},
    {_when(_MONTH, "coalesce(s.cost_usd, o.cost_usd)", "month_start")},
    {_when(_MONTH, "coalesce(e.cost_usd, o.cost_usd)", "month_end")}
FROM costs_own AS o
JOIN costs_started AS s ON s.row_no = o.row_no
JOIN costs_ended AS e ON e.row_no = o.row_no
WHERE o.time >= least($former, $month) AND o.time < $end
GROUP BY o.model_id
ORDER BY o.model_id
"""


def _added(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    whole: dict[str, Any] = {name: sum(int(row[name]) for row in rows) for name in _COUNTS}
    for name in _SUMS:
        whole[f"{name}_whole"] = add(*(row[f"{name}_whole"] for row in rows))
        whole[f"{name}_part"] = add(*(row[f"{name}_part"] for row in rows))
    return whole


def _effects(label: str, row: Mapping[str, Any]) -> Effects:
    amount = {name: add(row[f"{name}_whole"], row[f"{name}_part"]) for name in _SUMS}
    former_count, request_count = int(row["former_count"]), int(row["request_count"])
    price = add(less(amount["own"], amount["started"]), less(amount["former_start"], amount["former_own"]))
    growth = less(amount["started"], amount["former_start"])
    volume = growth
    if former_count:
        exact = Fraction(amount["former_start"]) * Fraction(request_count - former_count, former_count)
        volume = rounded(exact, DIGITS, "half-even")
    return Effects(
        label,
        former_count,
        request_count,
        amount["former_own"],
        amount["own"],
        price,
        volume,
        less(growth, volume),
        amount["month_start"],
        amount["month_end"],
    )


def _expiring(repriced: Repriced, question: Question, moments: Mapping[str, datetime]) -> list[Expiring]:
    counts = {
        name: f"sum(u.{name})" if repriced.usage.has(name) else "0" for name in ("prompt_tokens", "completion_tokens")
    }
    query = _EXPIRING.format(**counts, month=exact_sum("o.cost_usd", "month"))
    parameters = {"month": moments["month"], "end": moments["end"], "source": question.source}
    return [
        Expiring(
            row["model_id"],
            row["expiration_date"],
            row["days_left"],
            row["request_count"],
            add(row["month_whole"], row["month_part"]),
            row["same_usd"],
            row["replacement"],
            row["replacement_usd"],
        )
        for row in repriced.published.ask(query, parameters).records()
    ]


_EXPIRING = """
WITH used AS (
    SELECT
        o.model_id, count(*) AS request_count, {month},
        CAST({prompt_tokens} AS DECIMAL(18, 0)) AS prompt_tokens,
        CAST({completion_tokens} AS DECIMAL(18, 0)) AS completion_tokens
    FROM costs_own AS o
    JOIN usage AS u ON u.row_no = o.row_no
    WHERE o.time >= $month AND o.time < $end AND o.model_id IS NOT NULL
    GROUP BY o.model_id
),

-- dates that still stand, sentinels left out
ending AS (
    SELECT model_id, expiration_date, days_left
    FROM marts.expirations
    WHERE source = $source AND status IN ('announced', 'passed_still_listed') AND NOT is_placeholder
),

priced AS (
    SELECT
        m.model_id, m.context_length, m.input_modalities, m.output_modalities, m.is_alias, m.base_model_id,
        max(CASE WHEN p.price_kind = 'prompt' THEN p.price_usd END) AS prompt_usd,
        max(CASE WHEN p.price_kind = 'completion' THEN p.price_usd END) AS completion_usd
    FROM marts.models AS m
    JOIN marts.prices AS p ON p.source = m.source AND p.model_id = m.model_id
    WHERE m.source = $source
    GROUP BY ALL
),

offers AS (
    SELECT
        u.model_id, c.model_id AS replacement,
        TRY(u.prompt_tokens * c.prompt_usd + u.completion_tokens * c.completion_usd) AS usd
    FROM used AS u
    JOIN ending AS x ON x.model_id = u.model_id
    JOIN priced AS m ON m.model_id = u.model_id
    JOIN priced AS c
        ON c.base_model_id <> m.base_model_id AND NOT c.is_alias
        AND coalesce(c.context_length, 0) >= coalesce(m.context_length, 0)
        AND list_has_all(c.input_modalities, m.input_modalities)
        AND list_has_all(c.output_modalities, m.output_modalities)
    -- free variants are rationed, and a model that goes away itself is no replacement
    WHERE c.prompt_usd > 0 AND c.model_id NOT IN (SELECT model_id FROM ending)
),

cheapest AS (
    SELECT model_id, min(usd) AS usd, min_by(replacement, (usd, replacement)) AS replacement
    FROM offers
    WHERE usd IS NOT NULL
    GROUP BY model_id
)

SELECT
    u.model_id, x.expiration_date, x.days_left, u.request_count, u.month_whole, u.month_part,
    TRY(u.prompt_tokens * m.prompt_usd + u.completion_tokens * m.completion_usd) AS same_usd,
    c.replacement, c.usd AS replacement_usd
FROM used AS u
JOIN ending AS x ON x.model_id = u.model_id
LEFT JOIN priced AS m ON m.model_id = u.model_id
LEFT JOIN cheapest AS c ON c.model_id = u.model_id
ORDER BY x.expiration_date, u.model_id
"""

"""Pricing against genai-prices, another program that knows what OpenRouter's models cost.

Belongs here: requests per second, and whether both find the same costs where both hold the same list prices.
Does not belong here: the adapter that runs in its environment (`peers/`), a plain join (`finance`).

The two do not work alike: the product prices a log as a set, reads it and writes each row; `calc_price` prices one
request a call, in one thread, and nothing is read or written in its time. Both costs are exact decimals.

Lists are held against each other as they stood at the bundle's last snapshot. Where prompt, completion and request cost
the same, requests on both sides of every tier are priced by both, with all other kinds that cost the same. What differs
is told in `docs/genai-prices.md`.
"""

from __future__ import annotations

import csv
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import orjson
import polars as pl

from pipelines.ledger.connect import literal
from pipelines.ledger.published import Published
from pipelines.reports.repricing import reprice
from tests.benchmarks.bundle import import_whole
from tests.benchmarks.environments import ROOT, Environment, NotToBeHadError, environment
from tests.benchmarks.finance import ROWS, SMALL_ROWS, make_log, price
from tests.benchmarks.measure import Against, Bar, Finding, Plan, Unit, interleaved, seconds_of
from tests.benchmarks.others import Peer
from tests.benchmarks.report import between_marks

NAME = "genai-prices"

SPEED = Bar(
    "genai_prices",
    "a million requests priced, as a set, each row read and written",
    200,
    Against.SLOWER_BASELINE,
    baseline="genai-prices, `calc_price` a call each, nothing written",
)
AGREEMENT = Bar(
    "genai_agreement", "requests whose costs differ where both hold the same list price", 0, unit=Unit.REQUESTS
)

BARS = (SPEED, AGREEMENT)

SAMPLE = 20_000
"""Requests of the log that `calc_price` is called for in each run."""

REQUESTS_A_MODEL = 40

PAGE = ROOT / "docs" / "genai-prices.md"

MILLION = 1_000_000


def measure(plan: Plan) -> Iterator[Finding]:
    """How fast both are, in turns, and whether they agree."""
    if plan.bundle is None:
        yield from plan.absent_bundle(BARS)
        return
    try:
        at_hand = environment(NAME, (NAME,), plan.tell)
    except NotToBeHadError as problem:
        yield from (Finding(bar.key, reason=str(problem)) for bar in BARS)
        return
    warehouse = plan.folder / "warehouse"
    plan.tell("importing the bundle")
    import_whole(plan.bundle, warehouse)
    yield _speed(plan, warehouse, at_hand)
    plan.tell("holding lists and costs against each other")
    found = compare(warehouse, at_hand, plan.folder)
    if not plan.is_small:
        text = PAGE.read_text(encoding="utf-8")
        PAGE.write_text(between_marks(text, NAME, found.in_markdown(at_hand.versions)), encoding="utf-8")
    yield Finding(AGREEMENT.key, [float(found.differing)], note=f"of {found.requests:,}, {found.models}")


def _speed(plan: Plan, warehouse: Path, at_hand: Environment) -> Finding:
    log, sample = plan.folder / "usage.parquet", plan.folder / "sample.csv"
    count = SMALL_ROWS if plan.is_small else ROWS
    plan.tell(f"making a log of {count:,} requests")
    make_log(warehouse, log, count)
    duckdb.connect().execute(
        f"""
        COPY (SELECT epoch_us(time) AS time_us, * EXCLUDE (time) FROM read_parquet({literal(str(log))}) LIMIT {SAMPLE})
        TO {literal(str(sample))} (FORMAT csv)
        """
    )
    folder = plan.folder / "speed"
    folder.mkdir()
    plan.tell("pricing it")
    with Peer(at_hand, NAME, folder) as peer:
        ours, theirs = interleaved(
            plan.rounds,
            partial(seconds_of, partial(price, warehouse, log, plan.folder / "priced.parquet")),
            partial(peer.seconds_for, sample),
        )
        told = peer.closing()
    called = told["requests"]
    note = f"{count:,} requests, and calls for the {called:,} of {SAMPLE:,} whose models it knows; {at_hand.versions}"
    return Finding(
        SPEED.key,
        [one * MILLION / count for one in ours],
        [one * MILLION / called for one in theirs],
        note=note,
    )


# --- agreement ------------------------------------------------------------------------------------------------------

Tiers = list[tuple[int, Decimal]]
"""From how many prompt tokens which price holds."""

KINDS: Mapping[str, tuple[str, int]] = {
    "prompt": ("input_mtok", MILLION),
    "completion": ("output_mtok", MILLION),
    "internal_reasoning": ("output_reasoning_mtok", MILLION),
    "input_cache_read": ("cache_read_mtok", MILLION),
    "input_cache_write": ("cache_write_mtok", MILLION),
    "web_search": ("web_searches_kcount", 1000),
    "request": ("requests_kcount", 1000),
}
"""Price kinds that requests here may pay, with the key there and the number of units that its price is for."""

STANDS_FOR = {"internal_reasoning": "completion", "input_cache_read": "prompt", "input_cache_write": "prompt"}
"""What is paid on both sides where a kind is not priced."""


@dataclass(frozen=True)
class Difference:
    """Prices of one kind that are not the same, per million units."""

    model_id: str
    kind: str
    ours: str
    theirs: str
    reason: str


@dataclass(frozen=True)
class Comparison:
    """What came of it.

    ``absent`` models are listed but not known there, ``other`` ones have another price for prompt, completion or
    request, ``same`` ones have the same ones.
    """

    at: datetime
    absent: int
    other: int
    same: int
    requests: int
    costs: Sequence[Difference]
    lists: Sequence[Difference]

    @property
    def differing(self) -> int:
        """Requests whose costs differ although the lists are the same."""
        return len(self.costs)

    @property
    def models(self) -> str:
        """How many models there are of each sort."""
        return f"{self.same} models with the same list price, {self.other} with another, {self.absent} unknown there"

    def in_markdown(self, versions: str) -> str:
        """Counts and all differences."""
        reasons = Counter(one.reason for one in self.lists)
        lines = [
            f"{versions}, and the bundle's last snapshot of {self.at:%Y-%m-%d %H:%M} UTC: {self.models}. Of "
            f"{self.requests:,} requests that use what both price alike {self.differing:,} cost another amount.",
            "",
            "| reason of a price that is not the same | prices |",
            "|---|--:|",
            *(f"| {reason} | {count} |" for reason, count in reasons.most_common()),
            "",
            "| model | kind | here | there | reason |",
            "|---|---|---|---|---|",
        ]
        told = [*self.costs, *self.lists]
        lines += [f"| `{one.model_id}` | {one.kind} | {one.ours} | {one.theirs} | {one.reason} |" for one in told]
        return "\n".join(lines)


def compare(warehouse: Path, at_hand: Environment, folder: Path) -> Comparison:
    """Lists as they stood at the last snapshot, and costs where they are the same."""
    with Published(warehouse) as published:
        at = published.ask("SELECT max(observed_at) FROM marts.snapshots").rows[0][0]
        ours = _our_lists(published, at)
        history = _past_prices(published)
    theirs = _their_lists(at_hand, folder / "lists", list(ours), at)
    lists = [one for model in sorted(theirs) for one in _differences(model, ours[model], theirs[model], history)]
    alike = {model: {kind for kind in KINDS if _is_paid_alike(kind, ours[model], theirs[model])} for model in theirs}
    same = [model for model in sorted(alike) if alike[model] >= {"prompt", "completion", "request"}]
    rows = [row for model in same for row in _requests(model, ours[model], alike[model], at)]
    costs = _unlike_costs(warehouse, at_hand, folder / "costs", rows)
    return Comparison(at, len(ours) - len(theirs), len(theirs) - len(same), len(same), len(rows), costs, lists)


def _our_lists(published: Published, at: datetime) -> dict[str, dict[str, Tiers]]:
    """What a request at ``at`` pays, by model and kind; nothing where nothing is listed."""
    rows = published.ask(
        f"""
        SELECT model_id, min_prompt_tokens, {", ".join(f"{kind}_usd" for kind in KINDS)}
        FROM marts.request_price_history()
        WHERE
            source = 'openrouter' AND valid_from <= $at AND (valid_to IS NULL OR valid_to > $at)
            AND (isodow($at) - 1) * 1440 + hour($at) * 60 + minute($at) BETWEEN week_from AND week_to - 1
            AND dynamic_kinds IS NULL
        ORDER BY model_id, min_prompt_tokens
        """,
        {"at": at},
    ).rows
    lists: dict[str, dict[str, Tiers]] = {}
    for model, least, *prices in rows:
        tiers = lists.setdefault(model, {})
        for kind, one in zip(KINDS, prices, strict=True):
            # zero for reasoning means that none is set apart: see docs/finance.md
            if one is not None and not (kind == "internal_reasoning" and one == 0):
                tiers.setdefault(kind, []).append((least, one))
    return {model: {kind: _merged(one) for kind, one in tiers.items()} for model, tiers in lists.items()}


def _past_prices(published: Published) -> dict[tuple[str, str], dict[Decimal, datetime]]:
    """When each headline price of a model was last seen."""
    rows = published.ask(
        """
        SELECT model_id, price_kind, price_usd, max(last_seen_at)
        FROM marts.price_history WHERE source = 'openrouter' AND price_usd IS NOT NULL GROUP BY ALL
        """
    ).rows
    seen: dict[tuple[str, str], dict[Decimal, datetime]] = {}
    for model, kind, one, last in rows:
        seen.setdefault((model, kind), {})[one] = last
    return seen


def _their_lists(
    at_hand: Environment, folder: Path, models: Sequence[str], at: datetime
) -> dict[str, dict[str, Tiers]]:
    nothing: dict[str, Any] = dict.fromkeys(_COUNTS, 0)
    _asked(at_hand, folder, [{"model": model, "time": at, **nothing} for model in models])
    lists = orjson.loads((folder / "lists.json").read_bytes())
    return {
        model: {
            kind: _merged([(least, Decimal(one) / per) for least, one in prices[key]])
            for kind, (key, per) in KINDS.items()
            if key in prices
        }
        for model, prices in lists.items()
    }


_COUNTS = (
    "prompt_tokens",
    "completion_tokens",
    "reasoning_tokens",
    "cache_read_tokens",
    "cache_write_5m_tokens",
    "web_searches",
)


def _asked(at_hand: Environment, folder: Path, rows: Sequence[Mapping[str, Any]]) -> list[Decimal]:
    """What genai-prices says that requests cost, of models that it knows."""
    folder.mkdir()
    path = folder / "requests.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["time_us", "model", *_COUNTS])
        for row in rows:
            writer.writerow([round(row["time"].timestamp() * 1e6), row["model"], *(row[name] for name in _COUNTS)])
    with Peer(at_hand, NAME, folder) as peer:
        peer.seconds_for(path)
        peer.closing()
    return [Decimal(one) for one in orjson.loads((folder / "costs.json").read_bytes())]


def _merged(tiers: Tiers) -> Tiers:
    """Without tiers that change nothing."""
    return [one for place, one in enumerate(tiers) if place == 0 or tiers[place - 1][1] != one[1]]


def _paid(tiers: Mapping[str, Tiers], kind: str) -> Tiers:
    """What is paid for ``kind``: of what both sides take to be free where it is not priced, zero."""
    stand_in = STANDS_FOR.get(kind)
    return tiers.get(kind) or (_paid(tiers, stand_in) if stand_in else [(0, Decimal(0))])


def _differences(
    model: str,
    ours: Mapping[str, Tiers],
    theirs: Mapping[str, Tiers],
    history: Mapping[tuple[str, str], Mapping[Decimal, datetime]],
) -> Iterator[Difference]:
    for kind in KINDS:
        if (kind in ours or kind in theirs) and not _is_paid_alike(kind, ours, theirs):
            here, there = _paid(ours, kind), _paid(theirs, kind)
            reason = _reason(here, there, kind in ours, kind in theirs, history.get((model, kind), {}))
            yield Difference(model, kind, _shown(here), _shown(there), reason)


def _is_paid_alike(kind: str, ours: Mapping[str, Tiers], theirs: Mapping[str, Tiers]) -> bool:
    return _paid(ours, kind) == _paid(theirs, kind)


def _reason(here: Tiers, there: Tiers, is_here: bool, is_there: bool, past: Mapping[Decimal, datetime]) -> str:
    if not is_there:
        return "not priced there"
    if not is_here:
        return "not priced here"
    if here[0] == there[0]:
        return "other tiers"
    if there[0][1] in past:
        return "the list's price before"
    if there[0][1] and here[0][1].quantize(there[0][1]) == there[0][1]:
        return "the same to the digits there"
    return "not a price of the list up to then"


def _shown(tiers: Tiers) -> str:
    """Per million units."""
    amounts = [(least, f"{one * MILLION:.12f}".rstrip("0").rstrip(".")) for least, one in tiers]
    return ", ".join(amount + (f" from {least:,}" if least else "") for least, amount in amounts)


def _requests(model: str, tiers: Mapping[str, Tiers], alike: Set[str], at: datetime) -> Iterator[dict[str, Any]]:
    """Requests of all sizes, those around each tier among them, that use what is paid alike; the same each time."""
    chance = random.Random(model)
    edges = sorted({least for one in tiers.values() for least, _ in one if least})
    sizes = [size for edge in edges for size in (edge - 1, edge)]
    while len(sizes) < REQUESTS_A_MODEL:
        sizes.append(chance.randrange(10 ** chance.randrange(1, 7)))
    for prompt in sizes:
        completion = chance.randrange(10_000)
        read = chance.choice([0, chance.randrange(prompt + 1)]) if "input_cache_read" in alike else 0
        written = chance.choice([0, chance.randrange(prompt - read + 1)]) if "input_cache_write" in alike else 0
        reasoning = chance.choice([0, chance.randrange(completion + 1)]) if "internal_reasoning" in alike else 0
        yield {
            "model": model,
            "time": at,
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "reasoning_tokens": reasoning,
            "cache_read_tokens": read,
            "cache_write_5m_tokens": written,
            "web_searches": chance.randrange(4) if "web_search" in tiers.keys() & alike else 0,
        }


def _unlike_costs(
    warehouse: Path, at_hand: Environment, folder: Path, rows: Sequence[Mapping[str, Any]]
) -> list[Difference]:
    ours = reprice(pl.DataFrame(rows), warehouse)["cost_usd"].to_list()
    theirs = _asked(at_hand, folder, rows)
    return [
        Difference(row["model"], "a request", str(here), str(there), f"{row['prompt_tokens']:,} prompt tokens")
        for row, here, there in zip(rows, ours, theirs, strict=True)
        if here != there
    ]

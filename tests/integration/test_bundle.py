"""Two years of real captures, against the figures of an independent program and against the oracle, row by row.

Belongs here: what only the real archive shows. Does not belong here: what a simulation shows as well (`test_truth`).
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest

from pipelines.backfill import backfill
from pipelines.captures import Capture
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.published import Published
from pipelines.reports.repricing import reprice
from pipelines.scopes import TEXT_MODELS
from pipelines.sources.archives import open_archive
from tests.bookkeeper import Bookkeeper
from tests.compare import (
    KEYS,
    UNTOLD_MARTS,
    Marts,
    assert_marts_equal,
    assert_same_history,
    published_marts,
)
from tests.integration.test_reprice import differences
from tests.oracle import Answer, tell

pytestmark = [pytest.mark.xdist_group("bundle"), pytest.mark.slow]
"""One worker loads the archive, once."""

ALL_MARTS = (*KEYS, *UNTOLD_MARTS)

STEADY = "FROM marts.price_changes WHERE NOT after_absence"
DATES = "FROM marts.attribute_changes WHERE attribute = 'expiration_date' AND NOT after_absence"

FIGURES: Mapping[str, tuple[str, int]] = {
    "snapshots": ("SELECT count(*) FROM marts.snapshots", 1_107),
    "observations": ("SELECT sum(model_count) FROM marts.snapshots", 346_980),
    "distinct ids": ("SELECT count(DISTINCT model_id) FROM marts.model_spells", 979),
    "listed at the end": ("SELECT count(*) FROM marts.models", 421),
    "appearances after the first snapshot": ("SELECT count(*) FROM marts.model_events WHERE event <> 'removed'", 918),
    "returns": ("SELECT count(*) FROM marts.model_events WHERE event = 'returned'", 117),
    "ids that returned": ("SELECT count(DISTINCT model_id) FROM marts.model_events WHERE event = 'returned'", 104),
    "removals": ("SELECT count(*) FROM marts.model_events WHERE event = 'removed'", 675),
    "spells": ("SELECT count(*) FROM marts.model_spells", 1_096),
    "headline price changes": (f"SELECT count(*) {STEADY}", 8_140),
    "increase": (f"SELECT count(*) {STEADY} AND change_kind = 'increase'", 1_666),
    "decrease": (f"SELECT count(*) {STEADY} AND change_kind = 'decrease'", 2_198),
    "became_paid": (f"SELECT count(*) {STEADY} AND change_kind = 'became_paid'", 171),
    "became_free": (f"SELECT count(*) {STEADY} AND change_kind = 'became_free'", 58),
    "became_fixed": (f"SELECT count(*) {STEADY} AND change_kind = 'became_fixed'", 2),
    "listed": (f"SELECT count(*) {STEADY} AND change_kind = 'listed'", 1_690),
    "unlisted": (f"SELECT count(*) {STEADY} AND change_kind = 'unlisted'", 2_355),
    "repricings": (f"SELECT count(*) {STEADY} AND is_repricing", 4_093),
    "changes of context_length": (
        "SELECT count(*) FROM marts.attribute_changes WHERE attribute = 'context_length' AND NOT after_absence",
        859,
    ),
    "listed with an expiration date at the end": (
        "SELECT count(*) FROM marts.models WHERE expiration_date IS NOT NULL",
        13,
    ),
    "dates announced while listed": (f"SELECT count(*) {DATES} AND old_value IS NULL", 110),
    "dates withdrawn": (f"SELECT count(*) {DATES} AND new_value IS NULL", 26),
    "dates moved": (f"SELECT count(*) {DATES} AND old_value IS NOT NULL AND new_value IS NOT NULL", 22),
}
"""The table of the order, each figure with the question that answers it."""


class Killed(BaseException):
    """Stands for the end of a process."""


def load(bundle: Path, warehouse: Path, *, stop_after: int | None = None) -> tuple[int, int]:
    """Import the bundle as the terminal does, and publish; how many captures were new and how many known.

    ``stop_after`` so many items the process dies.
    """
    done = 0

    def count(items: int) -> None:
        nonlocal done
        done += items
        if stop_after is not None and done >= stop_after:
            raise Killed

    with open_archive(bundle, scope=TEXT_MODELS, member="models.json") as archive, Ledger(warehouse) as ledger:
        tally = backfill(archive, ledger, count)
        ledger.publish()
    assert not tally.suspicious
    assert not tally.unreadable
    return tally.new, tally.known


def captures_of(bundle: Path) -> list[Capture]:
    with open_archive(bundle, scope=TEXT_MODELS, member="models.json") as archive:
        return [item for item in archive if isinstance(item, Capture)]


def row_counts(warehouse: Path) -> dict[str, int]:
    """Of every table of the published file."""
    with Published(warehouse) as published:
        tables = published.ask(
            "SELECT schema_name || '.' || table_name FROM duckdb_tables() WHERE schema_name IN ('raw', 'core')"
        ).rows
        return {table: published.ask(f"SELECT count(*) FROM {table}").rows[0][0] for (table,) in tables}


@pytest.fixture(scope="module")
def warehouse(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A warehouse into which the bundle was loaded once, without a break."""
    folder = tmp_path_factory.mktemp("bundle")
    assert load(bundle, folder) == (1_107, 0)
    return folder


@pytest.fixture(scope="module")
def marts(warehouse: Path) -> Marts:
    return published_marts(warehouse, ALL_MARTS)


def test_figures_are_those_of_the_independent_program(bundle: Path, warehouse: Path) -> None:
    """Truths 5 and 6. Seen red with `-0` read as a price of its own, and with a removal at every absence."""
    with Published(warehouse) as published:
        found = {name: published.ask(question).rows[0][0] for name, (question, _) in FIGURES.items()}
    assert found == {name: figure for name, (_, figure) in FIGURES.items()}


def test_marts_are_what_the_oracle_tells(bundle: Path, marts: Marts) -> None:
    """Truths 2, 5, 6 and 11, on every row. Was red with `element_at` in
    `attribute_changes.sql`, on 1,196 rows."""
    told = tell(Answer(one.observed_at, False, one.body) for one in captures_of(bundle))
    assert_marts_equal(marts, told)


def test_requests_cost_what_the_oracle_says(bundle: Path, warehouse: Path) -> None:
    """Every hundredth model, and those with rules and aliases, over two years and beyond both ends."""
    listings = [(one.observed_at, orjson.loads(one.body)["data"]) for one in captures_of(bundle)]
    every = [model for _, models in listings for model in models]
    chosen = {*sorted({model["id"] for model in every})[::100]}
    chosen |= {model["id"] for model in every if "overrides" in model["pricing"] or "alias_target" in model}
    chosen |= {model["alias_target"]["slug"] for model in every if "alias_target" in model}
    answers = [
        Answer(at, False, orjson.dumps({"data": [one for one in models if one["id"] in chosen]}), "accept")
        for at, models in listings
    ]
    chance, days = random.Random(5), (listings[-1][0] - listings[0][0]).days
    rows = [_request(chance, sorted(chosen), listings[0][0] - timedelta(days=3), days + 6) for _ in range(2_000)]
    found = reprice(pl.DataFrame(rows), warehouse).to_dicts()
    assert "\n".join(differences(found, rows, Bookkeeper(answers))[:10]) == ""
    assert {"exact", "changed_within_gap", "not_listed_then"} < {one["confidence"] for one in found}


def _request(chance: random.Random, models: list[str], start: datetime, days: int) -> dict[str, Any]:
    prompt, completion = chance.choice((0, 90, 5_000, 272_000, 272_001, 900_000)), chance.randrange(5_000)
    return {
        "time": start + chance.random() * timedelta(days=days),
        "model": chance.choice(models),
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "reasoning_tokens": chance.choice((0, completion // 2)),
        "cache_read_tokens": chance.choice((0, prompt // 2)),
        "cache_write_5m_tokens": chance.choice((0, prompt // 4)),
        "web_searches": chance.choice((0, 0, 0, 2)),
    }


def test_interrupted_import_gives_the_same_history(bundle: Path, marts: Marts, tmp_path: Path) -> None:
    """Truth 4: killed after a commit, then between storing a pack and its commit, then left alone.

    Seen red with `_catch_up` leaving out the packs that no commit took.
    """
    for stop_after in (200, 500):
        with pytest.raises(Killed):
            load(bundle, tmp_path, stop_after=stop_after)
    with Ledger(tmp_path) as ledger:
        stored = len(ledger.rows("SELECT * FROM raw.captures"))
        ledger.raw.write(captures_of(bundle)[600:640])
    with Ledger(tmp_path) as ledger:
        assert len(ledger.rows("SELECT * FROM raw.captures")) == stored + 40
    new, known = load(bundle, tmp_path)
    assert (new, known) == (1_107 - stored - 40, stored + 40)
    assert_same_history(published_marts(tmp_path, ALL_MARTS), marts)


def test_second_import_changes_nothing(bundle: Path, warehouse: Path, marts: Marts) -> None:
    """Truth 4. Seen red with `facts.append` taking known captures for new ones."""
    before = row_counts(warehouse)
    assert load(bundle, warehouse) == (0, 1_107)
    assert row_counts(warehouse) == before
    assert_marts_equal(published_marts(warehouse, ALL_MARTS), marts)

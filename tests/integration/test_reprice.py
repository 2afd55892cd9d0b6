"""What a log cost, against an oracle that prices one request at a time.

Belongs here: costs, confidence, assumptions and bounds on made-up histories, digit by digit.
Does not belong here: bad input and the terminal (`test_finance_cli`), the recipe in the docs (`test_finance_docs`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from pipelines.ledger.published import Published
from pipelines.reports import repricing as subject
from pipelines.reports.repricing import CONFIDENCE, NOT_UNDERSTOOD, Conventions, Question, reprice, repriced_by
from tests.bookkeeper import KIND_OF, Bookkeeper
from tests.ledgers import START, World
from tests.oracle import Answer
from tests.property.small import warehouse_of

Row = dict[str, Any]


@pytest.fixture(scope="module")
def world() -> World:
    return World(6)


@pytest.fixture(scope="module")
def warehouse(world, tmp_path_factory) -> Path:
    """The history loaded in three batches out of order, published."""
    from pipelines.ledger.ledger import Ledger
    from tests.property.small import load

    folder: Path = tmp_path_factory.mktemp("finance")
    with Ledger(folder) as ledger:
        for part in (slice(0, None, 3), slice(2, None, 3), slice(1, None, 3)):
            load(ledger, world.answers[part])
        ledger.publish()
    return folder


def differences(found: Sequence[Row], rows: Sequence[Row], bookkeeper: Bookkeeper) -> list[str]:
    """What the command says otherwise than the oracle, a line a cell."""
    wrong = []
    for row, one in zip(rows, found, strict=True):
        told = bookkeeper.price(row)
        expected: dict[str, Any] = {
            "model_id": told.model_id,
            "confidence": told.confidence,
            "cost_usd": told.total,
            "lower_usd": told.lower,
            "upper_usd": told.upper,
            "assumptions": told.assumptions,
            **{f"{kind}_usd": told.costs.get(kind) for kind in KIND_OF.values()},
        }
        shown = {**one, "assumptions": assumed(one)}
        for column, value in expected.items():
            if column in shown and shown[column] != value:
                wrong.append(
                    f"row {one['row_no']} {row['model']} {row['time']}: {column} {shown[column]} and not {value}"
                )
    return wrong


def assumed(row: Mapping[str, Any]) -> list[str]:
    return sorted({*(row["assumptions"] or "").split(", ")} - {"", NOT_UNDERSTOOD})


def check(
    world: World, warehouse: Path, count: int, conventions: Conventions, *, counts_requests: bool
) -> Counter[str]:
    rows = world.log(count, counts_requests=counts_requests)
    if conventions.reasoning == "exclusive":
        rows = [{**row, "reasoning_tokens": row["reasoning_tokens"] * 2 + 1} for row in rows]
    found = reprice(
        pl.DataFrame(rows, infer_schema_length=None), warehouse, Question(conventions=conventions)
    ).to_dicts()
    bookkeeper = Bookkeeper(world.answers, conventions.cached, conventions.reasoning)
    assert "\n".join(differences(found, rows, bookkeeper)[:10]) == ""
    return Counter(row["confidence"] for row in found)


def test_every_row_costs_what_the_oracle_says(world, warehouse):
    """Broken once each: a tier at its threshold, an instant on the edge of a gap, cached tokens paid twice, an alias
    paid by its own list."""
    told = check(world, warehouse, 5_000, Conventions(), counts_requests=True)
    assert {*CONFIDENCE} - told.keys() == {"unreadable_price", "beyond_decimal"}
    assert min(told.values()) >= 20, told


@pytest.mark.parametrize("cached", ["inclusive", "exclusive"])
@pytest.mark.parametrize("reasoning", ["inclusive", "exclusive"])
def test_conventions_change_what_the_counts_mean(world, warehouse, cached, reasoning):
    """Broken once by asking tiers about prompt tokens without the cached ones where these stand beside them."""
    conventions = Conventions(cached=cached, reasoning=reasoning)
    check(world, warehouse, 800, conventions, counts_requests=False)


@pytest.mark.slow
def test_a_hundred_thousand_rows_are_right_to_the_last_digit(world, warehouse):
    check(world, warehouse, 100_000, Conventions(), counts_requests=True)


@pytest.mark.parametrize("seed", range(5))
def test_other_histories_too(seed):
    other = World(100 + seed)
    with warehouse_of([other.answers[:60], other.answers[60:]]) as ledger:
        ledger.publish()
        check(other, ledger.warehouse, 600, Conventions(), counts_requests=False)


def test_amounts_are_exact_decimals(world, warehouse):
    found = reprice(pl.DataFrame(world.log(10)), warehouse)
    assert found.schema["cost_usd"] == found.schema["prompt_usd"] == pl.Decimal(38, 24)
    assert found["row_no"].to_list() == list(range(1, 11))
    assert all(isinstance(one, Decimal | None) for one in found["cost_usd"])


@pytest.mark.parametrize("most", [0, 2])
def test_names_are_told_alike_as_codes_and_as_texts(world, warehouse, tmp_path, monkeypatch, most):
    """A log of more names than get codes. Red where a frame held the codes themselves."""
    log = pl.DataFrame([{**row, "model": row["model"] + "x" * (place % 3)} for place, row in enumerate(world.log(300))])
    coded = reprice(log, warehouse)
    assert coded["nearest_ids"].drop_nulls().n_unique() > 1
    assert {"exact", "unknown_model"} < set(coded["confidence"])
    monkeypatch.setattr(subject, "MOST_CODED", most)
    assert_frame_equal(reprice(log, warehouse), coded)
    with Published(warehouse) as published, repriced_by(published, log):
        published.write_parquet("SELECT * FROM repriced", tmp_path / "rows.parquet")
    assert_frame_equal(pl.read_parquet(tmp_path / "rows.parquet").sort("row_no"), coded)


def test_the_nearest_ids_of_the_first_unknown_names_are_told(world, warehouse, monkeypatch):
    """Each takes milliseconds, and a column of other ids has millions of names. Red without the limit."""
    monkeypatch.setattr(subject, "MOST_NEAREST", 1)
    known = world.log(1)[0]
    found = reprice(pl.DataFrame([{**known, "model": known["model"] + end} for end in ("y", "x", "z")]), warehouse)
    assert [one is not None for one in found["nearest_ids"]] == [False, True, False]


SILENT = {"prompt": "0.000001", "completion": "0.000002"}
ASSUMED = {
    "input_cache_read": "cache_read_tokens",
    "input_cache_write": "cache_write_5m_tokens",
    "input_cache_write_1h": "cache_write_1h_tokens",
    "internal_reasoning": "reasoning_tokens",
}


def test_nothing_is_assumed_where_the_list_says_that_a_price_is_dynamic():
    """A list that says "-1" is not silent. Red with each of the four assumptions made all the same."""
    prices = {"a/silent": SILENT, **{f"a/{kind}": {**SILENT, kind: "-1"} for kind in ASSUMED}}
    models = [{"id": name, "name": name, "pricing": pricing} for name, pricing in prices.items()]
    bodies = [Answer(START + timedelta(days=day), True, orjson.dumps({"data": models})) for day in (0, 1)]
    used = {"prompt_tokens": 100, "completion_tokens": 100}
    rows = [
        {"time": START + timedelta(hours=1), "model": model, **used, **dict.fromkeys(ASSUMED.values(), 0), count: 10}
        for kind, count in ASSUMED.items()
        for model in ("a/silent", f"a/{kind}")
    ]
    with warehouse_of([bodies]) as ledger:
        ledger.publish()
        found = reprice(pl.DataFrame(rows), ledger.warehouse)
    assert found["confidence"].to_list() == ["exact", "dynamic"] * 4
    assert [cost is None for cost in found["cost_usd"]] == [False, True] * 4

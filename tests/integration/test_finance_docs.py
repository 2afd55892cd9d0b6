"""`docs/finance.md`: its SQL recipe and its Python example do what the command does.

Belongs here: executing the page. Does not belong here: whether the command is right (`test_reprice`).
"""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl
import pytest

from pipelines.ledger.ledger import Ledger
from pipelines.ledger.published import Published
from pipelines.reports.repricing import ASSUMPTIONS, CONFIDENCE, reprice
from tests.ledgers import World
from tests.property.small import load

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "finance.md").read_text(encoding="utf-8")

NAMES = ["time", "model", "prompt_tokens", "completion_tokens", "cache_read_tokens"]


@pytest.fixture(scope="module")
def world() -> World:
    return World(11)


@pytest.fixture(scope="module")
def place(world, tmp_path_factory) -> Path:
    folder: Path = tmp_path_factory.mktemp("finance")
    with Ledger(folder / "warehouse") as ledger:
        load(ledger, world.answers[:60])
        load(ledger, world.answers[60:])
        ledger.publish()
    return folder


def test_the_recipe_gives_what_the_command_gives(world, place):
    """Broken once by leaving out the range of the week, and by closing ranges of time at their end."""
    usage = pl.DataFrame(world.log(3_000), infer_schema_length=None).select(NAMES)
    usage = usage.filter(pl.col("model").is_in(world.ids))
    recipe = re.search(r"<!-- recipe -->\n\n```sql\n(.*?)```", PAGE, re.DOTALL)
    assert recipe
    with Published(place / "warehouse") as published:
        published.register("usage_rows", usage.with_row_index("row_no", offset=1))
        published.run("CREATE TEMP VIEW usage AS SELECT * FROM usage_rows")
        told = published.frame(recipe[1])
    priced = reprice(usage, place / "warehouse").filter(pl.col("cost_usd").is_not_null())
    assert len(priced) > 1_000
    assert set(priced["confidence"]) == {"exact", "changed_within_gap", "after_last_observation"}
    assert told["row_no"].is_unique().all()
    costs = {row["row_no"]: row["cost_usd"] for row in priced.to_dicts()}
    assert {row["row_no"]: row["cost_usd"] for row in told.to_dicts()} == costs
    labels = {row["row_no"]: row["confidence"] for row in priced.to_dicts()}
    assert {row["row_no"]: row["confidence"] for row in told.to_dicts()} == labels


@pytest.mark.parametrize("code", re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
def test_python_examples_run(code, place, monkeypatch):
    monkeypatch.chdir(place)
    exec(compile(code, "finance.md", "exec"), {})


def test_every_label_and_assumption_is_explained():
    for name in (*CONFIDENCE, *ASSUMPTIONS):
        assert f"`{name}`" in PAGE

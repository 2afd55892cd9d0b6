"""That what was known at a time can be told again at any later one.

Belongs here: truth 7. Does not belong here: what is known now (`test_order`).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import duckdb
import pytest
from hypothesis import given

from pipelines.ledger.ledger import Ledger
from tests.oracle import tell
from tests.property.small import HOURS, START, History, histories, load, warehouse_of
from tests.property.test_order import examples

INSTANTS = sorted({hours + shift for hours in HOURS for shift in (-1, 0)})


def at_instant(ledger: Ledger, macro: str, valid_at: datetime, known_at: datetime | None) -> list[str]:
    rows = ledger.rows(f"SELECT * FROM catalogue.marts.{macro}(?, known_at := ?)", [valid_at, known_at])
    return sorted(map(str, rows))


@examples(12)
@given(history=histories)
def test_the_past_is_told_as_it_was_known(history: History) -> None:
    """Truth 7: what a macro tells is what a warehouse tells that never learnt what came after `known_at`.

    Seen red with the snapshots in `prices_at.sql` those known now, and with `known_to >= known_at` for `>` in
    `models_at.sql`.
    """
    batches = history.batches()
    known = history.chance.randint(1, len(batches))
    with warehouse_of(batches[:known]) as ledger, warehouse_of(batches[:known]) as fresh:
        known_at = ledger.rows("SELECT max(recorded_at) FROM catalogue.core.commits")[0][0]
        for batch in batches[known:]:
            load(ledger, batch)
        for hours in history.chance.sample(INSTANTS, 6):
            valid_at = START + timedelta(hours=hours)
            for macro in ("models_at", "prices_at", "request_prices_at"):
                told = at_instant(ledger, macro, valid_at, known_at)
                assert told == at_instant(fresh, macro, valid_at, None), (macro, hours)


@examples(5)
@given(history=histories)
def test_knowledge_to_come_is_refused(history: History) -> None:
    """Truth 7: an answer as of a moment that no commit has reached would not stay.

    Seen red with `clocks.sql` taking any moment, and with `>=` for `>` in it.
    """
    with warehouse_of(history.batches()) as ledger:
        latest = ledger.rows("SELECT max(recorded_at) FROM catalogue.core.commits")[0][0]
        listed_at = ledger.rows("SELECT min(listed_from) FROM catalogue.marts.model_spells")[0][0]
        # where nothing is listed DuckDB 2 sees that there is nothing to tell before it looks at the question
        for macro in ("models_at", "prices_at", "request_prices_at") if listed_at else ():
            assert at_instant(ledger, macro, listed_at, latest) == at_instant(ledger, macro, listed_at, None)
            with pytest.raises(duckdb.Error, match="is later than all that this warehouse knows, which ends at"):
                at_instant(ledger, macro, listed_at, latest + timedelta(microseconds=1))


@examples(15)
@given(history=histories)
def test_prices_at_an_instant_are_those_of_the_history(history: History) -> None:
    """Truth 7 against the oracle, whose intervals hold at their start and not at their end.

    Seen red with `i.valid_to > q.valid_at` in `prices_at.sql` as `>=`.
    """
    columns = ("model_id", "price_kind", "price_text", "price_usd", "price_status", "valid_from", "valid_to")
    told = tell(history.answers)
    with warehouse_of([history.answers]) as ledger:
        for hours in history.chance.sample(INSTANTS, 8):
            at = START + timedelta(hours=hours)
            expected = [tuple(map(row.get, columns)) for row in told["price_history"] if _holds(row, at)]
            found = ledger.rows(f"SELECT {', '.join(columns)} FROM catalogue.marts.prices_at(?)", [at])
            assert sorted(found, key=_key) == sorted(expected, key=_key)
            listed = ledger.rows("SELECT model_id FROM catalogue.marts.models_at(?)", [at])
            known = [row["model_id"] for row in told["model_history"] if _holds(row, at)]
            assert sorted(one for (one,) in listed) == sorted(known)


def _holds(row: dict[str, Any], at: datetime) -> bool:
    return bool(row["valid_from"] <= at and (row["valid_to"] is None or at < row["valid_to"]))


def _key(row: tuple[Any, ...]) -> tuple[str, str]:
    return row[0], row[1]

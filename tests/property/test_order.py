"""That history is a function of the captures: not of their order, their batches, or how often they come.

Belongs here: truths 2, 3, 4, 5, 6, 8 and 11 on tiny catalogues, against the oracle and against another warehouse.
Does not belong here: what was known when (`test_clocks`).
"""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

from hypothesis import Phase, given, settings

from pipelines.ledger.ledger import Ledger
from tests.compare import KEYS, UNTOLD_MARTS, assert_marts_equal, assert_same_history, ledger_marts
from tests.oracle import judge, tell
from tests.property.small import History, histories, load, warehouse_of

ALL_MARTS = (*KEYS, *UNTOLD_MARTS)


PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
"""No shrinking: an answer would have to be loaded some hundred times more, and a seed cannot become simpler."""


def examples(number: int) -> settings:
    """Each example builds a warehouse on disk or two, and each batch is a commit of some tenths of a second; so there
    are few. ``CATALOGUE_EXAMPLES=50`` tries fifty times as many:

        CATALOGUE_EXAMPLES=50 make test ARGS=tests/property
    """
    return settings(max_examples=number * int(os.environ.get("CATALOGUE_EXAMPLES", "1")), phases=PHASES)


FACTS = (
    *("raw.captures", "raw.provenance", "core.commits", "core.decisions", "core.listings", "core.observations"),
    *("core.model_ids", "core.states", "core.price_lists", "core.prices", "core.price_rules", "core.versions"),
    "core.unknown_fields",
)

DERIVED = (
    *("core.verdicts", "core.runs", "core.spells", "core.state_intervals", "core.price_intervals"),
    *("core.rule_intervals", "core.price_changes", "core.attribute_changes"),
)


def rows_of(ledger: Ledger, table: str, columns: str = "*") -> Counter[Any]:
    return Counter(map(str, ledger.rows(f"SELECT {columns} FROM catalogue.{table}")))


def verdicts_of(ledger: Ledger) -> list[tuple[Any, ...]]:
    return sorted(
        ledger.rows(
            "SELECT c.observed_at, c.scope LIKE '%all', c.sha256, v.verdict FROM catalogue.core.verdicts AS v "
            "JOIN catalogue.raw.captures AS c ON c.capture_no = v.capture_no WHERE v.known_to IS NULL"
        )
    )


@examples(25)
@given(history=histories)
def test_any_order_and_batches_give_what_the_oracle_tells(history: History) -> None:
    """Truths 3, 5, 6, 8 and 11.

    Seen red with `judge` taking captures in the order of loading, with a fifth of the models a collapse, with
    `history._step` left-censoring nobody after any snapshot, with a date in `expirations.sql` passed on its own day,
    and with `_derive_runs` forgetting former runs that end at the altered instant.
    """
    answers = history.answers
    with warehouse_of(history.batches()) as ledger:
        expected = [(a.observed_at, a.lists_every_modality, a.sha256, verdict) for a, _, verdict in judge(answers)]
        assert verdicts_of(ledger) == sorted(expected)
        assert_marts_equal(ledger_marts(ledger), tell(answers))


@examples(10)
@given(history=histories)
def test_any_order_and_batches_give_the_same(history: History) -> None:
    """Truth 3, for what no oracle tells as well.

    Seen red with `schema_drift.sql` preferring the model that was met first.
    """
    with warehouse_of([history.answers]) as at_once, warehouse_of(history.batches()) as piecemeal:
        assert verdicts_of(piecemeal) == verdicts_of(at_once)
        assert_same_history(ledger_marts(piecemeal, ALL_MARTS), ledger_marts(at_once, ALL_MARTS))


@examples(15)
@given(history=histories)
def test_twice_is_once(history: History) -> None:
    """Truth 4. Seen red with `Ledger.load` storing and committing known captures."""
    history.answers = [one._replace(decision=None) for one in history.answers]
    with warehouse_of(history.batches()) as ledger:
        before = {table: rows_of(ledger, table) for table in (*FACTS, *DERIVED)}
        marts = ledger_marts(ledger, ALL_MARTS)
        for batch in history.batches():
            load(ledger, batch)
        assert {table: rows_of(ledger, table) for table in (*FACTS, *DERIVED)} == before
        assert_marts_equal(ledger_marts(ledger, ALL_MARTS), marts)


@examples(15)
@given(history=histories)
def test_facts_are_only_added_and_what_was_known_stays(history: History) -> None:
    """Truth 2: no fact changes or goes, and of a derived row only the end of its time of being known.

    Seen red with `_reconcile` deleting rows rather than closing them.
    """
    first, *later = history.batches()
    with warehouse_of([first]) as ledger:
        for batch in later:
            facts = {table: rows_of(ledger, table) for table in FACTS}
            derived = {table: rows_of(ledger, table, "* EXCLUDE (known_to)") for table in DERIVED}
            closed = {table: rows_of(ledger, f"{table} WHERE known_to IS NOT NULL") for table in DERIVED}
            load(ledger, batch)
            for table in FACTS:
                assert not facts[table] - rows_of(ledger, table), table
            for table in DERIVED:
                assert not derived[table] - rows_of(ledger, table, "* EXCLUDE (known_to)"), table
                assert not closed[table] - rows_of(ledger, f"{table} WHERE known_to IS NOT NULL"), table

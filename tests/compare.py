"""Holding the marts of a warehouse against the rows that an oracle tells, and saying where they differ.

Belongs here: reading marts as plain rows, comparing tables of rows. Does not belong here: what the rows should be.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from pipelines.ledger import schema
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.published import Published

Row = dict[str, Any]
Marts = dict[str, list[Row]]

KEYS = {
    "snapshots": ("scope", "observed_at"),
    "models": ("model_id",),
    "prices": ("model_id", "price_kind"),
    "price_history": ("model_id", "price_kind", "valid_from"),
    "price_rule_history": ("model_id", "rule_no", "price_kind", "valid_from"),
    "price_changes": ("model_id", "price_kind", "changed_at"),
    "price_rule_changes": ("model_id", "price_kind", "min_prompt_tokens", "changed_at"),
    "model_spells": ("model_id", "spell_no"),
    "model_events": ("model_id", "happened_at", "event"),
    "model_history": ("model_id", "valid_from"),
    "new_models": ("model_id",),
    "removed_models": ("model_id",),
    "expirations": ("model_id", "announced_at"),
    "attribute_changes": ("model_id", "attribute", "changed_at"),
}
"""The marts that the oracle tells, each with what names one of its rows."""

NOT_TOLD = {"snapshots": {"snapshot_id", "origin", "recorded_at"}}
"""The columns that say how a capture came, which no oracle can know from its bytes."""

UNTOLD_MARTS = {"schema_drift": ("path",)}
"""Marts that only another warehouse can be compared with."""

OF_KNOWLEDGE = {"alterations"}
"""Marts that tell how knowledge changed: the same captures, learnt in another order, change it in other steps."""

WHEN_LEARNT = {"recorded_at"}
"""The columns that say when this warehouse learnt something, which is another moment in every warehouse."""

JSON_COLUMNS = {"extra", "default_parameters", "old_value", "new_value", "unknown_conditions"}

SHOWN = 8


def read_marts(ask: Callable[[str], list[Row]], names: Sequence[str] = tuple(KEYS)) -> Marts:
    """The rows of each mart as plain values: JSON parsed, times in UTC."""
    return {name: [_plain(row) for row in ask(f"SELECT * FROM catalogue.marts.{name}")] for name in names}


def published_marts(warehouse: Path, names: Sequence[str] = tuple(KEYS)) -> Marts:
    """The marts of the published file of ``warehouse``."""
    with Published(warehouse) as published:
        return read_marts(lambda query: published.ask(query).records(), names)


def ledger_marts(ledger: Ledger, names: Sequence[str] = tuple(KEYS)) -> Marts:
    """The marts as the open ``ledger`` has them, published or not."""

    def ask(query: str) -> list[Row]:
        columns = [column for column, *_ in ledger.rows(f"DESCRIBE {query}")]
        return [dict(zip(columns, row, strict=True)) for row in ledger.rows(query)]

    return read_marts(ask, names)


def assert_marts_equal(found: Path | Marts, expected: Marts) -> None:
    """Every mart that ``expected`` names holds its rows and no others, column by column.

    ``found`` is a warehouse with a published file, or rows that were read before. Fails with the first differing rows.
    """
    marts = published_marts(found, tuple(expected)) if isinstance(found, Path) else found
    problems = [problem for name, rows in expected.items() for problem in _differences(name, marts[name], rows)]
    if problems:
        raise AssertionError("\n".join(problems))


def assert_same_history(found: Marts, expected: Marts) -> None:
    """Two warehouses tell the same history; when they learnt it does not matter."""
    without = {name: [{**row, "recorded_at": None} for row in rows] for name, rows in expected.items()}
    assert_marts_equal({name: [{**row, "recorded_at": None} for row in rows] for name, rows in found.items()}, without)


class Question(NamedTuple):
    """A query, and the columns that it gives."""

    columns: Sequence[str]
    query: str


def history_questions(instants: Iterable[datetime] = ()) -> dict[str, Question]:
    """For every mart of the public contract, and its macros at ``instants``, what asks for all its rows in order.

    Without what tells when something was learnt: what is left is the same however the captures were loaded.
    """
    questions = {}
    for mart in schema.marts():
        if mart.name in OF_KNOWLEDGE:
            continue
        asked = {mart.name: mart.name}
        if mart.parameters is not None:
            first = mart.parameters.partition(",")[0]
            assert first in {"valid_at", "from_at", "known_at := NULL"}, f"say here how {mart.name}({first}) is asked"
            asked = {f"{mart.name} {at}": f"{mart.name}(TIMESTAMPTZ '{at.isoformat()}')" for at in instants}
            if first == "known_at := NULL":
                asked = {mart.name: f"{mart.name}()"}
        columns = [column for column in mart.columns if column not in WHEN_LEARNT]
        for name, source in asked.items():
            query = f"SELECT {', '.join(columns)} FROM catalogue.marts.{source} ORDER BY ALL"
            questions[name] = Question(columns, query)
    return questions


def whole_history(ledger: Ledger, instants: Iterable[datetime] = ()) -> Marts:
    """What :func:`history_questions` give, also of marts that no oracle tells."""
    return {
        name: [dict(zip(columns, row, strict=True)) for row in ledger.rows(query)]
        for name, (columns, query) in history_questions(instants).items()
    }


def assert_same_rows(found: Marts, expected: Marts) -> None:
    """Both hold the same marts with the same rows, as :func:`whole_history` reads them, to the letter."""
    assert found.keys() == expected.keys()
    problems = []
    for name, rows in expected.items():
        have, want = (Counter(repr(row) for row in side) for side in (found[name], rows))
        problems += [f"{name}: only found: {row}" for row in sorted((have - want).elements())[:SHOWN]]
        problems += [f"{name}: only expected: {row}" for row in sorted((want - have).elements())[:SHOWN]]
    if problems:
        raise AssertionError("\n".join(problems))


def _differences(name: str, found: list[Row], expected: list[Row]) -> list[str]:
    key = {**KEYS, **UNTOLD_MARTS}.get(name, ("model_id",))
    by_key = [{tuple(map(str, map(row.get, key))): row for row in rows} for rows in (found, expected)]
    problems = []
    for side, rows, indexed in zip(("found", "expected"), (found, expected), by_key, strict=True):
        if len(rows) != len(indexed):
            problems.append(f"{name}: {side} {len(rows)} rows, but only {len(indexed)} of {', '.join(key)}")
    have, want = by_key
    only_found, only_expected = sorted(have.keys() - want.keys()), sorted(want.keys() - have.keys())
    differing = [
        f"  {' '.join(one)}: {difference}"
        for one in sorted(have.keys() & want.keys())
        if (difference := _difference(name, have[one], want[one]))
    ]
    if only_found or only_expected or differing:
        problems.append(
            f"{name}: {len(found)} rows found, {len(expected)} expected; {len(only_found)} only found, "
            f"{len(only_expected)} only expected, {len(differing)} that differ"
        )
    problems += [f"  only found: {_show(have[one])}" for one in only_found[:SHOWN]]
    problems += [f"  only expected: {_show(want[one])}" for one in only_expected[:SHOWN]]
    return problems + differing[:SHOWN]


def _difference(name: str, found: Row, expected: Row) -> str:
    left_out = NOT_TOLD.get(name, set()) if len(expected) < len(found) else set()
    columns = sorted((found.keys() | expected.keys()) - left_out)
    missing = "a column that is missing"
    return "; ".join(
        f"{column} is {found.get(column, missing)!r}, expected {expected.get(column, missing)!r}"
        for column in columns
        if column not in found or column not in expected or not _equal(found[column], expected[column])
    )


def _equal(found: Any, expected: Any) -> bool:
    if isinstance(found, float) and isinstance(expected, float):
        return math.isclose(found, expected, rel_tol=1e-9, abs_tol=1e-9)
    return bool(found == expected)


def _show(row: Row) -> str:
    return ", ".join(f"{column}={str(value)[:60]}" for column, value in row.items() if value is not None)


def _plain(row: Row) -> Row:
    return {
        column: json.loads(value)
        if column in JSON_COLUMNS and isinstance(value, str)
        else value.astimezone(UTC)
        if isinstance(value, datetime)
        else value
        for column, value in row.items()
    }

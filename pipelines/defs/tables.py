"""What a person would look at after a run: the day's changes and what comes next, as tables of the UI.

Belongs here: questions to the marts about one day, and making foreign text fit to be shown.
Does not belong here: what a change is (`sql/marts`), tables of the terminal (`cli`).

Tables rather than Markdown: the UI shows a table's cells as plain text, so nothing in a model's name is markup.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import dagster as dg

ROWS_SHOWN = 100
"""Rows of a table that are kept with the run; the count beside it tells of the rest."""

_TEXT_SHOWN = 160
_A_DAY_BEFORE = timedelta(hours=23)

Rows = Callable[[str, Sequence[Any]], list[tuple[Any, ...]]]
"""Asks the ledger: a query and the values of its parameters."""


@dataclass(frozen=True)
class _DayTable:
    """``query`` takes source, start (exclusive) and end (inclusive) of the day as $1, $2 and $3."""

    columns: tuple[str, ...]
    query: str


_DAY_TABLES: Mapping[str, _DayTable] = {
    "price_changes": _DayTable(
        ("model", "price", "old", "new", "change", "remarks", "changed_at"),
        "SELECT model_id, price_kind, old_price_text, new_price_text, "
        "change_kind || coalesce(printf(' %+.1f%%', change_ratio * 100), ''), concat_ws(', ', "
        "CASE WHEN is_schedule_flip THEN 'by its schedule' END, "
        "CASE WHEN has_rule_change THEN 'rules changed too' END, "
        "CASE WHEN after_absence THEN 'after an absence' END, CASE WHEN is_alias THEN 'alias' END), changed_at "
        "FROM catalogue.marts.price_changes WHERE source = $1 AND changed_at > $2 AND changed_at <= $3 "
        "ORDER BY is_repricing DESC, is_alias, abs(change_ratio) DESC NULLS LAST, model_id, price_kind",
    ),
    "price_rule_changes": _DayTable(
        ("model", "price", "more_tokens_than", "old_low", "old_high", "new_low", "new_high", "week", "changed_at"),
        "SELECT model_id, price_kind, min_prompt_tokens, old_low_usd, old_high_usd, new_low_usd, new_high_usd, "
        "coalesce(printf('%+.1f%%', week_ratio * 100), ''), changed_at FROM catalogue.marts.price_rule_changes "
        "WHERE source = $1 AND changed_at > $2 AND changed_at <= $3 AND is_repricing "
        "ORDER BY is_alias, abs(week_ratio) DESC NULLS LAST, model_id, price_kind, min_prompt_tokens NULLS FIRST",
    ),
    "new_models": _DayTable(
        ("model", "name", "prompt", "completion", "first_seen_at"),
        "SELECT model_id, name, first_prompt_text, first_completion_text, first_seen_at "
        "FROM catalogue.marts.new_models WHERE source = $1 AND first_seen_at > $2 AND first_seen_at <= $3 "
        "ORDER BY model_id",
    ),
    "removed_models": _DayTable(
        ("model", "name", "prompt", "completion", "last_seen_at", "removed_at"),
        "SELECT model_id, name, last_prompt_text, last_completion_text, last_seen_at, removed_at "
        "FROM catalogue.marts.removed_models WHERE source = $1 AND removed_at > $2 AND removed_at <= $3 "
        "ORDER BY model_id",
    ),
    "expires_next": _DayTable(
        ("model", "expiration_date", "days_left", "remarks"),
        "SELECT model_id, expiration_date, days_left, concat_ws(', ', "
        "CASE WHEN announced_at > $2 THEN 'announced today' END, "
        "'moved from ' || CAST(previous_expiration_date AS VARCHAR)) FROM catalogue.marts.expirations "
        "WHERE source = $1 AND announced_at <= $3 AND status = 'announced' AND NOT is_placeholder "
        "ORDER BY expiration_date, model_id",
    ),
    "schema_drift": _DayTable(
        ("path", "json_type", "example", "first_seen_at"),
        "SELECT path, json_type, example, first_seen_at FROM catalogue.marts.schema_drift "
        "WHERE source = $1 AND first_seen_at > $2 AND first_seen_at <= $3 ORDER BY path",
    ),
}


def day_before(rows: Rows, source: str, observed_at: datetime) -> datetime:
    """Where the day of the snapshot at ``observed_at`` begins: at the last snapshot about a day before it or earlier.

    Not simply 24 hours before: a schedule is seconds early or late, and would show changes twice or never.
    """
    ((start,),) = rows(
        "SELECT max(observed_at) FROM catalogue.core.accepted WHERE source = $1 AND observed_at <= $2",
        [source, observed_at - _A_DAY_BEFORE],
    )
    found: datetime = start or observed_at - timedelta(days=1)
    return found


def day_metadata(rows: Rows, source: str, observed_at: datetime) -> dict[str, Any]:
    """For each table of the day ``<name>``, a table, and ``<name>_count``, which the UI plots over time."""
    start = day_before(rows, source, observed_at)
    metadata: dict[str, Any] = {"day_from": start.isoformat(), "day_to": observed_at.isoformat()}
    for name, one in _DAY_TABLES.items():
        found = rows(one.query, [source, start, observed_at])
        metadata[name] = table(one.columns, found)
        metadata[f"{name}_count"] = len(found)
    return metadata


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> dg.TableMetadataValue:
    """A table of the UI with the first :data:`ROWS_SHOWN` rows."""
    records = [
        dg.TableRecord({name: shown(value) for name, value in zip(columns, row, strict=True)})
        for row in rows[:ROWS_SHOWN]
    ]
    return dg.MetadataValue.table(records, schema=dg.TableSchema([dg.TableColumn(name) for name in columns]))


def shown(value: Any) -> str:
    """``value`` as one short line of text, without control or formatting characters.

    Numbers are text too: the UI's own notation would round an exact price.
    """
    match value:
        case None:
            return ""
        case datetime():
            return f"{value:%Y-%m-%d %H:%M}"
        case Decimal():
            return f"{value:f}"
    clean = "".join(" " if unicodedata.category(one)[0] in "CZ" else one for one in str(value))
    line = " ".join(clean.split())
    return line if len(line) <= _TEXT_SHOWN else line[: _TEXT_SHOWN - 1] + "…"

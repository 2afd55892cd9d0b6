"""The published file as it was known at an earlier moment: truth 7 for whole tables and marts.

Belongs here: hiding what was learnt later. Does not belong here: any question, and the macros that take `known_at`
themselves, which tell of one instant.

A derived row says from when until when it was known, and a fact when it was recorded. With the later ones left out
and later ends forgotten, the marts tell of what is left just as they would have told it then: they are the same views.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import duckdb

from pipelines.errors import CatalogueError
from pipelines.ledger.connect import literal, rows
from pipelines.ledger.schema import definition, views

_COLUMNS = """
SELECT schema_name, table_name, list(column_name ORDER BY column_index) FROM duckdb_columns()
WHERE database_name = 'published' AND schema_name IN ('raw', 'core') AND NOT internal AND (schema_name, table_name) IN (
    SELECT (schema_name, table_name) FROM duckdb_tables() WHERE database_name = 'published'
)
GROUP BY schema_name, table_name ORDER BY schema_name DESC, table_name
"""


def forget(connection: duckdb.DuckDBPyConnection, path: Path, known_at: datetime) -> duckdb.DuckDBPyConnection:
    """``connection``, whose database `catalogue` is the file at ``path``, with `catalogue` as it was at ``known_at``.

    Raises DuckDB's error for a ``known_at`` after the last commit, :class:`CatalogueError` for one before the first.
    """
    known = rows(connection, "SELECT known_at FROM core.clocks(TIMESTAMPTZ '2000-01-01 00:00:00+00', ?)", [known_at])
    first = rows(connection, "SELECT min(recorded_at) FROM core.commits")[0][0]
    if first is None or known[0][0] < first:
        began = f"its knowledge begins at {first.isoformat()}" if first else "it knows nothing yet"
        raise CatalogueError(f"this warehouse knew nothing at {known_at.isoformat()}: {began}")
    connection.execute("USE memory")
    connection.execute("DETACH catalogue")
    connection.execute(f"ATTACH {literal(str(path))} AS published (READ_ONLY)")
    connection.execute("ATTACH ':memory:' AS catalogue")
    connection.execute("USE catalogue")
    for schema in ("raw", "core", "marts"):
        connection.execute(f"CREATE SCHEMA catalogue.{schema}")
    connection.execute("CREATE VIEW catalogue.main.schema_version AS FROM published.main.schema_version")
    moment = f"TIMESTAMPTZ {literal(known_at.isoformat())}"
    for schema, table, columns in rows(connection, _COLUMNS):
        connection.execute(
            f"CREATE VIEW catalogue.{schema}.{table} AS {_known(f'published.{schema}.{table}', columns, moment)}"
        )
    for view in views():
        connection.execute(definition(view))
    return connection


def _known(table: str, columns: list[str], moment: str) -> str:
    """What ``table`` held at ``moment``. Texts that facts point at, such as states and prices, bear no time."""
    if "known_from" in columns:
        forgotten = f"CASE WHEN known_to <= {moment} THEN known_to END AS known_to"
        return f"SELECT * REPLACE ({forgotten}) FROM {table} WHERE known_from <= {moment}"
    if "recorded_at" in columns:
        return f"SELECT * FROM {table} WHERE recorded_at <= {moment}"
    if "pack" in columns:
        return (
            f"SELECT * FROM {table} WHERE pack IN (SELECT pack FROM published.core.packs WHERE recorded_at <= {moment})"
        )
    if "capture_no" in columns:
        captures = "SELECT capture_no FROM catalogue.raw.captures"
        return f"SELECT * FROM {table} WHERE capture_no IS NULL OR capture_no IN ({captures})"
    return f"SELECT * FROM {table}"

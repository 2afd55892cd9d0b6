"""How a derived table is brought to what follows from the facts now.

Belongs here: telling the rows that should be known from those that are. Does not belong here: deriving rows.

Rows that are known but should not be are closed at the commit's time, and rows that should be known but are not are
added; nothing is ever changed or deleted otherwise.
"""

from __future__ import annotations

import duckdb


def reconcile(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    """Close the rows of `former_<name>` that `fresh_<name>` lacks, and add those that only `fresh_<name>` has."""
    columns = _columns(connection, name)
    same = " AND ".join(f"f.{column} IS NOT DISTINCT FROM o.{column}" for column in columns)
    listed = ", ".join(f"f.{column}" for column in columns)
    connection.execute(
        f"UPDATE catalogue.core.{name} SET known_to = (SELECT recorded_at FROM commit_time) "
        f"WHERE rowid IN (SELECT o.row_no FROM former_{name} AS o ANTI JOIN fresh_{name} AS f ON {same})"
    )
    connection.execute(
        f"INSERT INTO catalogue.core.{name} SELECT {listed}, (SELECT recorded_at FROM commit_time), NULL "
        f"FROM fresh_{name} AS f ANTI JOIN former_{name} AS o ON {same}"
    )


_columns_of: dict[str, list[str]] = {}


def _columns(connection: duckdb.DuckDBPyConnection, name: str) -> list[str]:
    """The columns of a derived table but for the two that say when it was known; asked for once."""
    if name not in _columns_of:
        columns = connection.execute(f"SELECT * FROM catalogue.core.{name} LIMIT 0").description or []
        connection.fetchall()
        _columns_of[name] = [column[0] for column in columns if column[0] not in ("known_from", "known_to")]
    return _columns_of[name]

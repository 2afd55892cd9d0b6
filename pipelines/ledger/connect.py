"""Talking to DuckDB: connections, rows and frames, in the way that both 1.5 and 2.0 understand.

Belongs here: whatever depends on the version of DuckDB. Does not belong here: any table of ours.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from pipelines.errors import CatalogueError

if TYPE_CHECKING:
    import polars as pl


_FRUITLESS_COMPRESSION = "alp,alprd,chimp,patas,roaring,zstd,fsst,dict_fsst"
"""Trying them on each changed column takes a third of a checkpoint, and they make the file no smaller."""


class NoDatabaseError(CatalogueError):
    """A file is no database that this DuckDB can read."""


def attach(path: Path, *, read_only: bool = False) -> duckdb.DuckDBPyConnection:
    """A connection in which the file at ``path`` is the database ``catalogue``, whatever the file is called."""
    # A commit is many statements over few rows: threads that wait for each other cost it a quarter of its time.
    connection = duckdb.connect() if read_only else duckdb.connect(config={"threads": 1})
    try:
        connection.execute("SET TimeZone = 'UTC'")
        if not read_only:
            connection.execute(f"SET disabled_compression_methods = '{_FRUITLESS_COMPRESSION}'")
        mode = " (READ_ONLY)" if read_only else ""
        connection.execute(f"ATTACH {literal(str(path))} AS catalogue{mode}")
        connection.execute("USE catalogue")
    except duckdb.Error as problem:
        connection.close()
        if _FILE_TROUBLE.search(str(problem)):
            raise CatalogueError(in_words(problem)) from None
        raise NoDatabaseError(f"{path} cannot be opened as a DuckDB database: {first_line(problem)}") from None
    return connection


def rows(
    connection: duckdb.DuckDBPyConnection, query: str, parameters: Sequence[Any] | Mapping[str, Any] | None = None
) -> list[tuple[Any, ...]]:
    """The rows of ``query``, all of them: an unfinished result blocks a connection in DuckDB 2. ``parameters`` are for
    ``?`` or, by name, for ``$name``."""
    return connection.execute(query, parameters or []).fetchall()


def select(
    connection: duckdb.DuckDBPyConnection, query: str, parameters: Sequence[Any] | Mapping[str, Any] | None = None
) -> pl.DataFrame:
    """The rows of ``query`` as a frame. ``parameters`` are for ``?`` or, by name, for ``$name``."""
    import polars as pl  # as long in coming as all else that a question from the terminal needs

    frame = pl.from_arrow(connection.sql(query, params=parameters or None).to_arrow_table())
    assert isinstance(frame, pl.DataFrame)
    return frame


@contextmanager
def listed(connection: duckdb.DuckDBPyConnection, values: Sequence[str]) -> Iterator[str]:
    """While it lasts ``values`` are the column ``value`` of a table, whose name it gives.

    As a parameter each value of a list would be weighed against types of libraries that need not be there: 64 of them
    cost 50 ms.
    """
    import polars as pl

    connection.register("listed_values", pl.DataFrame({"value": pl.Series(values, dtype=pl.String)}))
    try:
        yield "listed_values"
    finally:
        connection.unregister("listed_values")


def literal(text: str) -> str:
    """``text`` as SQL spells it, for statements that take no parameters."""
    return "'" + text.replace("'", "''") + "'"


def in_words(problem: Exception) -> str:
    """What a DuckDB error says to the person whose disk is full: which file, and why; any other as it says it."""
    found = _FILE_TROUBLE.search(str(problem))
    if found is None:
        return f"the ledger cannot be written: {first_line(problem)}"
    return f"{found['path']} cannot be written: {found['why']}"


_FILE_TROUBLE = re.compile(
    r"[Cc]ould not (?:write|sync|fsync|truncate|open|create|move)[^\"]*\"(?P<path>[^\"]+)\"[^\n]*: (?P<why>[^:\n]+)"
)


def first_line(problem: Exception) -> str:
    """What a DuckDB error says, without the statement and the caret under it; what our own SQL says, as it says it."""
    return str(problem).strip().splitlines()[0].removeprefix("Invalid Input Error: ")

"""The published file as analysts and reports read it.

Belongs here: opening the file read-only, asking it. Does not belong here: writing, or any report's content.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import duckdb

from pipelines.errors import CatalogueError, UsageError
from pipelines.ledger.connect import attach, first_line, literal, select
from pipelines.ledger.hindsight import forget
from pipelines.ledger.schema import is_of_this_program

if TYPE_CHECKING:
    import polars as pl

PUBLISHED = "catalogue.duckdb"

Parameters = Sequence[Any] | Mapping[str, Any]
"""Values for ``?`` in their order, or for ``$name`` by name."""


@dataclass(frozen=True)
class Answer:
    """The rows of a query and the names of their columns."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]

    def records(self) -> list[dict[str, Any]]:
        """The rows, each by the names of its columns."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


class Published:
    """The published file of a warehouse, open for reading. A context manager.

    Sees one state throughout, whatever is published meanwhile. With ``known_at`` every table, mart and macro tells what
    the warehouse knew then, and :attr:`known_at` is that moment; without it all that it knows, and its last commit.
    Raises :class:`CatalogueError` if nothing has been published yet, or nothing was known then; :class:`UsageError` for
    a ``known_at`` after the last commit, and with what DuckDB says for a query that it refuses.
    """

    def __init__(self, warehouse: Path, known_at: datetime | None = None) -> None:
        self.path = warehouse / PUBLISHED
        if not self.path.exists():
            raise CatalogueError(
                f"there is no {self.path} yet: run `catalogue snapshot`, `catalogue import` or `catalogue demo` first"
            )
        try:
            self._connection = attach(self.path, read_only=True)
        except CatalogueError as problem:
            raise CatalogueError(f"{problem}; `catalogue rebuild` publishes it anew") from None
        if known_at is not None:
            try:
                self._connection = forget(self._connection, self.path, known_at)
            except duckdb.Error as problem:
                raise self._refused(problem) from None

    @property
    def known_at(self) -> datetime:
        """The last commit that is known. Raises :class:`CatalogueError` if there is none."""
        latest = self.ask("SELECT max(recorded_at) FROM core.commits").rows[0][0]
        if latest is None:
            raise CatalogueError(f"{self.path} knows nothing yet")
        assert isinstance(latest, datetime)
        return latest

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def ask(self, query: str, parameters: Parameters = ()) -> Answer:
        """The rows of ``query`` as Python values: decimals stay decimals."""
        try:
            cursor = self._connection.execute(query, parameters)
            if cursor is None or not cursor.description:
                raise UsageError("the query asks for nothing")
            columns = tuple(column[0] for column in cursor.description)
            return Answer(columns, cursor.fetchall())
        except duckdb.Error as problem:
            raise self._refused(problem) from None

    def _refused(self, problem: duckdb.Error) -> CatalogueError:
        """A question that this program asks of what another one published may have no answer there."""
        if is_of_this_program(self._connection):
            return UsageError(first_line(problem))
        return CatalogueError(
            f"{self.path} was published by another version of this program; `catalogue rebuild` publishes it anew "
            f"({first_line(problem)})"
        )

    def frame(self, query: str, parameters: Parameters = ()) -> pl.DataFrame:
        """The rows of ``query`` as a Polars frame."""
        try:
            return select(self._connection, query, parameters)
        except duckdb.Error as problem:
            raise self._refused(problem) from None

    def run(self, statement: str, parameters: Parameters = ()) -> None:
        """Run a statement that gives no rows, such as one that makes a temporary table."""
        try:
            self._connection.execute(statement, parameters or None)
        except duckdb.Error as problem:
            raise self._refused(problem) from None

    def register(self, name: str, frame: pl.DataFrame) -> None:
        """Let queries read ``frame`` as the table ``name``."""
        self._connection.register(name, frame)

    def progress(self) -> float:
        """How far the running query has come, in percent; negative where DuckDB cannot tell. From another thread."""
        return float(self._connection.query_progress())

    def write_parquet(self, query: str, path: Path) -> None:
        """Write the rows of ``query`` to ``path``, replacing it."""
        try:
            self._connection.execute(f"COPY ({query.strip().rstrip(';')}\n) TO {literal(str(path))} (FORMAT parquet)")
        except duckdb.Error as problem:
            raise self._refused(problem) from None

    def write_csv(self, query: str, path: Path) -> None:
        """Write the rows of ``query`` to ``path`` as CSV with a header, replacing it; decimals keep all digits."""
        try:
            self._connection.execute(
                f"COPY ({query.strip().rstrip(';')}\n) TO {literal(str(path))} (FORMAT csv, HEADER true)"
            )
        except duckdb.Error as problem:
            raise self._refused(problem) from None

"""The published file as analysts and reports read it.

Belongs here: opening the file read-only, its marts as frames. Does not belong here: writing, or any report's content.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import duckdb
import polars as pl

from pipelines.errors import CatalogueError, UsageError
from pipelines.ledger.connect import attach, first_line

PUBLISHED = "catalogue.duckdb"


class Published:
    """The published file of a warehouse, open for reading. A context manager.

    Sees one state throughout, whatever is published meanwhile. Raises :class:`CatalogueError` if nothing has been
    published yet.
    """

    def __init__(self, warehouse: Path) -> None:
        self.path = warehouse / PUBLISHED
        if not self.path.exists():
            raise CatalogueError(
                f"there is no {self.path} yet: run `catalogue snapshot`, `catalogue import` or `catalogue demo` first"
            )
        self._connection = attach(self.path, read_only=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def frame(self, query: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> pl.DataFrame:
        """The rows of ``query``; ``marts.models`` and the like need no prefix. Raises :class:`UsageError` if DuckDB
        refuses the query or it gives no rows to read."""
        try:
            relation = self._connection.sql(query, params=parameters or None)
            if relation is None:
                raise UsageError("the query gives no rows: it is no SELECT")
            frame = pl.from_arrow(relation.to_arrow_table())
        except duckdb.Error as problem:
            raise UsageError(first_line(problem)) from None
        assert isinstance(frame, pl.DataFrame)
        return frame

"""Counts in the ledger: what `/models/count` says beside the list.

Belongs here: appending counts. Does not belong here: holding them against the list (`sql/marts/count_differences.sql`).
"""

from __future__ import annotations

from collections.abc import Sequence

import duckdb
import polars as pl

from pipelines.flatten import read_count
from pipelines.scopes import Scope

_COUNTS = {"capture_no": pl.Int32, "output_modality": pl.String, "counted": pl.Int64}


def append_counts(connection: duckdb.DuckDBPyConnection, captures: Sequence[tuple[int, Scope, bytes]]) -> None:
    """Append what counts say; others of ``captures``, with their numbers, are passed over."""
    counts = [(number, scope.counts, read_count(body)) for number, scope, body in captures if scope.counts is not None]
    if not counts:
        return
    connection.register("new_counts", pl.DataFrame(counts, schema=_COUNTS, orient="row"))
    try:
        connection.execute(
            "INSERT INTO catalogue.core.counts "
            "SELECT n.capture_no, c.source, n.output_modality, c.observed_at, n.counted FROM new_counts AS n "
            "JOIN catalogue.raw.captures AS c ON c.capture_no = n.capture_no ORDER BY n.capture_no"
        )
    finally:
        connection.unregister("new_counts")

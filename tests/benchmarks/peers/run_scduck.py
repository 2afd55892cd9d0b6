"""scduck: `SCDTable.sync` of a day's Arrow table into one open DuckDB file, as its page shows it.

Belongs here: what a user of scduck writes. Does not belong here: reading the rows, which is not timed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pyarrow.parquet as pq
from protocol import serve
from scduck import SCDTable


def main() -> None:
    """Sync into a file in the folder that the command line names."""
    tables: list[SCDTable] = []

    def prepare(rows: Path) -> Callable[[], object]:
        incoming = pq.read_table(rows)
        if not tables:
            values = [name for name in incoming.column_names if name != "model_id"]
            tables.append(SCDTable(Path(sys.argv[1]) / "history.duckdb", "models", ["model_id"], values))
        return lambda: tables[0].sync(rows.stem, incoming)

    def closing() -> Mapping[str, object]:
        ((stretches, open_ones),) = (
            tables[0].conn.execute("SELECT count(*), count(*) FILTER (valid_to IS NULL) FROM models").fetchall()
        )
        return {"stretches": stretches, "open": open_ones}

    serve(prepare, closing)


if __name__ == "__main__":
    main()

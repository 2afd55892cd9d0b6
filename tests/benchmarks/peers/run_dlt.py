"""dlt: `pipeline.run` of an Arrow table with the merge strategy scd2 into a DuckDB file.

Belongs here: what dlt's page on scd2 shows for Arrow tables, which it loads faster than rows of Python objects: a hash
of the row by its own helper tells versions apart. Does not belong here: reading the rows, which is not timed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
os.environ["RUNTIME__LOG_LEVEL"] = "ERROR"

import dlt
import pyarrow as pa
import pyarrow.parquet as pq
from dlt.sources.helpers.transform import add_row_hash_to_table
from protocol import serve


@dlt.resource(
    name="models",
    primary_key="model_id",
    write_disposition={"disposition": "merge", "strategy": "scd2", "row_version_column_name": "row_hash"},
)
def models(rows: pa.Table) -> Iterator[pa.Table]:
    """A day's rows."""
    yield rows


def main() -> None:
    """Load into a file in the folder that the command line names."""
    folder = Path(sys.argv[1])
    pipeline = dlt.pipeline(
        "models",
        destination=dlt.destinations.duckdb(str(folder / "history.duckdb")),
        dataset_name="loaded",
        pipelines_dir=str(folder / "pipelines"),
    )

    def prepare(rows: Path) -> Callable[[], object]:
        incoming = pq.read_table(rows)
        return lambda: pipeline.run(models(incoming).add_map(add_row_hash_to_table("row_hash")))

    def closing() -> Mapping[str, object]:
        with pipeline.sql_client() as client:
            ((stretches, open_ones),) = client.execute_sql(
                "SELECT count(*), count(*) FILTER (_dlt_valid_to IS NULL) FROM models"
            )
        return {"stretches": stretches, "open": open_ones}

    serve(prepare, closing)


if __name__ == "__main__":
    main()

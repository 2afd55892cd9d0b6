"""dbt: `dbt snapshot` with the strategy `check` over a Parquet file, by dbt-duckdb.

Belongs here: a project with one snapshot, run again and again in one process by dbt's own `dbtRunner` with the manifest
parsed before, which is the fastest that its page on programmatic invocations shows. Does not belong here: putting the
rows where the snapshot reads them, which is not timed.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

os.environ["DO_NOT_TRACK"] = "1"

import duckdb
from dbt.cli.main import dbtRunner
from protocol import serve

PROJECT = """
name: history
config-version: 2
profile: history
flags: {send_anonymous_usage_stats: false}
"""

PROFILES = """
history:
  target: main
  outputs:
    main: {{type: duckdb, path: "{database}", threads: 1}}
"""

SNAPSHOT = """
{{% snapshot models %}}
{{{{ config(
    target_schema='loaded', unique_key='model_id', strategy='check', check_cols='all', hard_deletes='invalidate'
) }}}}
SELECT * FROM read_parquet('{incoming}')
{{% endsnapshot %}}
"""


def main() -> None:
    """Run the snapshot into a file in the folder that the command line names."""
    folder = Path(sys.argv[1])
    database, incoming = folder / "history.duckdb", folder / "incoming.parquet"
    (folder / "snapshots").mkdir()
    (folder / "dbt_project.yml").write_text(PROJECT)
    (folder / "profiles.yml").write_text(PROFILES.format(database=database))
    (folder / "snapshots" / "models.sql").write_text(SNAPSHOT.format(incoming=incoming))
    where = ["--project-dir", str(folder), "--profiles-dir", str(folder), "--quiet"]
    runner = dbtRunner(manifest=dbtRunner().invoke(["parse", *where]).result)

    def snapshot() -> None:
        done = runner.invoke(["snapshot", *where])
        if not done.success:
            raise RuntimeError(f"dbt snapshot failed: {done.exception or done.result}")

    def prepare(rows: Path) -> Callable[[], object]:
        shutil.copyfile(rows, incoming)
        return snapshot

    def closing() -> Mapping[str, object]:
        with duckdb.connect(str(database)) as connection:  # as dbt has it open, in this process
            ((stretches, open_ones),) = connection.execute(
                "SELECT count(*), count(*) FILTER (dbt_valid_to IS NULL) FROM loaded.models"
            ).fetchall()
        return {"stretches": stretches, "open": open_ones}

    serve(prepare, closing)


if __name__ == "__main__":
    main()

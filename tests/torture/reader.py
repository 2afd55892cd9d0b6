"""One reader of a published file, in a process of its own, which knows DuckDB and nothing of this project.

Belongs here: reading again and again, and saying what is wrong. Does not belong here: starting readers (the tests).

``python reader.py FILE STOP reopen|hold`` reads until the file STOP exists. Each reading is a line on stdout, JSON:
what was seen, or what was wrong. One that reopens the file each time looks at the newest state, which must be whole and
no older than the one before. One that holds it open must see what it held at first, whatever happened since; it reads
each mart for the first time at another moment, so that most of it is not yet in memory.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import duckdb

_PAUSE_SECONDS = 0.6
_SETTINGS: dict[str, str | bool | int | float | list[str]] = {"threads": 1}

_MARTS = ("price_history", "price_changes", "model_history", "attribute_changes", "model_events")

_LAST = """
SELECT count(*), max(recorded_at), max(observed_at), max_by(model_count, observed_at)
FROM marts.snapshots WHERE source = 'openrouter' AND scope = 'openrouter/models?output_modalities=all'
"""


def reopen(path: Path) -> Iterator[dict[str, Any]]:
    """What each state that is met shows of itself."""
    before, marts = 0, cycle(_MARTS)
    while True:
        with duckdb.connect(str(path), read_only=True, config=_SETTINGS) as connection:
            ((snapshots, recorded_at, observed_at, listed),) = connection.execute(_LAST).fetchall()
            at = f"TIMESTAMPTZ '{observed_at}'"
            counts = {
                "models_at": f"marts.models_at({at})",
                "known": f"marts.models_at({at}, known_at := TIMESTAMPTZ '{recorded_at}')",
                "models": "marts.models",
                "spells": "marts.model_spells WHERE listed_to IS NULL",
                "prompts": f"marts.prices_at({at}) WHERE price_kind = 'prompt'",
            }
            found = {
                name: connection.execute(f"SELECT count(*) FROM {of}").fetchall()[0][0] for name, of in counts.items()
            }
            digest_of(connection, next(marts))
        wrong = {name: count for name, count in found.items() if count != listed}
        if wrong:
            raise ValueError(f"the last of {snapshots} snapshots lists {listed} models, but there are {wrong}")
        if snapshots < before:
            raise ValueError(f"there were {before} snapshots, and now there are {snapshots}")
        before = snapshots
        yield {"snapshots": snapshots}


def hold(path: Path) -> Iterator[dict[str, Any]]:
    """The same answers over and over from one connection, held against a copy of the file as it was at first."""
    copy = Path(f"{path}.{os.getpid()}.copy")
    connection, inode = duckdb.connect(str(path), read_only=True, config=_SETTINGS), None
    while inode != path.stat().st_ino:  # else the file was replaced between opening and copying
        connection.close()
        inode = path.stat().st_ino
        connection = duckdb.connect(str(path), read_only=True, config=_SETTINGS)
        shutil.copyfile(path, copy)
    with duckdb.connect(str(copy), read_only=True, config=_SETTINGS) as first:
        expected = digests(first)
    copy.unlink()
    while True:
        for name, digest in expected.items():
            if (found := digest_of(connection, name)) != digest:
                raise ValueError(f"{name} was {digest} when the file was opened, and is {found} now")
            yield {"mart": name}


def digests(connection: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """A digest of each mart, to its last column."""
    views = connection.execute(
        "SELECT view_name FROM duckdb_views() WHERE schema_name = 'marts' AND NOT internal ORDER BY 1"
    ).fetchall()
    return {name: digest_of(connection, name) for (name,) in views}


def digest_of(connection: duckdb.DuckDBPyConnection, mart: str) -> Any:
    """The number of rows of ``mart`` and a hash of them all."""
    return connection.execute(f"SELECT count(*), bit_xor(hash(m)) FROM marts.{mart} AS m").fetchall()[0]


def main(path: str, stop: str, how: str) -> int:
    """Read until told to stop; 1 if anything was wrong."""
    os.nice(10)  # a thing of this test: twenty readers would leave the writer little of two cores
    readings = {"reopen": reopen, "hold": hold}[how](Path(path))
    try:
        while not Path(stop).exists():
            print(json.dumps(next(readings)), flush=True)
            time.sleep(_PAUSE_SECONDS)
    except (duckdb.Error, OSError, ValueError) as problem:
        print(json.dumps({"wrong": f"{type(problem).__name__}: {problem}"}), flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

"""What it costs to read the marts whole, against the plain window query over every observation.

Belongs here: reading two years of history. Does not belong here: ten years (`ten_years`), whole processes
(`processes`).
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import duckdb

from pipelines.ledger.connect import literal
from tests.benchmarks import logs
from tests.benchmarks.bundle import import_whole
from tests.benchmarks.measure import Against, Bar, Finding, Plan, interleaved, seconds_of

SLOWEST = Bar("marts", "the slowest mart read whole, two years of history", 0.1)

BARS = (
    *(
        Bar(
            f"read_{mart}",
            f"`{mart}` read whole as Arrow, two years of history",
            20,
            Against.SLOWER_BASELINE,
            baseline="`LAG` over every observation",
        )
        for mart in logs.QUERIES
    ),
    SLOWEST,
)

_AT = "TIMESTAMPTZ '2026-03-01 00:00:00+00'"
_BEGINNING = "TIMESTAMPTZ '1970-01-01 00:00:00+00'"

_SAME_ANSWERS: Mapping[str, str] = {
    "price_changes": """
        SELECT count(*) FROM catalogue.marts.price_changes
        WHERE NOT after_absence AND change_kind NOT IN ('listed', 'unlisted')
    """,
    "model_spells": "SELECT count(*) FROM catalogue.marts.model_spells",
}
"""How many of a mart's rows the plain query must find too, where it asks the very same."""


class DifferentAnswersError(Exception):
    """The mart and the plain query over the log do not find as much: then their times say nothing."""


def measure(plan: Plan) -> Iterator[Finding]:
    """Both lie in files of their own, opened by one connection with the threads that DuckDB takes by itself."""
    if plan.bundle is None:
        yield from plan.absent_bundle(BARS)
        return
    warehouse, log = plan.folder / "warehouse", plan.folder / "log.duckdb"
    plan.tell("importing the bundle")
    import_whole(plan.bundle, warehouse)
    plan.tell("writing every observation to a log")
    observations = logs.write(plan.bundle, plan.folder / "clone", log)
    with opened(warehouse / "catalogue.duckdb") as connection:
        connection.execute(f"ATTACH {literal(str(log))} AS log (READ_ONLY)")
        hold_against_the_log(connection)
        plan.tell("reading")
        for mart, query in logs.QUERIES.items():
            ours, plain = interleaved(
                plan.rounds,
                partial(seconds_to_read, connection, f"FROM catalogue.marts.{mart}"),
                partial(seconds_to_read, connection, query),
            )
            yield Finding(f"read_{mart}", ours, plain, note=f"the log has {observations:,} observations")
        yield slowest(connection, plan.rounds, SLOWEST.key)


def opened(published: Path) -> duckdb.DuckDBPyConnection:
    """A connection that reads the published file as `catalogue`."""
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(f"ATTACH {literal(str(published))} AS catalogue (READ_ONLY)")
    connection.execute("USE catalogue")
    return connection


def seconds_to_read(connection: duckdb.DuckDBPyConnection, query: str) -> float:
    """Seconds until all rows of ``query`` are an Arrow table."""
    return seconds_of(lambda: connection.sql(query).to_arrow_table())


def hold_against_the_log(connection: duckdb.DuckDBPyConnection) -> None:
    """Raises :class:`DifferentAnswersError` where mart and plain query ask the same and find another number of rows."""
    for mart, counted in _SAME_ANSWERS.items():
        ((ours,),) = connection.execute(counted).fetchall()
        ((plain,),) = connection.execute(f"SELECT count(*) FROM ({logs.QUERIES[mart]})").fetchall()
        if ours != plain:
            raise DifferentAnswersError(f"{mart} has {ours} rows where the plain query over the log finds {plain}")


def questions(connection: duckdb.DuckDBPyConnection, at: str = _AT) -> Mapping[str, str]:
    """By name, the query that reads each mart whole, all else as it is by default.

    Those that take an instant are asked for ``at``, those that take a beginning for all of history.
    """
    views = connection.execute(
        "SELECT view_name FROM duckdb_views() WHERE database_name = 'catalogue' AND schema_name = 'marts' ORDER BY 1"
    ).fetchall()
    macros = connection.execute(
        "SELECT DISTINCT function_name, parameters[1] FROM duckdb_functions() "
        "WHERE database_name = 'catalogue' AND schema_name = 'marts' ORDER BY 1"
    ).fetchall()
    given = {"valid_at": at, "from_at": _BEGINNING, "known_at": ""}
    return {name: f"FROM catalogue.marts.{name}" for (name,) in views} | {
        f"{name}()": f"FROM catalogue.marts.{name}({given[first]})" for name, first in macros
    }


def slowest(connection: duckdb.DuckDBPyConnection, rounds: int, key: str, at: str = _AT) -> Finding:
    """The runs of the mart with the greatest median; the medians of all of them are its parts."""
    asked = questions(connection, at)
    runs: Sequence[Sequence[float]] = interleaved(
        rounds, *(partial(seconds_to_read, connection, query) for query in asked.values())
    )
    medians = {name: statistics.median(of_one) for name, of_one in zip(asked, runs, strict=True)}
    worst = max(medians, key=lambda name: medians[name])
    return Finding(key, runs[list(asked).index(worst)], note=f"`{worst}` of {len(asked)}", parts=medians)

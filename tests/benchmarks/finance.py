"""What it costs to price a log of ten million requests, against a plain ASOF join.

Belongs here: repricing two years of the bundle. Does not belong here: whether the costs are right
(`tests/integration/test_reprice.py`).

The log uses every model that was ever listed, at any time of the two years, with six price kinds. Ours reads Parquet
and writes every row to Parquet, with rules, confidence and exact decimals. The plain join finds six headline prices at
once by one ASOF join and multiplies DOUBLEs: no rules, no confidence, no exactness, the same costs written.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import duckdb

from pipelines.ledger.connect import literal
from pipelines.ledger.published import Published
from pipelines.reports.repricing import repriced_by
from tests.benchmarks.bundle import import_whole
from tests.benchmarks.measure import Against, Bar, Finding, Plan, interleaved, seconds_of

ROWS = 10_000_000
SMALL_ROWS = 20_000

LIMITS = ("SET threads = 2", "SET memory_limit = '4GiB'")

BARS = (
    Bar("reprice", "ten million requests priced, each row written to Parquet", 12),
    Bar(
        "reprice_asof",
        "the same against a plain join",
        1.5,
        Against.BASELINE,
        baseline="one ASOF join over six kinds, DOUBLE, no rules",
    ),
)

KINDS = {
    "prompt_tokens": "prompt",
    "completion_tokens": "completion",
    "reasoning_tokens": "internal_reasoning",
    "cache_read_tokens": "input_cache_read",
    "cache_write_5m_tokens": "input_cache_write",
    "web_searches": "web_search",
}


def measure(plan: Plan) -> Iterator[Finding]:
    """Both read the same log and the same published file, with two threads and 4 GiB."""
    if plan.bundle is None:
        yield from plan.absent_bundle(BARS)
        return
    warehouse, log = plan.folder / "warehouse", plan.folder / "usage.parquet"
    plan.tell("importing the bundle")
    import_whole(plan.bundle, warehouse)
    count = SMALL_ROWS if plan.is_small else ROWS
    plan.tell(f"making a log of {count:,} requests")
    make_log(warehouse, log, count)
    plan.tell("pricing it")
    ours, plain = interleaved(
        plan.rounds,
        partial(seconds_of, partial(price, warehouse, log, plan.folder / "priced.parquet")),
        partial(seconds_of, partial(join_plainly, warehouse, log, plan.folder / "joined.parquet")),
    )
    yield Finding("reprice", ours=ours, note=f"{count:,} requests over every model and two years, six price kinds")
    yield Finding("reprice_asof", ours=ours, baseline=plain)


def make_log(warehouse: Path, log: Path, count: int) -> None:
    """Write a log of ``count`` requests, the same each time."""
    with _opened(warehouse) as connection:
        connection.execute(
            """
            CREATE TEMP TABLE ids AS
            SELECT model_id, row_number() OVER (ORDER BY model_id) - 1 AS place
            FROM catalogue.core.model_ids
            """
        )
        ((models,),) = connection.execute("SELECT count(*) FROM ids").fetchall()
        ((first, last),) = connection.execute(
            "SELECT epoch_us(min(observed_at)), epoch_us(max(observed_at)) FROM catalogue.core.accepted"
        ).fetchall()
        connection.execute(
            f"""
            COPY (
                WITH drawn AS MATERIALIZED (
                    SELECT
                        i, hash(i) % 1000003 AS moment, hash(i) // 1000003 % {models} AS place,
                        hash(i + 1) % 300000 AS tokens, hash(i + 2) % 4000 AS answer
                    FROM range({count}) AS r(i)
                )
                SELECT
                    make_timestamptz({first} + CAST(d.moment AS BIGINT) * {(last - first) // 1000003}) AS time,
                    m.model_id AS model,
                    CAST(d.tokens AS BIGINT) AS prompt_tokens,
                    CAST(d.answer AS BIGINT) AS completion_tokens,
                    CAST(CASE WHEN hash(d.i + 5) % 4 = 0 THEN d.answer // 2 ELSE 0 END AS BIGINT) AS reasoning_tokens,
                    CAST(CASE WHEN hash(d.i + 3) % 3 = 0 THEN d.tokens // 2 ELSE 0 END AS BIGINT) AS cache_read_tokens,
                    CAST(CASE WHEN hash(d.i + 4) % 5 = 0 THEN d.tokens // 4 ELSE 0 END AS BIGINT)
                        AS cache_write_5m_tokens,
                    CAST(CASE WHEN hash(d.i + 6) % 10 = 0 THEN 1 ELSE 0 END AS BIGINT) AS web_searches
                FROM drawn AS d
                JOIN ids AS m ON m.place = CAST(d.place AS BIGINT)
            ) TO {literal(str(log))} (FORMAT parquet)
            """
        )


def price(warehouse: Path, log: Path, output: Path) -> None:
    """What `catalogue reprice LOG --output FILE` does, without its summary."""
    with Published(warehouse) as published:
        for limit in LIMITS:
            published.run(limit)
        with repriced_by(published, log):
            published.write_parquet("SELECT * FROM repriced", output)


def join_plainly(warehouse: Path, log: Path, output: Path) -> None:
    """What somebody would write who only knows `marts.price_history`."""
    prices = {kind: f"max(CASE WHEN h.price_kind = '{kind}' THEN h.price_usd END)" for kind in KINDS.values()}
    wide = ", ".join(f"CAST({price} AS DOUBLE) AS {kind}" for kind, price in prices.items())
    costs = ", ".join(f"u.{count} * p.{kind} AS {kind}_usd" for count, kind in KINDS.items())
    total = " + ".join(f"coalesce({kind}_usd, 0)" for kind in KINDS.values())
    with _opened(warehouse) as connection:
        connection.execute(
            f"""
            CREATE TEMP TABLE prices AS
            WITH moments AS (SELECT DISTINCT model_id, valid_from FROM catalogue.marts.price_history)
            SELECT m.model_id, m.valid_from, {wide}
            FROM moments AS m
            JOIN catalogue.marts.price_history AS h
                ON h.model_id = m.model_id AND h.valid_from <= m.valid_from
                AND (h.valid_to IS NULL OR h.valid_to > m.valid_from)
            GROUP BY ALL
            """
        )
        connection.execute(
            f"""
            COPY (
                SELECT *, {total} AS cost_usd
                FROM (
                    SELECT u.time, u.model, p.model_id, {costs}
                    FROM read_parquet({literal(str(log))}) AS u
                    ASOF LEFT JOIN prices AS p ON u.model = p.model_id AND u.time >= p.valid_from
                )
            ) TO {literal(str(output))} (FORMAT parquet)
            """
        )


def _opened(warehouse: Path) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    for limit in ("SET TimeZone = 'UTC'", *LIMITS):
        connection.execute(limit)
    connection.execute(f"ATTACH {literal(str(warehouse / 'catalogue.duckdb'))} AS catalogue (READ_ONLY)")
    return connection

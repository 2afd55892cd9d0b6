"""The history as a plain log of every observation, and the plain window queries that read it.

Belongs here: what somebody would do who keeps each capture's rows in DuckDB and asks with LAG. Made from the bundle's
bytes alone, so that what the marts say can also be held against it. Does not belong here: the product's tables.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import duckdb
import orjson
import polars as pl

from tests.benchmarks.bundle import versions

_NO_ATTRIBUTE = frozenset({"id", "pricing", "benchmarks", "links"})
_BATCH = 64

_CHANGED_PRICES = """
SELECT
    *, lag(price_usd) OVER w AS before_usd, lag(snapshot_no) OVER w AS before_no, lag(observed_at) OVER w AS before_at
FROM log.prices
WINDOW w AS (PARTITION BY model_id, price_kind ORDER BY observed_at)
"""

QUERIES: Mapping[str, str] = {
    "price_history": f"""
SELECT
    model_id, price_kind, price_text, price_usd, observed_at AS valid_from,
    lead(observed_at) OVER (PARTITION BY model_id, price_kind ORDER BY observed_at) AS valid_to
FROM ({_CHANGED_PRICES})
WHERE before_no IS NULL OR before_no <> snapshot_no - 1 OR price_usd <> before_usd
""",
    "price_changes": f"""
SELECT
    observed_at AS changed_at, before_at AS last_seen_at, model_id, price_kind, before_usd AS old_price_usd,
    price_usd AS new_price_usd
FROM ({_CHANGED_PRICES})
WHERE before_no = snapshot_no - 1 AND price_usd <> before_usd
""",
    "model_spells": """
SELECT
    model_id, observed_at AS listed_from,
    lead(before_at) OVER (PARTITION BY model_id ORDER BY observed_at) AS last_seen_at
FROM (
    SELECT *, lag(snapshot_no) OVER w AS before_no, lag(observed_at) OVER w AS before_at
    FROM log.listings
    WINDOW w AS (PARTITION BY model_id ORDER BY observed_at)
)
WHERE before_no IS NULL OR before_no <> snapshot_no - 1
""",
    "attribute_changes": """
SELECT
    observed_at AS changed_at, model_id, attribute, json_extract(before, path) AS old_value,
    json_extract(attributes, path) AS new_value
FROM (
    SELECT
        *, unnest(list_distinct(list_concat(json_keys(attributes), json_keys(before)))) AS attribute,
        '$."' || attribute || '"' AS path
    FROM (
        SELECT
            model_id, observed_at, attributes,
            lag(attributes) OVER (PARTITION BY model_id ORDER BY observed_at) AS before
        FROM log.attributes
    )
    WHERE attributes <> before
)
WHERE json_extract(before, path) IS DISTINCT FROM json_extract(attributes, path)
""",
}
"""By the mart that answers the same question: the plain window query over every observation."""


def write(bundle: Path, clone: Path, log: Path, limit: int | None = None) -> int:
    """Write the log of the first ``limit`` captures of the bundle to ``log``; the number of its observations."""
    observations = 0
    with duckdb.connect(str(log)) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(
            "CREATE TABLE listings (snapshot_no INTEGER, observed_at TIMESTAMPTZ, model_id VARCHAR);"
            "CREATE TABLE attributes (snapshot_no INTEGER, observed_at TIMESTAMPTZ, model_id VARCHAR, "
            "attributes VARCHAR);"
            "CREATE TABLE prices (snapshot_no INTEGER, observed_at TIMESTAMPTZ, model_id VARCHAR, price_kind VARCHAR, "
            "price_text VARCHAR, price_usd DECIMAL(38, 24))"
        )
        for models, prices in _batches(bundle, clone, limit):
            connection.register("models_of_batch", models)
            connection.register("prices_of_batch", prices)
            connection.execute(
                "INSERT INTO listings SELECT snapshot_no, observed_at, model_id FROM models_of_batch;"
                "INSERT INTO attributes SELECT * FROM models_of_batch;"
                "INSERT INTO prices SELECT *, CAST(price_text AS DECIMAL(38, 24)) FROM prices_of_batch"
            )
            observations += models.height
    return observations


def _batches(bundle: Path, clone: Path, limit: int | None) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
    models: list[tuple[Any, ...]] = []
    prices: list[tuple[Any, ...]] = []
    for number, (moment, body) in enumerate(versions(bundle, clone)):
        if number == limit:
            break
        if number % _BATCH == 0 and models:
            yield _frames(models, prices)
            models, prices = [], []
        for model in orjson.loads(body)["data"]:
            attributes = {name: value for name, value in model.items() if name not in _NO_ATTRIBUTE}
            text = orjson.dumps(attributes, option=orjson.OPT_SORT_KEYS).decode()
            models.append((number, moment, model["id"], text))
            for kind, price in model["pricing"].items():
                if isinstance(price, str):
                    prices.append((number, moment, model["id"], kind, price))
    yield _frames(models, prices)


def _frames(models: list[tuple[Any, ...]], prices: list[tuple[Any, ...]]) -> tuple[pl.DataFrame, pl.DataFrame]:
    observed: dict[str, pl.DataType] = {
        "snapshot_no": pl.Int32(),
        "observed_at": pl.Datetime("us", "UTC"),
        "model_id": pl.String(),
    }
    return (
        pl.DataFrame(models, schema={**observed, "attributes": pl.String()}, orient="row"),
        pl.DataFrame(prices, schema={**observed, "price_kind": pl.String(), "price_text": pl.String()}, orient="row"),
    )

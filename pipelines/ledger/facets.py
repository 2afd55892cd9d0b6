"""Facets in the ledger: which models a filter or ranking gives, in which places, and the history that follows.

Belongs here: appending the lists of facets, deriving membership and ranks.
Does not belong here: verdicts (`derive`), the catalogue's own history, to which a facet contributes nothing.

A commit derives a facet anew from its last snapshot before the first that the commit adds or takes away.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import duckdb
import polars as pl

from pipelines.ledger.reconcile import reconcile
from pipelines.ledger.schema import derivations
from pipelines.scopes import Scope

_NEW_LISTS = """
INSERT INTO catalogue.core.facet_lists
WITH told AS (
    SELECT
        p.place,
        list(i.model_no ORDER BY CASE WHEN f.is_ranking THEN p.rank ELSE i.model_no END) AS model_nos
    FROM new_places AS p
    JOIN new_facets AS f ON f.place = p.place
    JOIN catalogue.core.model_ids AS i ON i.model_id = p.model_id
    GROUP BY p.place
)
SELECT
    (SELECT coalesce(max(facet_list_no), 0) FROM catalogue.core.facet_lists) + row_number() OVER (ORDER BY f.place),
    CAST(f.list_key AS UUID), coalesce(t.model_nos, CAST([] AS INTEGER[]))
FROM (SELECT list_key, min(place) AS place FROM new_facets GROUP BY list_key) AS f
LEFT JOIN told AS t ON t.place = f.place
ANTI JOIN catalogue.core.facet_lists AS known ON known.facet_list_key = CAST(f.list_key AS UUID)
"""

_NEW_LISTINGS = """
INSERT INTO catalogue.core.facet_listings
SELECT f.capture_no, c.source, f.facet, f.is_ranking, c.observed_at, l.facet_list_no
FROM new_facets AS f
JOIN catalogue.raw.captures AS c ON c.capture_no = f.capture_no
JOIN catalogue.core.facet_lists AS l ON l.facet_list_key = CAST(f.list_key AS UUID)
ORDER BY f.capture_no
"""

_ALTERED = """
CREATE OR REPLACE TEMP TABLE altered_facets AS
SELECT t.source, t.facet, t.since, max(e.observed_at) AS anchor
FROM (
    SELECT l.source, l.facet, min(l.observed_at) AS since
    FROM rejudged AS r
    JOIN catalogue.core.facet_listings AS l ON l.capture_no = r.capture_no
    GROUP BY l.source, l.facet
) AS t
LEFT JOIN catalogue.core.facet_snapshots AS e
    ON e.source = t.source AND e.facet = t.facet AND e.observed_at < t.since
GROUP BY t.source, t.facet, t.since
"""

_SIGHTS = """
CREATE OR REPLACE TEMP TABLE affected_facets AS
WITH seen AS (
    SELECT
        s.source, s.facet, s.is_ranking, s.place, s.observed_at, s.next_at, unnest(l.model_nos) AS model_no,
        CAST(generate_subscripts(l.model_nos, 1) AS INTEGER) AS rank
    FROM (
        SELECT
            e.*,
            row_number() OVER (PARTITION BY e.source, e.facet ORDER BY e.observed_at) AS place,
            lead(e.observed_at) OVER (PARTITION BY e.source, e.facet ORDER BY e.observed_at) AS next_at
        FROM catalogue.core.facet_snapshots AS e
        JOIN altered_facets AS t ON t.source = e.source AND t.facet = e.facet
        WHERE e.observed_at >= coalesce(t.anchor, t.since)
    ) AS s
    JOIN catalogue.core.facet_lists AS l ON l.facet_list_no = s.facet_list_no
)

SELECT source, facet, place, observed_at, next_at, model_no, CAST(NULL AS INTEGER) AS rank FROM seen
UNION ALL
SELECT source, facet, place, observed_at, next_at, model_no, rank FROM seen WHERE is_ranking
"""
"""Each sight of a model in a facet, and of a ranking another that tells its place."""

_FORMER = """
CREATE OR REPLACE TEMP TABLE former_facet_intervals AS
SELECT i.rowid AS row_no, i.*
FROM catalogue.core.facet_intervals AS i
JOIN altered_facets AS t ON t.source = i.source AND t.facet = i.facet
WHERE i.known_to IS NULL AND (t.anchor IS NULL OR i.valid_to IS NULL OR i.valid_to > t.anchor)
"""


def append_facets(connection: duckdb.DuckDBPyConnection, captures: Sequence[tuple[int, Scope, Sequence[str]]]) -> None:
    """Append what facets list: the number of the capture, its scope, and the ids in the order of the answer.

    Scopes of other kinds are passed over. Of a model that is listed twice the first place counts. Distinct lists are
    numbered in the order in which they are met.
    """
    facets = list[tuple[int, int, str, bool, str]]()
    places = list[tuple[int, str, int]]()
    for number, scope, model_ids in captures:
        if scope.facet is not None:
            key, listed = _keyed(model_ids, is_ranking=scope.is_ranking)
            places += [(len(facets), model_id, rank) for rank, model_id in enumerate(listed, start=1)]
            facets.append((len(facets), number, scope.facet, scope.is_ranking, key))
    if not facets:
        return
    connection.register("new_facets", pl.DataFrame(facets, schema=_FACETS, orient="row"))
    connection.register("new_places", pl.DataFrame(places, schema=_PLACES, orient="row"))
    try:
        connection.execute(_NEW_LISTS)
        connection.execute(_NEW_LISTINGS)
    finally:
        connection.unregister("new_facets")
        connection.unregister("new_places")


_FACETS = {
    "place": pl.Int32,
    "capture_no": pl.Int32,
    "facet": pl.String,
    "is_ranking": pl.Boolean,
    "list_key": pl.String,
}
_PLACES = {"place": pl.Int32, "model_id": pl.String, "rank": pl.Int32}


def _keyed(model_ids: Sequence[str], *, is_ranking: bool) -> tuple[str, list[str]]:
    """What names a list, and the list; without an order of its own two that hold the same are one."""
    listed = list(dict.fromkeys(model_ids))
    if not is_ranking:
        listed.sort()
    return hashlib.blake2b(repr((is_ranking, listed)).encode(), digest_size=16).hexdigest(), listed


def derive_facets(connection: duckdb.DuckDBPyConnection) -> None:
    """Bring membership and ranks to what follows from the snapshots of facets that `rejudged` adds or takes away.

    Runs within the caller's transaction and after the verdicts.
    """
    for statement in (_ALTERED, _SIGHTS, _FORMER):
        connection.execute(statement)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE fresh_facet_intervals AS {derivations()['facet_intervals']}")
    reconcile(connection, "facet_intervals")

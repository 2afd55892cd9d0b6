"""Deriving history from facts: verdicts, runs, and the intervals and changes that follow from runs.

Belongs here: finding what a commit can have altered, deriving just that anew, and telling the difference from what
was known. Does not belong here: how a verdict or a run comes about (`judgement`, `history`), facts, offers (`offers`).

Every derived table is written the same way: the rows that should be known now are computed for the models concerned,
and reconciled with those that are known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import duckdb
import numpy as np
import polars as pl

from pipelines.flatten import Defect
from pipelines.history import NEVER, STARTED_BY, Catalogue, Instant, replay
from pipelines.judgement import DEFAULT_LIMITS, Candidate, Judged, Limits, judge
from pipelines.ledger.connect import rows, select
from pipelines.ledger.facets import derive_facets
from pipelines.ledger.facts import Listings
from pipelines.ledger.offers import derive_offers
from pipelines.ledger.reconcile import reconcile
from pipelines.ledger.schema import derivations

_FOLLOWING = {
    "has_other_spells": ("spells",),
    "has_other_states": ("state_intervals", "attribute_changes"),
    "has_other_prices": (
        "price_intervals",
        "rule_intervals",
        "rule_changes",
        "schedule_bases",
        "price_changes",
        "price_rule_changes",
    ),
}
"""By the column of `altered_models` that tells which models they concern; each may read those before it."""

_OF_RULES = {"rule_intervals", "rule_changes", "schedule_bases", "price_rule_changes"}
"""Hold nothing of models that never had rules."""

_NOT_STORED = {"rule_changes", "schedule_bases"}

_OF_INTERVALS = {"attribute_changes": "state_intervals"}
"""Tables of which a row tells of the beginning of one interval, and follows from no other row of that other table."""

_NO_BASES = """
CREATE OR REPLACE TEMP TABLE fresh_schedule_bases (
    model_no INTEGER, price_kind VARCHAR, changed_at TIMESTAMPTZ, price_list_no INTEGER, price_usd DECIMAL(38, 24)
)
"""


@dataclass(frozen=True)
class _Altered:
    """A source whose history changes, and the first instant (µs since 1970) at which it does."""

    source: str
    since: int


class _Covered(NamedTuple):
    """The last snapshot of a source, and the last that lists every modality, in µs since 1970; None without any."""

    last: int | None
    last_all: int | None

    def and_then(self, snapshots: Sequence[Instant]) -> _Covered:
        """With later ``snapshots``."""
        last = [one.moment for one in snapshots]
        last_all = [one.moment for one in snapshots if one.lists_every_modality]
        return _Covered(max(last, default=self.last), max(last_all, default=self.last_all))


def derive(connection: duckdb.DuckDBPyConnection, recorded_at: datetime) -> None:
    """Judge what has no verdict yet, a new decision or new limits, and bring every derived table to what follows.

    Runs within the caller's transaction. ``recorded_at`` is the commit's.
    """
    listings = Listings(connection)
    models = listings.models
    derive_verdicts(connection, recorded_at, listings)
    concerned = _concerned(connection)
    for altered in concerned.get("catalogue", ()):
        _derive_runs(connection, listings, models, altered, recorded_at)
        _derive_from_runs(connection, altered)
    if "facet" in concerned:
        derive_facets(connection)
    derive_offers(connection, recorded_at, limits_of(connection))


# --- verdicts -------------------------------------------------------------------------------------------------------

_TO_JUDGE = """
WITH concerned AS (
    SELECT l.capture_no
    FROM catalogue.core.listings AS l
    ANTI JOIN (SELECT capture_no FROM catalogue.core.verdicts WHERE known_to IS NULL) AS v
        ON v.capture_no = l.capture_no
    UNION
    SELECT l.capture_no
    FROM catalogue.core.listings AS l
    WHERE EXISTS (SELECT 1 FROM catalogue.core.limits WHERE recorded_at = $moment)
    UNION
    SELECT l.capture_no
    FROM catalogue.core.decisions AS d
    JOIN catalogue.raw.captures AS c ON c.snapshot_id = d.snapshot_id
    JOIN catalogue.core.listings AS l ON l.capture_no = c.capture_no
    WHERE d.recorded_at = $moment
)

SELECT c.scope, epoch_us(min(c.observed_at))
FROM concerned
JOIN catalogue.raw.captures AS c ON c.capture_no = concerned.capture_no
GROUP BY c.scope
"""

_CANDIDATES = """
SELECT
    c.capture_no, epoch_us(c.observed_at), c.sha256,
    json_extract_string(l.defects, '$[*].code'), json_extract_string(l.defects, '$[*].reason'), l.keyframe_no IS NULL,
    (SELECT max_by(d.decision, d.recorded_at) FROM catalogue.core.decisions AS d WHERE d.snapshot_id = c.snapshot_id),
    l.price_count, l.unreadable_count
FROM catalogue.raw.captures AS c
JOIN catalogue.core.listings AS l ON l.capture_no = c.capture_no
WHERE c.scope = ? AND c.observed_at >= make_timestamptz(?)
"""

_LATEST_ACCEPTED = """
SELECT epoch_us(c.observed_at), c.capture_no
FROM catalogue.raw.captures AS c
JOIN catalogue.core.verdicts AS v ON v.capture_no = c.capture_no
WHERE
    v.known_to IS NULL AND v.verdict = 'accepted' AND c.scope = $scope AND c.observed_at < make_timestamptz($since)
    AND c.observed_at >= make_timestamptz($since) - to_seconds($within_days * 86400)
ORDER BY c.observed_at DESC
LIMIT 1
"""


def limits_of(connection: duckdb.DuckDBPyConnection) -> Limits:
    """From when on a capture is suspicious in this warehouse."""
    found = rows(
        connection,
        "SELECT unreadable_share, gone_share, gone_within_days FROM catalogue.core.limits "
        "ORDER BY recorded_at DESC LIMIT 1",
    )
    return Limits(*found[0]) if found else DEFAULT_LIMITS


def derive_verdicts(
    connection: duckdb.DuckDBPyConnection, recorded_at: datetime, listings: Listings | None = None
) -> None:
    """Verdicts of every capture that this commit may judge otherwise; `rejudged` holds those that changed."""
    listings = listings or Listings(connection)
    models = listings.models
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE commit_time AS SELECT CAST(? AS TIMESTAMPTZ) AS recorded_at", [recorded_at]
    )
    limits, judged = limits_of(connection), list[Judged]()
    for scope, since in rows(connection, _TO_JUDGE, {"moment": recorded_at}):
        candidates = [
            Candidate(no, moment, sha256, tuple(map(Defect, codes, reasons)), is_fatal, decision, *counts)
            for no, moment, sha256, codes, reasons, is_fatal, decision, *counts in rows(
                connection, _CANDIDATES, [scope, since]
            )
        ]
        window = {"scope": scope, "since": since, "within_days": limits.gone_within_days}
        latest = rows(connection, _LATEST_ACCEPTED, window)
        judged += judge(candidates, latest[0] if latest else None, lambda no: listings.versions_of(no, models), limits)
    verdicts = pl.DataFrame(
        [
            (one.capture_no, one.verdict, [why.code for why in one.reasons], [why.reason for why in one.reasons])
            for one in judged
        ],
        schema={
            "capture_no": pl.Int32,
            "verdict": pl.String,
            "codes": pl.List(pl.String),
            "reasons": pl.List(pl.String),
        },
        orient="row",
    )
    connection.register("judged", verdicts)
    connection.execute("CREATE OR REPLACE TEMP TABLE fresh_verdicts AS SELECT * FROM judged")
    connection.unregister("judged")
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE former_verdicts AS SELECT v.rowid AS row_no, v.* "
        "FROM catalogue.core.verdicts AS v SEMI JOIN fresh_verdicts AS f ON f.capture_no = v.capture_no "
        "WHERE v.known_to IS NULL"
    )
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE rejudged AS SELECT capture_no FROM fresh_verdicts AS f "
        "LEFT JOIN former_verdicts AS o USING (capture_no) "
        "WHERE (f.verdict = 'accepted') <> coalesce(o.verdict = 'accepted', FALSE)"
    )
    reconcile(connection, "verdicts")


def _concerned(connection: duckdb.DuckDBPyConnection) -> dict[str, list[_Altered]]:
    """By kind of scope, the sources to whose history a snapshot was added or from which one was taken away."""
    concerned: dict[str, list[_Altered]] = {}
    for kind, source, since in rows(
        connection,
        "SELECT c.scope_kind, c.source, epoch_us(min(c.observed_at)) FROM rejudged AS r "
        "JOIN catalogue.raw.captures AS c ON c.capture_no = r.capture_no GROUP BY ALL ORDER BY ALL",
    ):
        concerned.setdefault(kind, []).append(_Altered(source, since))
    return concerned


# --- runs -----------------------------------------------------------------------------------------------------------

_SNAPSHOTS = """
SELECT epoch_us(observed_at), capture_no, lists_every_modality
FROM catalogue.core.accepted
WHERE source = ? AND observed_at >= make_timestamptz(?)
"""

_COVERED_BEFORE = """
SELECT epoch_us(max(observed_at)), epoch_us(max(observed_at) FILTER (lists_every_modality))
FROM catalogue.core.accepted
WHERE source = ? AND observed_at < make_timestamptz(?)
"""

_COVERED_SO_FAR = """
SELECT epoch_us(last_at), epoch_us(last_all_at)
FROM catalogue.core.coverage
WHERE source = ? AND known_to IS NULL AND last_at < make_timestamptz(?)
"""
"""The same, where nothing later was known before this commit: whatever the length of history."""

_LATEST_RUNS = """
SELECT
    r.model_no, r.version_no, epoch_us(r.valid_from) AS valid_from, epoch_us(r.last_seen_at) AS last_seen_at,
    r.started_by, r.is_left_censored,
    CASE WHEN r.text_listed_from < make_timestamptz($since) THEN epoch_us(r.text_listed_from) END AS text_listed_from,
    r.valid_to IS NULL OR r.valid_to >= make_timestamptz($since) AS is_listed
FROM catalogue.core.runs AS r
WHERE
    r.known_to IS NULL AND r.source = $source AND r.valid_from < make_timestamptz($since)
    -- one that ended by a change before that instant is not the latest: another follows it
    AND (r.valid_to IS NULL OR r.valid_to >= make_timestamptz($since) OR r.ended_by = 'absence')
QUALIFY row_number() OVER (PARTITION BY r.model_no ORDER BY r.valid_from DESC) = 1
"""


def _derive_coverage(
    connection: duckdb.DuckDBPyConnection, source: str, covered: _Covered, recorded_at: datetime
) -> None:
    """Up to when the snapshots of ``source`` reach, now that some were added or taken away."""
    connection.execute(
        "UPDATE catalogue.core.coverage SET known_to = ? WHERE source = ? AND known_to IS NULL", [recorded_at, source]
    )
    if covered.last is not None:
        connection.execute(
            "INSERT INTO catalogue.core.coverage (SELECT $source, make_timestamptz($last), "
            "make_timestamptz($last_all), CAST($recorded_at AS TIMESTAMPTZ), NULL)",
            {"source": source, "last": covered.last, "last_all": covered.last_all, "recorded_at": recorded_at},
        )


def _derive_runs(
    connection: duckdb.DuckDBPyConnection, listings: Listings, models: int, altered: _Altered, recorded_at: datetime
) -> None:
    """The runs from the first altered instant on, and up to when snapshots reach."""
    source, since = altered.source, altered.since
    last_version = rows(connection, "SELECT coalesce(max(version_no), 0) FROM catalogue.core.versions")[0][0]
    is_text = np.ones(last_version + 1, np.bool_)
    without = select(connection, "SELECT version_no FROM catalogue.core.versions WHERE NOT outputs_text")
    is_text[without["version_no"].to_numpy()] = False
    snapshots = [Instant(*row) for row in rows(connection, _SNAPSHOTS, [source, since])]
    covered = _covered_before(connection, altered)
    _derive_coverage(connection, source, covered.and_then(snapshots), recorded_at)
    before = _catalogue_before(connection, altered, covered, models)
    runs = replay(snapshots, lambda no: listings.versions_of(no, models), is_text, before)
    touched = pl.DataFrame({"model_no": np.flatnonzero(before.touched).astype(np.int32)})
    connection.register("replayed", runs)
    connection.register("touched", touched)
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE fresh_runs AS SELECT CAST(? AS VARCHAR) AS source, model_no, version_no, "
        "make_timestamptz(valid_from) AS valid_from, make_timestamptz(valid_to) AS valid_to, "
        "make_timestamptz(last_seen_at) AS last_seen_at, started_by, ended_by, is_left_censored, "
        "make_timestamptz(text_listed_from) AS text_listed_from FROM replayed",
        [source],
    )
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE former_runs AS SELECT r.rowid AS row_no, r.* FROM catalogue.core.runs AS r "
        "SEMI JOIN touched AS t ON t.model_no = r.model_no "
        "WHERE r.known_to IS NULL AND r.source = ? AND (r.valid_to IS NULL OR r.valid_to >= make_timestamptz(?))",
        [source, since],
    )
    connection.unregister("replayed")
    connection.unregister("touched")
    reconcile(connection, "runs")


def _covered_before(connection: duckdb.DuckDBPyConnection, altered: _Altered) -> _Covered:
    """Up to when snapshots before the altered instant reach."""
    so_far = rows(connection, _COVERED_SO_FAR, [altered.source, altered.since])
    return _Covered(*(so_far or rows(connection, _COVERED_BEFORE, [altered.source, altered.since]))[0])


def _catalogue_before(
    connection: duckdb.DuckDBPyConnection, altered: _Altered, covered: _Covered, models: int
) -> Catalogue:
    """The state of the catalogue just before the altered instant, from the runs that are known."""
    state = Catalogue.empty(models)
    last, last_all = covered
    state.has_text, state.has_all = last is not None, last_all is not None
    runs = select(connection, _LATEST_RUNS, {"source": altered.source, "since": altered.since})
    number = runs["model_no"].to_numpy()
    state.version[number] = runs["version_no"].to_numpy()
    state.valid_from[number] = runs["valid_from"].to_numpy()
    state.is_listed[number] = runs["is_listed"].to_numpy()
    state.is_left_censored[number] = runs["is_left_censored"].to_numpy()
    started = {name: code for code, name in enumerate(STARTED_BY)}
    state.started_by[number] = runs["started_by"].replace_strict(started, return_dtype=pl.Int64).to_numpy()
    state.text_listed_from[number] = runs["text_listed_from"].fill_null(NEVER).to_numpy()
    # A listed model was last seen by the last snapshot that covers it, or else its run would have ended there.
    is_covered_as_text = state.text_listed_from[number] <= (last or 0)
    covering = np.where(is_covered_as_text, last or 0, last_all or 0)
    seen = np.where(runs["is_listed"].to_numpy(), covering, runs["last_seen_at"].fill_null(0).to_numpy())
    state.last_seen[number] = np.maximum(seen, state.valid_from[number])
    touched = select(
        connection,
        "SELECT DISTINCT model_no FROM catalogue.core.runs WHERE known_to IS NULL AND source = $source "
        "AND (valid_from >= make_timestamptz($since) OR valid_to >= make_timestamptz($since) "
        "OR text_listed_from >= make_timestamptz($since))",
        {"source": altered.source, "since": altered.since},
    )
    state.touched[touched["model_no"].to_numpy()] = True
    return state


# --- what follows from runs -----------------------------------------------------------------------------------------


_ALTERED_INTERVALS = """
CREATE OR REPLACE TEMP TABLE altered_intervals AS
SELECT DISTINCT i.model_no, i.valid_from
FROM catalogue.core.{table} AS i
JOIN commit_time AS t ON i.known_from = t.recorded_at OR i.known_to = t.recorded_at
WHERE i.source = (SELECT source FROM altered_source)
"""


def _derive_from_runs(connection: duckdb.DuckDBPyConnection, altered: _Altered) -> None:
    """What follows from runs, for just those models of which the runs changed in what it follows from."""
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE altered_source AS "
        "SELECT CAST(? AS VARCHAR) AS source, make_timestamptz(?) AS since",
        [altered.source, altered.since],
    )
    connection.execute(f"CREATE OR REPLACE TEMP TABLE altered_models AS {derivations()['altered_models']}")
    flags = ", ".join(f"bool_or({flag}), bool_or({flag} AND has_rules)" for flag in _FOLLOWING)
    told = iter(rows(connection, f"SELECT {flags} FROM altered_models")[0])
    for (flag, tables), is_any, has_rules in zip(_FOLLOWING.items(), told, told, strict=True):
        if is_any:
            _derive_affected(connection, flag, tables, has_rules=has_rules)


def _derive_affected(
    connection: duckdb.DuckDBPyConnection, flag: str, tables: Sequence[str], *, has_rules: bool
) -> None:
    affected = f"(SELECT model_no FROM altered_models WHERE {flag}) AS a ON a.model_no = t.model_no"
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE affected_runs AS SELECT t.* EXCLUDE (known_from, known_to) "
        f"FROM catalogue.core.runs AS t SEMI JOIN {affected} "
        "WHERE t.known_to IS NULL AND t.source = (SELECT source FROM altered_source)"
    )
    if "schedule_bases" in tables and not has_rules:
        connection.execute(_NO_BASES)
    for name in tables:
        if name in _OF_RULES and not has_rules:
            continue
        concerned = affected
        if name in _OF_INTERVALS:
            connection.execute(_ALTERED_INTERVALS.format(table=_OF_INTERVALS[name]))
            concerned = "altered_intervals AS a ON a.model_no = t.model_no AND a.valid_from = t.changed_at"
        connection.execute(f"CREATE OR REPLACE TEMP TABLE fresh_{name} AS {derivations()[name]}")
        if name in _NOT_STORED:
            continue
        connection.execute(
            f"CREATE OR REPLACE TEMP TABLE former_{name} AS SELECT t.rowid AS row_no, t.* "
            f"FROM catalogue.core.{name} AS t SEMI JOIN {concerned} "
            "WHERE t.known_to IS NULL AND t.source = (SELECT source FROM altered_source)"
        )
        reconcile(connection, name)

"""Offers and providers in the ledger: the facts that their answers state, and the history that follows.

Belongs here: appending answers and the distinct things that they list, judging them, deriving the history of offers
and providers. Does not belong here: what an answer says (`pipelines.offers`), listings of models (`facts`, `derive`).

Each question (one model's offers, all offers without data retention, all providers) has a history of its own: runs of
equal lists. A commit derives runs anew from the last answer before the first that it adds or takes away, and what
follows from runs only for models and sources whose runs differ; so its cost does not grow with history.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import groupby

import duckdb
import numpy as np
import polars as pl

from pipelines.flatten import Defect
from pipelines.judgement import Candidate, Judged, Limits, judge
from pipelines.ledger.connect import rows
from pipelines.ledger.reconcile import reconcile
from pipelines.ledger.schema import derivations
from pipelines.offers import MEASUREMENTS, OfferFrames, flatten_answers
from pipelines.scopes import Scope

# --- facts ----------------------------------------------------------------------------------------------------------

_NEW_MODEL_IDS = """
INSERT INTO catalogue.core.model_ids
SELECT
    (SELECT coalesce(max(model_no), 0) FROM catalogue.core.model_ids) + row_number() OVER (ORDER BY place, row_no),
    model_id
FROM (
    SELECT model_id, min(place) AS place, min(row_no) AS row_no
    FROM (
        SELECT model_id, place, 0 AS row_no FROM answer_rows WHERE model_id IS NOT NULL AND list_key IS NOT NULL
        UNION ALL
        SELECT model_id, place, row_no FROM zdr_rows
    )
    GROUP BY model_id
)
ANTI JOIN catalogue.core.model_ids AS known USING (model_id)
"""

_NEW_OFFER_IDS = """
INSERT INTO catalogue.core.offer_ids
SELECT
    (SELECT coalesce(max(offer_no), 0) FROM catalogue.core.offer_ids) + row_number() OVER (ORDER BY o.place, o.row_no),
    m.model_no, o.tag, o.twin_no
FROM (
    SELECT model_id, tag, twin_no, min(place) AS place, min(row_no) AS row_no
    FROM (
        SELECT model_id, tag, twin_no, place, row_no FROM offer_rows
        UNION ALL
        SELECT model_id, tag, 1 AS twin_no, place, row_no FROM zdr_rows
    )
    GROUP BY model_id, tag, twin_no
) AS o
JOIN catalogue.core.model_ids AS m USING (model_id)
ANTI JOIN catalogue.core.offer_ids AS known
    ON known.model_no = m.model_no AND known.tag = o.tag AND known.twin_no = o.twin_no
"""

_NEW_STATES = """
INSERT INTO catalogue.core.{kind}_states
SELECT
    (SELECT coalesce(max({kind}_state_no), 0) FROM catalogue.core.{kind}_states) + row_number() OVER (ORDER BY row_no),
    CAST(state_key AS UUID), s.* EXCLUDE (row_no, state_key)
FROM {kind}_state_rows AS s
ANTI JOIN catalogue.core.{kind}_states AS known ON known.{kind}_state_key = CAST(s.state_key AS UUID)
"""

_NEW_PRICE_LISTS = """
INSERT INTO catalogue.core.price_lists
SELECT
    (SELECT coalesce(max(price_list_no), 0) FROM catalogue.core.price_lists) + row_number() OVER (ORDER BY row_no),
    price_list_key, rules_key
FROM (
    SELECT
        CAST(price_list_key AS UUID) AS price_list_key, CAST(any_value(rules_key) AS UUID) AS rules_key,
        min(row_no) AS row_no
    FROM offer_rows
    GROUP BY price_list_key
)
ANTI JOIN catalogue.core.price_lists AS known USING (price_list_key)
"""

_NEW_PRICES = """
INSERT INTO catalogue.core.{table}
SELECT l.price_list_no, p.* EXCLUDE (price_list_key, row_no)
FROM {table}_rows AS p
JOIN catalogue.core.price_lists AS l ON l.price_list_key = CAST(p.price_list_key AS UUID)
WHERE l.price_list_no > ?
"""

_NUMBERED_OFFERS = """
CREATE OR REPLACE TEMP TABLE numbered_offers AS
SELECT o.row_no, o.list_key, i.offer_no, s.offer_state_no, p.price_list_no
FROM offer_rows AS o
JOIN catalogue.core.model_ids AS m USING (model_id)
JOIN catalogue.core.offer_ids AS i ON i.model_no = m.model_no AND i.tag = o.tag AND i.twin_no = o.twin_no
JOIN catalogue.core.offer_states AS s ON s.offer_state_key = CAST(o.state_key AS UUID)
JOIN catalogue.core.price_lists AS p ON p.price_list_key = CAST(o.price_list_key AS UUID)
"""

_NEW_VERSIONS = """
INSERT INTO catalogue.core.offer_versions
SELECT
    (SELECT coalesce(max(offer_version_no), 0) FROM catalogue.core.offer_versions)
    + row_number() OVER (ORDER BY row_no),
    offer_no, offer_state_no, price_list_no
FROM (
    SELECT offer_no, offer_state_no, price_list_no, min(row_no) AS row_no
    FROM numbered_offers
    GROUP BY offer_no, offer_state_no, price_list_no
)
ANTI JOIN catalogue.core.offer_versions AS known USING (offer_no, offer_state_no, price_list_no)
"""

_NEW_LISTS = """
INSERT INTO catalogue.core.answer_lists
WITH told AS (
    SELECT o.list_key, v.offer_version_no AS member
    FROM numbered_offers AS o
    JOIN catalogue.core.offer_versions AS v USING (offer_no, offer_state_no, price_list_no)
    UNION ALL
    SELECT z.list_key, i.offer_no AS member
    FROM zdr_rows AS z
    JOIN catalogue.core.model_ids AS m USING (model_id)
    JOIN catalogue.core.offer_ids AS i ON i.model_no = m.model_no AND i.tag = z.tag AND i.twin_no = 1
    UNION ALL
    SELECT p.list_key, s.provider_state_no AS member
    FROM provider_rows AS p
    JOIN catalogue.core.provider_states AS s ON s.provider_state_key = CAST(p.state_key AS UUID)
)
SELECT
    (SELECT coalesce(max(list_no), 0) FROM catalogue.core.answer_lists) + row_number() OVER (ORDER BY a.place),
    CAST(a.list_key AS UUID), a.topic, coalesce(m.members, CAST([] AS INTEGER[]))
FROM (
    SELECT list_key, any_value(topic) AS topic, min(place) AS place
    FROM answer_rows WHERE list_key IS NOT NULL GROUP BY list_key
) AS a
LEFT JOIN (SELECT list_key, list(member ORDER BY member) AS members FROM told GROUP BY list_key) AS m USING (list_key)
ANTI JOIN catalogue.core.answer_lists AS known ON known.list_key = CAST(a.list_key AS UUID)
"""

_NEW_ANSWERS = """
INSERT INTO catalogue.core.answers
SELECT
    c.capture_no, c.source, a.topic, coalesce(m.model_no, 0), c.observed_at, l.list_no, a.price_count,
    a.unreadable_count, a.defects
FROM answer_rows AS a
JOIN answer_places AS p USING (place)
JOIN catalogue.raw.captures AS c USING (capture_no)
LEFT JOIN catalogue.core.model_ids AS m USING (model_id)
LEFT JOIN catalogue.core.answer_lists AS l ON l.list_key = CAST(a.list_key AS UUID)
ORDER BY c.capture_no
"""

_NEW_MEASUREMENTS = f"""
INSERT INTO catalogue.core.offer_measurements
SELECT p.capture_no, i.offer_no, {", ".join(f"r.{name}" for name in list(MEASUREMENTS)[4:])}
FROM measurement_rows AS r
JOIN answer_places AS p USING (place)
JOIN catalogue.core.model_ids AS m USING (model_id)
JOIN catalogue.core.offer_ids AS i ON i.model_no = m.model_no AND i.tag = r.tag AND i.twin_no = r.twin_no
ORDER BY p.capture_no, i.offer_no
"""


_NEW_UNKNOWN_FIELDS = """
INSERT INTO catalogue.core.unknown_fields
SELECT NULL, p.capture_no, f.path, f.json_type, f.example
FROM unknown_rows AS f
JOIN answer_places AS p USING (place)
ORDER BY p.capture_no, f.path
"""


def append_answers(connection: duckdb.DuckDBPyConnection, captures: Sequence[tuple[int, Scope, bytes]]) -> None:
    """Append what answers about offers and providers say; others of ``captures``, with their numbers, are passed over.

    Numbers count in the order in which things are met.
    """
    answers = [one for one in captures if one[1].topic is not None]
    if not answers:
        return
    frames = _named(flatten_answers([(scope, body) for _, scope, body in answers]))
    frames["answer_places"] = pl.DataFrame(
        {"place": range(len(answers)), "capture_no": [number for number, _, _ in answers]},
        schema={"place": pl.Int32, "capture_no": pl.Int32},
    )
    for name, frame in frames.items():
        connection.register(name, frame)
    try:
        _append_frames(connection)
    finally:
        for name in frames:
            connection.unregister(name)


def _named(frames: OfferFrames) -> dict[str, pl.DataFrame]:
    """The frames as the statements above call them; ``row_no`` is the order in which things were met."""
    named = {
        "answer_rows": frames.answers,
        "offer_rows": frames.offers,
        "offer_state_rows": frames.offer_states,
        "prices_rows": frames.prices,
        "price_rules_rows": frames.price_rules,
        "zdr_rows": frames.zdr_offers,
        "provider_rows": frames.providers,
        "provider_state_rows": frames.provider_states,
        "measurement_rows": frames.measurements,
        "unknown_rows": frames.unknown_fields,
    }
    return {name: frame.with_row_index("row_no") for name, frame in named.items()}


def _append_frames(connection: duckdb.DuckDBPyConnection) -> None:
    last_list = rows(connection, "SELECT coalesce(max(price_list_no), 0) FROM catalogue.core.price_lists")[0][0]
    connection.execute(_NEW_MODEL_IDS)
    connection.execute(_NEW_OFFER_IDS)
    for kind in ("offer", "provider"):
        connection.execute(_NEW_STATES.format(kind=kind))
    connection.execute(_NEW_PRICE_LISTS)
    for table in ("prices", "price_rules"):
        connection.execute(_NEW_PRICES.format(table=table), [last_list])
    for statement in (
        _NUMBERED_OFFERS,
        _NEW_VERSIONS,
        _NEW_LISTS,
        _NEW_ANSWERS,
        _NEW_MEASUREMENTS,
        _NEW_UNKNOWN_FIELDS,
    ):
        connection.execute(statement)


# --- history --------------------------------------------------------------------------------------------------------

_JUDGED_UNTIL = "SELECT coalesce(max(capture_no), 0) FROM catalogue.core.verdicts WHERE known_from < ?"
"""Every commit judges whatever was appended before it, so that what waits for a verdict came after all that has one."""

_TO_JUDGE = """
CREATE OR REPLACE TEMP TABLE answers_to_judge AS
SELECT a.capture_no, a.source, a.topic, a.model_no, a.observed_at
FROM catalogue.core.answers AS a
WHERE a.capture_no > $judged_until
UNION
SELECT a.capture_no, a.source, a.topic, a.model_no, a.observed_at
FROM catalogue.core.answers AS a
JOIN catalogue.raw.captures AS c ON c.capture_no = a.capture_no
JOIN catalogue.core.decisions AS d ON d.snapshot_id = c.snapshot_id AND d.recorded_at = $moment
UNION
SELECT a.capture_no, a.source, a.topic, a.model_no, a.observed_at
FROM catalogue.core.answers AS a
WHERE a.unreadable_count > 0 AND $moment IN (SELECT recorded_at FROM catalogue.core.limits)
"""

_CANDIDATES = """
SELECT
    a.source, a.topic, a.model_no, a.capture_no, epoch_us(a.observed_at), c.sha256,
    json_extract_string(a.defects, '$[*].code'), json_extract_string(a.defects, '$[*].reason'), a.list_no IS NULL,
    d.decision, a.price_count, a.unreadable_count
FROM catalogue.core.answers AS a
JOIN (SELECT DISTINCT source, topic, model_no, observed_at FROM answers_to_judge) AS t
    ON t.source = a.source AND t.topic = a.topic AND t.model_no = a.model_no AND t.observed_at = a.observed_at
JOIN catalogue.raw.captures AS c ON c.capture_no = a.capture_no
LEFT JOIN (
    SELECT snapshot_id, max_by(decision, recorded_at) AS decision FROM catalogue.core.decisions GROUP BY snapshot_id
) AS d ON d.snapshot_id = c.snapshot_id
WHERE a.observed_at >= ?
ORDER BY a.source, a.topic, a.model_no, a.capture_no
"""

_FORMER_VERDICTS = """
CREATE OR REPLACE TEMP TABLE former_verdicts AS
SELECT v.rowid AS row_no, v.*
FROM catalogue.core.verdicts AS v SEMI JOIN fresh_verdicts AS f ON f.capture_no = v.capture_no
WHERE v.known_to IS NULL
"""

_ALTERED = """
CREATE OR REPLACE TEMP TABLE altered_answers AS
SELECT t.*, max(e.observed_at) AS anchor
FROM (
    SELECT a.source, a.topic, a.model_no, min(a.observed_at) AS since
    FROM fresh_verdicts AS f
    LEFT JOIN former_verdicts AS o ON o.capture_no = f.capture_no
    JOIN catalogue.core.answers AS a ON a.capture_no = f.capture_no
    WHERE (f.verdict = 'accepted') <> coalesce(o.verdict = 'accepted', FALSE)
    GROUP BY a.source, a.topic, a.model_no
) AS t
LEFT JOIN catalogue.core.accepted_answers AS e
    ON e.source = t.source AND e.topic = t.topic AND e.model_no = t.model_no AND e.observed_at < t.since
GROUP BY t.source, t.topic, t.model_no, t.since
"""

_FORMER_RUNS = """
CREATE OR REPLACE TEMP TABLE former_answer_runs AS
SELECT r.rowid AS row_no, r.*
FROM catalogue.core.answer_runs AS r
JOIN altered_answers AS t ON t.source = r.source AND t.topic = r.topic AND t.model_no = r.model_no
WHERE r.known_to IS NULL AND (t.anchor IS NULL OR r.valid_to IS NULL OR r.valid_to > t.anchor)
"""

_AFFECTED = """
CREATE OR REPLACE TEMP TABLE affected_questions AS
SELECT DISTINCT r.source, r.topic, r.model_no
FROM catalogue.core.answer_runs AS r, commit_time AS t
WHERE r.known_from = t.recorded_at OR r.known_to = t.recorded_at
"""

_AFFECTED_MEMBERS = """
CREATE OR REPLACE TEMP TABLE affected_members AS
SELECT
    r.source, r.topic, r.model_no, r.run_no, r.valid_from, r.valid_to, r.last_seen_at, r.is_first,
    unnest(l.members) AS member
FROM (
    SELECT
        r.*,
        row_number() OVER (PARTITION BY r.source, r.topic, r.model_no ORDER BY r.valid_from) AS run_no
    FROM catalogue.core.answer_runs AS r
    JOIN affected_questions AS q ON q.source = r.source AND q.topic = r.topic AND q.model_no = r.model_no
    WHERE r.known_to IS NULL
) AS r
JOIN catalogue.core.answer_lists AS l ON l.list_no = r.list_no
"""

_AFFECTED_OFFERS = """
CREATE OR REPLACE TEMP TABLE affected_offers AS
SELECT m.* EXCLUDE (topic, member), v.offer_no, v.price_list_no
FROM affected_members AS m
JOIN catalogue.core.offer_versions AS v ON v.offer_version_no = m.member
WHERE m.topic = 'offers'
"""

_AFFECTED_PROVIDERS = """
CREATE OR REPLACE TEMP TABLE affected_providers AS
SELECT m.* EXCLUDE (topic, member), m.member AS provider_state_no
FROM affected_members AS m
WHERE m.topic = 'providers'
"""

_DERIVED = {
    "offer_spells": ("offers", "q.model_no = t.model_no"),
    "offer_price_intervals": ("offers", "q.model_no = t.model_no"),
    "offer_price_changes": ("offers", "q.model_no = t.model_no"),
    "provider_intervals": ("providers", "TRUE"),
}
"""What follows from runs, in the order in which they read each other: the topic, and which rows a question has."""


def waiting_packs(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """The packs of which an answer about offers or providers was appended and waits for its verdict."""
    return [
        pack
        for (pack,) in rows(
            connection,
            "SELECT DISTINCT c.pack FROM catalogue.core.answers AS a "
            "JOIN catalogue.raw.captures AS c ON c.capture_no = a.capture_no "
            "WHERE a.capture_no > (SELECT coalesce(max(capture_no), 0) FROM catalogue.core.verdicts)",
        )
    ]


def derive_offers(connection: duckdb.DuckDBPyConnection, moment: datetime, limits: Limits) -> None:
    """Judge answers that have no verdict yet, a new decision or new limits, and bring their history to what follows.

    Runs within the caller's transaction and after the verdicts on listings; ``moment`` is the commit's.
    """
    judged_until = rows(connection, _JUDGED_UNTIL, [moment])[0][0]
    connection.execute(_TO_JUDGE, {"judged_until": judged_until, "moment": moment})
    earliest = rows(connection, "SELECT min(observed_at) FROM answers_to_judge")[0][0]
    if earliest is None:
        return
    _write_verdicts(connection, list(_judge(connection, earliest, limits)))
    for statement in (_ALTERED, _FORMER_RUNS):
        connection.execute(statement)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE fresh_answer_runs AS {derivations()['answer_runs']}")
    reconcile(connection, "answer_runs")
    connection.execute(_AFFECTED)
    if not rows(connection, "SELECT count(*) FROM affected_questions")[0][0]:
        return
    for statement in (_AFFECTED_MEMBERS, _AFFECTED_OFFERS, _AFFECTED_PROVIDERS):
        connection.execute(statement)
    for name, (topic, same) in _DERIVED.items():
        connection.execute(f"CREATE OR REPLACE TEMP TABLE fresh_{name} AS {derivations()[name]}")
        connection.execute(
            f"CREATE OR REPLACE TEMP TABLE former_{name} AS SELECT t.rowid AS row_no, t.* "
            f"FROM catalogue.core.{name} AS t WHERE t.known_to IS NULL AND EXISTS ("
            f"SELECT 1 FROM affected_questions AS q WHERE q.topic = '{topic}' AND q.source = t.source AND {same})"
        )
        reconcile(connection, name)


def _judge(connection: duckdb.DuckDBPyConnection, earliest: datetime, limits: Limits) -> Iterator[Judged]:
    """Verdicts by the rules for listings, but that there is nothing before an answer to hold it against: a model may
    lose all its offers at once."""
    nothing = np.zeros(1, np.int32)
    found = rows(connection, _CANDIDATES, [earliest])
    for _, group in groupby(found, key=lambda row: row[:3]):
        candidates = [
            Candidate(no, at, sha256, tuple(map(Defect, codes, reasons)), is_fatal, decision, *counts)
            for _, _, _, no, at, sha256, codes, reasons, is_fatal, decision, *counts in group
        ]
        yield from judge(candidates, None, lambda number: nothing, limits)


def _write_verdicts(connection: duckdb.DuckDBPyConnection, judged: Sequence[Judged]) -> None:
    table = pl.DataFrame(
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
    connection.register("judged", table)
    connection.execute("CREATE OR REPLACE TEMP TABLE fresh_verdicts AS SELECT * FROM judged ORDER BY capture_no")
    connection.unregister("judged")
    connection.execute(_FORMER_VERDICTS)
    reconcile(connection, "verdicts")

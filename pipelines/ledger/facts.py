"""Appending facts: captures, the distinct things they list, and who was listed.

Belongs here: rows that are written once and never changed, and reading listings back.
Does not belong here: verdicts and history, which are derived (`derive`), transactions (`ledger`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import NamedTuple

import duckdb
import numpy as np
import orjson
import polars as pl
from numpy.typing import NDArray

from pipelines.captures import Capture
from pipelines.flatten import Frames, Listing
from pipelines.ledger.connect import listed, rows, select
from pipelines.ledger.counts import append_counts
from pipelines.ledger.facets import append_facets
from pipelines.ledger.feeds import append_feeds
from pipelines.ledger.offers import append_answers
from pipelines.scopes import Scope

GROUP_SIZE = 64
"""Captures told as differences from one keyframe; bounds what reading one listing costs."""

_CACHED_GROUPS = 64

Versions = NDArray[np.int32]


class Listings:
    """Reads back who was listed: for a capture, the version of each model, indexed by model_no (0: not listed)."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._keyframes: dict[int, int] = {}
        self._groups: dict[int, dict[int, Versions]] = {}

    @cached_property
    def models(self) -> int:
        """The greatest model_no."""
        return int(rows(self._connection, "SELECT coalesce(max(model_no), 0) FROM catalogue.core.model_ids")[0][0])

    def versions_of(self, capture_no: int, models: int) -> Versions:
        """The listing of a capture as an array with room for model numbers up to ``models``."""
        if capture_no not in self._keyframes:
            self._keyframes.update(
                rows(
                    self._connection,
                    "SELECT capture_no, keyframe_no FROM catalogue.core.listings WHERE keyframe_no = "
                    "(SELECT keyframe_no FROM catalogue.core.listings WHERE capture_no = ?)",
                    [capture_no],
                )
            )
        keyframe = self._keyframes[capture_no]
        if keyframe not in self._groups:
            if len(self._groups) >= _CACHED_GROUPS:
                del self._groups[next(iter(self._groups))]
            self._groups[keyframe] = self._read_group(keyframe)
        listing = self._groups[keyframe][capture_no]
        roomy: Versions = np.zeros(models + 1, np.int32)
        roomy[: listing.size] = listing
        return roomy

    def _read_group(self, keyframe: int) -> dict[int, Versions]:
        changes = select(
            self._connection,
            "SELECT capture_no, model_no, coalesce(version_no, 0) AS version_no FROM catalogue.core.observations "
            "WHERE keyframe_no = ? ORDER BY capture_no",
            [keyframe],
        )
        members = sorted(one for one, its in self._keyframes.items() if its == keyframe)
        capture, model, version = (changes[name].to_numpy() for name in ("capture_no", "model_no", "version_no"))
        current: Versions = np.zeros(int(model.max(initial=0)) + 1, np.int32)
        bounds = np.searchsorted(capture, [*members, np.iinfo(np.int32).max])
        listings = {}
        for number, start, end in zip(members, bounds[:-1], bounds[1:], strict=True):
            current[model[start:end]] = version[start:end]
            listings[number] = current.copy()
        return listings


class Filed(NamedTuple):
    """A capture that lies in a pack, as its facts tell of it.

    ``listing`` is what it lists, None if it is no listing; only then ``body`` holds its bytes. ``provenance`` is JSON.
    """

    pack: str
    snapshot_id: str
    scope: Scope
    observed_at: datetime
    sha256: str
    size_bytes: int
    origin: str
    provenance: str
    listing: Listing | None
    body: bytes


@dataclass(frozen=True)
class Reading:
    """The captures of a pack, read and not yet appended. ``frames`` are of its listings, None without any."""

    filed: Sequence[Filed]
    frames: Frames | None


def read(pack: str, captures: Sequence[Capture], frames: Frames | None) -> Reading:
    """What is to be appended of ``captures``, which lie in ``pack``; ``frames`` are those of its listings, in order."""
    listings = iter(frames.listings if frames else ())
    filed = []
    for one in captures:
        is_listing = one.scope.kind != "other"
        filed.append(
            Filed(
                pack,
                one.snapshot_id,
                one.scope,
                one.observed_at,
                one.sha256,
                len(one.body),
                one.origin,
                orjson.dumps(dict(one.provenance)).decode(),
                next(listings) if is_listing else None,
                b"" if is_listing else one.body,
            )
        )
    return Reading(filed, frames)


def known_ids(connection: duckdb.DuckDBPyConnection, snapshot_ids: Sequence[str]) -> set[str]:
    """Those of ``snapshot_ids`` that are in the ledger."""
    with listed(connection, snapshot_ids) as asked:
        found = rows(
            connection,
            f"SELECT snapshot_id FROM catalogue.raw.captures WHERE snapshot_id IN (SELECT value FROM {asked})",
        )
    return {snapshot_id for (snapshot_id,) in found}


def append(connection: duckdb.DuckDBPyConnection, readings: Sequence[Reading]) -> None:
    """Append the facts of packs, in their order; captures that are there already add only where they came from.

    All numbers count in the order in which things are met, so that it makes no difference which packs are appended
    together.
    """
    for together in _in_one_order(readings):
        _append_together(connection, together)


def _in_one_order(readings: Sequence[Reading]) -> Iterator[list[Reading]]:
    """Cuts ``readings`` so that listings, which are numbered first, never come after answers of another kind."""
    together: list[Reading] = []
    has_answers = False
    for reading in readings:
        if has_answers and reading.frames is not None:
            yield together
            together, has_answers = [], False
        together.append(reading)
        has_answers = has_answers or any(one.scope.topic is not None for one in reading.filed)
    if together:
        yield together


def _append_together(connection: duckdb.DuckDBPyConnection, readings: Sequence[Reading]) -> None:
    filed = [one for reading in readings for one in reading.filed]
    known = known_ids(connection, [one.snapshot_id for one in filed])
    new: dict[str, Filed] = {}
    for reading in readings:
        for one in sorted(reading.filed, key=lambda each: (each.observed_at, each.sha256)):
            if one.snapshot_id not in known:
                new.setdefault(one.snapshot_id, one)
    if new:
        numbered = _append_captures(connection, list(new.values()))
        frames = [reading.frames for reading in readings if reading.frames is not None]
        if frames:
            _append_distinct(connection, frames)
            _append_listings(connection, numbered)
            _append_groupings(connection, numbered)
            _append_facets(connection, numbered)
        others = [(number, one.scope, one.body) for number, one in numbered]
        append_answers(connection, others)
        append_feeds(connection, others)
        append_counts(connection, others)
    sightings: dict[tuple[str, str], str] = {}
    for reading in readings:
        for one in sorted(reading.filed, key=lambda each: each.provenance):
            sightings.setdefault((one.snapshot_id, one.origin), one.provenance)
    append_provenance(connection, [(*place, provenance) for place, provenance in sightings.items()])


def _append_captures(connection: duckdb.DuckDBPyConnection, filed: Sequence[Filed]) -> list[tuple[int, Filed]]:
    first = rows(connection, "SELECT coalesce(max(capture_no), 0) + 1 FROM catalogue.raw.captures")[0][0]
    numbered = list(enumerate(filed, start=first))
    table = pl.DataFrame(
        [
            (
                *(no, one.snapshot_id, one.scope.source, one.scope.name, one.scope.kind),
                one.scope.lists_every_modality,
                *(one.observed_at, one.sha256, one.size_bytes, one.pack),
            )
            for no, one in numbered
        ],
        schema={
            "capture_no": pl.Int32,
            "snapshot_id": pl.String,
            "source": pl.String,
            "scope": pl.String,
            "scope_kind": pl.String,
            "lists_every_modality": pl.Boolean,
            "observed_at": pl.Datetime("us", "UTC"),
            "sha256": pl.String,
            "size_bytes": pl.Int64,
            "pack": pl.String,
        },
        orient="row",
    )
    _insert(connection, "raw.captures", table)
    return numbered


def append_provenance(connection: duckdb.DuckDBPyConnection, sightings: Sequence[tuple[str, str, str]]) -> None:
    """Add (snapshot_id, origin, provenance as JSON) unless that origin of the capture is known."""
    table = pl.DataFrame(
        sightings, schema={"snapshot_id": pl.String, "origin": pl.String, "provenance": pl.String}, orient="row"
    )
    connection.register("sightings", table)
    connection.execute(
        "WITH met AS (SELECT c.capture_no, s.origin, min(s.provenance) AS provenance FROM sightings AS s "
        "JOIN catalogue.raw.captures AS c ON c.snapshot_id = s.snapshot_id GROUP BY c.capture_no, s.origin), "
        "known AS (SELECT p.capture_no, p.origin FROM catalogue.raw.provenance AS p "
        "SEMI JOIN met AS m ON m.capture_no = p.capture_no) "
        "INSERT INTO catalogue.raw.provenance SELECT m.capture_no, m.origin, m.provenance FROM met AS m "
        "ANTI JOIN known AS k ON k.capture_no = m.capture_no AND k.origin = m.origin ORDER BY m.capture_no, m.origin"
    )
    connection.unregister("sightings")


_NEW_MODEL_IDS = """
INSERT INTO catalogue.core.model_ids
SELECT
    (SELECT coalesce(max(model_no), 0) FROM catalogue.core.model_ids) + row_number() OVER (ORDER BY place),
    model_id
FROM (SELECT model_id, min(place) AS place FROM new_models GROUP BY model_id)
ANTI JOIN catalogue.core.model_ids AS known USING (model_id)
"""

_NEW_STATES = """
INSERT INTO catalogue.core.states
SELECT
    (SELECT coalesce(max(state_no), 0) FROM catalogue.core.states) + row_number() OVER (ORDER BY place),
    CAST(state_key AS UUID), CAST(meaning_key AS UUID),
    * EXCLUDE (place, model_key, state_key, meaning_key, price_list_key, rules_key, outputs_text)
FROM new_models AS m
ANTI JOIN catalogue.core.states AS known ON known.state_key = CAST(m.state_key AS UUID)
WHERE place IN (SELECT min(place) FROM new_models GROUP BY state_key)
"""

_NEW_PRICE_LISTS = """
INSERT INTO catalogue.core.price_lists
SELECT
    (SELECT coalesce(max(price_list_no), 0) FROM catalogue.core.price_lists) + row_number() OVER (ORDER BY place),
    price_list_key, rules_key
FROM (
    SELECT CAST(price_list_key AS UUID) AS price_list_key, CAST(any_value(rules_key) AS UUID) AS rules_key,
        min(place) AS place
    FROM new_models
    GROUP BY price_list_key
)
ANTI JOIN catalogue.core.price_lists AS known USING (price_list_key)
"""

_NEW_PRICES = """
INSERT INTO catalogue.core.{table}
SELECT l.price_list_no, p.* EXCLUDE (price_list_key)
FROM {frame} AS p
JOIN catalogue.core.price_lists AS l ON l.price_list_key = CAST(p.price_list_key AS UUID)
WHERE l.price_list_no > ?
"""

_NEW_VERSIONS = """
INSERT INTO catalogue.core.versions
SELECT
    (SELECT coalesce(max(version_no), 0) FROM catalogue.core.versions) + row_number() OVER (ORDER BY m.place),
    CAST(m.model_key AS UUID), i.model_no, s.state_no, l.price_list_no, m.outputs_text
FROM new_models AS m
JOIN catalogue.core.model_ids AS i ON i.model_id = m.model_id
JOIN catalogue.core.states AS s ON s.state_key = CAST(m.state_key AS UUID)
JOIN catalogue.core.price_lists AS l ON l.price_list_key = CAST(m.price_list_key AS UUID)
"""

_NEW_UNKNOWN_FIELDS = """
INSERT INTO catalogue.core.unknown_fields
SELECT v.version_no, NULL, f.path, f.json_type, f.example
FROM new_fields AS f
JOIN catalogue.core.versions AS v ON v.version_key = CAST(f.model_key AS UUID)
WHERE v.version_no > ?
"""


def _append_distinct(connection: duckdb.DuckDBPyConnection, frames: Sequence[Frames]) -> None:
    """Model ids, states, price lists and versions that were never seen before, numbered in the order of sight."""
    models = pl.concat([one.models for one in frames]).with_row_index("place")
    if models.is_empty():
        return
    connection.register("batch_models", models)
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE new_models AS SELECT m.* FROM batch_models AS m "
        "ANTI JOIN catalogue.core.versions AS v ON v.version_key = CAST(m.model_key AS UUID)"
    )
    connection.unregister("batch_models")
    if not rows(connection, "SELECT count(*) FROM new_models")[0][0]:
        return
    last_version, last_list = rows(
        connection,
        "SELECT (SELECT coalesce(max(version_no), 0) FROM catalogue.core.versions), "
        "(SELECT coalesce(max(price_list_no), 0) FROM catalogue.core.price_lists)",
    )[0]
    for statement in (_NEW_MODEL_IDS, _NEW_STATES, _NEW_PRICE_LISTS, _NEW_VERSIONS):
        connection.execute(statement)
    prices = {"prices": [one.prices for one in frames], "price_rules": [one.price_rules for one in frames]}
    for table, parts in prices.items():
        connection.register("new_prices", pl.concat(parts))
        connection.execute(_NEW_PRICES.format(table=table, frame="new_prices"), [last_list])
        connection.unregister("new_prices")
    connection.register("new_fields", pl.concat([one.unknown_fields for one in frames]))
    connection.execute(_NEW_UNKNOWN_FIELDS, [last_version])
    connection.unregister("new_fields")


def _append_listings(connection: duckdb.DuckDBPyConnection, captures: Sequence[tuple[int, Filed]]) -> None:
    keys = {key for _, one in captures if one.listing for key in one.listing.model_keys}
    with listed(connection, sorted(keys)) as asked:
        versions = {
            key: (model_no, version_no)
            for key, model_no, version_no in rows(
                connection,
                f"SELECT b.value, v.model_no, v.version_no FROM {asked} AS b "
                "JOIN catalogue.core.versions AS v ON v.version_key = CAST(b.value AS UUID)",
            )
        }
    reader = Listings(connection)
    models = reader.models
    open_groups: dict[str, _Group] = {}
    listings, parts, fields = [], [], []
    for number, one in captures:
        listing = one.listing
        if listing is None:
            continue
        keyframe = None
        if not any(defect.is_fatal for defect in listing.defects):
            group = open_groups.get(one.scope.name) or _last_group(connection, reader, one.scope.name, models)
            if group is None or group.size >= GROUP_SIZE:
                group = _Group(number, 0, np.zeros(models + 1, np.int32))
            open_groups[one.scope.name] = group
            parts.append(group.add(number, [versions[key] for key in listing.model_keys]))
            keyframe = group.keyframe_no
        defects = orjson.dumps([{"code": d.code, "reason": d.reason, "is_fatal": d.is_fatal} for d in listing.defects])
        listings.append(
            (
                number,
                keyframe,
                len(listing.model_ids),
                listing.reported_count,
                listing.price_count,
                listing.unreadable_count,
                defects.decode(),
            )
        )
        fields += [(None, number, *found) for found in listing.unknown_fields]
    _insert(
        connection,
        "core.listings",
        pl.DataFrame(
            listings,
            schema={
                "capture_no": pl.Int32,
                "keyframe_no": pl.Int32,
                "model_count": pl.Int32,
                "reported_count": pl.Int64,
                "price_count": pl.Int32,
                "unreadable_count": pl.Int32,
                "defects": pl.String,
            },
            orient="row",
        ),
    )
    if parts:
        columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
        table = pl.DataFrame(columns, schema=["keyframe_no", "capture_no", "model_no", "version_no"])
        _insert(connection, "core.observations", table.with_columns(pl.col("version_no").replace(0, None)))
    if fields:
        names = ("version_no", "capture_no", "path", "json_type", "example")
        _insert(connection, "core.unknown_fields", pl.DataFrame(fields, schema=names, orient="row"))


def _append_groupings(connection: duckdb.DuckDBPyConnection, captures: Sequence[tuple[int, Filed]]) -> None:
    """How gateways group what they list: a distinct grouping once, and a row for each capture."""
    groupings = {
        number: (hashlib.blake2b(repr(one.listing.groups).encode(), digest_size=16).hexdigest(), one.listing.groups)
        for number, one in captures
        if one.listing is not None and one.listing.groups
    }
    if not groupings:
        return
    numbers = {
        str(key).replace("-", ""): number
        for key, number in rows(
            connection, "SELECT DISTINCT CAST(grouping_key AS VARCHAR), grouping_no FROM catalogue.core.groupings"
        )
    }
    new = []
    for key, groups in groupings.values():
        if key not in numbers:
            numbers[key] = len(numbers) + 1
            new += [
                (numbers[key], key, one.modality, one.provider, one.is_configured, list(one.model_ids))
                for one in groups
            ]
    if new:
        schema: dict[str, pl.DataType | type[pl.DataType]] = {
            "grouping_no": pl.Int32,
            "grouping_key": pl.String,
            "modality": pl.String,
            "provider": pl.String,
            "is_configured": pl.Boolean,
            "model_ids": pl.List(pl.String),
        }
        _insert(connection, "core.groupings", pl.DataFrame(new, schema=schema, orient="row"))
    placed = [(number, numbers[key]) for number, (key, _) in groupings.items()]
    names = {"capture_no": pl.Int32, "grouping_no": pl.Int32}
    _insert(connection, "core.grouped_listings", pl.DataFrame(placed, schema=names, orient="row"))


def _append_facets(connection: duckdb.DuckDBPyConnection, captures: Sequence[tuple[int, Filed]]) -> None:
    append_facets(
        connection,
        [
            (number, one.scope, one.listing.model_ids)
            for number, one in captures
            if one.listing is not None and not any(defect.is_fatal for defect in one.listing.defects)
        ],
    )


class _Group:
    """Captures of one scope told as differences, the current listing beside them."""

    def __init__(self, keyframe_no: int, size: int, listing: Versions) -> None:
        self.keyframe_no, self.size, self.listing = keyframe_no, size, listing

    def add(self, capture_no: int, listed: Sequence[tuple[int, int]]) -> tuple[Versions, Versions, Versions, Versions]:
        """The rows that tell the next listing, as columns (0: not listed); of a model listed twice the first counts."""
        listing = np.zeros_like(self.listing)
        for model_no, version_no in reversed(listed):
            listing[model_no] = version_no
        changed = np.flatnonzero(listing != self.listing).astype(np.int32)
        self.listing, self.size = listing, self.size + 1
        keyframe, capture = (np.full(changed.size, number, np.int32) for number in (self.keyframe_no, capture_no))
        return keyframe, capture, changed, listing[changed]


def _last_group(connection: duckdb.DuckDBPyConnection, reader: Listings, scope: str, models: int) -> _Group | None:
    """The group to which the latest loaded capture of ``scope`` belongs."""
    found = rows(
        connection,
        "SELECT keyframe_no, count(*), max(capture_no) FROM catalogue.core.listings WHERE keyframe_no = "
        "(SELECT max(keyframe_no) FROM catalogue.core.listings WHERE capture_no IN "
        "(SELECT capture_no FROM catalogue.raw.captures WHERE scope = ?)) GROUP BY keyframe_no",
        [scope],
    )
    if not found:
        return None
    keyframe, size, last = found[0]
    return _Group(keyframe, size, reader.versions_of(last, models))


def _insert(connection: duckdb.DuckDBPyConnection, table: str, frame: pl.DataFrame) -> None:
    connection.register("new_rows", frame)
    connection.execute(f"INSERT INTO catalogue.{table} SELECT * FROM new_rows")
    connection.unregister("new_rows")

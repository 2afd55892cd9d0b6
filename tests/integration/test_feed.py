"""The feed from the simulated API to the marts: watched, taken, and an asker for snapshots."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import dagster as dg
import orjson
import pytest

from pipelines.captures import RawStore
from pipelines.defs.home import instance
from pipelines.defs.job import definitions
from pipelines.defs.sensors import FEED_SENSOR
from pipelines.demo.catalogue import SimulatedCatalogue
from pipelines.demo.misbehaviour import Misbehaviour
from pipelines.demo.server import USER_KEY, CatalogueServer
from pipelines.ledger.ledger import Ledger
from pipelines.settings import Settings
from pipelines.snapshot import take
from pipelines.sources.openrouter import FetchPolicy, OpenRouter
from pipelines.watch import look, take_feed
from tests import processes

CATALOGUE = SimulatedCatalogue(seed=7, models=70, days=60)
HASTY = FetchPolicy(attempts=2, backoff_initial_seconds=0.005, backoff_max_seconds=0.01)


def bases(at: datetime) -> set[str]:
    """The ids, without variants, of what the feed lists at ``at``."""
    return {model_id.partition(":")[0] for model_id in CATALOGUE.ids_at(at, "all")}


def day_of_arrivals() -> tuple[datetime, datetime]:
    """Two instants six hours apart, between which the catalogue gains a model."""
    at = CATALOGUE.start
    while at + timedelta(hours=6) <= CATALOGUE.end:
        if bases(at + timedelta(hours=6)) - bases(at):
            return at, at + timedelta(hours=6)
        at += timedelta(hours=6)
    raise AssertionError("nothing is ever added to this catalogue")


BEFORE, AFTER = day_of_arrivals()


@pytest.fixture
def server() -> Iterator[CatalogueServer]:
    with CatalogueServer(CATALOGUE, now=BEFORE) as running:
        yield running


@pytest.fixture
def settings(server: CatalogueServer, tmp_path: Path) -> Settings:
    return Settings(warehouse=tmp_path / "warehouse", base_url=server.base_url, fetch_policy=HASTY, clock=server.clock)


def test_a_look_learns_and_the_next_one_tells_what_is_new(server, settings):
    """Fails once the hash is of the bytes: `lastBuildDate` alone would be news."""
    first = look(settings, None)
    assert first.new == ()
    server.now = BEFORE + timedelta(minutes=1)
    second = look(settings, first.cursor)
    assert (second.new, second.is_unchanged) == ((), True)
    server.now = AFTER
    third = look(settings, second.cursor)
    assert {item.model_id for item in third.new} >= bases(AFTER) - bases(BEFORE)
    assert not third.is_unchanged
    assert look(settings, third.cursor).new == ()


def test_a_server_with_validators_is_asked_for_changes_only(server, settings):
    server.has_validators = True
    first = look(settings, None)
    assert orjson.loads(first.cursor)["etag"]
    server.now = BEFORE + timedelta(minutes=1)
    second = look(settings, first.cursor)
    assert second.is_unchanged
    assert second.cursor == first.cursor
    assert server.requests[-1].headers["if-none-match"] == orjson.loads(first.cursor)["etag"]
    server.now = AFTER
    assert look(settings, second.cursor).new


@pytest.mark.parametrize("cursor", ["", "null", "[]", "{}", "not json", '{"etag": 1, "last_modified": 2, "items": 3}'])
def test_a_cursor_of_another_make_is_none(settings, cursor):
    assert look(settings, cursor).new == ()


def test_a_feed_is_taken_to_the_marts_and_agrees(server, settings):
    server.now = AFTER
    with Ledger(settings.warehouse) as ledger, OpenRouter(server.base_url, clock=server.clock) as api:
        for pack in take(api, ledger.raw).packs:
            ledger.append(pack)
            ledger.commit([pack])
    taken = take_feed(settings)
    with Ledger(settings.warehouse) as ledger:
        ids = {model_id for (model_id,) in ledger.rows("SELECT model_id FROM catalogue.marts.feed_items")}
    assert ids == bases(AFTER)
    assert (taken.items, taken.differences, taken.defect) == (taken.new, 0, None)


# Dagster


def sensor_of(settings: Settings) -> dg.SensorDefinition:
    return definitions(settings).resolve_sensor_def(FEED_SENSOR)


def tick(settings: Settings, cursor: str | None) -> tuple[list[str | None], str | None]:
    """The jobs that one evaluation asks for, and its cursor."""
    context = dg.build_sensor_context(cursor=cursor, definitions=definitions(settings))
    evaluated = sensor_of(settings).evaluate_tick(context)
    return [request.job_name for request in evaluated.run_requests or []], evaluated.cursor


def test_the_sensor_asks_for_a_snapshot_when_a_model_is_new(server, settings):
    """Fails once the sensor forgets its cursor."""
    asked, cursor = tick(settings, None)
    assert asked == []
    asked, cursor = tick(settings, cursor)
    assert asked == []
    server.now = AFTER
    asked, cursor = tick(settings, cursor)
    assert asked == ["snapshot", "feed"]
    assert tick(settings, cursor)[0] == []


@pytest.mark.parametrize("kind", [Misbehaviour.SERVER_ERROR, Misbehaviour.HTML, Misbehaviour.GZIP_BOMB])
def test_a_look_that_fails_keeps_what_was_known(server, settings, kind):
    _, cursor = tick(settings, None)
    server.now = AFTER
    server.misbehave(kind, times=2)
    asked, kept = tick(settings, cursor)
    assert (asked, kept) == ([], cursor)
    server.behave()
    assert tick(settings, kept)[0] == ["snapshot", "feed"]


def test_the_sensor_runs_by_itself_where_that_was_chosen(settings):
    from dataclasses import replace

    assert sensor_of(settings).default_status == dg.DefaultSensorStatus.STOPPED
    chosen = sensor_of(replace(settings, feed_poll_seconds=60))
    assert chosen.default_status == dg.DefaultSensorStatus.RUNNING
    assert chosen.minimum_interval_seconds == 60


def test_the_job_takes_a_feed_and_says_how_it_agrees(server, settings):
    server.now = AFTER
    job = definitions(settings).resolve_job_def("feed")
    with instance(settings) as recorded:
        good = job.execute_in_process(instance=recorded)
        server.misbehave(Misbehaviour.HTML)
        bad = job.execute_in_process(instance=recorded)
    checks = [{one.check_name: one.passed for one in run.get_asset_check_evaluations()} for run in (good, bad)]
    assert checks == [
        {"feed_is_readable": True, "feed_agrees_with_catalogue": True},
        {"feed_is_readable": False, "feed_agrees_with_catalogue": True},
    ]


# The terminal


def run(settings: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "CATALOGUE_BASE_URL": str(settings.base_url),
        "OPENROUTER_API_KEY": USER_KEY,
        "DAGSTER_HOME": str(settings.warehouse.parent / "dagster"),
    }
    return processes.catalogue(*arguments, "--warehouse", settings.warehouse, env=environment)


def test_a_feed_from_the_terminal(server, settings):
    told = run(settings, "snapshot", "--feed")
    assert told.returncode == 0, told.stderr
    assert " not seen before" in told.stdout
    listed = run(settings, "sql", "SELECT model_id FROM marts.feed_items", "--format", "json")
    assert {row["model_id"] for row in json.loads(listed.stdout)} == bases(BEFORE)


def test_a_key_lies_nowhere(server, settings, capfd):
    """An account's models go the whole way with a key in the environment; it stays in none of the places behind.

    Fails once a capture's provenance keeps all request headers.
    """
    with OpenRouter(server.base_url, clock=server.clock, environment={"OPENROUTER_API_KEY": USER_KEY}) as api:
        capture = api.list_for_user()
    with Ledger(settings.warehouse) as ledger:
        ledger.load([capture])
        told = ledger.rows("SELECT provenance FROM catalogue.raw.provenance")
    outputs = [run(settings, *arguments) for arguments in (["snapshot"], ["snapshot", "--feed"], ["status"])]
    assert [one.returncode for one in outputs] == [0, 0, 0], [one.stderr for one in outputs]
    raw = RawStore(settings.warehouse / "raw")
    captures = [one for pack in raw.packs() for one in raw.read(pack)]
    assert {one.scope.endpoint for one in captures} >= {"models/user", "models"}
    # Packs are compressed, so that their bytes would not show it.
    within = [one.body for one in captures] + [json.dumps(dict(one.provenance)).encode() for one in captures]
    files = [path for path in settings.warehouse.parent.rglob("*") if path.is_file()]
    assert any("dagster" in path.parts for path in files)
    said = [one.stdout + one.stderr for one in outputs] + list(capfd.readouterr()) + [str(told)]
    assert "user-agent" in str(told)
    places = [*within, *(path.read_bytes() for path in files), *(text.encode() for text in said)]
    assert [place[:80] for place in places if USER_KEY.encode() in place] == []


def test_a_damaged_feed_is_kept_and_told(server, settings):
    server.misbehave(Misbehaviour.HTML)
    told = run(settings, "snapshot", "--feed")
    assert told.returncode == 3
    assert told.stderr.splitlines() == [
        "catalogue: The feed is not XML; ask again later. Its bytes are kept, and changed nothing."
    ]
    with Ledger(settings.warehouse) as ledger:
        assert ledger.rows("SELECT count(*) FROM catalogue.raw.captures") == [(1,)]

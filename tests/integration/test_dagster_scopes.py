"""What `catalogue.toml` names, in Dagster: its assets and schedules, and runs against real servers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import orjson
import pytest

from pipelines.configuration import read
from pipelines.defs.home import instance
from pipelines.defs.job import definitions
from pipelines.demo import questions
from pipelines.demo.catalogue import SimulatedCatalogue
from pipelines.demo.gateway import GatewayServer
from pipelines.demo.misbehaviour import Misbehaviour
from pipelines.demo.server import USER_KEY, CatalogueServer
from pipelines.ledger.published import Published
from pipelines.settings import Settings
from pipelines.sources.http import FetchPolicy
from tests.integration.test_dagster import ASSETS, FEED, SWEEP, events, metadata_of
from tests.integration.test_gateway import places_of

NOW = datetime(2026, 5, 3, 12, tzinfo=UTC)
TOKEN = "tok-5ecret-a1b2c3"
SIMULATED = SimulatedCatalogue(seed=3, models=60, days=60)

FILE = """\
time_zone = "Europe/Berlin"
[catalogue]
schedule = "5 */6 * * *"
[feed]
schedule = "*/30 * * * *"
[scopes.zero-retention]
ask = "models?zdr=true"
[scopes.mine]
ask = "models/user"
schedule = "0 6 * * mon-fri"
time_zone = "America/New_York"
[gateways.office]
url = "{url}"
token_variable = "OFFICE_TOKEN"
schedule = "0 7 * * *"
"""


@pytest.fixture
def server() -> Iterator[CatalogueServer]:
    with CatalogueServer(SIMULATED, now=NOW) as one:
        yield one


@pytest.fixture
def gateway() -> Iterator[GatewayServer]:
    with GatewayServer(SIMULATED, now=NOW, tokens=[TOKEN]) as one:
        yield one


@pytest.fixture
def settings(server: CatalogueServer, gateway: GatewayServer, tmp_path: Path) -> Settings:
    file = tmp_path / "catalogue.toml"
    file.write_text(FILE.format(url=gateway.base_url))
    return replace(
        Settings.from_environment({}, read(file)),
        warehouse=tmp_path / "warehouse",
        base_url=server.base_url,
        fetch_retries=1,
        fetch_retry_seconds=0.01,
        fetch_policy=FetchPolicy(attempts=1, overall_seconds=20),
        clock=server.clock,
    )


def zero_retention(at: datetime) -> set[str]:
    """The models that the API lists so at ``at``."""
    listed = orjson.loads(SIMULATED.listing(at, output_modalities="text"))["data"]
    return {one["id"] for one in questions.answer(listed, {"zdr": "true"}, at)}


def run(settings: Settings, job: str) -> dg.ExecuteInProcessResult:
    with instance(settings) as recorded:
        return definitions(settings).resolve_job_def(job).execute_in_process(instance=recorded, raise_on_error=False)


def test_each_name_has_an_asset_and_a_schedule_of_its_own(settings):
    """And all of it loads together. Red with a job called as its asset, at which the UI alone took offence."""
    loaded = definitions(settings)
    loaded.get_repository_def().load_all_definitions()
    schedules = {one.name: one for one in loaded.schedules or () if isinstance(one, dg.ScheduleDefinition)}
    assert {
        name: (one.job_name, one.cron_schedule, one.execution_timezone, one.default_status.value)
        for name, one in schedules.items()
    } == {
        "daily_snapshot": ("snapshot", "5 */6 * * *", "Europe/Berlin", "RUNNING"),
        "take_scope_zero_retention_schedule": ("take_scope_zero_retention", "35 0 * * *", "Europe/Berlin", "RUNNING"),
        "take_scope_mine_schedule": ("take_scope_mine", "0 6 * * mon-fri", "America/New_York", "RUNNING"),
        "take_gateway_office_schedule": ("take_gateway_office", "0 7 * * *", "Europe/Berlin", "RUNNING"),
        "feed_schedule": ("feed", "*/30 * * * *", "Europe/Berlin", "RUNNING"),
    }
    graph = loaded.resolve_asset_graph()
    groups = {key.to_user_string(): graph.get(key) for key in graph.get_all_asset_keys()}
    named = groups.keys() - {*ASSETS, *SWEEP, *FEED}
    assert named == {"scope_zero_retention", "scope_mine", "gateway_office"}
    for name in named:
        assert groups[name].group_name == "scopes"
        assert groups[name].description
        job = loaded.resolve_job_def(f"take_{name}")
        assert [key.to_user_string() for key in job.asset_layer.executable_asset_keys] == [name]
    without = definitions(Settings())
    assert [one.name for one in without.schedules or ()] == ["daily_snapshot"]


def test_a_scope_is_taken_again_and_again_and_says_who_joined_and_left(settings, server):
    """Also after a failure that passes. Red with who joined and who left exchanged."""
    first = run(settings, "take_scope_zero_retention")
    assert first.success
    told = metadata_of(settings, "scope_zero_retention")
    assert (told["joined_count"], told["left_count"], told["verdict"]) == (0, 0, "accepted")
    assert "hours_since_previous" not in told
    server.misbehave(Misbehaviour.SERVER_ERROR)
    server.now += timedelta(days=30)
    assert run(settings, "take_scope_zero_retention").success
    later = metadata_of(settings, "scope_zero_retention")
    with Published(settings.warehouse) as published:
        taken = published.ask("SELECT observed_at, model_count FROM marts.snapshots ORDER BY observed_at").rows
        assert published.ask("SELECT count(*) FROM marts.models").rows == [(0,)]
    assert taken == [(NOW, told["models_listed"]), (server.now, later["models_listed"])]
    assert later["hours_since_previous"] == 720
    before, now = zero_retention(NOW), zero_retention(server.now)
    for kind, models in (("joined", now - before), ("left", before - now)):
        assert [one["model"] for one in later[kind]] == sorted(models)
        assert later[f"{kind}_count"] == len(models) > 0
    server.misbehave(Misbehaviour.EMPTY_LIST)
    server.now += timedelta(days=1)
    bad = run(settings, "take_scope_zero_retention")
    assert not bad.success
    (check,) = bad.get_asset_check_evaluations()
    assert (check.passed, check.check_name) == (False, "capture_is_accepted")
    assert "no models" in (check.description or "")


def test_secrets_stand_nowhere_in_dagster(settings, server, gateway, monkeypatch, capfd):
    """Not in its records, logs, configuration or errors, however a run ends; what is captured is there."""
    monkeypatch.setenv("OPENROUTER_API_KEY", USER_KEY)
    monkeypatch.setenv("OFFICE_TOKEN", TOKEN)
    for job in ("take_scope_mine", "take_gateway_office"):
        assert run(settings, job).success
    with Published(settings.warehouse) as published:
        assert published.ask("SELECT scope, scope_kind FROM marts.snapshots ORDER BY scope").rows == [
            ("office/api/ai/models", "catalogue"),
            ("openrouter/models/user", "facet"),
        ]
    assert metadata_of(settings, "gateway_office")["models_listed"] == len(SIMULATED.ids_at(NOW, "all"))
    for one, path, secret in ((server, "/models/user", USER_KEY), (gateway, "/api/ai/models", TOKEN)):
        one.misbehave(Misbehaviour.UNAUTHORIZED, path=path, message=f"no good: Bearer {secret}")
    for job, advice in (("take_scope_mine", "set OPENROUTER_API_KEY"), ("take_gateway_office", "set OFFICE_TOKEN")):
        result = run(settings, job)
        assert not result.success
        (failure,) = events(settings, result.run_id, dg.DagsterEventType.STEP_FAILURE)
        assert advice in str(failure.step_failure_data.user_failure_data)
    said = "".join(capfd.readouterr())
    for secret in (USER_KEY, TOKEN):
        assert secret not in said
        assert places_of(secret, settings.warehouse) == []
    assert places_of("scope_mine", settings.dagster_home)  # the search does look into Dagster's records

"""Filtered and ranked lists from the terminal to the ledger, against the simulated API over real HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest

from pipelines.captures import RawStore
from pipelines.demo import questions
from pipelines.demo.catalogue import SimulatedCatalogue
from pipelines.demo.gateway import GatewayServer
from pipelines.demo.misbehaviour import Misbehaviour
from pipelines.demo.server import EXPIRED_KEY, USER_KEY, CatalogueServer
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.published import Published
from pipelines.rounds import take_in, take_scopes
from pipelines.scopes import ALL_MODELS, Scope
from pipelines.settings import Settings
from pipelines.sources.openrouter import client
from pipelines.sweep import sweep
from pipelines.sweep import take_in as take_in_sweep
from tests.integration.test_cli import run, sentence_of
from tests.integration.test_gateway import places_of

NOW = datetime(2026, 5, 3, 12, tzinfo=UTC)
FACETS = (
    *("models?zdr=true", "models?region=eu", "models?distillable=true", "models?category=programming"),
    *("models?sort=top-weekly", "models?supported_parameters=tools", "models/user"),
)


@pytest.fixture(scope="module")
def simulated() -> SimulatedCatalogue:
    return SimulatedCatalogue(seed=3, models=60, days=60)


@pytest.fixture
def server(simulated: SimulatedCatalogue) -> Iterator[CatalogueServer]:
    with CatalogueServer(simulated, now=NOW) as one:
        yield one


def snapshot(server: CatalogueServer, warehouse: Path, *scopes: str, key: str = USER_KEY):
    return take(server, warehouse, *(f"--scope={one}" for one in scopes), OPENROUTER_API_KEY=key)


def snapshots(warehouse: Path) -> list[tuple]:
    with Published(warehouse) as published:
        return published.ask("SELECT scope, scope_kind, model_count FROM marts.snapshots ORDER BY scope").rows


def stored(warehouse: Path) -> dict[str, bytes]:
    store = RawStore(warehouse / "raw")
    return {one.scope.name: one.body for pack in store.packs() for one in store.read(pack)}


def ids(body: bytes) -> list[str]:
    return [one["id"] for one in orjson.loads(body)["data"]]


def test_every_facet_goes_from_the_terminal_to_the_ledger_and_makes_no_catalogue(server, simulated, tmp_path):
    """What is stored is what was answered, in its order; a spelling with the source is the same question."""
    result = snapshot(server, tmp_path, *FACETS, "openrouter/models?region=eu")
    assert (result.returncode, result.stderr) == (0, ""), result
    listed = orjson.loads(simulated.listing(NOW, output_modalities="text"))["data"]
    permitted = {
        one["id"]
        for one in orjson.loads(simulated.listing(NOW, output_modalities="all"))["data"]
        if questions.permits(one, NOW)
    }
    bodies = stored(tmp_path)
    assert bodies.keys() == {f"openrouter/{one}" for one in FACETS}
    expected = {
        one: [model["id"] for model in questions.answer(listed, dict([one.partition("?")[2].partition("=")[::2]]), NOW)]
        for one in FACETS[:-1]
    }
    assert {one: ids(bodies[f"openrouter/{one}"]) for one in expected} == expected
    assert set(ids(bodies["openrouter/models/user"])) == permitted
    assert snapshots(tmp_path) == sorted((name, "facet", len(ids(body))) for name, body in bodies.items())
    lines = result.stdout.splitlines()
    assert [line.split(": ")[0] for line in lines] == [*FACETS]
    assert lines[0].startswith(f"models?zdr=true: {len(expected['models?zdr=true'])} models at 20")
    with Published(tmp_path) as published:
        assert published.ask("SELECT count(*) FROM marts.models").rows == [(0,)]
    assert len(server.requests) == len(FACETS)
    keys = [one.headers.get("authorization") for one in server.requests]
    assert keys == [None] * (len(FACETS) - 1) + [f"Bearer {USER_KEY}"]


def test_a_category_comes_in_the_order_of_its_use(server, tmp_path):
    """Which is its own, and the same within a week. Red with the category's order that of the list."""
    result = snapshot(server, tmp_path, "models?category=programming", "models?sort=top-weekly")
    assert result.returncode == 0
    first = ids(stored(tmp_path)["openrouter/models?category=programming"])
    weekly = ids(stored(tmp_path)["openrouter/models?sort=top-weekly"])
    server.now += timedelta(hours=11)
    snapshot(server, tmp_path / "again", "models?category=programming")
    again = ids(stored(tmp_path / "again")["openrouter/models?category=programming"])
    assert first == again
    assert first != [one for one in weekly if one in set(first)]


def test_one_that_fails_keeps_no_other_from_being_taken(server, tmp_path):
    """Not even where the catalogue itself is among them. Red with the error raised at once."""
    server.misbehave(Misbehaviour.EMPTY_LIST)
    asked = ("models?zdr=true", "models/user", "models?region=eu", "models?output_modalities=all")
    result = snapshot(server, tmp_path, *asked, key=EXPIRED_KEY)
    assert result.returncode == 1, result
    assert "Traceback" not in result.stderr
    assert "models/user: " in result.stderr
    assert "set OPENROUTER_API_KEY to a key that is valid" in result.stderr
    assert "quarantine list" in result.stderr
    assert EXPIRED_KEY not in result.stderr + result.stdout
    assert [line.split(": ")[0] for line in result.stdout.splitlines()] == ["models?zdr=true", "models?region=eu"]
    assert [row[:2] for row in snapshots(tmp_path)] == [
        ("openrouter/models?region=eu", "facet"),
        ("openrouter/models?zdr=true", "facet"),
    ]
    server.misbehave(Misbehaviour.EMPTY_LIST)
    quarantined = snapshot(server, tmp_path, "models?zdr=true", "models?region=eu")
    assert quarantined.returncode == 3, quarantined
    assert quarantined.stdout.startswith("models?region=eu: ")


def test_what_is_asked_at_the_eu_host_is_the_eus_throughout(server, tmp_path, monkeypatch):
    """Seen red with scopes asked under OpenRouter's own name, and with providers known by theirs."""
    monkeypatch.setattr(client, "EU_BASE_URL", server.base_url)
    settings = Settings(warehouse=tmp_path, base_url=server.base_url, clock=server.clock)
    assert settings.source == "openrouter-eu"
    asked = {"all": ALL_MODELS, "zdr": Scope.parse("openrouter/models?zdr=true")}
    done = take_scopes(asked, settings)
    assert not done.failed
    with Ledger(tmp_path, in_hand=done.packs) as ledger:
        take_in(done, ledger)
    swept = sweep(settings)
    with Ledger(tmp_path, in_hand=swept.packs) as ledger:
        take_in_sweep(swept, ledger)
        assert ledger.rows("SELECT DISTINCT source FROM raw.captures") == [("openrouter-eu",)]
        assert ledger.rows("SELECT count(*) > 0 FROM marts.offers WHERE source = 'openrouter-eu'") == [(True,)]
        assert ledger.rows("SELECT DISTINCT source FROM marts.facet_membership") == [("openrouter-eu",)]
    assert sweep(settings).due == 0


def test_ones_own_models_need_a_key(server, tmp_path):
    assert sentence_of(snapshot(server, tmp_path, "models/user", key=""), 2).endswith("set OPENROUTER_API_KEY.")
    assert "valid and has not expired" in sentence_of(snapshot(server, tmp_path, "models/user", key="sk-wrong"), 1)
    assert not (tmp_path / "raw").exists()


def test_what_is_no_question_is_refused_before_anything_is_asked(server, tmp_path):
    refused = snapshot(server, tmp_path, "models?zdr=true", "models?colour=red")
    assert "colour is no parameter of /models that is documented" in sentence_of(refused, 2)
    assert server.requests == []
    assert not (tmp_path / "raw").exists()


def test_what_is_taken_is_of_one_kind(server, tmp_path):
    for one, other in (("--all", "--feed"), ("--scope=models", "--all"), ("--scope=models", "--source=gateway")):
        refused = sentence_of(run("snapshot", one, other, warehouse=tmp_path), 2)
        assert "take different things" in refused


# --- what the file names ---

TOKEN = "tok-5ecret-a1b2c3"

FILE = """\
time_zone = "Europe/Berlin"

[scopes.zero-retention]
ask = "models?zdr=true"

[scopes.mine]
ask = "models/user"
schedule = "0 6 * * *"

[gateways.office]
url = "{url}"
token_variable = "OFFICE_TOKEN"
time_zone = "UTC"
"""


@pytest.fixture
def gateway(simulated: SimulatedCatalogue) -> Iterator[GatewayServer]:
    with GatewayServer(simulated, now=NOW, tokens=[TOKEN]) as one:
        yield one


@pytest.fixture
def named(gateway: GatewayServer, tmp_path: Path) -> dict[str, str]:
    """The environment in which the file is found, and the token of the gateway."""
    file = tmp_path / "catalogue.toml"
    file.write_text(FILE.format(url=gateway.base_url))
    return {"CATALOGUE_CONFIG": str(file), "OFFICE_TOKEN": TOKEN}


def test_all_is_the_catalogue_and_whatever_the_file_names(server, gateway, named, tmp_path):
    """One that fails keeps no other from being taken; a name and its question are one; nothing secret is kept."""
    warehouse = tmp_path / "warehouse"
    result = take(server, warehouse, "--all", **named)
    assert (result.returncode, result.stderr) == (0, ""), result
    assert [line.split(":")[0].split(" ")[0] for line in result.stdout.splitlines()] == [
        *("snapshot", "zero-retention", "mine", "office")
    ]
    assert [row[:2] for row in snapshots(warehouse)] == [
        ("office/api/ai/models", "catalogue"),
        ("openrouter/models/user", "facet"),
        ("openrouter/models?output_modalities=all", "catalogue"),
        ("openrouter/models?zdr=true", "facet"),
    ]
    again = take(server, warehouse, "--scope=models?zdr=true", "--scope=zero-retention", "--scope=models", **named)
    assert again.returncode == 0, again
    assert [line.split(":")[0] for line in again.stdout.splitlines()] == ["zero-retention", "models"]
    told = json.loads(run("scopes", "--format", "json", warehouse=warehouse, **named).stdout)
    assert [(one["name"], one["scope"], one["schedule"], one["time_zone"], one["snapshots"]) for one in told] == [
        ("catalogue", "openrouter/models?output_modalities=all", "5 0 * * *", "Europe/Berlin", 1),
        ("zero-retention", "openrouter/models?zdr=true", "35 0 * * *", "Europe/Berlin", 2),
        ("mine", "openrouter/models/user", "0 6 * * *", "Europe/Berlin", 1),
        ("office", "office/api/ai/models", "35 0 * * *", "UTC", 1),
        (None, "openrouter/models", None, None, 1),
    ]
    lists = ("--scope=zero-retention", "--scope=mine", "--scope=office")
    refused = take(server, warehouse, *lists, **{**named, "OFFICE_TOKEN": "tok-wr0ng", "OPENROUTER_API_KEY": ""})
    assert refused.returncode == 1, refused
    assert [line.split(":")[0] for line in refused.stdout.splitlines()] == ["zero-retention"]
    assert "catalogue: mine: An account's models need a key: set OPENROUTER_API_KEY." in refused.stderr
    assert "set OFFICE_TOKEN to a token that is valid" in refused.stderr
    for secret in (TOKEN, USER_KEY, "tok-wr0ng"):
        assert places_of(secret, warehouse) == []


def take(server: CatalogueServer, warehouse: Path, *options: str, **environment: str):
    address = {"CATALOGUE_BASE_URL": server.base_url, "OPENROUTER_API_KEY": USER_KEY, "CATALOGUE_HTTP_ATTEMPTS": "1"}
    return run("snapshot", *options, warehouse=warehouse, **{**address, **environment})


def test_a_gateway_is_known_by_its_name(server, gateway, named, tmp_path):
    """Its address and the name of its variable come from the file; its token goes nowhere else."""
    warehouse = tmp_path / "warehouse"
    assert take(server, warehouse, "--source=office", **named).returncode == 0
    assert take(server, warehouse, "--scope=office", **named).returncode == 0
    assert [one.headers["authorization"] for one in gateway.requests] == [f"Bearer {TOKEN}"] * 2
    assert server.requests == []
    missing = sentence_of(take(server, warehouse, "--scope=office", **{**named, "OFFICE_TOKEN": ""}), 2)
    assert missing == "The gateway office wants a token: set OFFICE_TOKEN."
    unknown = sentence_of(take(server, warehouse, "--scope=home", **named), 2)
    assert unknown.endswith("catalogue.toml; there are: catalogue, zero-retention, mine, office")


def test_a_bad_file_is_one_sentence_before_anything_is_asked(server, named, tmp_path):
    Path(named["CATALOGUE_CONFIG"]).write_text("\n[scopes.a]\nask = 'models?zdr=no'")
    says = f"{named['CATALOGUE_CONFIG']}, line 3: zdr can only be True"
    for command in (("snapshot",), ("snapshot", "--all"), ("scopes",), ("serve",)):
        assert sentence_of(run(*command, warehouse=tmp_path / "warehouse", **named), 2).startswith(says)
    assert server.requests == []
    assert not (tmp_path / "warehouse").exists()

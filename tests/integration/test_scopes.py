"""Filtered and ranked lists from the terminal to the ledger, against the simulated API over real HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest

from pipelines.captures import RawStore
from pipelines.demo import questions
from pipelines.demo.catalogue import SimulatedCatalogue
from pipelines.demo.misbehaviour import Misbehaviour
from pipelines.demo.server import EXPIRED_KEY, USER_KEY, CatalogueServer
from pipelines.ledger.published import Published
from tests.integration.test_cli import run, sentence_of

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


def snapshot(server: CatalogueServer, warehouse: Path, *scopes: str, key: str = USER_KEY, **environment: str):
    options = [part for one in scopes for part in ("--scope", one)]
    address = {"CATALOGUE_BASE_URL": server.base_url, "OPENROUTER_API_KEY": key, "CATALOGUE_HTTP_ATTEMPTS": "1"}
    return run("snapshot", *options, warehouse=warehouse, **{**address, **environment})


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


def test_ones_own_models_need_a_key(server, tmp_path):
    assert sentence_of(snapshot(server, tmp_path, "models/user", key=""), 2).endswith("set OPENROUTER_API_KEY.")
    assert "valid and has not expired" in sentence_of(snapshot(server, tmp_path, "models/user", key="sk-wrong"), 1)
    assert not (tmp_path / "raw").exists()


def test_what_is_no_question_is_refused_before_anything_is_asked(server, tmp_path):
    refused = snapshot(server, tmp_path, "models?zdr=true", "models?colour=red")
    assert "colour is no parameter of /models that is documented" in sentence_of(refused, 2)
    assert server.requests == []
    assert not (tmp_path / "raw").exists()


def test_scopes_are_openrouters_and_go_with_no_other_kind(server, tmp_path):
    assert "a gateway has none" in sentence_of(
        run("snapshot", "--scope", "models", "--source", "gateway", warehouse=tmp_path), 2
    )
    assert "different things" in sentence_of(run("snapshot", "--scope", "models", "--feed", warehouse=tmp_path), 2)

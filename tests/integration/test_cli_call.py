"""`catalogue get` and `catalogue count`, as processes that ask a simulated API over HTTP."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator

import pytest

from pipelines.demo.catalogue import SimulatedCatalogue
from pipelines.demo.misbehaviour import Misbehaviour
from pipelines.demo.server import CatalogueServer
from tests import processes

CATALOGUE = SimulatedCatalogue(seed=3, models=60, days=60)
NOW = CATALOGUE.end
LISTED = min(model_id for model_id in CATALOGUE.ids_at(NOW, "text") if model_id.isascii() and "~" not in model_id)
KEY = "sk-or-v1-never-to-be-seen"


@pytest.fixture
def server() -> Iterator[CatalogueServer]:
    with CatalogueServer(CATALOGUE, now=NOW) as running:
        yield running


def run(base_url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "CATALOGUE_BASE_URL": base_url, "OPENROUTER_API_KEY": KEY}
    told = processes.catalogue(*arguments, env=environment)
    assert KEY not in told.stdout + told.stderr
    assert "Traceback" not in told.stderr
    return told


def test_a_model_is_shown_as_a_card_and_as_the_api_gives_it(server):
    card = run(server.base_url, "get", LISTED)
    assert card.returncode == 0, card.stderr
    as_json = json.loads(run(server.base_url, "get", LISTED, "--format", "json").stdout)
    assert as_json["id"] == LISTED
    assert as_json["name"] in card.stdout
    assert as_json["pricing"]["prompt"] in card.stdout
    assert all("authorization" not in request.headers for request in server.requests)


def test_a_model_that_is_not_there_is_named(server):
    told = run(server.base_url, "get", "a/nowhere")
    assert told.returncode == 1
    assert "there is no model 'a/nowhere', so check its id." in told.stderr
    assert len(told.stderr.splitlines()) == 1


def test_counts_are_those_of_the_catalogue(server):
    assert run(server.base_url, "count").stdout == f"{len(CATALOGUE.ids_at(NOW, 'all'))}\n"
    told = run(server.base_url, "count", "--output-modalities", "image", "--format", "json")
    assert json.loads(told.stdout) == [{"output_modalities": "image", "models": len(CATALOGUE.ids_at(NOW, "image"))}]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["get", "nothing"], "is no model: give author/slug"),
        (["count", "--output-modalities", "smell"], "output_modalities must be one or more of text"),
        (["get", "a/b", "--eu"], "The EU host has a base URL of its own"),
    ],
)
def test_wrong_usage_asks_nothing(server, arguments, says):
    told = run(server.base_url, *arguments)
    assert told.returncode == 2
    assert says in told.stderr
    assert server.requests == []


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        (Misbehaviour.HTML, "is not JSON (it begins with"),
        (Misbehaviour.REDIRECT_ELSEWHERE, "redirects elsewhere"),
        (Misbehaviour.GZIP_BOMB, "is larger than"),
        (Misbehaviour.UNAUTHORIZED, "wants a key"),
        (Misbehaviour.DEEPLY_NESTED, "is nested too deeply"),
        (Misbehaviour.WRONG_CHARSET, "is not JSON"),
    ],
)
def test_a_bad_answer_is_one_sentence(server, kind, says):
    server.misbehave(kind, path=f"/model/{LISTED}")
    told = run(server.base_url, "get", LISTED)
    assert told.returncode == 1
    assert says in told.stderr
    assert len(told.stderr.splitlines()) == 1


def test_a_host_that_is_not_there_is_one_sentence():
    told = run("http://127.0.0.1:9/api/v1", "count")
    assert told.returncode == 1
    assert "the connection was refused" in told.stderr

"""Facets from the terminal to the marts, against the truth that the simulated API answers from."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from pathlib import Path

import pytest

from pipelines.captures import Capture
from pipelines.demo import questions
from pipelines.demo.catalogue import SimulatedCatalogue
from pipelines.demo.server import CatalogueServer
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.published import Published
from pipelines.rounds import take_in, take_scopes
from pipelines.scopes import Scope
from pipelines.settings import Settings
from tests import processes

FACETS = {"category=programming": {"category": "programming"}, "zdr=true": {"zdr": "true"}}
SIMULATED = SimulatedCatalogue(seed=5, models=60, days=60)
MOMENTS = [SIMULATED.start + timedelta(days=day, minutes=5) for day in (17, 19, 21, 24, 28, 32, 35, 39)]


def taken_days(warehouse: Path) -> None:
    """Two facets at :data:`MOMENTS`, asked over HTTP for on the simulated clock."""
    with CatalogueServer(SIMULATED, now=MOMENTS[0]) as server:
        settings = Settings(warehouse=warehouse, base_url=server.base_url, clock=server.clock)
        for moment in MOMENTS:
            server.now = moment
            done = take_scopes({name: Scope.parse(f"openrouter/models?{name}") for name in FACETS}, settings)
            with Ledger(warehouse, in_hand=done.packs) as ledger:
                take_in(done, ledger)
    # A filter may lose a fifth of its few models within a week, which is for a person to look at.
    for one in json.loads(_run("quarantine", "list", "--format", "json", warehouse=warehouse).stdout):
        reason = ("--reason", "as simulated")
        assert not _run("quarantine", "accept", one["snapshot_id"], *reason, warehouse=warehouse).returncode


def _run(*arguments: str, warehouse: Path):
    return processes.catalogue(*arguments, env={**os.environ, "CATALOGUE_WAREHOUSE": str(warehouse)})


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("facets")
    taken_days(folder)
    return folder


@pytest.fixture(scope="module")
def truth() -> dict[str, list[list[str]]]:
    """What the API has to answer at each of :data:`MOMENTS`."""
    told: dict[str, list[list[str]]] = {name: [] for name in FACETS}
    for moment in MOMENTS:
        listed = json.loads(SIMULATED.listing(moment, output_modalities="text"))["data"]
        for name, query in FACETS.items():
            told[name].append([str(one["id"]) for one in questions.answer(listed, query, moment)])
    return told


def test_membership_is_what_was_simulated(warehouse, truth):
    with Published(warehouse) as published:
        for facet, lists in truth.items():
            for moment, ids in zip(MOMENTS, lists, strict=True):
                found = published.ask(
                    "SELECT model_id FROM marts.facet_membership WHERE facet = $facet AND valid_from <= $at "
                    "AND (valid_to IS NULL OR valid_to > $at)",
                    {"facet": facet, "at": moment},
                ).rows
                assert sorted(one for (one,) in found) == sorted(ids)
        events = published.ask("SELECT facet, happened_at, event, model_id FROM marts.facet_changes").rows
    for facet, lists in truth.items():
        for place in range(1, len(MOMENTS)):
            before, now = set(lists[place - 1]), set(lists[place])
            told = {(event, one) for where, at, event, one in events if (where, at) == (facet, MOMENTS[place])}
            assert {one for event, one in told if event == "left"} == before - now
            assert {one for event, one in told if event != "left"} == now - before
    assert {event for _, _, event, _ in events} >= {"joined", "left"}


def test_ranks_are_the_places_that_were_simulated(warehouse, truth):
    lists = truth["category=programming"]
    with Published(warehouse) as published:
        for moment, ids in zip(MOMENTS, lists, strict=True):
            found = published.ask(
                "SELECT model_id FROM marts.rank_history WHERE valid_from <= $at "
                "AND (valid_to IS NULL OR valid_to > $at) ORDER BY rank",
                {"at": moment},
            ).rows
            assert [one for (one,) in found] == ids
        now = published.ask("SELECT rank, model_id, movement, week_movement FROM marts.ranks ORDER BY rank").rows
    week_before = lists[MOMENTS.index(MOMENTS[-1] - timedelta(days=7))]

    def gained(before: list[str], model: str) -> int | None:
        return before.index(model) - lists[-1].index(model) if model in before else None

    assert now == [
        (rank, model, gained(lists[-2], model), gained(week_before, model))
        for rank, model in enumerate(lists[-1], start=1)
    ]
    assert len({row[2] for row in now}) > 3


def test_the_terminal_tells_what_the_marts_hold(warehouse, truth):
    table = json.loads(_run("facets", "--format", "json", warehouse=warehouse).stdout)
    assert [(one["facet"], one["models"], one["snapshots"]) for one in table] == [
        (facet, len(truth[facet][-1]), len(MOMENTS)) for facet in sorted(truth)
    ]
    members = json.loads(_run("facets", "zdr=true", "--format", "json", warehouse=warehouse).stdout)
    assert [one["model_id"] for one in members] == sorted(truth["zdr=true"][-1])
    places = json.loads(_run("ranks", "--top", "3", "--format", "json", warehouse=warehouse).stdout)
    assert [one["model_id"] for one in places] == truth["category=programming"][-1][:3]
    first = places[0]["model_id"]
    history = json.loads(_run("ranks", "--model", first, "--format", "json", warehouse=warehouse).stdout)
    assert history[-1]["rank"] == 1


def test_a_facet_goes_from_the_terminal_to_its_marts(tmp_path, truth):
    with CatalogueServer(SIMULATED, now=MOMENTS[0]) as server:
        environment = {**os.environ, "CATALOGUE_WAREHOUSE": str(tmp_path), "CATALOGUE_BASE_URL": server.base_url}
        scopes = [part for name in FACETS for part in ("--scope", f"models?{name}")]
        done = processes.catalogue("snapshot", *scopes, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    with Published(tmp_path) as published:
        members = published.ask("SELECT facet, model_id FROM marts.facet_membership ORDER BY ALL").rows
        places = published.ask("SELECT model_id, movement FROM marts.ranks ORDER BY rank").rows
    assert members == sorted((facet, one) for facet, lists in truth.items() for one in lists[0])
    assert places == [(one, None) for one in truth["category=programming"][0]]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("facets", "zdr=maybe"), 2, "there are category=programming, zdr=true"),
        (("ranks", "zdr=true"), 2, "no ranking 'zdr=true' was taken"),
        (("ranks", "--model", "no/body"), 1, "no/body was never ranked by category=programming"),
        (("facets", "--model", "no/body"), 1, "no facet ever had no/body"),
    ],
)
def test_wrong_questions_are_one_sentence(warehouse, arguments, code, says):
    told = _run(*arguments, warehouse=warehouse)
    assert (told.returncode, told.stdout, told.stderr.count("\n")) == (code, "", 1)
    assert says in told.stderr


def test_two_sources_are_told_apart(tmp_path):
    body = json.dumps({"data": [{"id": "a/one", "pricing": {}}]}).encode()
    with Ledger(tmp_path) as ledger:
        for source in ("openrouter", "openrouter-eu"):
            ledger.load([Capture(Scope.parse(f"{source}/models?category=programming"), MOMENTS[0], body, "live")])
        ledger.publish()
    for command in (("ranks",), ("facets", "category=programming")):
        header, *rows = _run(*command, warehouse=tmp_path).stdout.splitlines()[1:]
        assert header.startswith("source")
        assert [row.split()[0] for row in rows] == ["openrouter", "openrouter-eu"]


def test_a_warehouse_without_facets_says_how_to_take_one(tmp_path):
    with Ledger(tmp_path) as ledger:
        ledger.publish()
    for command, how in (("facets", "--scope 'models?zdr=true'"), ("ranks", "--scope 'models?category=programming'")):
        told = _run(command, warehouse=tmp_path)
        assert told.returncode == 1
        assert how in told.stderr

"""A sweep of offers from the simulated API to the marts, with all that may befall it on the way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pipelines.captures import PACK_SIZE, Capture
from pipelines.demo.catalogue import SimulatedCatalogue
from pipelines.demo.misbehaviour import Misbehaviour
from pipelines.demo.server import CatalogueServer
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.published import Published
from pipelines.ledger.verify import verify
from pipelines.scopes import ALL_MODELS, PROVIDERS, ZDR_OFFERS, offers_scope
from pipelines.settings import Settings
from pipelines.sources.http import FetchPolicy
from pipelines.sweep import sweep, take_in
from tests import processes
from tests.processes import EXECUTABLE

CATALOGUE = SimulatedCatalogue(seed=2, models=60, days=60)
DAY = CATALOGUE.start + timedelta(days=20, hours=12)
CAPTURES = Path(__file__).resolve().parents[3] / "shared" / "captures"


def run(*arguments: str, warehouse: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    base = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "CATALOGUE_WAREHOUSE": str(warehouse)}
    return processes.catalogue(*arguments, env={**base, **environment})


def listed(at: datetime) -> Capture:
    return Capture(ALL_MODELS, at, CATALOGUE.listing(at, output_modalities="all"), "live")


@pytest.fixture
def server() -> Iterator[CatalogueServer]:
    with CatalogueServer(CATALOGUE, now=DAY) as one:
        yield one


@pytest.fixture
def settings(server: CatalogueServer, tmp_path: Path) -> Settings:
    """A warehouse that has the list of the day."""
    with Ledger(tmp_path / "warehouse") as ledger:
        ledger.load([listed(DAY)])
        ledger.publish()
    return Settings(
        warehouse=tmp_path / "warehouse",
        base_url=server.base_url,
        fetch_policy=FetchPolicy(attempts=1, overall_seconds=20),
        sweep_requests_per_second=1000,
        clock=server.clock,
    )


def swept(settings: Settings) -> tuple[Any, list[Any]]:
    result = sweep(settings)
    with Ledger(settings.warehouse, in_hand=result.packs) as ledger:
        return result, take_in(result, ledger)


def ask(settings: Settings, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
    with Published(settings.warehouse) as published:
        return published.ask(query, parameters).rows


# --- from the terminal to the marts ---


def test_from_the_terminal_to_the_marts(tmp_path: Path):
    """Every offer at its price, by its tag, and who keeps no data. Seen red with twins dropped, with `is_zdr` null."""
    warehouse = tmp_path / "warehouse"
    now = datetime.now(UTC).replace(microsecond=0)
    today = SimulatedCatalogue(seed=2, models=60, days=60, start=now - timedelta(days=20))
    with CatalogueServer(today, now=now) as server:
        address = {"CATALOGUE_BASE_URL": server.base_url}
        assert run("sweep", warehouse=warehouse, **address).stderr.startswith("catalogue: there is no warehouse")
        assert run("snapshot", warehouse=warehouse, **address).returncode == 0
        told = run("sweep", warehouse=warehouse, **address)
        assert (told.returncode, told.stderr) == (0, "")
        assert "answered a short time ago" in run("sweep", warehouse=warehouse, **address).stdout
        paths = [one.path for one in server.requests]
    models = sorted(today.ids_at(now, "all"))
    assert sorted(paths).count("/api/v1/providers") == 1
    assert sum(path.endswith("/endpoints") for path in paths) == len(models)
    with Published(warehouse) as published:
        found = published.ask("SELECT model_id, tag FROM marts.offers ORDER BY ALL").rows
        assert found == sorted((model, tag) for model in models for tag in today.offers.keys_at(model, now))
        prices = published.ask(
            "SELECT model_id, tag, price_kind, price_usd, price_status FROM marts.offer_price_history "
            "WHERE valid_to IS NULL AND price_kind <> 'discount'"
        ).rows
        assert prices
        for model, tag, kind, usd, status in prices:
            value = "dynamic" if status == "dynamic" else usd
            assert value in today.offers.asked_at(model, tag, kind, now), (model, tag, kind)
        keeping_none = {one["model_id"] + one["tag"] for one in json.loads(today.zdr_endpoints(now))["data"]}
        zdr = published.ask("SELECT model_id || tag FROM marts.offers WHERE is_zdr").rows
        assert {one for (one,) in zdr} == keeping_none
        assert published.ask("SELECT count(*) FROM marts.providers").rows == [
            (len(json.loads(today.providers(now))["data"]),)
        ]
        assert published.ask("SELECT count(*) FROM marts.offer_differences WHERE is_settled").rows == [(0,)]
        busiest = published.ask(
            "SELECT model_id FROM marts.offers GROUP BY ALL ORDER BY count(*) DESC, model_id LIMIT 1"
        ).rows[0][0]
    shown = run("offers", busiest, warehouse=warehouse)
    assert shown.stdout.startswith(f"Offers of {busiest} at ")
    ranked = json.loads(run("offers", busiest, "--format", "json", warehouse=warehouse).stdout)
    numbers = [float(one["ranked_by_usd"]) for one in ranked if one["ranked_by_usd"]]
    assert numbers == sorted(numbers)
    assert run("offers", warehouse=warehouse).stdout.startswith("Models whose offers lie furthest apart")
    assert run("offers", "no/such", warehouse=warehouse).returncode == 1


# --- what goes wrong ---


def test_failed_calls_withdraw_nothing(server: CatalogueServer, settings: Settings):
    """One in twenty models cannot be asked for good: its offers stay, and it is named. Seen red with a failed call
    stored as an answer without offers."""
    swept(settings)
    before = ask(settings, "SELECT * EXCLUDE (last_seen_at) FROM marts.offers ORDER BY model_id, tag, twin_no")
    server.now = DAY + timedelta(hours=7)
    with Ledger(settings.warehouse) as ledger:
        ledger.load([listed(server.now)])
    models = sorted(CATALOGUE.ids_at(server.now, "all"))
    failing = [one for one in models if CATALOGUE.offers.keys_at(one, server.now)][::20]
    assert len(failing) * 20 >= len(models) - 20
    for number, model in enumerate(failing):
        kind = (Misbehaviour.NOT_FOUND, Misbehaviour.SERVER_ERROR, Misbehaviour.DROPPED)[number % 3]
        server.misbehave(kind, path=f"/models/{model}/endpoints")
    result, suspicious = swept(settings)
    assert sorted(one.scope.model_id for one in result.failed) == failing
    assert suspicious == []
    withdrawn = ask(settings, "SELECT model_id FROM marts.offer_events WHERE event = 'withdrawn'")
    assert not {one for (one,) in withdrawn} & set(failing)
    after = ask(settings, "SELECT * EXCLUDE (last_seen_at) FROM marts.offers ORDER BY model_id, tag, twin_no")
    kept = [row for row in before if row[1] in failing]
    assert kept
    assert [row for row in after if row[1] in failing] == kept


SPOILED = (Misbehaviour.HTML, Misbehaviour.TRUNCATED_JSON, Misbehaviour.EMPTY_LIST)


def test_damaged_answers_are_kept_and_change_nothing(server: CatalogueServer, settings: Settings):
    """Seen red with answers of a wrong shape taken as models without offers."""
    models = [one for one in sorted(CATALOGUE.ids_at(DAY, "all")) if CATALOGUE.offers.keys_at(one, DAY)][:3]
    settings = replace(settings, sweep_fresh_hours=3 / 60)
    swept(settings)
    before = ask(settings, "FROM marts.offers ORDER BY ALL")
    server.now = DAY + timedelta(minutes=5)
    for model, kind in zip(models, SPOILED, strict=True):
        server.misbehave(kind, path=f"/models/{model}/endpoints")
    result = sweep(settings)
    with Ledger(settings.warehouse, in_hand=result.packs) as ledger:
        suspicious = take_in(result, ledger)
        assert verify(ledger).findings == ()
    assert sorted(one.scope for one in suspicious) == sorted(offers_scope(model).name for model in models)
    assert {one.codes for one in suspicious} == {("not_json",), ("wrong_shape",)}
    last_seen = dict(ask(settings, "SELECT DISTINCT model_id, last_seen_at FROM marts.offers"))
    assert all(last_seen[model] == DAY for model in models)
    assert [row[:15] for row in ask(settings, "FROM marts.offers ORDER BY ALL")] == [row[:15] for row in before]
    listing = run("quarantine", "list", warehouse=settings.warehouse)
    assert all(offers_scope(model).name in listing.stdout for model in models)
    # the next sweep asks for those again, and for no others
    server.requests.clear()
    swept(settings)
    assert sorted(one.path for one in server.requests) == sorted(
        f"/api/v1/models/{model}/endpoints" for model in models
    )


def test_an_answer_about_another_model_is_refused_with_the_reason(settings: Settings):
    model = next(one for one in sorted(CATALOGUE.ids_at(DAY, "all")) if CATALOGUE.offers.keys_at(one, DAY))
    body = CATALOGUE.endpoints(model, DAY)
    assert body is not None
    with Ledger(settings.warehouse) as ledger:
        (verdict,) = ledger.load([Capture(offers_scope(f"{model}:free"), DAY, body, "live")])
    assert (verdict.verdict, verdict.codes) == ("quarantined", ("other_model",))
    assert f'"{model}"' in verdict.reasons[0]


def test_a_person_may_accept_an_answer_with_unreadable_prices(settings: Settings):
    """Seen red with decisions on answers passed over."""
    entry = {"tag": "ash", "provider_name": "Ash", "pricing": {"prompt": "a lot", "completion": "0.1"}}
    body = json.dumps({"data": {"id": "a/one", "endpoints": [entry]}}).encode()
    capture = Capture(offers_scope("a/one"), DAY, body, "live")
    with Ledger(settings.warehouse) as ledger:
        (verdict,) = ledger.load([capture])
        assert verdict.codes == ("unreadable_prices",)
        assert ledger.rows("SELECT count(*) FROM marts.offers") == [(0,)]
        ledger.commit(
            decisions=[{"snapshot_id": capture.snapshot_id, "decision": "accept", "reason": "it is what they say"}]
        )
        assert ledger.rows("SELECT model_id, tag FROM marts.offers") == [("a/one", "ash")]
        ledger.commit(decisions=[{"snapshot_id": capture.snapshot_id, "decision": "reject", "reason": "no"}])
        assert ledger.rows("SELECT count(*) FROM marts.offers") == [(0,)]
        assert verify(ledger).findings == ()


def test_without_a_list_or_a_source_one_sentence_says_so(tmp_path: Path, settings: Settings):
    (tmp_path / "empty" / "raw").mkdir(parents=True)
    told = run("sweep", warehouse=tmp_path / "empty")
    assert (told.returncode, told.stdout) == (1, "")
    assert "catalogue snapshot" in told.stderr
    nobody = {"CATALOGUE_BASE_URL": "http://127.0.0.1:9/api/v1", "CATALOGUE_HTTP_ATTEMPTS": "1"}
    told = run("sweep", warehouse=settings.warehouse, **nobody)
    assert (told.returncode, told.stdout) == (1, "")
    assert told.stderr.count("\n") == 1, told.stderr


# --- going on ---


class Many:
    """A market of 200 models with one offer each, which nothing ever changes."""

    ids = tuple(f"a/{number}" for number in range(200))

    def listing(self, at: datetime, *, output_modalities: str) -> bytes:
        return json.dumps({"data": [{"id": one, "pricing": {"prompt": "0.1"}} for one in self.ids]}).encode()

    def count(self, at: datetime, *, output_modalities: str) -> int:
        return len(self.ids)

    def endpoints(self, model_id: str, at: datetime) -> bytes | None:
        entry = {"tag": "ash", "provider_name": "Ash", "pricing": {"prompt": "0.1"}, "uptime_last_5m": at.minute}
        return json.dumps({"data": {"id": model_id, "endpoints": [entry]}}).encode()

    def zdr_endpoints(self, at: datetime) -> bytes:
        return b'{"data": []}'

    def providers(self, at: datetime) -> bytes:
        return b'{"data": [{"slug": "ash", "name": "Ash"}]}'


@pytest.fixture
def many(tmp_path: Path) -> Iterator[tuple[CatalogueServer, Path]]:
    warehouse, now = tmp_path / "warehouse", datetime.now(UTC)
    with Ledger(warehouse) as ledger:
        ledger.load([Capture(ALL_MODELS, now, Many().listing(now, output_modalities="all"), "live")])
        ledger.publish()
    with CatalogueServer(Many(), now=now) as server:
        yield server, warehouse


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_stopped_sweep_goes_on_where_it_stopped(many: tuple[CatalogueServer, Path], how: signal.Signals):
    """The next run asks for what was not stored, at most a pack of what was answered, and for nothing else. Seen red
    with a sweep that stores its answers at its end."""
    server, warehouse = many
    server.latency_seconds = 0.05
    process = subprocess.Popen(
        [EXECUTABLE, "sweep", "--connections", "4"],
        env={**os.environ, "CATALOGUE_WAREHOUSE": str(warehouse), "CATALOGUE_BASE_URL": server.base_url},
        stderr=subprocess.DEVNULL,
        # where the tests run in a shell's background they ignore it, and so would what they start
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    while len(server.requests) < 150:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(how)
    assert process.wait(60) in (-signal.SIGKILL, 130)
    server.latency_seconds = 0
    told = run("sweep", warehouse=warehouse, CATALOGUE_BASE_URL=server.base_url)
    assert told.returncode == 0, told.stderr
    asked_again = len(server.requests) - len(Many.ids) - 2
    assert 0 <= asked_again < (64 + 5 if how == signal.SIGKILL else 6)
    with Published(warehouse) as published:
        assert published.ask("SELECT count(*) FROM marts.offers").rows == [(len(Many.ids),)]


def test_an_unchanged_sweep_makes_no_history(tmp_path: Path):
    """Measurements make no version, and an answer without change no row but its own. Seen red with `uptime_last_5m`
    taken for a part of the state."""
    with Ledger(tmp_path) as ledger:
        made = {}
        for hour in range(3):
            at = DAY + timedelta(hours=hour, minutes=hour)
            bodies = [(offers_scope(one), Many().endpoints(one, at) or b"") for one in Many.ids[:60]]
            ledger.load([Capture(scope, at, body, "live") for scope, body in bodies])
            tables = ("answer_lists", "answer_runs", "offer_versions", "offer_spells", "offer_price_intervals")
            made[hour] = [ledger.rows(f"SELECT count(*) FROM core.{table}") for table in tables]
        assert made[0] == made[1] == made[2]
        assert ledger.rows("SELECT count(*), count(DISTINCT uptime_last_5m) FROM marts.offer_measurements") == [
            (180, 3)
        ]


# --- what explains a change of price ---


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 5])
def test_changes_of_price_are_explained_as_they_were_simulated(seed: int, tmp_path: Path):
    """Flaps of routing, flips of schedules and true repricings, mixed: no false explanation and none missed. Offers are
    captured with each list. Seen red without the offers that came to the new price themselves (`repriced`), and with
    flips of an offer's own schedule taken for changes, in either place.
    """
    catalogue = SimulatedCatalogue(seed=seed, models=60, days=50)
    times = [catalogue.start + timedelta(hours=12 * number, minutes=5) for number in range(99)]
    changing = {one.model_id for one in catalogue.expected_price_changes(times)}
    captures: list[Capture] = []
    for at in times:
        captures.append(Capture(ALL_MODELS, at, catalogue.listing(at, output_modalities="all"), "live"))
        for model in sorted(changing & catalogue.ids_at(at, "all")):
            captures.append(Capture(offers_scope(model), at, catalogue.endpoints(model, at) or b"", "live"))
    with Ledger(tmp_path) as ledger:
        parts = [captures[start : start + PACK_SIZE] for start in range(0, len(captures), PACK_SIZE)]
        ledger.commit([pack for part in parts for pack in ledger.store(part).packs])
        rows = ledger.rows(
            "SELECT model_id, price_kind, last_seen_at, changed_at, is_schedule_flip, explained_by "
            "FROM marts.price_changes ORDER BY ALL"
        )
        differences = ledger.rows("FROM marts.offer_differences")
    expected = [
        "schedule" if is_flip else "routing" if catalogue.offers.is_routed(*change) else None
        for *change, is_flip, _ in rows
    ]
    assert [row[-1] for row in rows] == expected
    assert min(expected.count(one) for one in ("schedule", "routing", None)) >= 10
    assert differences == []


@pytest.mark.slow
def test_sweeps_at_other_hours_explain_nothing_falsely_and_late_ones_explain_more(tmp_path: Path):
    """Lists every twelve hours, offers once a day at another hour: what is told then is right, and what comes late
    explains what it brackets. Seen red without the offers that came to the new price themselves.
    """
    catalogue = SimulatedCatalogue(seed=3, models=60, days=40)
    times = [catalogue.start + timedelta(hours=12 * number, minutes=5) for number in range(79)]
    changing = {one.model_id for one in catalogue.expected_price_changes(times)}

    def offers_at(at: datetime) -> list[Capture]:
        models = sorted(changing & catalogue.ids_at(at, "all"))
        return [Capture(offers_scope(one), at, catalogue.endpoints(one, at) or b"", "live") for one in models]

    lists = [Capture(ALL_MODELS, at, catalogue.listing(at, output_modalities="all"), "live") for at in times]
    sweeps = [offers_at(catalogue.start + timedelta(days=day, hours=9)) for day in range(39)]
    query = (
        "SELECT model_id, price_kind, last_seen_at, changed_at FROM marts.price_changes WHERE explained_by = 'routing'"
    )
    with Ledger(tmp_path) as ledger:
        packs = [pack for start in (0, 64) for pack in ledger.store(lists[start : start + 64]).packs]
        packs += [pack for one in sweeps[::2] for pack in ledger.store(one).packs]
        ledger.commit(packs)
        sparse = set(ledger.rows(query))
        ledger.commit([pack for one in reversed(sweeps[1::2]) for pack in ledger.store(one).packs])
        dense = set(ledger.rows(query))
    assert dense
    assert sparse <= dense
    for change in dense:
        assert catalogue.offers.is_routed(*change), change


# --- real answers ---


def real_answers() -> list[tuple[str, bytes]]:
    path = CAPTURES / "endpoints-2026-05-18.jsonl"
    if not path.is_file():
        pytest.skip(f"there are no real answers at {path}")
    answers = []
    for line in path.read_text(encoding="utf-8").splitlines():
        told = json.loads(line)
        model = told["request"].removeprefix("/api/v1/models/").removesuffix("/endpoints")
        answers.append((model, json.dumps(told["response"]).encode()))
    return answers


def test_real_answers_are_read_whole(tmp_path: Path):
    """Every offer of every answer that is about the model that was asked, with its prices to the last digit."""
    answers = real_answers()
    at = datetime(2026, 5, 18, tzinfo=UTC)
    documents = {model: json.loads(body)["data"] for model, body in answers}
    with Ledger(tmp_path) as ledger:
        verdicts = ledger.load([Capture(offers_scope(model), at, body, "live") for model, body in answers])
        refused = {one.scope for one in verdicts if one.verdict != "accepted"}
        assert refused == {offers_scope(model).name for model, data in documents.items() if data["id"] != model}
        expected = sorted(
            (model, entry["tag"], kind, str(text))
            for model, data in documents.items()
            if data["id"] == model
            for entry in data["endpoints"]
            for kind, text in entry["pricing"].items()
        )
        assert len(expected) > 300
        assert (
            ledger.rows("SELECT model_id, tag, price_kind, price_text FROM marts.offer_price_history ORDER BY ALL")
            == expected
        )
        assert ledger.rows("SELECT count(*) FROM marts.offer_price_history WHERE price_status = 'unreadable'") == [(0,)]
        assert ledger.rows("SELECT max(len(json_keys(extra))) FROM marts.offers") == [(1,)]  # the model's name
        assert ledger.rows("SELECT * FROM marts.schema_drift") == []
        assert verify(ledger).findings == ()


def test_real_providers_are_read_whole(tmp_path: Path):
    path = CAPTURES / "providers.json"
    if not path.is_file():
        pytest.skip(f"there are no real providers at {path}")
    at = datetime(2026, 5, 22, tzinfo=UTC)
    listed_there = json.loads(path.read_bytes())["data"]
    with Ledger(tmp_path) as ledger:
        ledger.load(
            [Capture(PROVIDERS, at, path.read_bytes(), "live"), Capture(ZDR_OFFERS, at, b'{"data":[]}', "live")]
        )
        listed_there[0]["privacy_policy_url"] = "https://example.invalid/privacy"
        changed = json.dumps({"data": listed_there[:-1]}).encode()
        ledger.load([Capture(PROVIDERS, at + timedelta(days=1), changed, "live")])
        ended = ledger.rows("SELECT slug FROM marts.provider_history WHERE valid_to IS NOT NULL ORDER BY slug")
        assert ended == sorted((one["slug"],) for one in (listed_there[0], listed_there[-1]))
        assert ledger.rows("SELECT * FROM marts.schema_drift") == []
        now = ledger.rows("SELECT slug, name, headquarters FROM marts.providers ORDER BY slug")
        assert now == sorted((one["slug"], one["name"], one["headquarters"]) for one in listed_there[:-1])


def test_what_the_description_does_not_name_is_told_once(tmp_path: Path):
    """Seen red with the fields of one offer left out, and with answers that were refused counted as well."""
    first = datetime(2026, 5, 22, tzinfo=UTC)
    rule = {"min_prompt_tokens": 1, "moon": "full", "prompt": "2"}
    plain = {"tag": "x", "pricing": {"prompt": "1"}, "latency_last_30m": {"p50": 1}}
    novel = {
        **{"tag": "y", "colour": "red" * 100, "model_name": None, "latency_last_30m": {"p95": None}},
        "pricing": {"prompt": "1", "smell": "0.5", "overrides": [rule]},
    }

    def about(model: str, *endpoints: dict[str, Any], **beside: Any) -> bytes:
        return json.dumps({"data": {"id": model, "endpoints": endpoints, **beside}}).encode()

    answers = [
        (offers_scope("a/one"), about("a/one", plain)),
        (offers_scope("a/one"), about("a/two", plain, mood=1)),  # about another model, so it says nothing
        (offers_scope("a/two"), about("a/two", plain, novel, mood={"is": 1})),
        (offers_scope("a/one"), about("a/one", novel, novel)),
        (ZDR_OFFERS, b'{"data": [{"model_id": "a/one", "tag": "y", "taste": [1]}], "total": 1}'),
        (PROVIDERS, b'{"data": [{"slug": "x", "name": "X", "founded": 1999}]}'),
    ]
    captures = [
        Capture(scope, first + timedelta(hours=hours), body, "live") for hours, (scope, body) in enumerate(answers)
    ]
    with Ledger(tmp_path) as ledger:
        for one in reversed(captures):
            ledger.load([one])
        told = ledger.rows(
            "SELECT epoch_us(first_seen_at), path, json_type, example FROM marts.schema_drift ORDER BY ALL"
        )
    at = [round(one.observed_at.timestamp() * 1_000_000) for one in captures]
    assert told == [
        (at[2], "$.data.mood", "object", '{"is":1}'),
        (at[2], "endpoints[].colour", "string", told[1][3]),
        (at[2], "endpoints[].latency_last_30m.p95", "null", "null"),
        (at[2], "endpoints[].pricing.overrides[].moon", "string", '"full"'),
        (at[2], "endpoints[].pricing.smell", "string", '"0.5"'),
        (at[4], "$.total", "number", "1"),
        (at[4], "endpoints[].taste", "array", "[1]"),
        (at[5], "providers[].founded", "number", "1999"),
    ]
    assert '"redred' in told[1][3]
    assert len(told[1][3]) <= 210

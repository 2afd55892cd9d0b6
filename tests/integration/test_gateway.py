"""A gateway from the terminal to the marts, against a simulated one over real HTTP."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import orjson
import pytest

from pipelines.captures import Capture, RawStore
from pipelines.demo.catalogue import SimulatedCatalogue
from pipelines.demo.gateway import GatewayServer
from pipelines.demo.misbehaviour import Misbehaviour
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.published import Published
from pipelines.ledger.verify import verify
from pipelines.scopes import ALL_MODELS, gateway_scope
from tests.integration.test_cli import run, sentence_of

TOKEN = "tok-5ecret-a1b2c3"
PATH = "/api/ai/models"
START = datetime(2026, 5, 3, tzinfo=UTC)


@pytest.fixture(scope="module")
def simulated() -> SimulatedCatalogue:
    return SimulatedCatalogue(seed=3, models=60, days=60)


@pytest.fixture
def gateway(simulated: SimulatedCatalogue) -> Iterator[GatewayServer]:
    with GatewayServer(simulated, now=START, tokens=[TOKEN], expired=["tok-0ld-9z8y7x"]) as server:
        yield server


def take(gateway: GatewayServer, warehouse: Path, *options: str, **environment: str):
    arguments = ("snapshot", "--source", "gateway", "--base-url", gateway.base_url, *options)
    return run(
        *arguments, warehouse=warehouse, **{"GATEWAY_TOKEN": TOKEN, "CATALOGUE_HTTP_ATTEMPTS": "1", **environment}
    )


def places_of(secret: str, folder: Path) -> list[str]:
    """Where ``secret`` stands: in any file, and in what the packs hold once they are unpacked."""
    found = [str(path) for path in folder.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]
    store = RawStore(folder / "raw")
    for pack in store.packs():
        found += [pack for one in store.read(pack) if secret in f"{one.body!r}{dict(one.provenance)}{one.origin}"]
    return found


def ask(warehouse: Path, query: str) -> list[tuple]:
    with Published(warehouse) as published:
        return published.ask(query).rows


def test_what_a_gateway_has_is_in_the_marts(gateway, simulated, tmp_path):
    provider = gateway.grouped()["text"][0]["provider"]
    gateway.unconfigured = {provider}
    result = take(gateway, tmp_path)
    assert result.returncode == 0, result
    listed = orjson.loads(simulated.listing(START, output_modalities="all"))["data"]
    models = ask(tmp_path, "SELECT model_id, max_completion_tokens FROM marts.models WHERE source = 'gateway'")
    assert sorted(models) == sorted((one["id"], one["top_provider"]["max_completion_tokens"]) for one in listed)
    prices = ask(tmp_path, "SELECT model_id, price_usd FROM marts.prices WHERE price_kind = 'prompt' AND price_usd > 0")
    assert sorted(prices) == sorted(
        (one["id"], Decimal(text)) for one in listed if Decimal(text := one["pricing"]["prompt"]) > 0
    )
    groups = ask(tmp_path, "SELECT modality, provider, is_configured, model_ids FROM marts.gateway_groups")
    assert sorted(groups, key=str) == sorted(
        (
            (modality, one["provider"], one["provider"] != provider, sorted(model["id"] for model in one["models"]))
            for modality, members in gateway.grouped().items()
            for one in members
        ),
        key=str,
    )
    assert ask(tmp_path, "SELECT scope, scope_kind FROM marts.snapshots") == [("gateway/api/ai/models", "catalogue")]
    assert not ask(tmp_path, "SELECT * FROM marts.schema_drift WHERE path LIKE '%rovider%' OR path LIKE '%max_comp%'")


def test_several_gateways_have_names_and_tokens_of_their_own(gateway, tmp_path):
    options = ("--source", "gateway-eu", "--token-variable", "EU_TOKEN")
    assert take(gateway, tmp_path, *options, GATEWAY_TOKEN="", EU_TOKEN=TOKEN).returncode == 0
    assert ask(tmp_path, "SELECT DISTINCT source FROM marts.models") == [("gateway-eu",)]
    refused = sentence_of(take(gateway, tmp_path, *options, EU_TOKEN="wrong-one"), 1)
    assert "The gateway gateway-eu" in refused
    assert "set EU_TOKEN" in refused


def grouped(gateway: GatewayServer, at: datetime) -> bytes:
    gateway.now = at
    return orjson.dumps(gateway.grouped())


def test_groups_have_a_history_in_any_order_of_loading(gateway, tmp_path):
    """A provider is configured on the third day; another loses a model and gets it back; a rebuild equals it."""
    days = [START + timedelta(days=day) for day in range(5)]
    documents = [orjson.loads(grouped(gateway, START)) for _ in days]
    late, other = (one["provider"] for one in documents[0]["text"][:2])
    for number, document in enumerate(documents):
        document["text"][0]["configured"] = number >= 2
        if number == 3:
            del document["text"][1]["models"][0]
    captures = [
        Capture(gateway_scope(), at, orjson.dumps(document), origin="live")
        for at, document in zip(days, documents, strict=True)
    ]
    told = []
    for name, order in (("forth", captures), ("back", captures[::-1])):
        with Ledger(tmp_path / name) as ledger:
            for one in order:
                ledger.load([one])
            ledger.publish()
            assert verify(ledger).findings == ()
        query = "SELECT * FROM marts.gateway_groups WHERE modality = 'text' AND provider IN ({}) ORDER BY ALL"
        told.append(ask(tmp_path / name, query.format(f"'{late}', '{other}'")))
    assert told[0] == told[1]
    spans = {(row[2], row[3], row[6], row[7], row[8]) for row in told[0]}
    assert (late, False, days[0], days[2], days[1]) in spans
    assert (late, True, days[2], None, days[4]) in spans
    ends = sorted((row[6], row[7]) for row in told[0] if row[2] == other and row[7] is not None)
    assert ends == [(days[0], days[3]), (days[3], days[4])][: len(ends)]


def test_a_model_that_a_gateway_lacks_is_removed_there_alone(gateway, simulated, tmp_path):
    """Also one without text output: a gateway lists every modality."""
    document = orjson.loads(grouped(gateway, START))
    image = next(model["id"] for members in document.values() for one in members for model in one["models"]
                 if "text" not in model["architecture"]["output_modalities"])  # fmt: skip
    less = copy.deepcopy(document)
    for members in less.values():
        for one in members:
            one["models"] = [model for model in one["models"] if model["id"] != image]
    with Ledger(tmp_path) as ledger:
        for day, body in enumerate((document, less)):
            at = START + timedelta(days=day)
            ledger.load([Capture(gateway_scope(), at, orjson.dumps(body), origin="live")])
            ledger.load([Capture(ALL_MODELS, at, simulated.listing(START, output_modalities="all"), origin="live")])
        ledger.publish()
    assert ask(tmp_path, "SELECT source, model_id FROM marts.removed_models") == [("gateway", image)]
    query = (
        f"SELECT count(*) FROM marts.prices_at(TIMESTAMPTZ '{START}') WHERE model_id = '{image}' AND source = 'gateway'"
    )
    assert ask(tmp_path, query)[0][0] > 0
    assert ask(tmp_path, query.replace(str(START), str(START + timedelta(days=1)))) == [(0,)]


def test_sources_are_compared_exactly(gateway, simulated, tmp_path):
    """Prices by their numbers, limits by theirs, kinds that one does not list; what is equal has no row."""
    listing = orjson.loads(simulated.listing(START, output_modalities="all"))
    document = orjson.loads(grouped(gateway, START))
    model = next(one for one in listing["data"] if Decimal(one["pricing"]["prompt"]) > 0 and one["context_length"]
                 and "request" not in one["pricing"])  # fmt: skip
    for members in document.values():
        for one in members:
            for entry in one["models"]:
                if entry["id"] == model["id"]:
                    entry["pricing"]["prompt"] = f"{Decimal(model['pricing']['prompt']) + Decimal('1e-23'):f}"
                    entry["pricing"]["completion"] += "0" if "." in entry["pricing"]["completion"] else ".0"
                    entry["pricing"]["request"] = "0.5"
                    entry["context_length"] = model["context_length"] + 1
    with Ledger(tmp_path) as ledger:
        ledger.load([Capture(ALL_MODELS, START, orjson.dumps(listing), origin="live")])
        ledger.load([Capture(gateway_scope(), START, orjson.dumps(document), origin="live")])
        ledger.publish()
    rows = ask(tmp_path, "SELECT * FROM marts.source_differences ORDER BY name")
    assert {(row[0], row[1], row[2]) for row in rows} == {(model["id"], "gateway", "openrouter")}
    assert [(row[3], row[4]) for row in rows] == [
        ("limit", "context_length"),
        ("price", "prompt"),
        ("price", "request"),
    ]
    assert rows[0][10:] == (model["context_length"] + 1, model["context_length"])
    assert rows[1][9] == Decimal("-1e-23")
    assert rows[2][6:10] == (None, Decimal("0.5"), None, None)


@pytest.mark.parametrize("token", ["tok-wr0ng-q5w6", "tok-0ld-9z8y7x"], ids=["wrong", "expired"])
def test_a_token_that_is_not_accepted(gateway, tmp_path, token):
    result = take(gateway, tmp_path, GATEWAY_TOKEN=token)
    sentence = sentence_of(result, 1)
    assert "set GATEWAY_TOKEN to a token that is valid" in sentence
    assert token not in sentence


def test_no_token_and_no_address(gateway, tmp_path):
    assert "set GATEWAY_TOKEN" in sentence_of(take(gateway, tmp_path, GATEWAY_TOKEN=""), 2)
    assert "--base-url" in sentence_of(run("snapshot", "--source", "mine", warehouse=tmp_path), 2)
    assert "over https only" in sentence_of(take(gateway, tmp_path, "--base-url", "http://gateway.invalid"), 2)
    assert "name has small letters" in sentence_of(take(gateway, tmp_path, "--source", "A/B"), 2)
    assert gateway.requests == []


def test_a_gateway_is_never_looked_for_at_openrouters_address(gateway, tmp_path):
    """Its token would go there. Red with CATALOGUE_BASE_URL read for `--base-url` whatever the source is.

    Nor is one gateway looked for at the address of another.
    """
    secret = {"CATALOGUE_BASE_URL": gateway.base_url, "GATEWAY_TOKEN": TOKEN}
    unnamed = run("snapshot", "--source", "gateway", warehouse=tmp_path, **secret)
    assert "--base-url or CATALOGUE_GATEWAY_URL" in sentence_of(unnamed, 2)
    here = {**secret, "CATALOGUE_GATEWAY_URL": gateway.base_url}
    assert sentence_of(run("snapshot", "--source", "other", warehouse=tmp_path, **here), 2).endswith("--base-url")
    assert gateway.requests == []
    assert not (tmp_path / "raw").exists()
    elsewhere = {**here, "CATALOGUE_BASE_URL": "http://127.0.0.1:9", "CATALOGUE_HTTP_ATTEMPTS": "1"}
    taken = run("snapshot", "--source", "gateway", warehouse=tmp_path, **elsewhere)
    assert (taken.returncode, len(gateway.requests)) == (0, 1), taken


def test_the_token_stands_nowhere(gateway, tmp_path):
    """Not in captures, provenance, files or messages, whatever the gateway does with it."""
    said = []
    for kind in (None, Misbehaviour.UNAUTHORIZED, Misbehaviour.REDIRECT_ELSEWHERE, Misbehaviour.HTML):
        if kind is not None:
            gateway.misbehave(kind, path=PATH, message=f"no good: Bearer {TOKEN}")
        result = take(gateway, tmp_path)
        said.append(result.stdout + result.stderr)
    gateway.unconfigured = {TOKEN}
    gateway.catalogue = _Echo()
    said.append(sentence_of(take(gateway, tmp_path), 1))
    assert "repeats the token" in said[-1]
    assert TOKEN not in "".join(said)
    assert places_of(TOKEN, tmp_path) == []
    assert places_of("gateway/api/ai/models", tmp_path)  # the search does find what is there


class _Echo:
    """A catalogue that repeats what it should not know."""

    def listing(self, at: datetime, *, output_modalities: str) -> bytes:
        architecture = {"output_modalities": ["text"]}
        model = {"id": f"a/{TOKEN}", "architecture": architecture, "top_provider": {}, "pricing": {"prompt": "0"}}
        return orjson.dumps({"data": [model]})

    def count(self, at: datetime, *, output_modalities: str) -> int:
        return 1


FAILURES = {
    Misbehaviour.REDIRECT_ELSEWHERE: "redirects elsewhere",
    Misbehaviour.OVERSIZED: "larger than",
    Misbehaviour.GZIP_BOMB: "larger than",
    Misbehaviour.TRUNCATED_GZIP: "cut off before its end",
    Misbehaviour.CUT_MID_BODY: "the connection broke",
}


@pytest.mark.parametrize("kind", FAILURES, ids=lambda kind: kind.name)
def test_bad_answers_are_one_sentence(gateway, tmp_path, kind):
    gateway.misbehave(kind, path=PATH)
    assert FAILURES[kind] in sentence_of(take(gateway, tmp_path), 1)


@pytest.mark.parametrize(
    "body",
    [b"<html>Sign in</html>", '{"text": "café"}'.encode("latin-1"), b"[" * 200_000 + b"]" * 200_000, b'{"text": []}'],
    ids=["HTML", "wrong encoding", "deeply nested", "nothing"],
)
def test_what_is_no_list_is_kept_and_quarantined(gateway, tmp_path, body, monkeypatch):
    from pipelines.demo.misbehaviour import Reply

    monkeypatch.setattr(gateway, "reply", lambda request: Reply(200, body))
    result = take(gateway, tmp_path)
    assert result.returncode == 3, result
    assert "Traceback" not in result.stderr
    store = RawStore(tmp_path / "raw")
    assert [one.body for pack in store.packs() for one in store.read(pack)] == [body]


def test_gateways_that_are_not_there(gateway, tmp_path):
    https = gateway.base_url.replace("http://", "https://")
    assert "TLS" in sentence_of(take(gateway, tmp_path, "--base-url", https), 1)
    absent = sentence_of(take(gateway, tmp_path, "--base-url", "https://nobody.invalid"), 1)
    assert "resolve" in absent or "connection" in absent

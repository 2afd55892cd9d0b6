"""Every question of the client, put to the simulated API over real HTTP."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from pipelines.captures import Capture, RawStore
from pipelines.demo.catalogue import SimulatedCatalogue
from pipelines.demo.misbehaviour import ERRORS, Misbehaviour
from pipelines.demo.server import EXPIRED_KEY, USER_KEY, CatalogueServer
from pipelines.errors import SourceError, UsageError
from pipelines.scopes import Scope
from pipelines.sources.openrouter import (
    BadRequestError,
    FetchPolicy,
    ForbiddenError,
    Model,
    NotFoundError,
    OpenRouter,
    ServerFailedError,
    TooManyRequestsError,
    UnauthorizedError,
    UnavailableError,
    parse_count,
    parse_model,
    parse_models,
    parse_providers,
)

HASTY = FetchPolicy(
    connect_seconds=3, read_seconds=3, total_seconds=20, attempts=2, backoff_initial_seconds=0.005,
    backoff_max_seconds=0.02, retry_after_cap_seconds=1, max_pages=50,
)  # fmt: skip

CATALOGUE = SimulatedCatalogue(seed=5, models=80, days=60)
NOW = CATALOGUE.end - timedelta(hours=5)
LISTED = min(model_id for model_id in CATALOGUE.ids_at(NOW, "text") if model_id.isascii() and "~" not in model_id)


@pytest.fixture
def server() -> Iterator[CatalogueServer]:
    with CatalogueServer(CATALOGUE, now=NOW) as running:
        yield running


def client(server: CatalogueServer, **options: Any) -> OpenRouter:
    return OpenRouter(server.base_url, policy=HASTY, clock=server.clock, environment={}, **options)


def listed(server: CatalogueServer, **parameters: Any) -> list[Model]:
    with client(server) as api:
        return list(parse_models(api.list(output_modalities="all", **parameters).body).models)


def test_a_filter_lists_what_holds_and_nothing_else(server):
    """Fails once the client leaves a parameter out of the address."""
    everything = {model.id for model in listed(server)}
    assert everything == CATALOGUE.ids_at(NOW, "all")
    cheap = {model.id for model in listed(server, max_price=Decimal("1"))}
    expected = set()
    for model_id in everything:
        price = CATALOGUE.price_at(model_id, "prompt", NOW)
        if isinstance(price, Decimal) and price * 1_000_000 <= 1:
            expected.add(model_id)
    assert cheap == expected
    assert 0 < len(cheap) < len(everything)


@pytest.mark.parametrize(
    ("parameters", "holds"),
    [
        ({"context": 100_000}, lambda model: (model.context_length_tokens or 0) >= 100_000),
        ({"input_modalities": "image"}, lambda model: "image" in model.input_modalities),
        ({"supported_parameters": ["tools"]}, lambda model: "tools" in model.supported_parameters),
        ({"max_age_days": 60}, lambda model: (NOW - model.created_at) <= timedelta(days=60)),
    ],
)
def test_filters_of_what_a_listing_shows(server, parameters, holds):
    found = {model.id for model in listed(server, **parameters)}
    assert found == {model.id for model in listed(server) if holds(model)}
    assert found


@pytest.mark.parametrize("parameters", [{"zdr": True}, {"region": "eu"}, {"distillable": True}, {"providers": "x"}])
def test_filters_of_what_no_listing_shows_leave_some(server, parameters):
    found, everything = listed(server, **parameters), listed(server)
    assert 0 < len(found) < len(everything)


def test_sorts_order_all(server):
    prices = [model.pricing.usd("prompt") for model in listed(server, sort="pricing-low-to-high")]
    known = [price for price in prices if price is not None]
    assert known == sorted(known)
    assert prices[: len(known)] == known
    newest = [model.created_at or NOW for model in listed(server, sort="newest")]
    assert newest == sorted(newest, reverse=True)
    assert len(newest) == len(listed(server))


def test_pages_are_followed_and_joined_under_the_scope_of_the_whole(server):
    """Fails once `limit` becomes part of the scope: the list would be a facet and could end no spell."""
    with client(server) as api:
        capture = api.list(output_modalities="all", limit=7)
        whole = api.models()
    assert capture.scope == whole.scope == Scope.parse("openrouter/models?output_modalities=all")
    assert [model.id for model in parse_models(capture.body).models] == [
        model.id for model in parse_models(whole.body).models
    ]
    assert capture.provenance["pages"] == -(-len(CATALOGUE.ids_at(NOW, "all")) // 7)


def test_what_starts_in_the_middle_is_no_whole_catalogue(server):
    with client(server) as api:
        capture = api.list(offset=5)
    assert capture.scope.kind == "facet"
    assert capture.scope.name == "openrouter/models?offset=5"


def test_what_the_api_refuses_is_refused_with_its_words(server):
    with client(server) as api, pytest.raises(BadRequestError, match=r"status 400.*sweetest is none of") as refused:
        api.list(sort="sweetest", is_lenient=True)
    assert (refused.value.status, refused.value.code) == (400, 400)
    assert refused.value.api_message.startswith("sort: sweetest")


def test_nothing_is_sent_that_cannot_be_meant(server):
    with client(server) as api:
        with pytest.raises(UsageError):
            api.list(limit=0)
        with pytest.raises(UsageError):
            api.list(colour="red")
        with pytest.raises(UsageError):
            api.get("no-slash")
    assert server.requests == []


def test_one_model_by_id_slug_alias_and_variant(server):
    alias = next(model for model in listed(server) if model.id.startswith("~") and "alias_target" in model.extra)
    plain = next(model for model in listed(server) if ":" not in model.id and not model.id.startswith("~"))
    with client(server) as api:
        assert parse_model(api.get(plain.id).body).id == plain.id
        assert parse_model(api.get(f"{plain.id}:nitro").body).id == plain.id
        assert parse_model(api.get(alias.id).body).id == alias.extra["alias_target"]["slug"]
        assert api.get(plain.id).scope.name == f"openrouter/model/{plain.id}"


@pytest.mark.parametrize("ask", ["get"])
def test_a_model_that_is_not_there_is_named(server, ask):
    with (
        client(server) as api,
        pytest.raises(NotFoundError, match="there is no model 'a/nowhere', so check") as refused,
    ):
        getattr(api, ask)("a/nowhere")
    assert refused.value.api_message == "Model not found"


@pytest.mark.parametrize("model_id", ["", "a", "/x", "a/", "../x", "a/..", "a/b\nc"])
def test_what_is_no_model_id_is_not_asked_for(server, model_id):
    with client(server) as api, pytest.raises(UsageError, match="is no model: give author/slug"):
        api.get(model_id)


def test_an_id_cannot_become_a_query(server):
    with client(server) as api, pytest.raises(NotFoundError):
        api.get("a/x?use_rss=true#y")
    assert server.requests[-1].query == {}


def test_the_feed_is_no_listing(server):
    with client(server) as api:
        feed, chats = api.rss(), api.rss(chat_links=True)
    assert feed.scope.name == "openrouter/models?use_rss=true"
    assert feed.scope.kind == chats.scope.kind == "other"
    assert feed.body.startswith(b"<?xml")
    assert b"openrouter.ai/chat?models=" in chats.body


def test_an_application_may_introduce_itself(server):
    environment = {"OPENROUTER_HTTP_REFERER": "https://prices.example", "OPENROUTER_X_TITLE": "Prices"}
    with OpenRouter(server.base_url, policy=HASTY, clock=server.clock, environment=environment) as api:
        capture = api.models()
    assert server.requests[-1].headers["http-referer"] == "https://prices.example"
    assert server.requests[-1].headers["x-title"] == "Prices"
    assert "prices.example" not in json.dumps(dict(capture.provenance))
    with client(server, x_title="Mine") as api:
        api.models()
    assert server.requests[-1].headers["x-title"] == "Mine"
    assert "http-referer" not in server.requests[-1].headers


def test_the_eu_host_is_a_source_of_its_own():
    """Fails once the EU host's answers are `openrouter`'s: what is not offered there would count as withdrawn."""
    with OpenRouter(is_eu=True, environment={}) as api:
        scope = api._scope("models", {"output_modalities": "all"})
        assert api._url(scope) == "https://eu.openrouter.ai/api/v1/models?output_modalities=all"
    assert scope.source == "openrouter-eu"
    with OpenRouter("https://EU.openrouter.ai/api/v1/", environment={}) as api:
        assert api._scope("models", {}).source == "openrouter-eu"
    with pytest.raises(UsageError, match="EU host"):
        OpenRouter("http://127.0.0.1/api/v1", is_eu=True)


# The key


def user_list(server: CatalogueServer, key: str) -> Capture:
    with OpenRouter(server.base_url, policy=HASTY, clock=server.clock, environment={"OPENROUTER_API_KEY": key}) as api:
        return api.list_for_user()


def test_an_account_sees_its_own_models(server):
    capture = user_list(server, USER_KEY)
    own = {model.id for model in parse_models(capture.body).models}
    assert own < CATALOGUE.ids_at(NOW, "all")
    assert capture.scope.name == "openrouter/models/user"
    assert capture.scope.kind == "facet"


@pytest.mark.parametrize(("key", "words"), [("sk-wrong-one", "User not found."), (EXPIRED_KEY, "API key expired")])
def test_a_key_that_is_not_accepted(server, key, words):
    with pytest.raises(UnauthorizedError) as refused:
        user_list(server, key)
    assert words in str(refused.value)
    assert "set OPENROUTER_API_KEY to a key that is valid and has not expired" in str(refused.value)
    assert key not in str(refused.value)


def test_without_a_key_nothing_is_asked(server):
    with pytest.raises(UsageError, match="set OPENROUTER_API_KEY"):
        user_list(server, "")
    assert server.requests == []


def test_a_key_goes_with_nothing_else(server):
    """Fails once the key becomes a header of the client."""
    with client(server, key=USER_KEY) as api:
        api.list_for_user(limit=10)
        pages = len(server.requests)
        api.models()
        api.count()
        api.rss()
        api.get(min(CATALOGUE.ids_at(NOW, "text")))
    assert pages > 1
    assert all(request.headers["authorization"] == f"Bearer {USER_KEY}" for request in server.requests[:pages])
    assert not any("authorization" in request.headers for request in server.requests[pages:])


@pytest.mark.parametrize("kind", [Misbehaviour.REDIRECT_ELSEWHERE, Misbehaviour.NEXT_ELSEWHERE])
def test_a_key_goes_to_no_other_host(server, kind):
    server.misbehave(kind, path="/models/user")
    with client(server, key=USER_KEY) as api, pytest.raises(SourceError, match=r"elsewhere.*not followed"):
        api.list_for_user()
    assert len(server.requests) == 1


def test_a_key_is_not_sent_in_the_open():
    with (
        OpenRouter("http://models.example/api/v1", key=USER_KEY, environment={}) as api,
        pytest.raises(UsageError, match="over https only"),
    ):
        api.list_for_user()


@pytest.mark.parametrize("key", ["sk\nx", "sk-ü"])
def test_a_key_that_no_header_can_hold_is_not_repeated(key):
    with pytest.raises(UsageError) as refused:
        OpenRouter(key=key, environment={})
    assert str(refused.value) == "OPENROUTER_API_KEY must be plain ASCII text on one line."


def test_an_answer_that_repeats_the_key_is_not_kept(server):
    server.misbehave(Misbehaviour.UNAUTHORIZED, path="/models/user", message=f"no such key {USER_KEY}")
    with pytest.raises(UnauthorizedError) as refused:
        user_list(server, USER_KEY)
    assert USER_KEY not in str(refused.value)
    assert USER_KEY not in refused.value.api_message
    assert "no such key ***" in str(refused.value)


def test_the_key_lies_nowhere(server, tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    server.misbehave(Misbehaviour.UNAVAILABLE, path="/models/user")
    capture = user_list(server, USER_KEY)
    raw = RawStore(tmp_path)
    pack = raw.write([capture])
    assert USER_KEY not in json.dumps(dict(raw.read(pack)[0].provenance))
    assert USER_KEY.encode() not in raw.read(pack)[0].body
    assert USER_KEY not in caplog.text
    assert USER_KEY not in repr(capture)


# What goes wrong


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        (Misbehaviour.BAD_REQUEST, BadRequestError),
        (Misbehaviour.UNAUTHORIZED, UnauthorizedError),
        (Misbehaviour.FORBIDDEN, ForbiddenError),
        (Misbehaviour.NOT_FOUND, NotFoundError),
        (Misbehaviour.TOO_MANY_REQUESTS, TooManyRequestsError),
        (Misbehaviour.SERVER_ERROR, ServerFailedError),
        (Misbehaviour.UNAVAILABLE, UnavailableError),
    ],
)
def test_each_documented_status_is_an_error_of_its_own(server, kind, error):
    server.misbehave(kind, times=5)
    with client(server) as api, pytest.raises(error) as refused:
        api.models()
    assert type(refused.value) is error
    assert (refused.value.status, refused.value.api_message) == ERRORS[kind]
    assert refused.value.code == refused.value.status


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (Misbehaviour.REDIRECT_ELSEWHERE, "redirects elsewhere"),
        (Misbehaviour.OVERSIZED, "larger than"),
        (Misbehaviour.GZIP_BOMB, "larger than"),
        (Misbehaviour.TRUNCATED_GZIP, "cut off before its end"),
        (Misbehaviour.WRONG_COMPRESSION, "encoded as deflate, which was not asked for"),
    ],
)
@pytest.mark.parametrize(
    ("path", "question"),
    [
        (f"/model/{LISTED}", lambda api: api.get(LISTED)),
        ("/models", OpenRouter.rss),
        ("/models/user", OpenRouter.list_for_user),
    ],
)
def test_an_answer_that_cannot_be_had_is_one_sentence(server, kind, said, path, question):
    server.misbehave(kind, times=2, path=path)
    small = FetchPolicy(attempts=2, backoff_initial_seconds=0.005, max_body_bytes=2_000_000)
    with (
        OpenRouter(server.base_url, policy=small, key=USER_KEY, environment={}) as api,
        pytest.raises(SourceError, match=said) as refused,
    ):
        question(api)
    assert str(refused.value).isprintable()
    assert USER_KEY not in str(refused.value)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (Misbehaviour.HTML, "is not JSON (it begins with '<!doctype html>"),
        (Misbehaviour.WRONG_CHARSET, "is not JSON"),
        (Misbehaviour.DEEPLY_NESTED, "is nested too deeply"),
        (Misbehaviour.TRUNCATED_JSON, "is not JSON"),
    ],
)
@pytest.mark.parametrize(
    ("path", "question", "parse"),
    [
        (f"/model/{LISTED}", lambda api: api.get(LISTED), parse_model),
        ("/models", OpenRouter.models, parse_models),
        ("/models/user", OpenRouter.list_for_user, parse_models),
        ("/models/count", OpenRouter.count, parse_count),
        ("/providers", OpenRouter.providers, parse_providers),
    ],
)
def test_what_is_no_answer_becomes_a_capture_and_its_reader_says_so(server, kind, said, path, question, parse):
    server.misbehave(kind, path=path)
    with client(server, key=USER_KEY) as api:
        capture = question(api)
    with pytest.raises(SourceError) as refused:
        parse(capture.body)
    assert said in str(refused.value)
    assert str(refused.value).isprintable()


def test_a_host_that_is_not_there_and_one_that_speaks_no_tls(server):
    with (
        OpenRouter("https://nowhere.invalid/api/v1", policy=HASTY, key=USER_KEY, environment={}) as api,
        pytest.raises(SourceError, match="name does not resolve"),
    ):
        api.list_for_user()
    with (
        OpenRouter(server.base_url.replace("http:", "https:"), policy=HASTY, key=USER_KEY, environment={}) as api,
        pytest.raises(SourceError, match="TLS connection failed"),
    ):
        api.list_for_user()

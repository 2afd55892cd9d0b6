"""The client, against a real server on the loopback interface that behaves and misbehaves."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import socket
import ssl
import subprocess
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.captures import Capture
from pipelines.demo.misbehaviour import Misbehaviour
from pipelines.demo.server import CatalogueServer
from pipelines.errors import SourceError, UsageError
from pipelines.scopes import ALL_MODELS, ALL_MODELS_COUNT, TEXT_MODELS, Scope
from pipelines.sources.http import Answer, FetchPolicy, Gunzip
from pipelines.sources.http_failures import clean
from pipelines.sources.openrouter import OpenRouter, default_user_agent, parse_count

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)

HASTY = FetchPolicy(
    connect_seconds=3.0,
    read_seconds=3.0,
    total_seconds=5.0,
    overall_seconds=30.0,
    attempts=3,
    backoff_initial_seconds=0.005,
    backoff_max_seconds=0.02,
    retry_after_cap_seconds=2.0,
    max_pages=5,
)


class Numbers:
    """A catalogue of ten models; the bytes are such as no serialiser would write."""

    def listing(self, at: datetime, *, output_modalities: str) -> bytes:
        models = [{"id": f"{output_modalities}/{number}", "at": at.isoformat()} for number in range(10)]
        return json.dumps({"data": models, "links": {"next": None}, "total_count": 10}, indent=3).encode()

    def count(self, at: datetime, *, output_modalities: str) -> int:
        return 10


@pytest.fixture
def server() -> Iterator[CatalogueServer]:
    with CatalogueServer(Numbers(), now=NOW) as running:
        yield running


@pytest.fixture
def listing() -> bytes:
    return Numbers().listing(NOW, output_modalities="all")


def models(server: CatalogueServer, policy: FetchPolicy = HASTY, **options: Any) -> Capture:
    with OpenRouter(server.base_url, policy=policy, clock=server.clock) as api:
        return api.models(**options)


def refusal(server: CatalogueServer, policy: FetchPolicy = HASTY) -> str:
    """The sentence with which asking for the models fails."""
    with pytest.raises(SourceError) as refused:
        models(server, policy)
    return str(refused.value)


@contextmanager
def raw_server(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """A base URL at which every connection is handed to ``answer`` once its request was read."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                try:
                    connection.recv(65536)
                    answer(connection)
                except OSError:
                    continue

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/api/v1"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def raw_answer(headers: str, body: bytes = b"{}", status: str = "200 OK") -> Callable[[socket.socket], None]:
    head = f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n{headers}\r\n".encode()
    return lambda connection: connection.sendall(head + body)


# What is asked, and what is kept


def test_models_of_every_modality_are_asked_for(server, listing):
    capture = models(server)
    assert capture.scope == ALL_MODELS
    assert capture.body == listing
    assert capture.origin == "live"
    assert [(r.method, r.path, r.query) for r in server.requests] == [
        ("GET", "/api/v1/models", {"output_modalities": "all"})
    ]


@pytest.mark.parametrize("modalities", ["text", None])
def test_text_is_asked_for_without_a_parameter(server, modalities):
    capture = models(server, output_modalities=modalities)
    assert capture.scope == TEXT_MODELS
    assert capture.body == Numbers().listing(NOW, output_modalities="text")
    assert server.requests[0].query == {}


def test_other_modalities_make_their_own_scope(server):
    capture = models(server, output_modalities="image,audio")
    assert capture.scope == Scope.of("openrouter", "models", output_modalities="image,audio")
    assert server.requests[0].query == {"output_modalities": "image,audio"}
    assert capture.provenance["request"]["url"].endswith("/models?output_modalities=image,audio")


def test_the_count_is_asked_for(server):
    with OpenRouter(server.base_url + "/", policy=HASTY, clock=server.clock) as api:
        every, text = api.count(), api.count("text")
    assert (every.scope, every.body) == (ALL_MODELS_COUNT, b'{"data":{"count":10}}')
    assert text.scope == Scope.of("openrouter", "models/count")
    assert [r.query for r in server.requests] == [{"output_modalities": "all"}, {}]
    assert {r.path for r in server.requests} == {"/api/v1/models/count"}


def test_the_client_says_who_it_is(server):
    models(server)
    asked = server.requests[0].headers["user-agent"]
    assert asked == default_user_agent()
    assert re.match(r"openrouter-catalogue/[\w.]+ ", asked)


def test_a_user_agent_may_be_given(server):
    with OpenRouter(server.base_url, policy=HASTY, user_agent="someone/2") as api:
        api.count()
    assert server.requests[0].headers["user-agent"] == "someone/2"


def test_provenance_is_json_and_tells_how_the_answer_came(server):
    server.age_seconds = 60
    provenance = models(server).provenance
    assert json.loads(json.dumps(provenance)) == {
        "request": {
            "method": "GET",
            "url": f"{server.base_url}/models?output_modalities=all",
            "headers": {
                "accept": "application/json",
                "accept-encoding": "gzip",
                "user-agent": default_user_agent(),
            },
        },
        "status": 200,
        "headers": {
            "age": "60",
            "cache-control": "public, max-age=300, stale-while-revalidate=3600, stale-if-error=3600",
            "cf-cache-status": "HIT",
            "content-type": "application/json",
            "date": "Mon, 01 Jun 2026 12:00:00 GMT",
        },
        "received_at": "2026-06-01T12:00:00.000000Z",
        "pages": 1,
        "attempts": 1,
    }


def test_provenance_keeps_no_secret(server):
    secrets = {"Authorization": "Bearer hunter2", "Cookie": "session=hunter3"}
    with OpenRouter(server.base_url, policy=HASTY, headers=secrets) as api:
        capture = api.models()
    assert server.requests[0].headers["cookie"] == "session=hunter3"
    assert "hunter" not in json.dumps(capture.provenance)


def test_only_useful_headers_are_kept():
    headers = "etag: x\r\nlast-modified: y\r\nset-cookie: z=1\r\ncf-ray: w\r\nx-ratelimit-remaining: 3\r\n"
    with raw_server(raw_answer(headers)) as url, OpenRouter(url, policy=HASTY) as api:
        kept = api.models().provenance["headers"]
    assert kept == {"etag": "x", "last-modified": "y", "x-ratelimit-remaining": "3"}


# When it was said


def test_a_capture_was_observed_when_the_cache_fetched_it(server):
    server.age_seconds = 3600
    capture = models(server)
    assert capture.observed_at == NOW - timedelta(hours=1)
    assert capture.body == Numbers().listing(NOW - timedelta(hours=1), output_modalities="all")


@pytest.mark.parametrize(
    ("age", "seconds"),
    [
        (None, 0), ("", 0), ("0", 0), ("17", 17), (" 17 ", 17), ("-5", 0), ("1.5", 0), ("soon", 0),
        ("604800", 604800), ("604801", 604800), ("999999999", 604800), ("9" * 400, 0), ("17, 20", 0),
        ("\u0661\u0667", 0),
    ],
)  # fmt: skip
def test_age_is_believed_only_as_far_as_it_makes_sense(age, seconds):
    headers = {} if age is None else {"age": age}
    answer = Answer("u", {}, headers, b"", received_at=NOW)
    assert answer.observed_at == NOW - timedelta(seconds=seconds)


@given(st.text())
def test_no_age_breaks_or_leads_more_than_a_week_astray(age):
    observed = Answer("u", {}, {"age": age}, b"", received_at=NOW).observed_at
    assert NOW - timedelta(days=7) <= observed <= NOW


def test_without_a_given_clock_receipt_is_now(server):
    before = datetime.now(UTC)
    with OpenRouter(server.base_url, policy=HASTY) as api:
        assert before <= api.models().observed_at <= datetime.now(UTC)


# Suspicious answers are kept, not judged


@pytest.mark.parametrize(
    ("kind", "start"),
    [
        (Misbehaviour.TRUNCATED_JSON, b'{\n   "data": ['),
        (Misbehaviour.EMPTY_LIST, b'{"data":[]'),
        (Misbehaviour.HALF_LIST, b'{"data":[{'),
        (Misbehaviour.HTML, b"<!doctype html>"),
    ],
)
def test_an_answer_is_kept_whatever_it_holds(server, listing, kind, start):
    server.misbehave(kind)
    capture = models(server)
    assert capture.body.startswith(start)
    assert capture.body != listing
    assert (capture.provenance["status"], capture.provenance["attempts"]) == (200, 1)


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"null", b'{"links": 3}', b'{"links": {"next": 3}}', b'{"links": {"next": ""}}', b"\xff",
     b"[" * 5000, b'{"links": {}}'],
)  # fmt: skip
def test_a_body_without_a_next_link_is_the_only_page(body):
    with raw_server(raw_answer("", body)) as url, OpenRouter(url, policy=HASTY) as api:
        capture = api.models()
    assert capture.body == body
    assert capture.provenance["pages"] == 1


# Pages


def test_pages_are_joined_as_a_json_text_sequence(server):
    server.page_size = 4
    capture = models(server)
    assert capture.body.startswith(b"\x1e{")
    assert capture.body.endswith(b"}\n")
    pages = [json.loads(text) for text in capture.body.split(b"\x1e")[1:]]
    assert [len(page["data"]) for page in pages] == [4, 4, 2]
    assert [m["id"] for page in pages for m in page["data"]] == [f"all/{number}" for number in range(10)]
    assert [r.query.get("offset") for r in server.requests] == [None, "4", "8"]
    assert capture.provenance["pages"] == capture.provenance["attempts"] == 3


def test_a_failing_page_is_asked_again_alone(server):
    server.page_size = 5
    with OpenRouter(server.base_url, policy=HASTY, clock=lambda: spoil_then_now()) as api:

        def spoil_then_now() -> datetime:
            if len(server.requests) == 1:
                server.misbehave(Misbehaviour.SERVER_ERROR)
            return NOW

        capture = api.models()
    assert (capture.provenance["pages"], capture.provenance["attempts"]) == (2, 3)
    assert [r.query.get("offset") for r in server.requests] == [None, "5", "5"]


def test_several_pages_were_observed_when_the_oldest_was(server):
    server.page_size = 5
    ages = iter([0, 0, 90])

    def tick() -> datetime:
        server.age_seconds = next(ages)
        return NOW

    server.age_seconds = next(ages)
    with OpenRouter(server.base_url, policy=HASTY, clock=tick) as api:
        tick_first = api.models()
    assert tick_first.observed_at == NOW
    server.age_seconds = 30
    ages = iter([90, 0])
    with OpenRouter(server.base_url, policy=HASTY, clock=tick) as api:
        capture = api.models()
    assert capture.observed_at == NOW - timedelta(seconds=90)
    assert capture.provenance["headers"]["age"] == "90"


def test_an_absolute_link_on_the_same_origin_is_followed():
    bodies = iter([b'{"links": {"next": "%s/models?offset=1"}}', b'{"links": {"next": null}}'])

    def answer(connection: socket.socket) -> None:
        raw_answer("", next(bodies).replace(b"%s", url.encode()))(connection)

    with raw_server(answer) as url, OpenRouter(url, policy=HASTY) as api:
        assert api.models().provenance["pages"] == 2


def test_pages_that_go_round_in_a_circle_end(server):
    server.misbehave(Misbehaviour.LOOPING_NEXT, times=100)
    assert "its pages lead round in a circle" in refusal(server)
    assert len(server.requests) == 1


def test_pages_without_end_end(server):
    server.misbehave(Misbehaviour.ENDLESS_NEXT, times=100)
    assert "it has more than 5 pages" in refusal(server)
    assert len(server.requests) == 5


def test_pages_that_take_too_long_altogether_end(server):
    def slow_clock() -> datetime:
        time.sleep(0.06)
        return NOW

    server.page_size = 1
    policy = replace(HASTY, overall_seconds=0.1)
    with (
        OpenRouter(server.base_url, policy=policy, clock=slow_clock) as api,
        pytest.raises(SourceError, match=r"(its pages took longer than 0\.1 s|not complete in time); "),
    ):
        api.models()
    assert len(server.requests) <= 3


def test_as_many_pages_as_allowed_are_read(server):
    server.page_size = 2
    assert models(server).provenance["pages"] == 5


def test_a_page_on_another_host_is_not_asked_for(server):
    server.misbehave(Misbehaviour.NEXT_ELSEWHERE)
    message = refusal(server)
    assert "its next page lies elsewhere (elsewhere.invalid), which is not followed" in message
    assert len(server.requests) == 1


def test_another_port_is_another_origin(server):
    body = json.dumps({"links": {"next": f"{server.base_url}/models"}}).encode()
    with (
        raw_server(raw_answer("", body)) as url,
        OpenRouter(url, policy=HASTY) as api,
        pytest.raises(SourceError, match=r"its next page lies elsewhere \(127\.0\.0\.1\)"),
    ):
        api.models()
    assert not server.requests


def test_a_link_that_is_no_address_is_refused():
    body = json.dumps({"links": {"next": "http://[half/\x07"}}).encode()
    with (
        raw_server(raw_answer("", body)) as url,
        OpenRouter(url, policy=HASTY) as api,
        pytest.raises(SourceError, match="its link to the next page is no address; try again later"),
    ):
        api.models()


def test_the_size_cap_counts_all_pages(server, listing):
    server.page_size = 4
    policy = replace(HASTY, max_body_bytes=len(listing) // 2)
    assert "larger than" in refusal(server, policy)
    assert len(server.requests) > 1


# Statuses


@pytest.mark.parametrize(
    ("kind", "status", "words"),
    [
        (Misbehaviour.BAD_REQUEST, 400, "refused as malformed"),
        (Misbehaviour.UNAUTHORIZED, 401, 'it wants a key (status 401: "No cookie auth credentials found")'),
        (Misbehaviour.FORBIDDEN, 403, "access is refused"),
        (Misbehaviour.NOT_FOUND, 404, "there is nothing at this address"),
    ],
)
def test_a_refusal_is_final(server, kind, status, words):
    server.misbehave(kind, times=100, retry_after="0")
    message = refusal(server)
    assert len(server.requests) == 1
    assert message.startswith(f"OpenRouter at {server.base_url}/models?output_modalities=all: ")
    assert f"status {status}" in message
    assert words in message
    assert "times over" not in message
    assert message.endswith(".")
    assert "\n" not in message


@pytest.mark.parametrize(
    ("kind", "status", "words"),
    [
        (Misbehaviour.REQUEST_TIMEOUT, 408, "it gave up waiting"),
        (Misbehaviour.TOO_MANY_REQUESTS, 429, "it has been asked too often"),
        (Misbehaviour.SERVER_ERROR, 500, 'it failed (status 500: "Internal Server Error")'),
        (Misbehaviour.UNAVAILABLE, 503, "it failed"),
    ],
)
def test_a_failing_server_is_asked_again_until_enough(server, kind, status, words):
    server.misbehave(kind, times=100)
    message = refusal(server)
    assert len(server.requests) == HASTY.attempts
    assert f"status {status}" in message
    assert words in message
    assert ", 3 times over; try again later" in message


@pytest.mark.parametrize(
    "kind",
    [
        Misbehaviour.REQUEST_TIMEOUT,
        Misbehaviour.TOO_MANY_REQUESTS,
        Misbehaviour.SERVER_ERROR,
        Misbehaviour.UNAVAILABLE,
        Misbehaviour.CUT_MID_BODY,
        Misbehaviour.TRUNCATED_GZIP,
        Misbehaviour.DROPPED,
    ],
)
def test_a_passing_failure_is_outlived(server, listing, kind):
    server.misbehave(kind, times=2)
    capture = models(server)
    assert capture.body == listing
    assert capture.provenance["attempts"] == len(server.requests) == 3


@pytest.mark.parametrize("status", ["204 No Content", "206 Partial Content", "418 I'm a teapot", "304 Not Modified"])
def test_an_unforeseen_status_is_no_answer(status):
    asked: list[int] = []

    def answer(connection: socket.socket) -> None:
        asked.append(1)
        raw_answer("", b"" if status[0] in "23" and status[:3] != "206" else b"{}", status)(connection)

    with (
        raw_server(answer) as url,
        OpenRouter(url, policy=HASTY) as api,
        pytest.raises(SourceError, match=rf"none that was expected \(status {status[:3]}\)"),
    ):
        api.models()
    assert len(asked) == 1


def test_what_the_api_says_is_made_fit_to_print(server):
    said = "\x1b[31mred\x1b[0m\r\nsecond\u202e line\x00 " + "long " * 100
    server.misbehave(Misbehaviour.FORBIDDEN, message=said)
    message = refusal(server)
    quoted = message.split('"')[1]
    assert quoted.startswith("[31mred [0m second line long long")
    assert quoted.endswith("…")
    assert len(quoted) <= 200
    assert message.isprintable()


def test_what_the_api_says_is_repeated_without_secrets(server):
    server.misbehave(Misbehaviour.FORBIDDEN, message="key hunter2 of session=hunter3 is unknown")
    headers = {"Authorization": "Bearer hunter2", "Cookie": "session=hunter3"}
    with (
        OpenRouter(server.base_url, policy=HASTY, headers=headers) as api,
        pytest.raises(SourceError) as refused,
    ):
        api.models()
    assert 'status 403: "key *** of *** is unknown"' in str(refused.value)
    assert "hunter" not in str(refused.value)


@pytest.mark.parametrize(
    ("body", "quoted"),
    [
        (b'{"error": "plain words"}', ': "plain words"'),
        (b'{"error": {"message": 7}}', ""),
        (b'{"error": null}', ""),
        (b"<html>Bad Gateway</html>", ""),
        (b"[]", ""),
        (b'{"error": "' + b"x" * 100_000 + b'"}', ""),
    ],
)
def test_an_unreadable_explanation_does_not_hide_the_status(body, quoted):
    with (
        raw_server(raw_answer("", body, "403 Forbidden")) as url,
        OpenRouter(url, policy=HASTY) as api,
        pytest.raises(SourceError, match=re.escape(f"access is refused (status 403{quoted}); check")),
    ):
        api.models()


# Waiting


def test_a_wait_in_seconds_is_honoured(server):
    server.misbehave(Misbehaviour.TOO_MANY_REQUESTS, retry_after="1")
    began = time.monotonic()
    assert models(server).provenance["attempts"] == 2
    assert 1.0 <= time.monotonic() - began < 10.0


def test_a_wait_until_a_date_is_reckoned_on_the_servers_clock(server):
    a_second_later = format_datetime(NOW + timedelta(seconds=1), usegmt=True)
    server.misbehave(Misbehaviour.UNAVAILABLE, retry_after=a_second_later)
    began = time.monotonic()
    # By the client's own clock that second is long past.
    with OpenRouter(server.base_url, policy=HASTY, clock=lambda: NOW + timedelta(days=1)) as api:
        assert api.models().provenance["attempts"] == 2
    assert 1.0 <= time.monotonic() - began < 10.0


def test_a_wait_until_a_date_is_reckoned_on_the_clients_clock_where_the_server_tells_no_time():
    until = "retry-after: Mon, 01 Jun 2026 12:00:30 GMT\r\n"
    with (
        raw_server(raw_answer(until, b"", "503 Service Unavailable")) as url,
        OpenRouter(url, policy=HASTY, clock=lambda: NOW) as api,
        pytest.raises(SourceError, match="left alone for 30 s"),
    ):
        api.models()


@pytest.mark.parametrize("asked", ["0", "Mon, 01 Jun 2020 00:00:00 GMT", "tomorrow", "-1", "1.5", "9" * 30])
def test_a_wait_that_is_past_or_unreadable_leaves_the_usual_backoff(server, asked):
    server.misbehave(Misbehaviour.TOO_MANY_REQUESTS, retry_after=asked)
    began = time.monotonic()
    assert models(server).provenance["attempts"] == 2
    assert time.monotonic() - began < 1.0


@pytest.mark.parametrize("asked", ["30", "Mon, 01 Jun 2026 12:00:30 GMT"])
def test_a_server_that_wants_long_rest_is_left_alone(server, asked):
    server.misbehave(Misbehaviour.TOO_MANY_REQUESTS, times=100, retry_after=asked)
    assert "it asks to be left alone for 30 s, so try again after that." in refusal(server)
    assert len(server.requests) == 1


def test_the_backoff_grows_with_jitter_up_to_its_limit(server, caplog):
    caplog.set_level("INFO", "pipelines.sources.http")
    policy = replace(HASTY, attempts=6, backoff_initial_seconds=0.01, backoff_max_seconds=0.05)
    server.misbehave(Misbehaviour.SERVER_ERROR, times=100)
    refusal(server, policy)
    waits = [record.args[-1] for record in caplog.records if "asking again" in record.message]
    jitters = [wait - least for wait, least in zip(waits, [0.01, 0.02, 0.04, 0.05, 0.05], strict=True)]
    assert all(0 <= jitter <= 0.01 for jitter in jitters)
    assert len(set(jitters)) > 1


def test_all_attempts_together_are_bounded(server):
    policy = replace(HASTY, attempts=1000, overall_seconds=0.3, backoff_initial_seconds=0.05)
    server.misbehave(Misbehaviour.SERVER_ERROR, times=1000)
    began = time.monotonic()
    # On a busy machine it is the last attempt that the budget cuts.
    assert re.search("status 500|not complete in time", refusal(server, policy))
    assert time.monotonic() - began < 3.0
    assert 1 < len(server.requests) < 100


# Time


def test_silence_ends(server):
    server.misbehave(Misbehaviour.SILENT, times=100)
    began = time.monotonic()
    assert "it stopped answering, 2 times over; try again later." in refusal(
        server, replace(HASTY, attempts=2, read_seconds=0.1)
    )
    assert time.monotonic() - began < 2.0


@pytest.mark.parametrize("kind", [Misbehaviour.SLOW_DRIP, Misbehaviour.SLOW_HEADERS])
def test_a_slow_drip_ends(server, kind):
    server.misbehave(kind, times=100, drip_seconds=0.02)
    began = time.monotonic()
    message = refusal(server, replace(HASTY, attempts=1, read_seconds=0.2, total_seconds=0.4))
    assert "the answer was not complete in time; try again later." in message
    assert 0.4 <= time.monotonic() - began < 3.0


def test_a_slow_drip_may_be_a_passing_failure(server, listing):
    server.misbehave(Misbehaviour.SLOW_DRIP)
    capture = models(server, replace(HASTY, total_seconds=0.5))
    assert (capture.body, capture.provenance["attempts"]) == (listing, 2)


def test_silence_may_be_a_passing_failure(server, listing):
    server.misbehave(Misbehaviour.SILENT)
    capture = models(server, replace(HASTY, read_seconds=0.4))
    assert (capture.body, capture.provenance["attempts"]) == (listing, 2)


def test_a_slow_drip_ends_for_a_client_that_has_asked_before(server):
    policy = replace(HASTY, attempts=1, read_seconds=0.2, total_seconds=0.4)
    server.misbehave(Misbehaviour.SLOW_HEADERS, drip_seconds=0.02)
    with OpenRouter(server.base_url, policy=policy) as api:
        api.count()
        began = time.monotonic()
        with pytest.raises(SourceError, match="the answer was not complete in time"):
            api.models()
        assert time.monotonic() - began < 3.0


def test_no_thread_outlives_the_question(server):
    before = threading.active_count()
    models(server)
    server.misbehave(Misbehaviour.SILENT, times=100)
    refusal(server, replace(HASTY, attempts=1, read_seconds=0.05))
    deadline = time.monotonic() + 1
    while threading.active_count() > before + 1 and time.monotonic() < deadline:
        time.sleep(0.01)
    # The one that may be left is the server's, which stays silent until it stops.
    assert threading.active_count() <= before + 1


# Size


@pytest.mark.parametrize("kind", [Misbehaviour.OVERSIZED, Misbehaviour.GZIP_BOMB])
def test_an_endless_body_is_stopped_at_the_cap(server, kind):
    server.misbehave(kind, times=100)
    policy = replace(HASTY, max_body_bytes=1_000_000)
    tracemalloc.start()
    began = time.monotonic()
    try:
        message = refusal(server, policy)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert "the answer is larger than 1,000,000 bytes and was not read to its end" in message
    assert time.monotonic() - began < 5
    assert len(server.requests) == 1
    # The server's own block of 1 MiB and the bomb on the wire are counted in.
    assert peak_bytes < 12_000_000


def test_a_body_of_just_the_cap_is_read(server, listing):
    assert models(server, replace(HASTY, max_body_bytes=len(listing))).body == listing
    assert "larger than" in refusal(server, replace(HASTY, max_body_bytes=len(listing) - 1))


def test_a_compressed_body_that_unfolds_to_nothing_is_capped_by_what_was_sent():
    body = gzip.compress(b"") * 1000
    with (
        raw_server(raw_answer("content-encoding: gzip\r\n", body)) as url,
        OpenRouter(url, policy=replace(HASTY, max_body_bytes=1000)) as api,
        pytest.raises(SourceError, match="larger than 1,000 bytes"),
    ):
        api.models()


def test_damaged_compression_is_a_passing_failure():
    with (
        raw_server(raw_answer("content-encoding: gzip\r\n", b"not gzip at all")) as url,
        OpenRouter(url, policy=HASTY) as api,
        pytest.raises(SourceError, match="the compressed answer is damaged, 3 times over"),
    ):
        api.models()


def test_truncated_compression_is_not_taken_for_a_short_answer(server):
    server.misbehave(Misbehaviour.TRUNCATED_GZIP, times=100)
    assert "the compressed answer was cut off before its end, 3 times over" in refusal(server)


def test_an_encoding_that_was_not_asked_for_is_refused():
    with (
        raw_server(raw_answer("content-encoding: br\r\n")) as url,
        OpenRouter(url, policy=HASTY) as api,
        pytest.raises(SourceError, match="the answer is encoded as br, which was not asked for; check"),
    ):
        api.models()


@settings(max_examples=25, deadline=None)
@given(parts=st.lists(st.binary(max_size=300), min_size=1, max_size=4), size=st.integers(1, 50))
def test_gzip_is_undone_however_it_is_cut_up(parts, size):
    whole, stream = b"".join(parts), b"".join(gzip.compress(part) for part in parts)
    decoder = Gunzip()
    pieces = [decoder.feed(stream[i : i + size], 10_000) for i in range(0, len(stream), size)]
    assert b"".join(pieces) == whole
    assert decoder.is_complete


# Redirects


def test_a_redirect_elsewhere_is_not_followed(server):
    server.misbehave(Misbehaviour.REDIRECT_ELSEWHERE, times=100)
    message = refusal(server)
    assert "it redirects elsewhere (elsewhere.invalid), which is not followed; check the base URL." in message
    assert len(server.requests) == 1


@pytest.mark.parametrize("location", ["http://xn--a/", "http://[half/", "//xn--a/x", "http:///x\x7f"])
def test_a_redirect_to_nowhere_is_one_clear_sentence(location):
    with (
        raw_server(raw_answer(f"location: {location}\r\n", b"", "302 Found")) as url,
        OpenRouter(url, policy=HASTY) as api,
        pytest.raises(SourceError, match=r"(redirects|the connection broke).*; .*\.$"),
    ):
        api.models()


def test_redirects_in_circles_end(server):
    server.misbehave(Misbehaviour.REDIRECT_IN_CIRCLES, times=100)
    assert "it redirects more than 5 times; check the base URL." in refusal(server)
    assert len(server.requests) == 6


def test_a_redirect_within_the_origin_is_followed(server, listing):
    server.misbehave(Misbehaviour.REDIRECT_IN_CIRCLES, times=2)
    capture = models(server)
    assert capture.body == listing
    assert capture.provenance["attempts"] == 1


# Connections


def test_a_refused_connection():
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with (
        OpenRouter(f"http://127.0.0.1:{port}/api/v1", policy=HASTY) as api,
        pytest.raises(SourceError, match="the connection was refused, 3 times over; check the base URL and the"),
    ):
        api.models()


def test_a_name_that_does_not_resolve():
    # Longer than any name may be, so that no name server is asked.
    name = ".".join(["a" * 60] * 5)
    with (
        OpenRouter(f"https://{name}/api/v1", policy=HASTY) as api,
        pytest.raises(SourceError, match="its name does not resolve, 3 times over; check the base URL"),
    ):
        api.models()


def test_a_cut_body(server):
    server.misbehave(Misbehaviour.CUT_MID_BODY, times=100)
    assert "the connection broke before the answer was complete, 3 times over; try again" in refusal(server)


def test_a_reset_connection():
    def reset(connection: socket.socket) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    with (
        raw_server(reset) as url,
        OpenRouter(url, policy=HASTY) as api,
        pytest.raises(SourceError, match="the connection broke before the answer was complete, 3 times over"),
    ):
        api.models()


def test_something_that_is_no_web_server():
    with (
        raw_server(lambda connection: connection.sendall(b"220 mail ready\r\n")) as url,
        OpenRouter(url, policy=HASTY) as api,
        pytest.raises(SourceError, match="the connection broke"),
    ):
        api.models()


def test_a_server_that_speaks_no_tls(server):
    with (
        OpenRouter(server.base_url.replace("http:", "https:"), policy=HASTY) as api,
        pytest.raises(SourceError, match="the TLS connection failed, 3 times over; check the base URL"),
    ):
        api.models()


@pytest.fixture
def self_signed(tmp_path: Path) -> tuple[ssl.SSLContext, Path]:
    """A server's TLS context, and the certificate that a client has to trust for it."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl, which makes the certificate, is not installed")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-keyout", key, "-out", certificate, "-days", "1", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True,
        capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context, certificate


@contextmanager
def tls_server(context: ssl.SSLContext, answer: Callable[[ssl.SSLSocket], None]) -> Iterator[tuple[str, list[int]]]:
    """A base URL behind TLS, and a list with an entry for each connection."""
    listener = socket.create_server(("127.0.0.1", 0))
    connections: list[int] = []

    def serve() -> None:
        while True:
            try:
                plain, _ = listener.accept()
            except OSError:
                return
            connections.append(1)
            with plain:
                try:
                    with context.wrap_socket(plain, server_side=True) as connection:
                        connection.recv(65536)
                        answer(connection)
                except OSError:
                    continue

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"https://127.0.0.1:{listener.getsockname()[1]}/api/v1", connections
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def test_a_certificate_that_nobody_vouches_for_is_final(self_signed):
    with (
        tls_server(self_signed[0], lambda connection: None) as (url, connections),
        OpenRouter(url, policy=HASTY) as api,
        pytest.raises(SourceError, match=r"its TLS certificate is not to be trusted \(self.signed certificate\)"),
    ):
        api.models()
    assert len(connections) == 1


def test_a_slow_drip_ends_behind_tls_too(self_signed, monkeypatch):
    context, certificate = self_signed
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))

    def drip(connection: ssl.SSLSocket) -> None:
        for byte in b"HTTP/1.1 200 OK\r\ncontent-length: 9999\r\n\r\n" + b" " * 2000:
            connection.sendall(bytes([byte]))
            time.sleep(0.01)

    policy = replace(HASTY, attempts=1, total_seconds=0.3)
    with tls_server(context, drip) as (url, _), OpenRouter(url, policy=policy) as api:
        began = time.monotonic()
        with pytest.raises(SourceError, match=r"the answer was not complete in time; "):
            api.models()
        assert time.monotonic() - began < 3.0


def test_a_proxy_of_the_environment_is_not_asked_for_loopback(server, listing, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    assert models(server).body == listing


@pytest.mark.parametrize(
    "base_url",
    ["", "openrouter.ai", "ftp://openrouter.ai/api", "https://", "https://x/api?key=1", "https://x/api#y",
     "https://x\x07y/", "https://a..b/", "https://xn--a/", "https://me:secret@x/api"],
)  # fmt: skip
def test_a_base_url_that_is_none_is_refused_at_once(base_url):
    with pytest.raises(UsageError, match=r"^The base URL .+\.$"):
        OpenRouter(base_url)


# The count


def test_a_count_is_read(server):
    with OpenRouter(server.base_url, policy=HASTY) as api:
        assert parse_count(api.count().body) == 10
        server.misbehave(Misbehaviour.WRONG_COUNT)
        assert parse_count(api.count().body) == 17


@pytest.mark.parametrize(
    "body",
    [b"", b"457", b"[]", b"{}", b'{"data": 457}', b'{"data": {}}', b'{"data": {"count": "457"}}',
     b'{"data": {"count": 4.0}}', b'{"data": {"count": true}}', b'{"data": {"count": -1}}',
     b'{"data": {"count": null}}', b'{"count": 457}', b'{"data": {"count": 1e400}}', b"<html>",
     b'{"data": {"count": 457}'],
)  # fmt: skip
def test_a_count_of_another_shape_is_refused(body):
    with pytest.raises(SourceError, match=r"^The count of models .+; ask again later\.$"):
        parse_count(body)


def test_a_count_may_come_with_more():
    assert parse_count(b'{"data": {"count": 0, "new": 1}, "meta": []}') == 0


# Words


@given(st.text())
def test_cleaned_text_is_one_short_printable_line(text):
    line = clean(text)
    assert len(line) <= 200
    assert line.isprintable()
    assert clean(line) == line


def test_failures_keep_the_cause_for_a_log(server):
    server.misbehave(Misbehaviour.CUT_MID_BODY, times=100)
    with pytest.raises(SourceError) as refused:
        models(server)
    cause: BaseException | None = refused.value
    while cause is not None and not isinstance(cause, httpx.RemoteProtocolError):
        cause = cause.__cause__
    assert isinstance(cause, httpx.RemoteProtocolError)

"""The loopback server, asked over real sockets by the plainest of clients."""

from __future__ import annotations

import gzip
import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.client import HTTPConnection, HTTPResponse, IncompleteRead, RemoteDisconnected
from typing import Any

import pytest

from pipelines.demo.misbehaviour import BOMB_BYTES, ERRORS, OVERSIZE_BYTES, Misbehaviour
from pipelines.demo.server import CatalogueServer

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)


class Letters:
    """A catalogue of 26 models, each named after a letter and the hour asked about."""

    def listing(self, at: datetime, *, output_modalities: str) -> bytes:
        models = [{"id": f"{output_modalities}/{letter}-{at:%d%H}"} for letter in "abcdefghijklmnopqrstuvwxyz"]
        # White space that no serialiser would write shows whether the bytes are passed on untouched.
        return json.dumps({"data": models, "links": {"next": None}, "total_count": 26}, indent=1).encode()

    def count(self, at: datetime, *, output_modalities: str) -> int:
        return 26 if output_modalities == "all" else 20


@pytest.fixture
def server() -> Iterator[CatalogueServer]:
    with CatalogueServer(Letters(), now=NOW) as running:
        yield running


def ask(
    server: CatalogueServer, target: str, headers: dict[str, str] | None = None, method: str = "GET"
) -> tuple[HTTPResponse, bytes]:
    connection = HTTPConnection(server.base_url.split("/")[2], timeout=5)
    try:
        connection.request(method, f"/api/v1{target}", headers=headers or {})
        response = connection.getresponse()
        return response, response.read()
    finally:
        connection.close()


def ask_json(server: CatalogueServer, target: str) -> Any:
    return json.loads(ask(server, target)[1])


def test_a_listing_is_served_byte_for_byte(server):
    response, body = ask(server, "/models?output_modalities=all")
    assert response.status == 200
    assert response.headers["content-type"] == "application/json"
    assert body == Letters().listing(NOW, output_modalities="all")


def test_text_is_the_default_modality(server):
    assert ask_json(server, "/models")["data"][0]["id"] == "text/a-0112"
    assert ask_json(server, "/models/count") == {"data": {"count": 20}}
    assert ask_json(server, "/models/count?output_modalities=all") == {"data": {"count": 26}}


def test_the_clock_can_be_set(server):
    server.now = NOW + timedelta(days=1, hours=3)
    response, body = ask(server, "/models")
    assert json.loads(body)["data"][0]["id"] == "text/a-0215"
    assert response.headers["date"] == format_datetime(server.now, usegmt=True)
    assert server.clock() == server.now


def test_a_clock_without_a_time_zone_is_refused():
    with pytest.raises(ValueError, match="time zone"):
        CatalogueServer(Letters(), now=datetime(2026, 6, 1))


def test_a_cached_answer_says_its_age_and_is_that_old(server):
    fresh, _ = ask(server, "/models")
    assert fresh.headers["age"] is None
    assert fresh.headers["cf-cache-status"] == "MISS"
    assert "max-age=300" in fresh.headers["cache-control"]
    server.age_seconds = 3600
    cached, body = ask(server, "/models")
    assert (cached.headers["age"], cached.headers["cf-cache-status"]) == ("3600", "HIT")
    assert json.loads(body)["data"][0]["id"] == "text/a-0111"


def test_an_answer_is_compressed_for_those_who_accept_it(server):
    response, body = ask(server, "/models", {"accept-encoding": "gzip, br"})
    assert response.headers["content-encoding"] == "gzip"
    assert gzip.decompress(body) == Letters().listing(NOW, output_modalities="text")


def test_pages_link_to_the_next_until_the_last(server):
    target, pages = "/models?output_modalities=all&limit=10", []
    while target:
        pages.append(ask_json(server, target))
        target = (pages[-1]["links"]["next"] or "").removeprefix("/api/v1")
    assert [len(page["data"]) for page in pages] == [10, 10, 6]
    assert {page["total_count"] for page in pages} == {26}
    assert [model for page in pages for model in page["data"]] == json.loads(
        Letters().listing(NOW, output_modalities="all")
    )["data"]


def test_paging_can_be_forced(server):
    server.page_size = 20
    assert len(ask_json(server, "/models")["data"]) == 20


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "offset=-1", "limit=ten"])
def test_an_impossible_page_is_refused(server, query):
    response, body = ask(server, f"/models?{query}")
    assert response.status == 400
    assert json.loads(body)["error"]["code"] == 400


@pytest.mark.parametrize("target", ["/nowhere", "/models/a/b/endpoints", "/models/"])
def test_other_addresses_get_the_documented_error(server, target):
    response, body = ask(server, target)
    assert response.status == 404
    assert json.loads(body) == {"error": {"code": 404, "message": "Not Found"}}


def test_other_methods_get_an_error_in_the_same_form(server):
    response, body = ask(server, "/models", method="DELETE")
    assert response.status == 501
    assert json.loads(body)["error"]["code"] == 501


def test_requests_are_recorded(server):
    ask(server, "/models?output_modalities=text,image", {"X-Trace": "7"})
    ask(server, "/models/count")
    first, second = server.requests
    assert (first.method, first.path) == ("GET", "/api/v1/models")
    assert first.query == {"output_modalities": "text,image"}
    assert first.headers["x-trace"] == "7"
    assert second.path == "/api/v1/models/count"


def test_a_connection_serves_several_requests(server):
    connection = HTTPConnection(server.base_url.split("/")[2], timeout=5)
    addresses = set()
    for _ in range(3):
        connection.request("GET", "/api/v1/models/count")
        addresses.add(connection.sock.getsockname())
        assert connection.getresponse().read()
    connection.close()
    assert len(addresses) == 1


@pytest.mark.parametrize("kind", ERRORS)
def test_an_error_comes_in_the_documented_form(server, kind):
    server.misbehave(kind, retry_after="7")
    response, body = ask(server, "/models")
    status, message = ERRORS[kind]
    assert response.status == status
    assert json.loads(body) == {"error": {"code": status, "message": message}}
    assert response.headers["retry-after"] == "7"
    assert (response.headers["x-ratelimit-remaining"] == "0") == (status == 429)


def test_misbehaviour_ends_after_its_times_and_keeps_to_its_path(server):
    server.misbehave(Misbehaviour.SERVER_ERROR, times=2)
    server.misbehave(Misbehaviour.UNAVAILABLE)
    server.misbehave(Misbehaviour.NOT_FOUND, path="/models/count")
    assert [ask(server, "/models")[0].status for _ in range(4)] == [500, 500, 503, 200]
    assert [ask(server, "/models/count")[0].status for _ in range(2)] == [404, 200]


def test_misbehaviour_can_be_called_off(server):
    server.misbehave(Misbehaviour.SERVER_ERROR, times=100)
    server.behave()
    assert ask(server, "/models")[0].status == 200


def test_an_answer_is_cut_mid_body(server):
    server.misbehave(Misbehaviour.CUT_MID_BODY)
    with pytest.raises(IncompleteRead) as cut:
        ask(server, "/models")
    whole = Letters().listing(NOW, output_modalities="text")
    assert cut.value.partial == whole[: len(whole) // 2]


def test_a_connection_is_dropped(server):
    server.misbehave(Misbehaviour.DROPPED)
    with pytest.raises(RemoteDisconnected):
        ask(server, "/models")


def test_a_truncated_json_is_a_whole_http_answer(server):
    server.misbehave(Misbehaviour.TRUNCATED_JSON)
    _, body = ask(server, "/models")
    whole = Letters().listing(NOW, output_modalities="text")
    assert body == whole[: len(whole) // 2]


def test_a_truncated_gzip_is_a_whole_http_answer(server):
    server.misbehave(Misbehaviour.TRUNCATED_GZIP)
    _, body = ask(server, "/models")
    with pytest.raises(EOFError):
        gzip.decompress(body)


def test_an_empty_list_counts_nothing(server):
    server.misbehave(Misbehaviour.EMPTY_LIST)
    assert ask_json(server, "/models") == {"data": [], "links": {"next": None}, "total_count": 0}


def test_half_a_list_still_claims_to_be_whole(server):
    server.misbehave(Misbehaviour.HALF_LIST)
    listing = ask_json(server, "/models")
    assert [model["id"] for model in listing["data"]] == [f"text/{letter}-0112" for letter in "abcdefghijklm"]
    assert listing["total_count"] == 26


def test_html_comes_with_status_200(server):
    server.misbehave(Misbehaviour.HTML)
    response, body = ask(server, "/models")
    assert (response.status, response.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert body.startswith(b"<!doctype html>")


def test_a_wrong_count_is_wrong(server):
    server.misbehave(Misbehaviour.WRONG_COUNT)
    assert ask_json(server, "/models/count") == {"data": {"count": 27}}
    assert ask_json(server, "/models/count") == {"data": {"count": 20}}


@pytest.mark.parametrize(
    ("kind", "location"),
    [
        (Misbehaviour.REDIRECT_ELSEWHERE, "http://elsewhere.invalid/api/v1/models"),
        (Misbehaviour.REDIRECT_IN_CIRCLES, "/api/v1/models?q=x"),
    ],
)
def test_redirects(server, kind, location):
    server.misbehave(kind)
    response, _ = ask(server, "/models?q=x")
    assert (response.status, response.headers["location"]) == (302, location)


@pytest.mark.parametrize(
    ("kind", "link"),
    [
        (Misbehaviour.LOOPING_NEXT, "/api/v1/models?offset=3"),
        (Misbehaviour.ENDLESS_NEXT, "/api/v1/models?offset=4"),
        (Misbehaviour.NEXT_ELSEWHERE, "http://elsewhere.invalid/api/v1/models"),
    ],
)
def test_bad_links_to_the_next_page(server, kind, link):
    server.misbehave(kind)
    assert ask_json(server, "/models?offset=3")["links"] == {"next": link}


def test_an_oversized_body_is_larger_than_any_client_should_read(server):
    server.misbehave(Misbehaviour.OVERSIZED)
    connection = HTTPConnection(server.base_url.split("/")[2], timeout=5)
    connection.request("GET", "/api/v1/models")
    response = connection.getresponse()
    assert int(response.headers["content-length"]) == OVERSIZE_BYTES > 64 * 1024 * 1024
    assert len(response.read(3_000_000)) == 3_000_000
    connection.close()


def test_a_bomb_is_small_and_unfolds_to_much(server):
    server.misbehave(Misbehaviour.GZIP_BOMB)
    response, body = ask(server, "/models")
    assert response.headers["content-encoding"] == "gzip"
    member = gzip.compress(b" " * 1024 * 1024, mtime=0)
    assert len(body) < 2_000_000
    assert body == member * (BOMB_BYTES // 1024 // 1024)


def test_a_body_drips(server):
    server.misbehave(Misbehaviour.SLOW_DRIP, drip_seconds=0.01)
    connection = HTTPConnection(server.base_url.split("/")[2], timeout=5)
    connection.request("GET", "/api/v1/models")
    response = connection.getresponse()
    began = time.monotonic()
    assert response.read(10) == Letters().listing(NOW, output_modalities="text")[:10]
    assert time.monotonic() - began >= 0.08
    connection.close()


def test_headers_drip(server):
    server.misbehave(Misbehaviour.SLOW_HEADERS, drip_seconds=0.01)
    with socket.create_connection(("127.0.0.1", int(server.base_url.split(":")[2].split("/")[0])), 5) as raw:
        raw.sendall(b"GET /api/v1/models HTTP/1.1\r\nHost: x\r\n\r\n")
        began, received = time.monotonic(), b""
        while len(received) < 10:
            received += raw.recv(1)
        assert time.monotonic() - began >= 0.08
    assert received == b"HTTP/1.1 2"


@pytest.mark.parametrize("kind", [None, Misbehaviour.SLOW_DRIP, Misbehaviour.SLOW_HEADERS, Misbehaviour.SILENT])
def test_stopping_is_quick_and_quiet(kind, capfd):
    before = threading.active_count()
    with CatalogueServer(Letters(), now=NOW) as server:
        if kind:
            server.misbehave(kind, drip_seconds=30)
        busy = HTTPConnection(server.base_url.split("/")[2], timeout=5)
        busy.request("GET", "/api/v1/models")
        while not server.requests:
            time.sleep(0.001)
        began = time.monotonic()
    assert time.monotonic() - began < 5
    assert threading.active_count() == before
    busy.close()
    assert capfd.readouterr() == ("", "")


def test_a_client_that_hangs_up_is_no_failure(capfd):
    with CatalogueServer(Letters(), now=NOW) as server:
        server.misbehave(Misbehaviour.OVERSIZED)
        connection = HTTPConnection(server.base_url.split("/")[2], timeout=5)
        connection.request("GET", "/api/v1/models")
        connection.getresponse().read(10)
        connection.close()
        assert ask(server, "/models")[0].status == 200
    assert capfd.readouterr() == ("", "")


def test_a_fault_in_the_catalogue_comes_to_light():
    class Faulty(Letters):
        def count(self, at: datetime, *, output_modalities: str) -> int:
            raise LookupError("no such day")

    def ask_the_faulty() -> None:
        with CatalogueServer(Faulty(), now=NOW) as server:
            statuses.append(ask(server, "/models/count")[0].status)

    statuses: list[int] = []
    with pytest.raises(LookupError, match="no such day"):
        ask_the_faulty()
    assert statuses == [500]


def test_every_misbehaviour_can_be_arranged(server):
    connection_ends = (http.client.HTTPException, TimeoutError, ConnectionError)
    for kind in Misbehaviour:
        path = "/models/count" if kind is Misbehaviour.WRONG_COUNT else "/models"
        honest = ask(server, path)
        server.misbehave(kind, drip_seconds=5)
        connection = HTTPConnection(server.base_url.split("/")[2], timeout=0.05)
        try:
            connection.request("GET", f"/api/v1{path}")
            response = connection.getresponse()
            assert (response.status, response.read(100_000)) != (honest[0].status, honest[1]), kind
        except connection_ends:
            continue
        finally:
            connection.close()

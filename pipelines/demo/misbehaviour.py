"""The ways in which an API lets its clients down, as far as they show in what it says.

Belongs here: their names, and the wrong statuses, headers and contents of those that are whole HTTP answers.
Does not belong here: sockets; what breaks on the wire is done by `server`.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import Any
from urllib.parse import urlencode

import orjson

_MIB = 1024 * 1024

OVERSIZE_BYTES = 96 * _MIB
"""Length of an oversized body: more than the client's default cap of 64 MiB."""

BOMB_BYTES = 1024 * _MIB
"""What a gzip bomb unfolds to, from about a megabyte on the wire."""

_DEPTH = 100_000

ELSEWHERE = "http://elsewhere.invalid"
"""The other host that a misbehaving server points to; its name never resolves."""


class Misbehaviour(Enum):
    """One way in which an API lets its clients down. Those without a word of their own are its errors."""

    BAD_REQUEST = auto()
    UNAUTHORIZED = auto()
    FORBIDDEN = auto()
    NOT_FOUND = auto()
    REQUEST_TIMEOUT = auto()
    TOO_MANY_REQUESTS = auto()
    SERVER_ERROR = auto()
    UNAVAILABLE = auto()

    DROPPED = auto()
    """The connection is closed without an answer."""
    SILENT = auto()
    """The connection stays open without an answer."""
    CUT_MID_BODY = auto()
    """The connection is closed after half of the announced bytes."""
    SLOW_HEADERS = auto()
    """The headers come a byte at a time."""
    SLOW_DRIP = auto()
    """The body comes a byte at a time."""

    TRUNCATED_JSON = auto()
    """Half of the JSON, as a whole HTTP answer."""
    TRUNCATED_GZIP = auto()
    """Half of the gzip stream, as a whole HTTP answer."""
    EMPTY_LIST = auto()
    """``data`` is empty and ``total_count``, where there is one, is 0."""
    HALF_LIST = auto()
    """The first half of ``data`` under the whole's ``total_count``."""
    HTML = auto()
    """A web page, such as a guard against robots shows."""
    WRONG_CHARSET = auto()
    """The JSON in UTF-16, which JSON on the web must not be."""
    WRONG_COMPRESSION = auto()
    """A compression that was not asked for."""
    DEEPLY_NESTED = auto()
    """JSON of a hundred thousand lists within each other."""
    WRONG_COUNT = auto()
    """A number other than the catalogue's count; asked of ``/models/count`` unless said otherwise."""

    REDIRECT_ELSEWHERE = auto()
    """Status 302 to another host."""
    REDIRECT_IN_CIRCLES = auto()
    """Status 302 to the address that was asked."""
    LOOPING_NEXT = auto()
    """``links.next`` names the page that it stands on."""
    ENDLESS_NEXT = auto()
    """``links.next`` always names a page not seen before."""
    NEXT_ELSEWHERE = auto()
    """``links.next`` names another host."""

    OVERSIZED = auto()
    """:data:`OVERSIZE_BYTES` of white space."""
    GZIP_BOMB = auto()
    """:data:`BOMB_BYTES` of white space, compressed."""


@dataclass(frozen=True)
class Request:
    """What a client asked. ``headers`` has lower-case names; ``path`` is without the query."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Reply:
    """An answer before it is put on the wire; ``headers`` add to those that every answer has."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Plan:
    """A misbehaviour that is still to come, ``times`` over."""

    kind: Misbehaviour
    times: int
    path: str
    retry_after: str | None
    message: str | None
    drip_seconds: float


ERRORS = {
    Misbehaviour.BAD_REQUEST: (400, "Invalid parameters"),
    Misbehaviour.UNAUTHORIZED: (401, "No cookie auth credentials found"),
    Misbehaviour.FORBIDDEN: (403, "Access from this region is not allowed"),
    Misbehaviour.NOT_FOUND: (404, "Not Found"),
    Misbehaviour.REQUEST_TIMEOUT: (408, "Request Timeout"),
    Misbehaviour.TOO_MANY_REQUESTS: (429, "Rate limit exceeded"),
    Misbehaviour.SERVER_ERROR: (500, "Internal Server Error"),
    Misbehaviour.UNAVAILABLE: (503, "Service temporarily unavailable"),
}
"""Misbehaviour that is an error of the API: its status and message."""


def error(status: int, message: str, headers: Mapping[str, str] | None = None) -> Reply:
    """An error in the API's documented form."""
    body = orjson.dumps({"error": {"code": status, "message": message}})
    return Reply(status, body, headers={"cache-control": "no-store", **(headers or {})})


def planned_error(plan: Plan) -> Reply:
    """The error that ``plan`` arranges."""
    status, message = ERRORS[plan.kind]
    headers = {} if plan.retry_after is None else {"retry-after": plan.retry_after}
    if plan.kind is Misbehaviour.TOO_MANY_REQUESTS:
        headers |= {"x-ratelimit-limit": "20", "x-ratelimit-remaining": "0"}
    return error(status, plan.message or message, headers)


def gzipped(reply: Reply) -> Reply:
    """``reply`` with its body compressed."""
    body = gzip.compress(reply.body, compresslevel=1, mtime=0)
    return replace(reply, body=body, headers={**reply.headers, "content-encoding": "gzip"})


def _rewritten(reply: Reply, **envelope: Any) -> Reply:
    """``reply`` with these keys of its envelope replaced."""
    return replace(reply, body=orjson.dumps({**orjson.loads(reply.body), **envelope}))


def _truncated_gzip(reply: Reply, request: Request) -> Reply:
    whole = gzipped(reply)
    return replace(whole, body=whole.body[: len(whole.body) // 2])


def _empty(reply: Reply, request: Request) -> Reply:
    has_total = "total_count" in orjson.loads(reply.body)
    return _rewritten(reply, data=[], **({"total_count": 0} if has_total else {}))


def _halved(reply: Reply, request: Request) -> Reply:
    models = orjson.loads(reply.body)["data"]
    return _rewritten(reply, data=models[: len(models) // 2])


def _html(reply: Reply, request: Request) -> Reply:
    page = b"<!doctype html><title>Just a moment...</title><p>Checking your browser before you go on.</p>"
    return replace(reply, body=page, content_type="text/html; charset=utf-8")


def _miscounted(reply: Reply, request: Request) -> Reply:
    return _rewritten(reply, data={"count": orjson.loads(reply.body)["data"]["count"] + 7})


def _redirecting(location: Callable[[Request], str]) -> Callable[[Reply, Request], Reply]:
    return lambda reply, request: Reply(302, b"", headers={"location": location(request)})


def _linking(link: Callable[[Request], str]) -> Callable[[Reply, Request], Reply]:
    return lambda reply, request: _rewritten(reply, links={"next": link(request)})


def _target(request: Request) -> str:
    return f"{request.path}?{urlencode(request.query)}" if request.query else request.path


def _unseen_page(request: Request) -> str:
    return f"{request.path}?offset={int(request.query.get('offset', 0)) + 1}"


def _bomb(reply: Reply, request: Request) -> Reply:
    # Many members make one stream, which is quicker than compressing it all.
    member = gzip.compress(b" " * _MIB, mtime=0)
    return replace(reply, body=member * (BOMB_BYTES // _MIB), headers={**reply.headers, "content-encoding": "gzip"})


SPOILED: dict[Misbehaviour, Callable[[Reply, Request], Reply]] = {
    Misbehaviour.TRUNCATED_JSON: lambda reply, _: replace(reply, body=reply.body[: len(reply.body) // 2]),
    Misbehaviour.TRUNCATED_GZIP: _truncated_gzip,
    Misbehaviour.EMPTY_LIST: _empty,
    Misbehaviour.HALF_LIST: _halved,
    Misbehaviour.HTML: _html,
    Misbehaviour.WRONG_CHARSET: lambda reply, _: replace(reply, body=reply.body.decode().encode("utf-16")),
    Misbehaviour.WRONG_COMPRESSION: lambda reply, _: replace(
        reply, body=zlib.compress(reply.body), headers={**reply.headers, "content-encoding": "deflate"}
    ),
    Misbehaviour.DEEPLY_NESTED: lambda reply, _: replace(
        reply, body=b'{"data":' + b"[" * _DEPTH + b"]" * _DEPTH + b"}"
    ),
    Misbehaviour.WRONG_COUNT: _miscounted,
    Misbehaviour.REDIRECT_ELSEWHERE: _redirecting(lambda request: ELSEWHERE + request.path),
    Misbehaviour.REDIRECT_IN_CIRCLES: _redirecting(_target),
    Misbehaviour.LOOPING_NEXT: _linking(_target),
    Misbehaviour.ENDLESS_NEXT: _linking(_unseen_page),
    Misbehaviour.NEXT_ELSEWHERE: _linking(lambda request: ELSEWHERE + request.path),
    Misbehaviour.GZIP_BOMB: _bomb,
}
"""Misbehaviour in what is said: a whole HTTP answer, with the wrong contents."""

"""A catalogue served over real HTTP on the loopback interface, on a clock of its own.

Belongs here: the API's addresses, paging, headers, keys and errors, and every bad habit of a real API, on request.
Does not belong here: what the catalogue lists at a given time (whatever has the shape of :class:`Catalogue`).
"""

from __future__ import annotations

import sys
import threading
import zlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import SHUT_RDWR, socket
from socketserver import TCPServer
from types import TracebackType
from typing import Any, Protocol, Self, runtime_checkable
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

import orjson

from pipelines.demo import questions
from pipelines.demo.misbehaviour import (
    ERRORS,
    OVERSIZE_BYTES,
    SPOILED,
    Misbehaviour,
    Plan,
    Reply,
    Request,
    error,
    gzipped,
    planned_error,
)

_DEFAULT_LIMIT = 500
_MAX_LIMIT = 1000
_MIB = 1024 * 1024

USER_KEY = "sk-or-v1-of-a-simulated-account"
EXPIRED_KEY = "sk-or-v1-of-an-account-long-gone"
"""The keys that the server knows; the second has expired."""


class Catalogue(Protocol):
    """What can be served: the bytes of a listing, and its count, at any instant."""

    def listing(self, at: datetime, *, output_modalities: str) -> bytes:
        """The body that ``/models`` answers at ``at``."""
        ...

    def count(self, at: datetime, *, output_modalities: str) -> int:
        """The number that ``/models/count`` answers at ``at``."""
        ...


@runtime_checkable
class Offering(Protocol):
    """What a catalogue may have beside its listing: offers and providers."""

    def endpoints(self, model_id: str, at: datetime) -> bytes | None:
        """The body that ``/models/{model_id}/endpoints`` answers at ``at``; None: there is no such model."""
        ...

    def zdr_endpoints(self, at: datetime) -> bytes:
        """The body that ``/endpoints/zdr`` answers at ``at``."""
        ...

    def providers(self, at: datetime) -> bytes:
        """The body that ``/providers`` answers at ``at``."""
        ...


class CatalogueServer:
    """Serves ``catalogue`` at :attr:`base_url` from a thread, while its context lasts.

    ``now`` is the server's clock, free to be set: it dates the answers and chooses what is listed. With
    ``age_seconds`` set, answers come as if from a cache: they say their age, and list what was listed then.
    With ``has_validators`` the feed comes with an ETag, and answers 304 to who has it already.
    ``page_size`` cuts lists into pages even for a client that names no limit. ``requests`` are those received
    so far. ``latency_seconds`` go by before each answer. An exception in the catalogue is answered with status 500 and
    raised again when the context ends.
    """

    prefix = "/api/v1"

    def __init__(self, catalogue: Catalogue, *, now: datetime) -> None:
        if now.tzinfo is None:
            raise ValueError("now needs a time zone")
        self.catalogue = catalogue
        self.now = now
        self.age_seconds: int | None = None
        self.latency_seconds = 0.0
        self.page_size: int | None = None
        self.has_validators = False
        self.requests: list[Request] = []
        self.stopping = threading.Event()
        self._lock = threading.Lock()
        self._plans: list[Plan] = []
        self._http = _Http(self)
        self._thread = threading.Thread(
            target=self._http.serve_forever, args=(0.02,), name="catalogue server", daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stopping.set()
        self._http.shutdown()
        self._thread.join()
        self._http.hang_up()
        self._http.server_close()
        if error is None and self._http.failures:
            raise self._http.failures[0]

    @property
    def base_url(self) -> str:
        """Where the API's paths begin, such as ``http://127.0.0.1:40123/api/v1``."""
        return f"http://127.0.0.1:{self._http.server_port}{self.prefix}"

    def clock(self) -> datetime:
        """:attr:`now`, for a client that is to live on the same day."""
        return self.now

    def misbehave(
        self,
        kind: Misbehaviour,
        *,
        times: int = 1,
        path: str | None = None,
        retry_after: str | None = None,
        message: str | None = None,
        drip_seconds: float = 0.02,
    ) -> None:
        """Spoils the next ``times`` answers at ``path`` (by default ``/models``), after any already arranged.

        ``retry_after`` and ``message`` are for errors: that header's text, and other words than the usual.
        ``drip_seconds`` is the pause between slow bytes.
        """
        usual = "/models/count" if kind is Misbehaviour.WRONG_COUNT else "/models"
        with self._lock:
            self._plans.append(Plan(kind, times, path or usual, retry_after, message, drip_seconds))

    def behave(self) -> None:
        """Forgets all misbehaviour still to come."""
        with self._lock:
            self._plans.clear()

    def take_plan(self, request: Request) -> Plan | None:
        """Notes ``request``, and uses up one time of the misbehaviour arranged for it, if any."""
        with self._lock:
            self.requests.append(request)
            for plan in self._plans:
                if plan.times > 0 and self.prefix + plan.path == request.path:
                    plan.times -= 1
                    return plan
        return None

    def reply(self, request: Request) -> Reply:
        """What a well-behaved API answers."""
        match request.path.removeprefix(self.prefix):
            case "/models":
                return self._models(request)
            case "/models/user":
                return self._user_models(request)
            case path if path.startswith("/model/"):
                return self._model(unquote(path.removeprefix("/model/")))
            case "/models/count":
                try:
                    questions.check_modalities(request.query)
                except questions.BadQuestionError as refused:
                    return error(400, str(refused))
                count = self.catalogue.count(self._said_at(), output_modalities=_modalities(request))
                return self._cached(orjson.dumps({"data": {"count": count}}))
            case path if isinstance(self.catalogue, Offering):
                return self._offered(self.catalogue, path)
            case _:
                return error(404, "Not Found")

    def _offered(self, catalogue: Offering, path: str) -> Reply:
        at, body = self._said_at(), None
        if path == "/endpoints/zdr":
            body = catalogue.zdr_endpoints(at)
        elif path == "/providers":
            body = catalogue.providers(at)
        elif path.startswith("/models/") and path.endswith("/endpoints"):
            body = catalogue.endpoints(unquote(path[len("/models/") : -len("/endpoints")]), at)
        return error(404, "Not Found") if body is None else self._cached(body)

    def _models(self, request: Request) -> Reply:
        at = self._said_at()
        try:
            questions.check_modalities(request.query)
            if request.query.get("use_rss") == "true":
                return self._feed(request, at)
            body = self.catalogue.listing(at, output_modalities=_modalities(request))
            if not questions.is_plain(request.query):
                listing = orjson.loads(body)
                body = _listed(listing, questions.answer(listing["data"], request.query, at))
        except questions.BadQuestionError as refused:
            return error(400, str(refused))
        return self._paged(body, request)

    def _paged(self, body: bytes, request: Request) -> Reply:
        asked = {"offset", "limit"} & request.query.keys()
        if not asked and self.page_size is None:
            return self._cached(body)
        try:
            offset = int(request.query.get("offset", 0))
            limit = int(request.query.get("limit", self.page_size or _DEFAULT_LIMIT))
        except ValueError:
            return error(400, "offset and limit must be integers")
        if offset < 0 or not 1 <= limit <= _MAX_LIMIT:
            return error(400, f"offset must not be negative and limit must lie between 1 and {_MAX_LIMIT}")
        return self._cached(_page(body, request, offset, limit))

    def _user_models(self, request: Request) -> Reply:
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not key:
            return error(401, "No cookie auth credentials found")
        if key != USER_KEY:
            return error(401, "API key expired" if key == EXPIRED_KEY else "User not found.")
        at = self._said_at()
        listing = orjson.loads(self.catalogue.listing(at, output_modalities="all"))
        own = [model for model in listing["data"] if questions.permits(model, at)]
        return self._paged(_listed(listing, own), request)

    def _model(self, model_id: str) -> Reply:
        listing = orjson.loads(self.catalogue.listing(self._said_at(), output_modalities="all"))
        found = questions.find(listing["data"], model_id)
        return error(404, "Model not found") if found is None else self._cached(orjson.dumps({"data": found}))

    def _feed(self, request: Request, at: datetime) -> Reply:
        # Unlike the list, the real feed has models of every modality unless it is asked for some.
        body = self.catalogue.listing(at, output_modalities=request.query.get("output_modalities", "all"))
        chat_links = request.query.get("use_rss_chat_links") == "true"
        models = orjson.loads(body)["data"]
        reply = self._cached(questions.feed(models, at, chat_links=chat_links))
        reply = replace(reply, content_type="application/rss+xml; charset=utf-8")
        if not self.has_validators:
            return reply
        # What does not move with the clock: the validator tells of the items, and not of lastBuildDate.
        etag = f'"{zlib.crc32(questions.feed(models, datetime.fromtimestamp(0, UTC), chat_links=chat_links)):08x}"'
        if request.headers.get("if-none-match") == etag:
            return Reply(304, b"", reply.content_type, {**reply.headers, "etag": etag})
        return replace(reply, headers={**reply.headers, "etag": etag})

    def _said_at(self) -> datetime:
        return self.now - timedelta(seconds=self.age_seconds or 0)

    def _cached(self, body: bytes) -> Reply:
        headers = {"cache-control": "public, max-age=300, stale-while-revalidate=3600, stale-if-error=3600"}
        if self.age_seconds is None:
            headers["cf-cache-status"] = "MISS"
        else:
            headers |= {"cf-cache-status": "HIT", "age": str(self.age_seconds)}
        return Reply(200, body, headers=headers)


class _Http(ThreadingHTTPServer):
    """The sockets: keeps track of connections, so that stopping need not wait for clients."""

    daemon_threads = False

    def __init__(self, owner: CatalogueServer) -> None:
        self.owner = owner
        self.failures: list[BaseException] = []
        self._connections: set[socket] = set()
        self._lock = threading.Lock()
        super().__init__(("127.0.0.1", 0), _Handler)

    def server_bind(self) -> None:
        # HTTPServer's own would look up the machine's name, which can take seconds.
        TCPServer.server_bind(self)
        self.server_name, self.server_port = "127.0.0.1", self.socket.getsockname()[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._connections.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        """Ends all connections, so that their threads end."""
        with self._lock:
            for connection in self._connections:
                try:
                    connection.shutdown(SHUT_RDWR)
                except OSError:
                    continue  # the client was faster

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A client that hangs up is no failure; the inherited method would print a traceback.
        failure = sys.exception()
        if failure is not None and not isinstance(failure, ConnectionError):
            self.failures.append(failure)


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Http

    def do_GET(self) -> None:
        """Answers, well or badly."""
        owner = self.server.owner
        request = self._request()
        plan = owner.take_plan(request)
        owner.stopping.wait(owner.latency_seconds)
        try:
            reply = owner.reply(request)
        except Exception as failure:
            self.server.failures.append(failure)
            reply = error(500, "Internal Server Error")
        if plan is None:
            self._send(reply)
        elif plan.kind in ERRORS:
            self._send(planned_error(plan))
        elif plan.kind in SPOILED:
            self._send(SPOILED[plan.kind](reply, request))
        else:
            self.close_connection = True
            _ON_THE_WIRE[plan.kind](self, reply, plan)

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing: requests are kept in the server's list."""

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Errors of HTTP itself, such as an unknown method, in the API's form."""
        self.close_connection = True
        self._send(error(code, message or self.responses[code][0]))

    def drop(self, reply: Reply, plan: Plan) -> None:
        """Closes the connection without a word."""

    def fall_silent(self, reply: Reply, plan: Plan) -> None:
        """Answers nothing until the server stops."""
        self.server.owner.stopping.wait()

    def cut(self, reply: Reply, plan: Plan) -> None:
        """Announces the whole body and sends half of it."""
        head, body = self._encode(reply)
        self.wfile.write(head + body[: len(body) // 2])

    def drip_headers(self, reply: Reply, plan: Plan) -> None:
        """Sends everything slowly."""
        head, body = self._encode(reply)
        self._drip(head + body, plan.drip_seconds)

    def drip_body(self, reply: Reply, plan: Plan) -> None:
        """Sends the headers, then the body slowly."""
        head, body = self._encode(reply)
        self.wfile.write(head)
        self._drip(body, plan.drip_seconds)

    def overflow(self, reply: Reply, plan: Plan) -> None:
        """Sends white space, of announced length, until the client has had enough."""
        self.wfile.write(self._head(reply, OVERSIZE_BYTES))
        for _ in range(OVERSIZE_BYTES // _MIB):
            self.wfile.write(b" " * _MIB)

    def _drip(self, data: bytes, pause_seconds: float) -> None:
        for position in range(len(data)):
            self.wfile.write(data[position : position + 1])
            if self.server.owner.stopping.wait(pause_seconds):
                return

    def _request(self) -> Request:
        target = urlsplit(self.path)
        return Request(
            method=self.command,
            path=target.path,
            query=dict(parse_qsl(target.query, keep_blank_values=True)),
            headers={key.lower(): value for key, value in self.headers.items()},
        )

    def _send(self, reply: Reply) -> None:
        head, body = self._encode(reply)
        self.wfile.write(head if self.command == "HEAD" else head + body)

    def _encode(self, reply: Reply) -> tuple[bytes, bytes]:
        """Head and body, compressed if the client would have it so."""
        accepted = self.headers.get("accept-encoding", "") if hasattr(self, "headers") else ""
        if reply.body and "gzip" in accepted and "content-encoding" not in reply.headers:
            reply = gzipped(reply)
        return self._head(reply, len(reply.body)), reply.body

    def _head(self, reply: Reply, length: int) -> bytes:
        reason = self.responses[reply.status][0] if reply.status in self.responses else ""
        fields = {
            "date": format_datetime(self.server.owner.now.astimezone(UTC), usegmt=True),
            "content-type": reply.content_type,
            "content-length": str(length),
            **reply.headers,
        }
        if self.close_connection:
            fields["connection"] = "close"
        lines = [f"HTTP/1.1 {reply.status} {reason}", *(f"{key}: {value}" for key, value in fields.items())]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _modalities(request: Request) -> str:
    return request.query.get("output_modalities", "text")


def _listed(listing: dict[str, Any], models: list[Any]) -> bytes:
    """``listing`` with other models, and the count of those where it tells one."""
    total = {"total_count": len(models)} if "total_count" in listing else {}
    return orjson.dumps({**listing, "data": models, **total})


def _page(body: bytes, request: Request, offset: int, limit: int) -> bytes:
    """``limit`` models of the listing ``body`` from ``offset`` on, and the next page's address, if any."""
    listing = orjson.loads(body)
    models = listing["data"]
    following = None
    if offset + limit < len(models):
        query = {**request.query, "offset": str(offset + limit), "limit": str(limit)}
        following = f"{request.path}?{urlencode(query, safe=',')}"
    page = {"data": models[offset : offset + limit], "links": {"next": following}, "total_count": len(models)}
    return orjson.dumps({**listing, **page})


_ON_THE_WIRE: dict[Misbehaviour, Callable[[_Handler, Reply, Plan], None]] = {
    Misbehaviour.DROPPED: _Handler.drop,
    Misbehaviour.SILENT: _Handler.fall_silent,
    Misbehaviour.CUT_MID_BODY: _Handler.cut,
    Misbehaviour.SLOW_HEADERS: _Handler.drip_headers,
    Misbehaviour.SLOW_DRIP: _Handler.drip_body,
    Misbehaviour.OVERSIZED: _Handler.overflow,
}
"""Misbehaviour in how it is said; the connection ends afterwards."""

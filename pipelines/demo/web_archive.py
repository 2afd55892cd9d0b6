"""A simulated web archive over real HTTP: what it holds of one address, as the CDX API lists and serves it.

Belongs here: the listing with its filters and pages, untouched bytes, redirects to the nearest capture.
Does not belong here: sockets and misbehaviour (`server`), what the captures hold (whoever makes them).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import orjson

from pipelines.demo.misbehaviour import Reply, Request, error
from pipelines.demo.server import CatalogueServer

_COLUMNS = ("urlkey", "timestamp", "original", "mimetype", "statuscode", "digest", "length")


@dataclass(frozen=True)
class Held:
    """One capture: the bytes as the archive stored them. ``is_moved``: asked for, it leads to the one before it."""

    body: bytes
    status: int = 200
    content_type: str = "application/json"
    is_moved: bool = False


class WebArchiveServer(CatalogueServer):
    """Serves what it holds of ``url``, by timestamp (``YYYYMMDDhhmmss``), at :attr:`base_url` while its context lasts.

    ``rows_at_once`` bounds a page of the listing, whatever the client's limit is.
    """

    prefix = ""

    def __init__(self, url: str, held: Mapping[str, Held], *, rows_at_once: int = 1_000) -> None:
        super().__init__(_Nothing(), now=datetime(2026, 9, 1, tzinfo=UTC))
        self.url = url
        self.held = dict(sorted(held.items()))
        self.rows_at_once = rows_at_once

    def reply(self, request: Request) -> Reply:
        """What a well-behaved archive answers."""
        if request.path == "/cdx/search/cdx":
            return self._listing(request)
        stamp, _, rest = request.path.removeprefix("/web/").partition("id_/")
        query = "&".join(f"{key}={value}" for key, value in request.query.items())
        if rest + (f"?{query}" if query else "") != self.url or stamp not in self.held:
            return error(404, "Not Found")
        return self._serve(stamp)

    def _serve(self, stamp: str) -> Reply:
        one = self.held[stamp]
        if one.is_moved:
            before = max(other for other in self.held if other < stamp)
            return Reply(302, b"", headers={"location": f"/web/{before}id_/{self.url}"})
        return Reply(one.status, one.body, one.content_type, headers={"x-archive-src": "simulated"})

    def _listing(self, request: Request) -> Reply:
        query = request.query
        if query.get("url") != self.url:
            return Reply(200, b"[]")
        first, last = query.get("from", "0"), query.get("to", "9").ljust(14, "9")
        rows = [
            self._row(stamp, one)
            for stamp, one in self.held.items()
            if first <= stamp <= last and query.get("filter") in (None, f"statuscode:{one.status}")
        ]
        if query.get("collapse") == "digest":
            rows = [row for number, row in enumerate(rows) if number == 0 or row[5] != rows[number - 1][5]]
        return self._page(rows, query)

    def _page(self, rows: Sequence[Sequence[str]], query: Mapping[str, str]) -> Reply:
        start = int(query.get("resumeKey", 0))
        end = start + min(self.rows_at_once, int(query.get("limit", self.rows_at_once)))
        if not rows:
            return Reply(200, b"[]")
        more = [[], [str(end)]] if "showResumeKey" in query and end < len(rows) else []
        return Reply(200, orjson.dumps([list(_COLUMNS), *map(list, rows[start:end]), *more]))

    def _row(self, stamp: str, one: Held) -> tuple[str, ...]:
        digest = hashlib.sha1(stamp.encode() if one.is_moved else one.body, usedforsecurity=False).hexdigest()
        size = str(len(one.body))
        return ("ai,openrouter)/api/v1/models", stamp, self.url, one.content_type, str(one.status), digest, size)


class _Nothing:
    """No catalogue: an archive holds only what it was given."""

    def listing(self, at: datetime, *, output_modalities: str) -> bytes:
        raise NotImplementedError

    def count(self, at: datetime, *, output_modalities: str) -> int:
        raise NotImplementedError

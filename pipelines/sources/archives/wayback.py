"""The web archive: the captures that it holds of one address, each fetched when it is asked for.

Belongs here: the archive's listing (the CDX API), its addresses of untouched bytes, the pace of asking.
Does not belong here: HTTP itself (`http`), which captures a warehouse has, what the bytes mean.
"""

from __future__ import annotations

import io
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

import orjson

from pipelines.captures import Capture, iso
from pipelines.errors import SourceError, UsageError
from pipelines.scopes import Scope
from pipelines.sources.archives.compressed import compression_of, read_body
from pipelines.sources.archives.items import Archive, Contents, Item, Unfit, Unreadable
from pipelines.sources.http import DEFAULT_POLICY, Answer, Fetcher, FetchPolicy, checked_base_url
from pipelines.sources.http_failures import Failure
from pipelines.sources.openrouter import BASE_URL as OPENROUTER_URL
from pipelines.sources.openrouter import default_user_agent

BASE_URL = "https://web.archive.org"
PAUSE_SECONDS = 3.0

MODELS_URLS = {"text": f"{OPENROUTER_URL}/models", "all": f"{OPENROUTER_URL}/models?output_modalities=all"}
"""The address that is looked up, by what was asked for."""

_LISTED_AT_ONCE = 5_000
_STORED_AT_ONCE = 8
_FAILURES_IN_A_ROW = 3
_TIMESTAMP = re.compile(r"\d{14}")
_SERVED_AT = re.compile(r"/web/(\d{14})id_/")
_SPAN = re.compile(r"\d{4}(-\d\d(-\d\d)?)?")


@dataclass(frozen=True)
class Wanted:
    """Which captures of ``url`` are wanted.

    ``first`` and ``last`` are a year, a month or a day, such as ``2025`` or ``2025-03-14``, both included. Of what is
    not loaded yet the oldest ``limit`` are taken.
    """

    url: str = MODELS_URLS["text"]
    first: str | None = None
    last: str | None = None
    limit: int | None = None

    def __post_init__(self) -> None:
        if urlsplit(self.url).scheme not in ("http", "https"):
            raise UsageError("the archived address must begin with http:// or https://")
        for name, text in (("--from", self.first), ("--to", self.last)):
            if text is not None and not _SPAN.fullmatch(text):
                raise UsageError(f"{name} is {text!r}; it must be a year, a month or a day, such as 2025-03-14")


@contextmanager
def open_wayback(
    wanted: Wanted,
    *,
    scope: Scope,
    is_loaded: Callable[[str], bool],
    base_url: str = BASE_URL,
    pause_seconds: float = PAUSE_SECONDS,
    policy: FetchPolicy = DEFAULT_POLICY,
) -> Iterator[WebArchive]:
    """The archive's captures that are ``wanted`` and of whose origin ``is_loaded`` says no, as answers to ``scope``.

    ``origin`` of a capture is ``wayback:`` and the archive's timestamp. Requests go out one at a time, each at least
    ``pause_seconds`` after the end of the one before. Raises SourceError if the archive cannot be listed.
    """
    base = checked_base_url(base_url)
    with Fetcher("The web archive", policy=policy, user_agent=default_user_agent()) as fetcher:
        paced = _Paced(fetcher, pause_seconds)
        stamps = [stamp for stamp in _stamps(paced, base, wanted) if not is_loaded(origin_of(stamp))]
        chosen = stamps[: wanted.limit]
        yield WebArchive(paced, base, wanted.url, chosen, scope=scope, left=len(stamps) - len(chosen))


def origin_of(stamp: str) -> str:
    """The origin of the capture that the archive lists under ``stamp``."""
    return f"wayback:{stamp}"


class _Paced:
    """Asks one question at a time, each a while after the answer before."""

    def __init__(self, fetcher: Fetcher, pause_seconds: float) -> None:
        self._fetcher = fetcher
        self._pause_seconds = pause_seconds
        self._not_before = 0.0

    def get(self, url: str) -> Answer:
        time.sleep(max(self._not_before - time.monotonic(), 0))
        try:
            return self._fetcher.get(url)
        finally:
            self._not_before = time.monotonic() + self._pause_seconds


class WebArchive(Archive):
    """Captures at the web archive, oldest first, fetched one by one as they are asked for.

    ``left``: how many more are not loaded than were wanted. A capture's bytes are those that the API sent, with
    compressions undone. An answer that the archive serves from another time than was asked for is of that time.
    """

    pack_size = _STORED_AT_ONCE

    def __init__(self, paced: _Paced, base: str, url: str, stamps: list[str], *, scope: Scope, left: int) -> None:
        items = [Item(stamp, _moment(stamp), lambda: b"") for stamp in stamps]
        super().__init__(urlsplit(base).netloc, "the web archive", Contents(items, []), scope=scope, time_from="name")
        self.left = left
        self._paced = paced
        self._base = base
        self._url = url

    def __iter__(self) -> Iterator[Capture | Unreadable]:
        """Raises SourceError where the archive wants to be left alone, or fails several times in a row."""
        failures = 0
        for item in self._items:
            try:
                yield self._fetch(item.name)
                failures = 0
            except Unfit as unfit:
                yield Unreadable(item.name, str(unfit))
            except SourceError as error:
                failures += 1
                if failures == _FAILURES_IN_A_ROW or _wants_rest(error):
                    raise SourceError(
                        f"{error} What was loaded until then is kept; the same command goes on from there."
                    ) from error
                yield Unreadable(item.name, str(error))

    def _fetch(self, stamp: str) -> Capture:
        answer = self._paced.get(f"{self._base}/web/{stamp}id_/{self._url}")
        compression = compression_of(answer.body[:16])
        body = read_body(io.BytesIO(answer.body), compression)
        served = _SERVED_AT.search(answer.url)
        served_stamp = served[1] if served and _is_time(served[1]) else stamp
        return Capture(
            self._scope,
            _moment(served_stamp),
            body,
            origin=origin_of(stamp),
            provenance=_provenance(answer, stamp, compression),
        )


def _wants_rest(error: SourceError) -> bool:
    cause = error.__cause__
    return isinstance(cause, Failure) and cause.retry_after_seconds is not None


def _provenance(answer: Answer, stamp: str, compression: str | None) -> dict[str, Any]:
    return {
        "request": {"method": "GET", "url": answer.url, "headers": dict(answer.request_headers)},
        "timestamp": stamp,
        "stored_compression": compression,
        "headers": {key: answer.headers[key] for key in ("content-type", "memento-datetime") if key in answer.headers},
        "received_at": iso(answer.received_at),
        "attempts": answer.attempts,
    }


# --- the listing ----------------------------------------------------------------------------------------------------


def _stamps(paced: _Paced, base: str, wanted: Wanted) -> list[str]:
    """The timestamps at which the archive has another answer of status 200 than before, oldest first."""
    asked = [
        ("url", wanted.url),
        ("output", "json"),
        ("filter", "statuscode:200"),
        ("collapse", "digest"),
        ("limit", str(_LISTED_AT_ONCE)),
        ("showResumeKey", "true"),
        *((name, text.replace("-", "")) for name, text in (("from", wanted.first), ("to", wanted.last)) if text),
    ]
    found: set[str] = set()
    met: set[str] = set()
    key: str | None = ""
    while key is not None:
        query = asked + ([("resumeKey", key)] if key else [])
        stamps, key = _page(paced.get(f"{base}/cdx/search/cdx?{urlencode(query)}").body, base)
        found.update(stamps)
        if key in met:
            raise SourceError(f"The web archive's listing at {base} leads round in a circle; try again later.")
        met.add(key or "")
    return sorted(found)


def _page(body: bytes, base: str) -> tuple[list[str], str | None]:
    """Timestamps of a page of the listing, and the key of the next one.

    A page is a list of rows, the first of which names the columns; after an empty row the key stands alone.
    """
    try:
        rows = orjson.loads(body or b"[]")
        head, *entries = rows or [["timestamp"]]
        column = head.index("timestamp")
        key = None
        if len(entries) >= 2 and entries[-2] == []:
            key, entries = str(entries[-1][0]), entries[:-2]
        stamps = [row[column] for row in entries]
        if not all(isinstance(stamp, str) and _is_time(stamp) for stamp in stamps):
            raise ValueError("a timestamp is none")
    except (ValueError, TypeError, AttributeError, LookupError):
        raise SourceError(
            f"The web archive's listing at {base} is none that its CDX API gives; check the base URL or try again."
        ) from None
    return stamps, key


def _is_time(stamp: str) -> bool:
    try:
        return bool(_TIMESTAMP.fullmatch(stamp)) and bool(_moment(stamp))
    except ValueError:
        return False


def _moment(stamp: str) -> datetime:
    return datetime.strptime(stamp, "%Y%m%d%H%M%S").replace(tzinfo=UTC)

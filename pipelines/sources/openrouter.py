"""OpenRouter's catalogue as it answers now: the list of models, and its count.

Belongs here: OpenRouter's addresses and parameters, where a page names the next one, captures of its answers.
Does not belong here: how a question is asked (`http`), whether an answer is to be believed, what it means.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

import orjson

from pipelines.captures import Capture, iso
from pipelines.errors import SourceError
from pipelines.scopes import OPENROUTER, Scope
from pipelines.sources.http import (
    DEFAULT_POLICY,
    Answer,
    Fetcher,
    FetchPolicy,
    checked_base_url,
    utc_now,
)

BASE_URL = "https://openrouter.ai/api/v1"

ORIGIN = "live"
"""The origin of captures that were asked for, and not found in an archive."""

_DISTRIBUTION = "openrouter-catalogue"

_KEPT_HEADERS = (
    "age",
    "cache-control",
    "cf-cache-status",
    "content-type",
    "date",
    "etag",
    "last-modified",
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
)
"""What tells how old an answer is and how often one may ask; the rest is noise or may identify the asker."""


class OpenRouter:
    """The live API at ``base_url``; a context manager.

    Answers become captures whatever they hold: a damaged or empty list is stored, and judged elsewhere.
    SourceError, one sentence fit for a terminal, when there is no whole answer of status 200; UsageError when
    ``base_url`` is no web address. ``clock`` gives the time of receipt, so that simulated days can be asked.
    """

    def __init__(
        self,
        base_url: str = BASE_URL,
        *,
        policy: FetchPolicy = DEFAULT_POLICY,
        user_agent: str | None = None,
        headers: Mapping[str, str] | None = None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._base_url = checked_base_url(base_url)
        self._fetcher = Fetcher(
            "OpenRouter",
            policy=policy,
            user_agent=user_agent or default_user_agent(),
            headers=headers,
            clock=clock,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Lets go of connections."""
        self._fetcher.close()

    def models(self, output_modalities: str | None = "all") -> Capture:
        """The list of models with these output modalities; ``"text"`` and None leave it to the API's default.

        A list of one page is kept byte for byte. Several pages are joined as a JSON text sequence (RFC 7464):
        0x1E, the page's bytes, line feed, for each page in order.
        """
        scope = _scope("models", output_modalities)
        return _capture(scope, self._fetcher.pages(self._url(scope), _next_link))

    def count(self, output_modalities: str | None = "all") -> Capture:
        """The number of models with these output modalities, to be read by :func:`parse_count`."""
        scope = _scope("models/count", output_modalities)
        return _capture(scope, [self._fetcher.get(self._url(scope))])

    def _url(self, scope: Scope) -> str:
        query = urlencode(scope.params, safe=",")
        return f"{self._base_url}/{scope.endpoint}" + (f"?{query}" if query else "")


def default_user_agent() -> str:
    """The project's name and version, as every request gives them."""
    try:
        release = version(_DISTRIBUTION)
    except PackageNotFoundError:
        release = "unreleased"
    return f"{_DISTRIBUTION}/{release} (keeps the history of the model catalogue)"


def parse_count(body: bytes) -> int:
    """The number in an answer of ``/models/count``: ``{"data": {"count": 457}}``. Else SourceError."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise SourceError("The count of models is not JSON; ask again later.") from None
    data = document.get("data") if isinstance(document, dict) else None
    count = data.get("count") if isinstance(data, dict) else None
    if not isinstance(count, int) or isinstance(count, bool) or count < 0:
        raise SourceError("The count of models holds no number at data.count; ask again later.")
    return count


def _scope(endpoint: str, output_modalities: str | None) -> Scope:
    if output_modalities in (None, "text"):
        return Scope.of(OPENROUTER, endpoint)
    return Scope.of(OPENROUTER, endpoint, output_modalities=str(output_modalities))


def _next_link(body: bytes) -> str | None:
    """``links.next``, if ``body`` is a page that has one; anything else is a last page, judged elsewhere."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    links = document.get("links") if isinstance(document, dict) else None
    link = links.get("next") if isinstance(links, dict) else None
    return link if isinstance(link, str) and link else None


def _capture(scope: Scope, pages: list[Answer]) -> Capture:
    """One capture of all ``pages``, observed when the oldest of them was said."""
    oldest = min(pages, key=lambda page: page.observed_at)
    return Capture(
        scope=scope,
        observed_at=oldest.observed_at,
        body=_join([page.body for page in pages]),
        origin=ORIGIN,
        provenance=_provenance(pages, oldest),
    )


def _join(bodies: list[bytes]) -> bytes:
    if len(bodies) == 1:
        return bodies[0]
    return b"".join(b"\x1e" + body + b"\n" for body in bodies)


def _provenance(pages: list[Answer], oldest: Answer) -> dict[str, Any]:
    """JSON; ``headers`` and ``received_at`` are those of the page that dates the capture."""
    return {
        "request": {"method": "GET", "url": pages[0].url, "headers": dict(pages[0].request_headers)},
        "status": 200,
        "headers": {key: oldest.headers[key] for key in _KEPT_HEADERS if key in oldest.headers},
        "received_at": iso(oldest.received_at),
        "pages": len(pages),
        "attempts": sum(page.attempts for page in pages),
    }

"""A gateway's list of models as it answers now, grouped by modality and provider.

Belongs here: the gateway's address, its token, captures of its answer.
Does not belong here: how a question is asked (`http`), what the groups mean (`groups`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import datetime
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from pipelines.captures import Capture, iso
from pipelines.errors import SourceError, UsageError
from pipelines.scopes import GATEWAY, gateway_scope
from pipelines.sources.http import DEFAULT_POLICY, Ask, Fetcher, FetchPolicy, checked_base_url, utc_now
from pipelines.sources.openrouter import default_user_agent

TOKEN_VARIABLE = "GATEWAY_TOKEN"

_KEPT_HEADERS = ("age", "cache-control", "content-type", "date", "etag", "last-modified")


class Gateway:
    """The gateway called ``name`` at ``base_url``, a context manager. ``name`` is the source of its captures.

    The bearer token is what ``environment`` has under ``token_variable``; it goes to the gateway and nowhere else.
    UsageError, before anything is sent, if it is missing or would travel in the open; SourceError, one sentence that
    names the variable where the gateway does not accept it, if there is no whole answer of status 200.
    """

    def __init__(
        self,
        base_url: str,
        *,
        name: str = GATEWAY,
        token_variable: str = TOKEN_VARIABLE,
        policy: FetchPolicy = DEFAULT_POLICY,
        clock: Callable[[], datetime] = utc_now,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        self._scope = gateway_scope(name)
        self._name = "The gateway" if name == GATEWAY else f"The gateway {name}"
        self._url = f"{checked_gateway_url(base_url)}/{self._scope.endpoint}"
        self._token = environment.get(token_variable, "").strip()
        if not self._token:
            raise UsageError(f"{self._name} wants a token: set {token_variable}.")
        if not self._token.isascii() or not self._token.isprintable() or " " in self._token:
            raise UsageError(f"{token_variable} must be plain ASCII text without spaces.")
        advice = f"set {token_variable} to a token that is valid and has not expired"
        self._ask = Ask(headers={"authorization": f"Bearer {self._token}"}, advice={401: advice, 403: advice})
        self._fetcher = Fetcher(self._name, policy=policy, user_agent=default_user_agent(), clock=clock)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._fetcher.close()

    def models(self) -> Capture:
        """All its groups, byte for byte; an answer that repeats the token is refused."""
        answer = self._fetcher.get(self._url, self._ask)
        kept = {key: answer.headers[key] for key in _KEPT_HEADERS if key in answer.headers}
        if self._token.encode() in answer.body or any(self._token in text for text in (answer.url, *kept.values())):
            raise SourceError(f"{self._name} at {self._url}: the answer repeats the token, so it was not kept.")
        return Capture(
            scope=self._scope,
            observed_at=answer.observed_at,
            body=answer.body,
            origin="live",
            provenance={
                "request": {"method": "GET", "url": answer.url, "headers": dict(answer.request_headers)},
                "status": 200,
                "headers": kept,
                "received_at": iso(answer.received_at),
                "attempts": answer.attempts,
            },
        )


def checked_gateway_url(base_url: str) -> str:
    """``base_url`` without a closing slash; UsageError unless it is a web address to which a token may go."""
    checked = checked_base_url(base_url)
    address = urlsplit(checked)
    if address.scheme != "https" and address.hostname not in ("127.0.0.1", "localhost", "::1"):
        raise UsageError("A token is sent over https only: give a base URL that begins with https://.")
    return checked

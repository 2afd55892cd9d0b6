"""A question over HTTP: bounded in time and size, and patient with a server that fails.

Belongs here: limits, retries, redirects, decompression, following pages.
Does not belong here: addresses, scopes and the meaning of answers, which each source's own module knows;
what a failure is called (`http_failures`).
"""

from __future__ import annotations

import logging
import re
import socket
import threading
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Protocol, Self

import httpx
import orjson
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    stop_before_delay,
    wait_exponential,
    wait_random,
)

from pipelines.errors import SourceError, UsageError
from pipelines.sources.http_failures import Failure, Refused, clean, explain, refusal, retry_after_seconds

_log = logging.getLogger(__name__)

_MAX_REDIRECTS = 5
_MAX_ERROR_BYTES = 64 * 1024
_MAX_AGE = timedelta(days=7)

_SAFE_REQUEST_HEADERS = ("accept", "accept-encoding", "user-agent")
_SECRET_REQUEST_HEADERS = ("authorization", "cookie", "proxy-authorization", "x-api-key")

_UNPROXIED: dict[str, httpx.BaseTransport | None] = {
    "all://127.0.0.1": None,
    "all://localhost": None,
    "all://[::1]": None,
}
"""A proxy named by the environment cannot reach this machine's own loopback, whatever `NO_PROXY` says."""


@dataclass(frozen=True)
class FetchPolicy:
    """How long, how much and how often; times in seconds, sizes in bytes.

    ``read_seconds`` bounds a silence, ``total_seconds`` a whole answer however lively it drips, and
    ``overall_seconds`` a whole question with its attempts, waits and pages. ``max_body_bytes`` counts after
    decompression and over all pages. A server that asks for a longer wait than ``retry_after_cap_seconds``
    is not asked again. How long a name may take to resolve is the system's affair.
    """

    connect_seconds: float = 10.0
    read_seconds: float = 30.0
    total_seconds: float = 120.0
    overall_seconds: float = 600.0
    max_body_bytes: int = 64 * 1024 * 1024
    attempts: int = 5
    backoff_initial_seconds: float = 1.0
    backoff_max_seconds: float = 30.0
    retry_after_cap_seconds: float = 120.0
    max_pages: int = 100


DEFAULT_POLICY = FetchPolicy()


@dataclass(frozen=True)
class Ask:
    """What goes with one question: ``headers`` that no other is to carry, and what to do about a status."""

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    advice: Mapping[int, str] = field(default_factory=dict)


PLAIN = Ask()


@dataclass(frozen=True)
class Answer:
    """A whole answer of status 200.

    ``url`` is where it came from after redirects, without credentials. ``headers`` has lower-case names;
    ``request_headers`` holds only those that are safe to keep. ``body`` is decompressed, else untouched.
    ``received_at`` is when its first bytes came, since that is the moment that its ``age`` speaks of.
    """

    url: str
    request_headers: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    received_at: datetime
    attempts: int = 1

    @property
    def observed_at(self) -> datetime:
        """When the source said it: receipt less the ``age`` that a cache declares.

        An ``age`` that is no whole number counts as none, and one above seven days as seven days.
        """
        declared = self.headers.get("age", "").strip()
        if not re.fullmatch(r"[0-9]{1,9}", declared):
            return self.received_at
        return self.received_at - min(timedelta(seconds=int(declared)), _MAX_AGE)


def utc_now() -> datetime:
    """The wall clock, in UTC."""
    return datetime.now(UTC)


def checked_base_url(base_url: str) -> str:
    """``base_url`` without a closing slash; UsageError unless it is a plain http(s) address."""
    try:
        url = httpx.URL(base_url)
        # The socket module would choke on such names much later.
        is_address = url.scheme in ("http", "https") and bool(url.host.encode("idna"))
    except (httpx.InvalidURL, UnicodeError):
        is_address = False
    if not is_address:
        raise UsageError("The base URL is no web address; it should look like https://openrouter.ai/api/v1.")
    if url.userinfo or url.query or url.fragment:
        raise UsageError("The base URL must hold no user name, no '?' and no '#': give scheme, host and path.")
    return base_url.rstrip("/")


class Fetcher:
    """Asks one source, called ``name`` before people. A context manager; not for several threads at once.

    ``headers`` go with every request. Those that carry secrets are kept out of answers and messages.
    ``clock`` gives the time of receipt, in UTC. Every failure to get an answer is a SourceError.
    """

    def __init__(
        self,
        name: str,
        *,
        policy: FetchPolicy,
        user_agent: str,
        headers: Mapping[str, str] | None = None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._name = name
        self._policy = policy
        self._clock = clock
        self._client = httpx.Client(
            # Only gzip: it can be undone in bounded steps, which stops a bomb at the cap and not after it.
            headers={
                "accept": "application/json",
                "accept-encoding": "gzip",
                "user-agent": user_agent,
                **(headers or {}),
            },
            timeout=httpx.Timeout(policy.read_seconds, connect=policy.connect_seconds),
            # A connection for each request: _Cutoff learns its socket when it is made.
            limits=httpx.Limits(max_keepalive_connections=0),
            mounts=_UNPROXIED,
            follow_redirects=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Lets go of connections."""
        self._client.close()

    def get(self, url: str, ask: Ask = PLAIN) -> Answer:
        """The answer to GET ``url``. SourceError if there is none within the policy."""
        return self._get(httpx.URL(url), ask, _Budget.of(self._policy))

    def pages(self, url: str, next_link: Callable[[bytes], str | None], ask: Ask = PLAIN) -> list[Answer]:
        """The answers at ``url`` and at every page that ``next_link`` finds named in the one before.

        A link may be relative. SourceError if one leaves the origin, comes back to a page already read, or
        there are more than ``max_pages``.
        """
        budget = _Budget.of(self._policy)
        answers: list[Answer] = []
        asked: set[httpx.URL] = set()
        page: httpx.URL | None = httpx.URL(url)
        while page is not None:
            try:
                self._check_page(page, asked, budget)
            except Failure as failure:
                raise self._error(httpx.URL(url), failure, tries=1) from None
            asked.add(page)
            answer = self._get(page, ask, budget)
            budget.bytes_left -= len(answer.body)
            answers.append(answer)
            link = next_link(answer.body)
            page = None if link is None else self._resolve(answer.url, link)
        return answers

    def _check_page(self, page: httpx.URL, asked: set[httpx.URL], budget: _Budget) -> None:
        advice = "nothing was kept, so try again later"
        if budget.seconds_left <= 0:
            raise Failure(f"its pages took longer than {self._policy.overall_seconds:.3g} s", advice)
        if page in asked:
            raise Failure("its pages lead round in a circle", advice)
        if len(asked) == self._policy.max_pages:
            raise Failure(f"it has more than {self._policy.max_pages} pages", advice)

    def _resolve(self, page: str, link: str) -> httpx.URL:
        here = httpx.URL(page)
        try:
            there = here.join(link)
        except httpx.InvalidURL:
            failure = Failure("its link to the next page is no address", "try again later")
        else:
            if _origin(there) == _origin(here):
                return there
            failure = Failure(
                f"its next page lies elsewhere ({_host(there)}), which is not followed", "check the base URL"
            )
        raise self._error(here, failure, tries=1) from None

    def _get(self, url: httpx.URL, ask: Ask, budget: _Budget) -> Answer:
        """One page, asked for as often as the policy allows."""
        retrying = Retrying(
            retry=retry_if_exception(lambda error: isinstance(error, Failure) and error.is_transient),
            wait=self._wait,
            stop=stop_after_attempt(self._policy.attempts) | stop_before_delay(max(budget.seconds_left, 0)),
            before_sleep=self._log_retry,
            reraise=True,
        )
        try:
            answer = retrying(self._attempt, url, ask, budget)
        except Failure as failure:
            raise self._error(url, failure, tries=retrying.statistics["attempt_number"], ask=ask) from failure
        return replace(answer, attempts=retrying.statistics["attempt_number"])

    def _wait(self, state: RetryCallState) -> float:
        """Seconds before the next attempt: exponential with jitter, and no less than the server asked for."""
        first, most = self._policy.backoff_initial_seconds, self._policy.backoff_max_seconds
        backoff = (wait_exponential(multiplier=first, max=most) + wait_random(0, first))(state)
        return max(backoff, _failure_of(state).retry_after_seconds or 0.0)

    def _log_retry(self, state: RetryCallState) -> None:
        failure = _failure_of(state)
        _log.info("%s: %s; asking again in %.1f s", self._name, failure.what, state.upcoming_sleep)

    def _attempt(self, url: httpx.URL, ask: Ask, budget: _Budget) -> Answer:
        with _Cutoff(min(self._policy.total_seconds, budget.seconds_left)) as cutoff:
            try:
                return self._follow(url, ask, cutoff, budget.bytes_left)
            except UnicodeError as error:
                raise Failure("it redirects to what is no address", "check the base URL") from error
            except httpx.RequestError as error:
                raise cutoff.failure() if cutoff.is_over else explain(error) from error

    def _follow(self, url: httpx.URL, ask: Ask, cutoff: _Cutoff, max_bytes: int) -> Answer:
        """The answer at ``url`` or where it redirects to within its own origin."""
        here = url
        for _ in range(_MAX_REDIRECTS + 1):
            with self._client.stream(
                "GET", here, headers=dict(ask.headers), extensions={"trace": cutoff.trace}
            ) as response:
                received_at = self._clock()
                onward = response.next_request
                if onward is None:
                    self._check_status(response, cutoff, received_at)
                    return Answer(
                        url=_without_credentials(here),
                        request_headers={
                            key: response.request.headers[key]
                            for key in _SAFE_REQUEST_HEADERS
                            if key in response.request.headers
                        },
                        headers=dict(response.headers),
                        body=_read(response, cutoff, max_bytes),
                        received_at=received_at,
                    )
            if _origin(onward.url) != _origin(url):
                host = _host(onward.url)
                raise Failure(f"it redirects elsewhere ({host}), which is not followed", "check the base URL")
            here = onward.url
        raise Failure(f"it redirects more than {_MAX_REDIRECTS} times", "check the base URL")

    def _check_status(self, response: httpx.Response, cutoff: _Cutoff, received_at: datetime) -> None:
        """Raises Failure unless the status is 200, with what the body says about it."""
        status = response.status_code
        if status == httpx.codes.OK:
            return
        code, message = _said_in_error(response, cutoff)
        refused = Refused(status, clean(message, _secrets(response.request)), code)
        wait = retry_after_seconds(response.headers, received_at)
        raise refusal(refused, wait, self._policy.retry_after_cap_seconds)

    def _error(self, url: httpx.URL, failure: Failure, *, tries: int, ask: Ask = PLAIN) -> SourceError:
        tried = f", {tries} times over" if tries > 1 else ""
        where = _without_credentials(url)
        advice = ask.advice.get(failure.refused.status, failure.advice) if failure.refused else failure.advice
        return failure.error(f"{self._name} at {where}: {failure.what}{tried}; {advice}.")


def _failure_of(state: RetryCallState) -> Failure:
    failure = state.outcome.exception() if state.outcome else None
    assert isinstance(failure, Failure)
    return failure


@dataclass
class _Budget:
    """What is left for one question, over all its attempts and pages."""

    ends: float
    bytes_left: int

    @classmethod
    def of(cls, policy: FetchPolicy) -> _Budget:
        return cls(time.monotonic() + policy.overall_seconds, policy.max_body_bytes)

    @property
    def seconds_left(self) -> float:
        return self.ends - time.monotonic()


class _Cutoff:
    """Ends an exchange when its time is up.

    A read timeout starts anew with every byte, so a slow drip, of the headers too, would last for ever.
    The timer shuts the socket down under the reader instead, which fails at once.
    """

    def __init__(self, seconds: float) -> None:
        self._lock = threading.Lock()
        self._stream: Any = None
        self._timer = threading.Timer(max(seconds, 0), self._cut)
        self._timer.daemon = True
        self.is_over = False

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        self._timer.join()

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """httpx's ``trace`` extension: keeps hold of the connection's stream as it is made."""
        if event.endswith(("connect_tcp.complete", "start_tls.complete")):
            with self._lock:
                self._stream = info["return_value"]
                self._shut_down_if_over()

    def check(self) -> None:
        """Raises if the time is up."""
        if self.is_over:
            raise self.failure()

    def failure(self) -> Failure:
        """That the time was up."""
        return Failure("the answer was not complete in time", "try again later", is_transient=True)

    def _cut(self) -> None:
        with self._lock:
            self.is_over = True
            self._shut_down_if_over()

    def _shut_down_if_over(self) -> None:
        if self.is_over and self._stream is not None:
            plain = self._stream.get_extra_info("socket")
            try:
                # Not plain.shutdown: for TLS that would take the session from under a thread that reads it.
                socket.socket.shutdown(plain, socket.SHUT_RDWR)
            except OSError:
                _log.debug("the connection had ended by itself")


class _Decoder(Protocol):
    def feed(self, data: bytes, at_most: int) -> bytes: ...

    @property
    def is_complete(self) -> bool: ...


class _Plain:
    """No content encoding; that the body is whole is for the HTTP layer to see."""

    is_complete = True

    def feed(self, data: bytes, at_most: int) -> bytes:
        return data[:at_most]


class Gunzip:
    """Undoes gzip, of one member or several, without ever giving more than it is asked for."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)

    @property
    def is_complete(self) -> bool:
        """Whether the last member came to its end."""
        return self._member.eof

    def feed(self, data: bytes, at_most: int) -> bytes:
        """What ``data`` adds to the plain bytes. zlib.error if damaged; of no use once it gave ``at_most``."""
        plain = bytearray()
        while data and len(plain) < at_most:
            if self._member.eof:
                self._member = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
            plain += self._member.decompress(data, at_most - len(plain))
            data = self._member.unused_data
        return bytes(plain)


def _decoder(response: httpx.Response) -> _Decoder:
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding in ("", "identity"):
        return _Plain()
    if encoding in ("gzip", "x-gzip"):
        return Gunzip()
    raise Failure(f"the answer is encoded as {clean(encoding)}, which was not asked for", "check the base URL")


def _read(response: httpx.Response, cutoff: _Cutoff, max_bytes: int) -> bytes:
    """The whole body, decompressed; Failure if it is damaged, cut, or larger than ``max_bytes``."""
    decoder = _decoder(response)
    body = bytearray()
    received = 0
    for chunk in response.iter_raw():
        cutoff.check()
        received += len(chunk)
        try:
            body += decoder.feed(chunk, max_bytes + 1 - len(body))
        except zlib.error:
            raise Failure("the compressed answer is damaged", "try again later", is_transient=True) from None
        if max(received, len(body)) > max_bytes:
            raise Failure(
                f"the answer is larger than {max_bytes:,} bytes and was not read to its end",
                "check the base URL",
            )
    if not decoder.is_complete:
        raise Failure("the compressed answer was cut off before its end", "try again later", is_transient=True)
    return bytes(body)


def _said_in_error(response: httpx.Response, cutoff: _Cutoff) -> tuple[int | None, str]:
    """Code and message of ``{error: {code, message}}``; None, "" if unreadable, which must not hide the status."""
    try:
        document = orjson.loads(_read(response, cutoff, _MAX_ERROR_BYTES))
    except (httpx.RequestError, Failure, orjson.JSONDecodeError):
        return None, ""
    error = document.get("error") if isinstance(document, dict) else None
    code, message = (error.get("code"), error.get("message")) if isinstance(error, dict) else (None, error)
    is_code = isinstance(code, int) and not isinstance(code, bool)
    return (code if is_code else None), (message if isinstance(message, str) else "")


def _origin(url: httpx.URL) -> tuple[str, bytes, int | None]:
    return url.scheme, url.raw_host, url.port


def _host(url: httpx.URL) -> str:
    # Not url.host: undoing punycode fails for what a hostile answer may name.
    return clean(url.raw_host.decode("ascii", "replace"))


def _without_credentials(url: httpx.URL) -> str:
    return str(url.copy_with(userinfo=b""))


def _secrets(request: httpx.Request) -> list[str]:
    """What no message may repeat: the values of secret headers, and the token after a scheme's name."""
    values = [request.headers[key] for key in _SECRET_REQUEST_HEADERS if request.headers.get(key)]
    return values + [value.split()[-1] for value in values if value.strip()]

"""Why a question over HTTP got no answer, in words for people.

Belongs here: what statuses and broken connections mean, whether asking again may help, cleaning foreign text.
Does not belong here: asking, and asking again (`http`).
"""

from __future__ import annotations

import re
import socket
import ssl
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

from pipelines.errors import SourceError

_MAX_MESSAGE_CHARACTERS = 200

_RETRIED_STATUSES = frozenset({408, 429})
"""The only client errors that asking again can mend; every status from 500 on is retried as well."""

_STATUSES = {
    400: ("the question was refused as malformed", "check the parameters"),
    401: ("it wants a key", "check the base URL and, where one is needed, the key"),
    403: ("access is refused", "check whether it may be asked from this network or region"),
    404: ("there is nothing at this address", "check the base URL"),
    408: ("it gave up waiting for the question", "try again later"),
    429: ("it has been asked too often", "try again later, and less often"),
}


class StatusError(SourceError):
    """The source answered, and refused.

    ``status`` is HTTP's; ``code`` and ``api_message`` are what the body says in ``{error: {code, message}}``, without
    secrets and control characters: None and empty where it says nothing. Statuses without a class below raise this one.
    """

    def __init__(self, sentence: str, refused: Refused) -> None:
        super().__init__(sentence)
        self.status = refused.status
        self.code = refused.code
        self.api_message = refused.message


class BadRequestError(StatusError):
    """400: the parameters are not what the API takes."""


class UnauthorizedError(StatusError):
    """401: no key, a wrong one, or one that has expired."""


class ForbiddenError(StatusError):
    """403: not from this network or region, or not with this key."""


class NotFoundError(StatusError):
    """404: there is no such model or address."""


class TooManyRequestsError(StatusError):
    """429: asked too often."""


class ServerFailedError(StatusError):
    """500: the source itself failed."""


class UnavailableError(StatusError):
    """503: the source cannot answer for now."""


_STATUS_ERRORS: Mapping[int, type[StatusError]] = {
    400: BadRequestError,
    401: UnauthorizedError,
    403: ForbiddenError,
    404: NotFoundError,
    429: TooManyRequestsError,
    500: ServerFailedError,
    503: UnavailableError,
}
"""The documented statuses."""


@dataclass(frozen=True)
class Refused:
    """A status other than 200, and the API's own ``code`` and ``message`` if it gave them."""

    status: int
    message: str = ""
    code: int | None = None


class Failure(Exception):
    """Why an attempt gave no answer: ``what`` happened and ``advice`` to the reader, halves of a sentence.

    ``is_transient``: asking again may help, but not before ``retry_after_seconds`` if the server gave them.
    ``refused`` is there when the server did answer.
    """

    def __init__(
        self,
        what: str,
        advice: str,
        *,
        is_transient: bool = False,
        retry_after_seconds: float | None = None,
        refused: Refused | None = None,
    ) -> None:
        super().__init__(what)
        self.what = what
        self.advice = advice
        self.is_transient = is_transient
        self.retry_after_seconds = retry_after_seconds
        self.refused = refused

    def error(self, sentence: str) -> SourceError:
        """``sentence`` as the error of this kind."""
        if self.refused is None:
            return SourceError(sentence)
        return _STATUS_ERRORS.get(self.refused.status, StatusError)(sentence, self.refused)


def refusal(refused: Refused, retry_after: float | None, cap: float) -> Failure:
    """What a status other than 200 means.

    ``retry_after`` and ``cap`` are in seconds: a server that asks for more than ``cap`` is left alone.
    """
    status, message = refused.status, refused.message
    unforeseen = ("the answer is none that was expected", "check the base URL")
    what, advice = _STATUSES.get(status, ("it failed", "try again later") if status >= 500 else unforeseen)
    what += f' (status {status}: "{message}")' if message else f" (status {status})"
    if status < 500 and status not in _RETRIED_STATUSES:
        return Failure(what, advice, refused=refused)
    if retry_after is not None and retry_after > cap:
        patience = f"it asks to be left alone for {retry_after:.0f} s, so try again after that"
        return Failure(what, patience, retry_after_seconds=retry_after, refused=refused)
    return Failure(what, advice, is_transient=True, retry_after_seconds=retry_after, refused=refused)


def explain(error: httpx.RequestError) -> Failure:
    """What a failed exchange means to a person, and whether asking again may help."""
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return Failure(
                f"its TLS certificate is not to be trusted ({clean(cause.verify_message)})",
                "check the base URL, the clock and this machine's certificates",
            )
        if isinstance(cause, socket.gaierror):
            return Failure("its name does not resolve", "check the base URL and the network", is_transient=True)
        if isinstance(cause, ConnectionRefusedError):
            return Failure("the connection was refused", "check the base URL and the network", is_transient=True)
    if any(isinstance(cause, ssl.SSLError) for cause in causes):
        return Failure("the TLS connection failed", "check the base URL and any proxy", is_transient=True)
    what, advice = _describe(error)
    return Failure(what, advice, is_transient=True)


def _describe(error: httpx.RequestError) -> tuple[str, str]:
    match error:
        case httpx.ConnectTimeout():
            return "no connection came about in time", "check the network, or try again later"
        case httpx.TimeoutException():
            return "it stopped answering", "try again later"
        case httpx.RemoteProtocolError() | httpx.ReadError():
            return "the connection broke before the answer was complete", "try again later"
        case httpx.ProxyError():
            return "the proxy refused", "check the proxy that the environment names"
        case _:
            return (
                f"the connection failed ({clean(str(error)) or type(error).__name__})",
                "check the network",
            )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """``error`` and all that led to it, without going round in circles."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__ or cause.__context__


def retry_after_seconds(headers: httpx.Headers, received_at: datetime) -> float | None:
    """The wait that ``Retry-After`` asks for, in seconds or until a date on the server's clock, if any."""
    asked = headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]{1,9}", asked):
        return float(asked)
    until = _http_date(asked)
    if until is None:
        return None
    now = _http_date(headers.get("date", "")) or received_at
    return max((until - now).total_seconds(), 0.0)


def _http_date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def clean(text: str, secrets: Sequence[str] = ()) -> str:
    """``text`` fit for one line of a terminal or a log: no secrets, no control characters, not long."""
    for secret in secrets:
        text = text.replace(secret, "***")
    printable = "".join(" " if unicodedata.category(character)[0] == "C" else character for character in text)
    line = " ".join(printable.split())
    return line if len(line) <= _MAX_MESSAGE_CHARACTERS else line[: _MAX_MESSAGE_CHARACTERS - 1] + "…"

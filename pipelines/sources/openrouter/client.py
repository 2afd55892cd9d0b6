"""OpenRouter's API as it answers now: models, offers, providers, the feed.

Belongs here: OpenRouter's addresses, its key, where a page names the next one, captures of its answers.
Does not belong here: what parameters may be (`query`), how a question is asked (`http`), what an answer holds
(`answers`), whether it is to be believed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import orjson

from pipelines.captures import Capture, iso
from pipelines.errors import SourceError, UsageError
from pipelines.scopes import OPENROUTER, OPENROUTER_EU, Scope
from pipelines.sources.http import (
    DEFAULT_POLICY,
    PLAIN,
    Answer,
    Ask,
    Fetcher,
    FetchPolicy,
    checked_base_url,
    utc_now,
)
from pipelines.sources.http_failures import StatusError, clean
from pipelines.sources.openrouter.query import ModelsQuery

BASE_URL = "https://openrouter.ai/api/v1"
EU_BASE_URL = "https://eu.openrouter.ai/api/v1"

KEY_VARIABLE = "OPENROUTER_API_KEY"
REFERER_VARIABLE = "OPENROUTER_HTTP_REFERER"
TITLE_VARIABLE = "OPENROUTER_X_TITLE"

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


_NOT_MODIFIED = 304

_OWN = "models/user"
"""The list of one account."""

_FEED = Ask(headers={"accept": "application/rss+xml, application/xml;q=0.9"})


class OpenRouter:
    """The live API at ``base_url``; a context manager. One thread's own.

    ``is_eu`` asks the host that routes within the EU, whose answers are a source of their own (``openrouter-eu``),
    since what is missing there was not withdrawn. ``key`` goes with :meth:`list_for_user` and nothing else;
    ``http_referer`` and ``x_title`` tell OpenRouter which application asks. What is None comes from
    ``environment``: ``OPENROUTER_API_KEY``, ``OPENROUTER_HTTP_REFERER``, ``OPENROUTER_X_TITLE``.

    Answers become captures whatever they hold: a damaged or empty list is stored, and judged elsewhere. The functions
    ``parse_…`` read their bodies. SourceError, one sentence fit for a terminal, when there is no whole answer of
    status 200 (:class:`StatusError` when the API refused); UsageError, before anything is sent, when what is asked
    makes no sense. ``clock`` gives the time of receipt, so that simulated days can be asked.
    """

    def __init__(
        self,
        base_url: str | None = None,
        *,
        is_eu: bool = False,
        key: str | None = None,
        http_referer: str | None = None,
        x_title: str | None = None,
        policy: FetchPolicy = DEFAULT_POLICY,
        user_agent: str | None = None,
        headers: Mapping[str, str] | None = None,
        clock: Callable[[], datetime] = utc_now,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        if is_eu and base_url is not None:
            raise UsageError("The EU host has a base URL of its own: give one or the other.")
        self._base_url = checked_base_url((EU_BASE_URL if is_eu else BASE_URL) if base_url is None else base_url)
        self._source = source_of(self._base_url)
        self._key = _header_value(KEY_VARIABLE, key or environment.get(KEY_VARIABLE, ""))
        introduction = {
            "http-referer": _header_value(REFERER_VARIABLE, http_referer or environment.get(REFERER_VARIABLE, "")),
            "x-title": _header_value(TITLE_VARIABLE, x_title or environment.get(TITLE_VARIABLE, "")),
        }
        self._fetcher = Fetcher(
            "OpenRouter",
            policy=policy,
            user_agent=user_agent or default_user_agent(),
            headers={name: value for name, value in introduction.items() if value} | dict(headers or {}),
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

    def list(self, query: ModelsQuery | None = None, *, is_lenient: bool = False, **parameters: Any) -> Capture:
        """The models that ``query``, or these ``parameters`` of :class:`ModelsQuery`, ask for; :func:`parse_models`.

        A list of one page is kept byte for byte. Several pages are joined as a JSON text sequence (RFC 7464):
        0x1E, the page's bytes, line feed, for each page in order. ``limit`` is the size of a page; all pages from
        ``offset`` on are read, so the scope does not name it.
        """
        if query is not None and parameters:
            raise UsageError("Give a query or single parameters, not both.")
        params = (query or ModelsQuery.of(is_lenient=is_lenient, **parameters)).params()
        return self._pages("models", params)

    def models(self, output_modalities: str | None = "all") -> Capture:
        """The list of models with these output modalities; ``"text"`` and None leave it to the API's default."""
        return self.list(output_modalities=output_modalities)

    def count(self, output_modalities: str | None = "all") -> Capture:
        """The number of models with these output modalities; :func:`parse_count`."""
        return self._one(self._scope("models/count", ModelsQuery(output_modalities=output_modalities).params()))

    def get(self, model_id: str) -> Capture:
        """One model, also by an alias or with a variant such as ``:free``; :func:`parse_model`.

        NotFoundError names the id if there is no such model.
        """
        return self._one(self._scope(f"model/{_path_of(model_id)}"), _about(model_id))

    def list_for_user(self, *, offset: int | None = None, limit: int | None = None) -> Capture:
        """The models that the account of the key may use, by its preferences and guardrails; :func:`parse_models`.

        UsageError without a key, UnauthorizedError if it is not accepted.
        """
        if not self._key:
            raise UsageError(f"An account's models need a key: set {KEY_VARIABLE}.")
        if not _is_private(self._base_url):
            raise UsageError("A key is sent over https only: give a base URL that begins with https://.")
        ask = Ask(
            headers={"authorization": f"Bearer {self._key}"},
            advice={401: f"set {KEY_VARIABLE} to a key that is valid and has not expired"},
        )
        return self._pages(_OWN, ModelsQuery(offset=offset, limit=limit).params(), ask)

    def listing(self, scope: Scope) -> Capture:
        """The list that ``scope`` names, which :func:`listing_scope` can give."""
        if scope.source != self._source:
            raise UsageError(f"{self._source} is asked here, and {clean(scope.name)} is another source's.")
        if scope.endpoint == _OWN:
            return self.list_for_user()
        return self.list(ModelsQuery.spelled(dict(scope.params)))

    def endpoints(self, model_id: str) -> Capture:
        """The offers of one model by all its providers; :func:`parse_endpoints`."""
        return self._one(self._scope(f"models/{_path_of(model_id)}/endpoints"), _about(model_id))

    def zdr_endpoints(self) -> Capture:
        """The offers of all models whose providers keep no data; :func:`parse_zdr_endpoints`."""
        return self._one(self._scope("endpoints/zdr"))

    def providers(self) -> Capture:
        """All providers; :func:`parse_providers`."""
        return self._one(self._scope("providers"))

    def rss(self, *, chat_links: bool = False) -> Capture:
        """The feed of new models as RSS, with links to their pages or, with ``chat_links``, to a chat."""
        params = {"use_rss": "true"} | ({"use_rss_chat_links": "true"} if chat_links else {})
        return self._one(self._scope("models", params), _FEED)

    def rss_if_changed(self, *, etag: str | None, last_modified: str | None) -> Capture | None:
        """:meth:`rss`, unless the server says that it is what had these validators; then None. None: it had none."""
        validators = {"if-none-match": etag, "if-modified-since": last_modified}
        headers = {name: value for name, value in validators.items() if value}
        try:
            return self._one(self._scope("models", {"use_rss": "true"}), Ask({**_FEED.headers, **headers}))
        except StatusError as refused:
            if refused.status != _NOT_MODIFIED or not headers:
                raise
            return None

    def _one(self, scope: Scope, ask: Ask = PLAIN) -> Capture:
        return _capture(scope, [self._fetcher.get(self._url(scope), ask)])

    def _pages(self, endpoint: str, params: Mapping[str, str], ask: Ask = PLAIN) -> Capture:
        asked = self._url(self._scope(endpoint, params))
        meant = {name: value for name, value in params.items() if name != "limit" and (name, value) != ("offset", "0")}
        pages = self._fetcher.pages(asked, _next_link, ask)
        if self._key and any(self._key.encode() in page.body for page in pages):
            raise SourceError(f"OpenRouter at {asked}: the answer repeats the key, so it was not kept.")
        return _capture(self._scope(endpoint, meant), pages)

    def _scope(self, endpoint: str, params: Mapping[str, str] | None = None) -> Scope:
        return Scope.of(self._source, endpoint, **(params or {}))

    def _url(self, scope: Scope) -> str:
        query = urlencode(scope.params, safe=",")
        return f"{self._base_url}/{scope.endpoint}" + (f"?{query}" if query else "")


def source_of(base_url: str | None) -> str:
    """The source that is asked at ``base_url``; None is OpenRouter's own.

    The EU host lists fewer models, so under OpenRouter's name it would take the others out of the history.
    """
    is_eu = base_url is not None and urlsplit(base_url).hostname == urlsplit(EU_BASE_URL).hostname
    return OPENROUTER_EU if is_eu else OPENROUTER


def listing_scope(question: str) -> Scope:
    """What ``question`` asks for: ``models`` with parameters as an address spells them, or ``models/user``.

    UsageError, one sentence, for what is no list of models or has parameters that cannot be meant.
    """
    path, _, query = question.strip().partition("?")
    endpoint = path.removeprefix(f"{OPENROUTER}/")
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True) if query else []
    except ValueError:
        raise UsageError(f"{clean(query)!r} is no list of parameters, such as zdr=true&region=eu.") from None
    params = dict(pairs)
    if endpoint not in ("models", _OWN):
        raise UsageError(f"{clean(path)!r} is no list of models: ask for models?zdr=true or the like, or for {_OWN}.")
    if len(params) < len(pairs):
        raise UsageError(f"{clean(query)!r} gives a parameter more than once.")
    if whole := sorted({"offset", "limit"} & params.keys()):
        raise UsageError(f"{whole[0]} cuts a list into pages; the whole list is always asked for.")
    if "use_rss" in params:
        raise UsageError("use_rss asks for the feed and not for a list: `catalogue snapshot --feed` takes it.")
    if endpoint == _OWN and params:
        raise UsageError(f"{_OWN} has no parameters but for pages, and the whole list is always asked for.")
    return Scope.of(OPENROUTER, endpoint, **ModelsQuery.spelled(params).params())


def default_user_agent() -> str:
    """The project's name and version, as every request gives them."""
    try:
        release = version(_DISTRIBUTION)
    except PackageNotFoundError:
        release = "unreleased"
    return f"{_DISTRIBUTION}/{release} (keeps the history of the model catalogue)"


def _header_value(name: str, text: str) -> str:
    """``text`` as a header's value; UsageError, which does not repeat it, if it cannot be one."""
    value = text.strip()
    if not value.isascii() or not value.isprintable():
        raise UsageError(f"{name} must be plain ASCII text on one line.")
    return value


def _path_of(model_id: str) -> str:
    """``model_id`` within an address. UsageError unless it is ``author/slug``, perhaps with ``:variant``."""
    author, _, slug = model_id.partition("/")
    if not author or not slug or not model_id.isprintable() or {".", ".."} & set(model_id.split("/")):
        raise UsageError(f"{clean(model_id)!r} is no model: give author/slug, such as openai/gpt-5.")
    return quote(model_id, safe="/:~@+,;=!$&()*")


def _about(model_id: str) -> Ask:
    return Ask(advice={404: f"there is no model {clean(model_id)!r}, so check its id"})


def _is_private(base_url: str) -> bool:
    """Whether nobody on the way can read what is sent to ``base_url``."""
    address = urlsplit(base_url)
    return address.scheme == "https" or address.hostname in ("127.0.0.1", "localhost", "::1")


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

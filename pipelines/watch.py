"""Watching the feed of new models: ask cheaply whether it has any, and take it into the warehouse.

Belongs here: what is remembered from one look to the next, the order of steps between feed and published file.
Does not belong here: HTTP (`sources`), what a feed says (`feed`), when to look (`defs`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import orjson

from pipelines.captures import Capture, RawStore
from pipelines.errors import SourceError
from pipelines.feed import FeedItem, newcomers, parse_feed
from pipelines.ledger.ledger import Ledger
from pipelines.settings import Settings
from pipelines.sources.http import utc_now
from pipelines.sources.openrouter import OpenRouter


@dataclass(frozen=True)
class Look:
    """One look at the feed. ``cursor`` is what the next one is to be given.

    ``new`` items were not there at the look before, which for the first one is none: it only learns what there is.
    ``is_unchanged`` says that the server spared itself the answer, or that all items are those of the look before.
    """

    cursor: str
    new: tuple[FeedItem, ...]
    is_unchanged: bool


@dataclass(frozen=True)
class TakenFeed:
    """A feed in the warehouse: ``defect`` is why it says nothing, None if it can be read.

    ``new`` counts the items that no feed held before, ``differences`` what feed and catalogue disagree about.
    """

    snapshot_id: str
    observed_at: datetime
    items: int
    new: int
    differences: int
    defect: str | None


@dataclass(frozen=True)
class _Memory:
    """What a cursor holds: the server's validators, and the fingerprints of the items; none before the first look."""

    etag: str | None = None
    last_modified: str | None = None
    items: Sequence[str] | None = None

    @classmethod
    def of(cls, cursor: str | None) -> _Memory:
        """What ``cursor`` holds; nothing if another program wrote it."""
        try:
            held = orjson.loads(cursor or "null")
            return cls(held["etag"], held["last_modified"], list(map(str, held["items"])))
        except (ValueError, KeyError, TypeError):
            return cls()

    def cursor(self) -> str:
        held = {"etag": self.etag, "last_modified": self.last_modified, "items": self.items}
        return orjson.dumps(held).decode()


def look(settings: Settings, cursor: str | None) -> Look:
    """Ask for the feed as it is, unless it is what ``cursor`` remembers. SourceError if there is none to be had."""
    memory = _Memory.of(cursor)
    with _source(settings) as source:
        capture = source.rss_if_changed(etag=memory.etag, last_modified=memory.last_modified)
    if capture is None:
        return Look(cursor or "", (), is_unchanged=True)
    items = parse_feed(capture.body)
    headers = capture.provenance["headers"]
    now = _Memory(headers.get("etag"), headers.get("last-modified"), sorted(one.fingerprint for one in items))
    new = () if memory.items is None else tuple(newcomers(items, memory.items))
    return Look(now.cursor(), new, is_unchanged=now.items == memory.items)


def take_feed(settings: Settings) -> TakenFeed:
    """Ask for the feed, store it before anything looks at it, commit what follows and publish."""
    raw = RawStore(settings.warehouse / "raw")
    with _source(settings) as source:
        capture = source.rss()
    pack = raw.write([capture])
    with Ledger(settings.warehouse, in_hand=[pack], limits=settings.limits) as ledger:
        ledger.take([pack], [capture.snapshot_id])
        return _told(ledger, capture)


def _told(ledger: Ledger, capture: Capture) -> TakenFeed:
    items, defect = 0, None
    try:
        items = len(parse_feed(capture.body))
    except SourceError as refused:
        defect = str(refused)
    ((new, differences),) = ledger.rows(
        "SELECT (SELECT count(*) FROM catalogue.marts.feed_items WHERE first_seen_at = ? AND source = ?), "
        "(SELECT count(*) FROM catalogue.marts.feed_differences WHERE source = ?)",
        [capture.observed_at, capture.scope.source, capture.scope.source],
    )
    return TakenFeed(capture.snapshot_id, capture.observed_at, items, new, differences, defect)


def _source(settings: Settings) -> OpenRouter:
    return OpenRouter(settings.base_url, policy=settings.fetch_policy, clock=settings.clock or utc_now)

"""From bytes to items: the feed of new models, in RSS.

Belongs here: what a feed says, and refusing XML that is made to do harm. Does not belong here: asking for it
(`sources`), what follows from it (`ledger`).

Everything here is a pure function of bytes. Source: RSS 2.0, and what real answers hold: `title` is the model's name
and its id without variant in the last parentheses, `guid` the canonical slug, `pubDate` when the model was added.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from xml.etree.ElementTree import Element, ParseError

from defusedxml import ElementTree
from defusedxml.common import DefusedXmlException

from pipelines.errors import SourceError

_ID_AT_THE_END = re.compile(r"\(([^()\s]+/[^()\s]+)\)\s*\Z")


@dataclass(frozen=True, order=True)
class FeedItem:
    """A model that was added at ``added_at`` (UTC). ``model_id`` has no variant: that shows in the title alone."""

    model_id: str
    canonical_slug: str | None
    title: str
    link: str | None
    added_at: datetime | None

    @property
    def fingerprint(self) -> str:
        """16 hex digits, equal for equal items."""
        return hashlib.sha256(repr(astuple(self)).encode()).hexdigest()[:16]


def parse_feed(body: bytes) -> tuple[FeedItem, ...]:
    """The items of an RSS document, in its order; of equal ones the first. Items without a model's id are left out.

    SourceError, one sentence, for what is no RSS, and for XML with a document type, entities or references to
    elsewhere, by which a few bytes could fill the memory or read other files.
    """
    try:
        root = ElementTree.fromstring(body, forbid_dtd=True)
    except DefusedXmlException:
        raise SourceError("The feed holds XML declarations that could do harm, and was not read.") from None
    except (ParseError, ValueError, LookupError, RecursionError):
        raise SourceError("The feed is not XML; ask again later.") from None
    channel = root.find("channel")
    if root.tag != "rss" or channel is None:
        raise SourceError("The feed is XML, but no RSS; ask again later.")
    items = [item for element in channel.findall("item") if (item := _item(element)) is not None]
    return tuple(dict.fromkeys(items))


def newcomers(items: Sequence[FeedItem], known: Sequence[str]) -> list[FeedItem]:
    """Those of ``items`` whose fingerprints are not ``known``."""
    seen = frozenset(known)
    return [item for item in items if item.fingerprint not in seen]


def _item(element: Element) -> FeedItem | None:
    title = _text(element, "title") or ""
    named = _ID_AT_THE_END.search(title)
    if named is None:
        return None
    return FeedItem(named[1], _text(element, "guid"), title, _text(element, "link"), _moment(_text(element, "pubDate")))


def _text(element: Element, name: str) -> str | None:
    text = (element.findtext(name) or "").strip()
    return text or None


def _moment(text: str | None) -> datetime | None:
    """A date as RFC 822 writes it; None if it is none. Without a zone it is UTC."""
    try:
        moment = parsedate_to_datetime(text or "")
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None

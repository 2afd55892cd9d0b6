"""Feeds in the ledger: the facts that they state.

Belongs here: appending feeds and the distinct items that they hold. Does not belong here: what a feed says
(`pipelines.feed`), captures of other kinds (`facts`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import duckdb
import polars as pl

from pipelines.errors import SourceError
from pipelines.feed import FeedItem, parse_feed
from pipelines.scopes import Scope

_NEW_ITEMS = """
INSERT INTO catalogue.core.feed_items
SELECT
    (SELECT coalesce(max(feed_item_no), 0) FROM catalogue.core.feed_items) + row_number() OVER (ORDER BY place),
    fingerprint, model_id, canonical_slug, title, link, added_at
FROM (SELECT * FROM feed_rows WHERE place IN (SELECT min(place) FROM feed_rows GROUP BY fingerprint))
ANTI JOIN catalogue.core.feed_items AS known USING (fingerprint)
"""

_NEW_FEEDS = """
INSERT INTO catalogue.core.feeds
SELECT f.capture_no, c.source, c.observed_at, f.defect, coalesce(i.items, CAST([] AS INTEGER[]))
FROM feed_captures AS f
JOIN catalogue.raw.captures AS c ON c.capture_no = f.capture_no
LEFT JOIN (
    SELECT r.capture_no, list(i.feed_item_no ORDER BY i.feed_item_no) AS items
    FROM feed_rows AS r
    JOIN catalogue.core.feed_items AS i USING (fingerprint)
    GROUP BY r.capture_no
) AS i ON i.capture_no = f.capture_no
ORDER BY f.capture_no
"""


def append_feeds(connection: duckdb.DuckDBPyConnection, captures: Sequence[tuple[int, Scope, bytes]]) -> None:
    """Append what feeds say; others of ``captures``, with their numbers, are passed over.

    Items are numbered in the order in which they are met. What is no feed is noted with the reason, and says nothing.
    """
    feeds = [(number, *_read(body)) for number, scope, body in captures if scope.is_feed]
    if not feeds:
        return
    items = [(number, item.fingerprint, *_columns(item)) for number, found, _ in feeds for item in found]
    frames = {
        "feed_captures": pl.DataFrame(
            [(number, defect) for number, _, defect in feeds],
            schema={"capture_no": pl.Int32, "defect": pl.String},
            orient="row",
        ),
        "feed_rows": pl.DataFrame(items, schema=_ITEMS, orient="row").with_row_index("place"),
    }
    for name, frame in frames.items():
        connection.register(name, frame)
    try:
        connection.execute(_NEW_ITEMS)
        connection.execute(_NEW_FEEDS)
    finally:
        for name in frames:
            connection.unregister(name)


_ITEMS: Mapping[str, pl.DataType] = {
    "capture_no": pl.Int32(),
    "fingerprint": pl.String(),
    "model_id": pl.String(),
    "canonical_slug": pl.String(),
    "title": pl.String(),
    "link": pl.String(),
    "added_at": pl.Datetime("us", "UTC"),
}


def _columns(item: FeedItem) -> tuple[object, ...]:
    return item.model_id, item.canonical_slug, item.title, item.link, item.added_at


def _read(body: bytes) -> tuple[tuple[FeedItem, ...], str | None]:
    try:
        return parse_feed(body), None
    except SourceError as refused:
        return (), str(refused)

"""Reading the feed: what real ones hold, and XML that is made to do harm."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import SourceError
from pipelines.feed import FeedItem, newcomers, parse_feed

CAPTURES = Path(__file__).resolve().parents[3] / "shared" / "captures"


def rss(*items: str, head: str = "") -> bytes:
    return f'<?xml version="1.0"?>{head}<rss version="2.0"><channel>{"".join(items)}</channel></rss>'.encode()


def item(title: str, guid: str = "a/x-1", date: str = "Wed, 17 Dec 2025 15:57:58 GMT") -> str:
    return (
        f"<item><title>{escape(title)}</title><link>https://m.example/{escape(guid)}</link>"
        f'<guid isPermaLink="false">{escape(guid)}</guid><pubDate>{date}</pubDate></item>'
    )


def test_an_item_names_its_model_in_the_last_parentheses():
    """Fails once the first parentheses are taken."""
    (read,) = parse_feed(rss(item("A: X (free) (a/x)")))
    assert read == FeedItem(
        "a/x", "a/x-1", "A: X (free) (a/x)", "https://m.example/a/x-1", datetime(2025, 12, 17, 15, 57, 58, tzinfo=UTC)
    )


def test_what_names_no_model_is_left_out_and_equal_items_are_one():
    items = parse_feed(rss(item("News"), item("A: X (free)"), item("A (a/x)"), item("A (a/x)"), "<item/>"))
    assert [one.model_id for one in items] == ["a/x"]


@pytest.mark.parametrize("date", ["", "soon", "Wed, 99 Dec 2025 15:57:58 GMT"])
def test_a_date_that_is_none_is_unknown(date):
    assert parse_feed(rss(item("A (a/x)", date=date)))[0].added_at is None


def test_a_real_feed_is_read_whole():
    path = CAPTURES / "models-2025-12-21.rss.xml"
    if not path.exists():
        pytest.skip("the real feed models-2025-12-21.rss.xml is not here")
    text = path.read_text(encoding="utf-8")
    items = parse_feed(text.encode())
    titles = re.findall(r"<title><!\[CDATA\[(.*?)\]\]></title>", text)
    slugs = re.findall(r"<guid[^>]*>(.*?)</guid>", text)
    assert len(titles) == len(items) == 600
    assert [one.title for one in items] == titles
    assert [one.canonical_slug for one in items] == slugs
    assert all(one.added_at is not None and one.link is not None for one in items)
    assert sorted(items, key=lambda one: one.added_at or datetime.min, reverse=True) == list(items)


BOMB = '<!DOCTYPE b [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(
    "head",
    [
        BOMB,
        '<!DOCTYPE rss SYSTEM "file:///etc/passwd">',
        '<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/hostname">]>',
    ],
)
def test_hostile_xml_is_refused_in_one_sentence(head):
    """Fails with Python's own reader, which would take the document type and go on."""
    with pytest.raises(SourceError, match=r"^The feed holds XML declarations that could do harm"):
        parse_feed(rss(item("A (a/x)"), head=head))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "is not XML"),
        (b"<html><title>Login</title>", "is not XML"),
        (b'{"data": []}', "is not XML"),
        (rss(item("A (a/x)"))[:-20], "is not XML"),
        (b'<?xml version="1.0" encoding="klingon"?><rss/>', "is not XML"),
        ("<rss>\u00fc</rss>".encode("latin-1"), "is not XML"),
        (b"<html/>", "but no RSS"),
        (b"<rss/>", "but no RSS"),
        (b"<a>" * 200_000 + b"</a>" * 200_000, "but no RSS"),
    ],
)
def test_what_is_no_feed_is_refused(body, said):
    with pytest.raises(SourceError, match=said) as refused:
        parse_feed(body)
    assert str(refused.value).isprintable()


NAMES = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=8)


@given(st.lists(st.tuples(NAMES, NAMES), max_size=6, unique=True), st.text(st.characters(categories=["L", "P", "S"])))
def test_ids_come_out_as_they_went_in(ids, name):
    items = parse_feed(rss(*(item(f"{name} ({author}/{slug})") for author, slug in ids)))
    assert [one.model_id for one in items] == [f"{author}/{slug}" for author, slug in ids]


def test_newcomers_are_those_not_seen():
    before = parse_feed(rss(item("A (a/x)"), item("B (b/y)", "b/y")))
    after = parse_feed(rss(item("C (c/z)", "c/z"), item("B (b/y)", "b/y")))
    assert [one.model_id for one in newcomers(after, [one.fingerprint for one in before])] == ["c/z"]

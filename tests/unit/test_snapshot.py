from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from pipelines.captures import Capture, RawStore
from pipelines.demo.server import CatalogueServer
from pipelines.errors import SourceError
from pipelines.scopes import ALL_MODELS, ALL_MODELS_COUNT, OPENROUTER, Scope
from pipelines.snapshot import take
from pipelines.sources.openrouter import OpenRouter

NOW = datetime(2026, 8, 5, tzinfo=UTC)


def listing(models: int, *outputs: str) -> bytes:
    architecture = {"output_modalities": outputs}
    listed = [{"id": f"a/{n}", "pricing": {}, "architecture": architecture} for n in range(models)]
    return json.dumps({"data": listed}).encode()


class Source:
    """A catalogue that gives the answers it was given; a number is a count, an error is raised."""

    def __init__(self, models: bytes | SourceError, *counts: int | bytes | SourceError) -> None:
        self.answers: list[int | bytes | SourceError] = list(counts)
        self.listing = models
        self.asked: list[str] = []

    def models(self, output_modalities: str = "all") -> Capture:
        self.asked.append("models")
        return self.answer(self.listing, ALL_MODELS)

    def count(self, output_modalities: str = "all") -> Capture:
        self.asked.append("count" if output_modalities == "all" else output_modalities)
        scope = Scope.of(OPENROUTER, "models/count", output_modalities=output_modalities)
        return self.answer(self.answers.pop(0), scope)

    def answer(self, answer: int | bytes | SourceError, scope) -> Capture:
        if isinstance(answer, SourceError):
            raise answer
        body = json.dumps({"data": {"count": answer}}).encode() if isinstance(answer, int) else answer
        return Capture(scope, NOW + timedelta(seconds=len(self.asked)), body, "live", {"status": 200})


@pytest.fixture
def raw(tmp_path) -> RawStore:
    return RawStore(tmp_path / "raw")


def test_the_listing_and_its_count_are_stored(raw):
    source = Source(listing(3), 3)
    taken = take(source, raw)
    assert source.asked == ["models", "count"]
    assert (taken.listed, taken.counted, taken.counts_agree) == (3, 3, True)
    (models,), (count,) = (raw.read(pack) for pack in taken.packs)
    assert models.snapshot_id == taken.snapshot_id
    assert (models.scope, models.body) == (ALL_MODELS, listing(3))
    assert count.scope == ALL_MODELS_COUNT
    assert raw.packs() == sorted(taken.packs)


@pytest.mark.parametrize(("second", "agree"), [(3, True), (4, False), (5, False)])
def test_a_count_that_disagrees_is_asked_for_once_more(raw, second, agree):
    source = Source(listing(3), 4, second, 3)
    taken = take(source, raw)
    assert source.asked == ["models", "count", "count"]
    assert (taken.counted, taken.counts_agree) == (second, agree)
    assert len(taken.packs) == 3


def test_each_output_modality_is_counted_and_only_what_disagrees_again(raw):
    source = Source(listing(3, "text", "image"), 3, 4, 3, 3)
    taken = take(source, raw)
    assert source.asked == ["models", "count", "image", "text", "image"]
    assert taken.counts_agree
    first, again = (raw.read(pack) for pack in taken.packs[1:])
    assert [one.scope.counts for one in first] == ["all", "image", "text"]
    assert [one.scope.counts for one in again] == ["image"]


def test_an_output_modality_that_no_document_names_is_not_counted(tmp_path):
    """The client refuses to ask for it, which once cost the whole snapshot."""
    listed = listing(1, "text", "3d", "a,b", "\x1b[31m", "")
    with CatalogueServer(Listed(listed), now=NOW) as server, OpenRouter(server.base_url, clock=server.clock) as source:
        taken = take(source, RawStore(tmp_path / "raw"))
        assert [(one.path, one.query) for one in server.requests] == [
            ("/api/v1/models", {"output_modalities": "all"}),
            ("/api/v1/models/count", {"output_modalities": "all"}),
            ("/api/v1/models/count", {}),
        ]
    assert (taken.listed, taken.counts_agree) == (1, True)


class Listed:
    """A catalogue that lists the same at any time."""

    def __init__(self, body: bytes) -> None:
        self.body = body

    def listing(self, at: datetime, *, output_modalities: str) -> bytes:
        return self.body

    def count(self, at: datetime, *, output_modalities: str) -> int:
        return 1


def test_counting_ends_where_a_count_cannot_be_had(raw):
    source = Source(listing(3, "text", "image"), 3, SourceError("gone"))
    taken = take(source, raw)
    assert source.asked == ["models", "count", "image"]
    assert (taken.counted, len(taken.packs)) == (3, 2)


@pytest.mark.parametrize(
    ("counts", "counted", "stored"),
    [
        ([SourceError("gone")], None, 0),
        ([4, SourceError("gone")], 4, 1),
        ([b"<html>"], None, 1),
        ([b'{"data":{}}'], None, 1),
        ([4, b"<html>"], None, 2),
    ],
)
def test_a_count_that_cannot_be_had_costs_no_listing(raw, counts, counted, stored):
    taken = take(Source(listing(3), *counts), raw)
    assert (taken.listed, taken.counted) == (3, counted)
    assert taken.counts_agree is (counted is None)
    assert len(taken.packs) == len(raw.packs()) == 1 + stored


@pytest.mark.parametrize("answer", [b"", b"<html>", b'{"error":{"code":500,"message":"x"}}', b'{"data":[]}', b"\xff"])
def test_whatever_the_answer_is_it_is_stored(raw, answer):
    taken = take(Source(answer, 5, 5), raw)
    assert (taken.listed, taken.counts_agree) == (0, False)
    assert raw.read(taken.packs[0])[0].body == answer


def test_an_answer_that_defeats_the_reader_is_stored_all_the_same(raw):
    """Bytes first: nothing looks at them before they are safe."""
    deep = b'{"data":[{"id":"a/a","pricing":{"prompt":"1"},"x":' + b"[" * 300 + b"]" * 300 + b"}]}"
    taken = take(Source(deep, 1, 1), raw)
    assert raw.read(taken.packs[0])[0].body == deep


def test_without_a_listing_there_is_nothing(raw):
    with pytest.raises(SourceError, match="down"):
        take(Source(SourceError("down")), raw)
    assert raw.packs() == []


def test_the_bytes_are_stored_before_anything_looks_at_them(raw, monkeypatch):
    def look(bodies):
        raise AssertionError(f"looked at {len(list(bodies))} bodies with {len(raw.packs())} packs stored")

    monkeypatch.setattr("pipelines.snapshot.flatten", look)
    with pytest.raises(AssertionError, match="with 1 packs stored"):
        take(Source(listing(3), 3), raw)

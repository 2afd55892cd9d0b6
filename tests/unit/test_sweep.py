"""The workers of a sweep, over a source that counts: how many ask at a time, how often, and when they give up."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime

import pytest

from pipelines.captures import Capture, RawStore
from pipelines.errors import CatalogueError, SourceError
from pipelines.scopes import PROVIDERS, Scope, offers_scope
from pipelines.sweep import ask

NOW = datetime(2026, 8, 5, tzinfo=UTC)
QUESTIONS = [offers_scope(f"a/{number}") for number in range(80)]


class Source:
    """Answers after a moment, fails for the models named in ``failing``, and notes who asked when."""

    def __init__(self, failing: frozenset[str] = frozenset(), moment_seconds: float = 0.005) -> None:
        self.failing, self.moment_seconds = failing, moment_seconds
        self.begins: list[float] = []
        self.clients = self.asking = self.most_asking = 0
        self._lock = threading.Lock()

    def __enter__(self) -> Source:
        with self._lock:
            self.clients += 1
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def endpoints(self, model_id: str) -> Capture:
        with self._lock:
            self.begins.append(time.monotonic())
            self.asking += 1
            self.most_asking = max(self.most_asking, self.asking)
        time.sleep(self.moment_seconds)
        with self._lock:
            self.asking -= 1
        if model_id in self.failing:
            raise SourceError("it does not answer")
        return Capture(offers_scope(model_id), NOW, model_id.encode(), "live")

    def zdr_endpoints(self) -> Capture:
        raise AssertionError("nobody asked for this")

    def providers(self) -> Capture:
        return Capture(PROVIDERS, NOW, b"", "live")


@pytest.fixture
def raw(tmp_path) -> RawStore:
    return RawStore(tmp_path / "raw")


def test_each_question_is_asked_once_by_so_many_clients_and_every_answer_stored(raw):
    source = Source()
    told: list[tuple[int, int]] = []
    swept = ask(
        [PROVIDERS, *QUESTIONS],
        lambda: source,
        raw,
        connections=4,
        requests_per_second=1000,
        on_progress=lambda done, total: told.append((done, total)),
    )
    assert (source.clients, source.most_asking) == (4, 4)
    assert told == [(number, 81) for number in range(1, 82)]
    stored = [one for pack in swept.packs for one in raw.read(pack)]
    assert {one.scope for one in stored} == {PROVIDERS, *QUESTIONS}
    assert [one.snapshot_id for one in stored] == swept.snapshot_ids
    assert [len(raw.read(pack)) for pack in swept.packs] == [64, 17]


def test_questions_begin_no_oftener_than_they_may(raw):
    """Seen red with a pace of each worker's own."""
    source = Source(moment_seconds=0)
    ask(QUESTIONS[:20], lambda: source, raw, connections=8, requests_per_second=50)
    assert max(source.begins) - min(source.begins) >= 19 / 50 - 0.05


def test_a_question_without_an_answer_is_told_and_the_rest_goes_on(raw):
    source = Source(failing=frozenset({"a/3", "a/70"}))
    swept = ask(QUESTIONS, lambda: source, raw, connections=8, requests_per_second=1000)
    assert sorted((one.scope.name, one.reason) for one in swept.failed) == [
        (offers_scope("a/3").name, "it does not answer"),
        (offers_scope("a/70").name, "it does not answer"),
    ]
    assert (swept.answered, swept.unasked) == (78, 0)


def test_a_source_that_is_down_is_not_asked_for_everything(raw):
    """Seen red with failures counted over the whole sweep, and with none counted."""
    source = Source(failing=frozenset(f"a/{number}" for number in (*range(0, 20, 2), *range(20, 80))))
    swept = ask(QUESTIONS, lambda: source, raw, connections=1, requests_per_second=1000)
    assert (swept.answered, len(swept.failed), swept.unasked) == (10, 35, 35)
    assert len(source.begins) < len(QUESTIONS)


def test_what_breaks_in_a_worker_breaks_the_sweep_and_answers_stay(raw):
    class Breaking(Source):
        def endpoints(self, model_id: str) -> Capture:
            if model_id == "a/30":
                raise RuntimeError("a defect")
            return super().endpoints(model_id)

    source = Breaking()
    with pytest.raises(RuntimeError, match="a defect"):
        ask(QUESTIONS, lambda: source, raw, connections=1, requests_per_second=1000)
    assert sum(len(raw.read(pack)) for pack in raw.packs()) == 30


def test_nothing_due_asks_nothing(raw):
    swept = ask([], lambda: pytest.fail("a client was made"), raw, connections=8, requests_per_second=1)
    assert (swept.answered, swept.packs) == (0, [])


@pytest.mark.parametrize("model_id", ["a/b", "a/b:free", "~a/b-latest", "a/b?c=1#d", "ä/ö %25", "a/b/endpoints", "odd"])
def test_a_scope_of_offers_reads_back_as_its_model(model_id):
    scope = offers_scope(model_id)
    assert Scope.parse(scope.name) == scope
    assert (scope.model_id, scope.topic, scope.kind) == (model_id, "offers", "other")


def test_errors_of_the_project_alone_are_failures_of_a_question(raw):
    class Refusing(Source):
        def endpoints(self, model_id: str) -> Capture:
            raise CatalogueError("that is no model")

    swept = ask(QUESTIONS[:3], Refusing, raw, connections=2, requests_per_second=1000)
    assert [one.reason for one in swept.failed] == ["that is no model"] * 3

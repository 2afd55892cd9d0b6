"""A sweep: asking for the offers of every model that is listed, many at a time and none too often.

Belongs here: what is due, the workers and their pace, storing answers as they come, taking them in.
Does not belong here: HTTP (`sources`), what an answer says (`offers`), what follows from it (`ledger`).

A sweep passes over questions that were answered well a short time ago. So one that was killed or interrupted goes on
where it stopped, and one that is begun twice asks once.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol

from pipelines.captures import PACK_SIZE, Capture, RawStore
from pipelines.errors import CatalogueError, SourceError
from pipelines.ledger.ledger import Ledger, Verdict
from pipelines.scopes import PROVIDERS, ZDR_OFFERS, Scope, offers_scope
from pipelines.settings import Settings
from pipelines.sources.http import utc_now
from pipelines.sources.openrouter import BASE_URL, OpenRouter

_UNSTORED_SECONDS = 10.0
"""How long an answer waits for its pack to fill; what was not stored when the process is killed is asked again."""

_FAILURES_IN_A_ROW = 25
"""After so many the source is down, and asking for the rest would only take its time."""


class Asked(Protocol):
    """A source of offers, such as :class:`pipelines.sources.openrouter.OpenRouter`; one thread's own."""

    def endpoints(self, model_id: str) -> Capture: ...  # noqa: D102

    def zdr_endpoints(self) -> Capture: ...  # noqa: D102

    def providers(self) -> Capture: ...  # noqa: D102


@dataclass(frozen=True)
class Failed:
    """A question that got no answer, and why, in one sentence."""

    scope: Scope
    reason: str


@dataclass
class Swept:
    """What a sweep brought. ``packs`` hold the answers; ``unasked`` questions were left when the source was down."""

    due: int = 0
    fresh: int = 0
    packs: list[str] = field(default_factory=list)
    snapshot_ids: list[str] = field(default_factory=list)
    failed: list[Failed] = field(default_factory=list)
    unasked: int = 0

    @property
    def answered(self) -> int:
        """Questions that got an answer, whatever it holds."""
        return len(self.snapshot_ids)


OnProgress = Callable[[int, int], None]
"""Is told how many questions of how many are done."""


def silent(done: int, total: int) -> None:
    """An :data:`OnProgress` that nobody watches."""


def sweep(settings: Settings, *, again: bool = False, on_progress: OnProgress = silent) -> Swept:
    """Ask for what is due and store the answers; ``again`` asks for everything, however fresh.

    Raises :class:`CatalogueError` where no models are listed yet, and :class:`SourceError` where nothing was answered.
    """
    clock = settings.clock or utc_now
    with Ledger(settings.warehouse, limits=settings.limits) as ledger:
        asked = questions(ledger, settings.source)
        fresh = set() if again else answered_since(ledger, clock() - timedelta(hours=settings.sweep_fresh_hours))
        if ledger.is_news:
            ledger.publish()
    due = [scope for scope in asked if scope.name not in fresh]

    def connect() -> OpenRouter:
        return OpenRouter(settings.base_url or BASE_URL, policy=settings.fetch_policy, clock=clock)

    swept = ask(
        due,
        connect,
        RawStore(settings.warehouse / "raw"),
        connections=settings.sweep_connections,
        requests_per_second=settings.sweep_requests_per_second,
        on_progress=on_progress,
    )
    swept.fresh = len(asked) - len(due)
    if due and not swept.answered:
        raise SourceError(f"no question about offers was answered: {swept.failed[0].reason}")
    return swept


def take_in(swept: Swept, ledger: Ledger) -> list[Verdict]:
    """Commit what a sweep stored, and publish; the verdicts on answers that are suspicious."""
    return [one for one in ledger.take(swept.packs, swept.snapshot_ids) if one.verdict == "quarantined"]


def questions(ledger: Ledger, source: str) -> list[Scope]:
    """What a whole sweep asks ``source``: providers, offers without data retention, those of every model listed now."""
    listed = ledger.rows(
        "SELECT m.model_id FROM catalogue.core.open_runs AS r "
        "JOIN catalogue.core.model_ids AS m ON m.model_no = r.model_no WHERE r.source = ? ORDER BY m.model_id",
        [source],
    )
    if not listed:
        raise CatalogueError("no models are listed yet whose offers could be asked for: run `catalogue snapshot` first")
    of_all = (replace(scope, source=source) for scope in (PROVIDERS, ZDR_OFFERS))
    return [*of_all, *(offers_scope(model_id, source) for (model_id,) in listed)]


def answered_since(ledger: Ledger, moment: datetime) -> set[str]:
    """The names of questions that have an accepted answer later than ``moment``."""
    found = ledger.rows(
        "SELECT DISTINCT c.scope FROM catalogue.core.accepted_answers AS a "
        "JOIN catalogue.raw.captures AS c ON c.capture_no = a.capture_no WHERE a.observed_at > ?",
        [moment],
    )
    return {name for (name,) in found}


def ask(
    due: Sequence[Scope],
    connect: Callable[[], AbstractContextManager[Asked]],
    raw: RawStore,
    *,
    connections: int,
    requests_per_second: float,
    on_progress: OnProgress = silent,
) -> Swept:
    """Ask the ``due`` questions, ``connections`` at a time, and store each answer before anything looks at it.

    A question without an answer is told of in ``failed``. Whatever ends the sweep, answers that came are stored.
    """
    swept = Swept(due=len(due))
    with (
        _Workers(due, connect, min(connections, len(due)), requests_per_second) as workers,
        _Storing(raw, swept) as store,
    ):
        failures_in_a_row = 0
        for done in range(1, len(due) + 1):
            outcome = workers.next_outcome()
            if isinstance(outcome, Failed):
                swept.failed.append(outcome)
                failures_in_a_row += 1
            else:
                store.add(outcome)
                failures_in_a_row = 0
            on_progress(done, len(due))
            if failures_in_a_row == _FAILURES_IN_A_ROW:
                swept.unasked = len(due) - done
                break
    return swept


class _Storing:
    """Writes answers as packs that fill, or have waited for long. A context manager that leaves none behind."""

    def __init__(self, raw: RawStore, swept: Swept) -> None:
        self._raw, self._swept = raw, swept
        self._waiting: list[Capture] = []
        self._since = time.monotonic()

    def __enter__(self) -> _Storing:
        return self

    def __exit__(self, *error: object) -> None:
        self._write()

    def add(self, capture: Capture) -> None:
        if not self._waiting:
            self._since = time.monotonic()
        self._waiting.append(capture)
        if len(self._waiting) == PACK_SIZE or time.monotonic() - self._since > _UNSTORED_SECONDS:
            self._write()

    def _write(self) -> None:
        if self._waiting:
            self._swept.packs.append(self._raw.write(self._waiting))
            self._swept.snapshot_ids += [one.snapshot_id for one in self._waiting]
            self._waiting = []


class _Workers:
    """Threads that ask, each over a client of its own. A context manager; when it ends they ask no more."""

    def __init__(
        self,
        due: Sequence[Scope],
        connect: Callable[[], AbstractContextManager[Asked]],
        connections: int,
        requests_per_second: float,
    ) -> None:
        self._questions: queue.SimpleQueue[Scope] = queue.SimpleQueue()
        for scope in due:
            self._questions.put(scope)
        self._outcomes: queue.SimpleQueue[Capture | Failed | BaseException] = queue.SimpleQueue()
        self._connect = connect
        self._is_over = threading.Event()
        self._pace = _Pace(requests_per_second)
        self._threads = [
            threading.Thread(target=self._work, name=f"sweep {number}", daemon=True) for number in range(connections)
        ]

    def __enter__(self) -> _Workers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self._is_over.set()
        for thread in self._threads:
            # An interrupted sweep does not wait for answers that nobody will take.
            thread.join(0.1 if kind is not None else None)

    def next_outcome(self) -> Capture | Failed:
        outcome = self._outcomes.get()
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    def _work(self) -> None:
        try:
            with self._connect() as source:
                while self._pace.wait(self._is_over):
                    scope = self._questions.get_nowait()
                    self._outcomes.put(_answer(source, scope))
        except queue.Empty:
            return
        except BaseException as error:
            self._outcomes.put(error)


def _answer(source: Asked, scope: Scope) -> Capture | Failed:
    try:
        if scope.model_id is not None:
            return source.endpoints(scope.model_id)
        return source.providers() if scope.topic == "providers" else source.zdr_endpoints()
    except CatalogueError as problem:  # an id that is none is refused before anything is sent
        return Failed(scope, str(problem))


class _Pace:
    """Lets questions begin at even distances, whichever thread asks them."""

    def __init__(self, per_second: float) -> None:
        self._distance = 1 / per_second
        self._next = time.monotonic()
        self._lock = threading.Lock()

    def wait(self, is_over: threading.Event) -> bool:
        """Until the next question may begin; False if none may any more."""
        with self._lock:
            begins = max(self._next, time.monotonic())
            self._next = begins + self._distance
        return not is_over.wait(max(0.0, begins - time.monotonic()))

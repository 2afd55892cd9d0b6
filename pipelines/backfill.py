"""Loading an archive: every capture in it, in packs, as if it had been taken then.

Belongs here: batches, progress and the tally of an import. Does not belong here: reading archives (`sources`),
what follows from a capture (`ledger`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import Self

from pipelines.captures import Capture
from pipelines.errors import CatalogueError
from pipelines.ledger.facts import Reading
from pipelines.ledger.ledger import APPENDED_TOGETHER, Ledger, Sighting, Verdict, sift
from pipelines.sources.archives import Archive, Unreadable


@dataclass
class Tally:
    """What became of an archive.

    ``known`` captures had been loaded before. ``unseated`` are captures loaded before that had been accepted and are
    suspicious beside what is new.
    """

    new: int = 0
    known: int = 0
    suspicious: list[Verdict] = field(default_factory=list)
    unseated: list[Verdict] = field(default_factory=list)
    superseded: int = 0
    unreadable: list[Unreadable] = field(default_factory=list)


def backfill(archive: Archive, ledger: Ledger, on_progress: Callable[[int], None] = lambda items: None) -> Tally:
    """Load what ``archive`` holds and the ledger lacks.

    What is stored is stored, so an interrupted import goes on where it stopped; what follows is derived once, at the
    end. ``on_progress`` is told of each batch how many items of the archive it did.
    """
    tally = Tally()
    with _Loading(ledger) as loading:
        for batch in _one_ahead(_batches(archive, tally, on_progress)):
            loading.take(batch)
            on_progress(len(batch))
    tally.known = loading.taken - len(loading.new)
    _conclude(tally, ledger, list(loading.new), [loading.moment])
    return tally


def backfill_in_turns(
    archive: Archive,
    writing: Callable[[], AbstractContextManager[Ledger]],
    on_progress: Callable[[int], None] = lambda items: None,
) -> Tally:
    """As :func:`backfill`, of an archive that is slow to give what it has.

    The ledger is open, by ``writing``, only while a batch is loaded and published: others who write get their turns.
    """
    tally, new = Tally(), list[str]()
    moments: list[datetime | None] = []
    for batch in _batches(archive, tally, on_progress):
        with writing() as ledger:
            stored = ledger.store(batch)
            moments.append(ledger.commit(stored.packs, sightings=stored.sightings))
            ledger.publish()
        new += stored.new
        tally.known += len(batch) - len(stored.new)
        on_progress(len(batch))
    with writing() as ledger:
        _conclude(tally, ledger, new, moments)
    return tally


def _conclude(tally: Tally, ledger: Ledger, new: Sequence[str], moments: Sequence[datetime | None]) -> None:
    """What became of the captures that are ``new``, and of others at the commits of ``moments``, as of now."""
    verdicts = ledger.verdicts(new)
    turned = {one.snapshot_id: one for moment in moments for one in ledger.turned_at(moment)}
    tally.new = len(new)
    tally.suspicious = [one for one in verdicts if one.verdict == "quarantined"]
    tally.superseded = sum(one.verdict == "superseded" for one in verdicts)
    tally.unseated = [turned[other] for other in turned.keys() - set(new) if turned[other].verdict == "quarantined"]
    tally.unseated.sort(key=lambda one: (one.observed_at, one.snapshot_id))


def _batches(archive: Archive, tally: Tally, on_progress: Callable[[int], None]) -> Iterator[list[Capture]]:
    batch: list[Capture] = []
    broken: CatalogueError | None = None
    items = iter(archive)
    while (item := _next(items)) is not None:
        if isinstance(item, CatalogueError):
            broken = item
            break
        if isinstance(item, Unreadable):
            tally.unreadable.append(item)
            on_progress(1)
            continue
        batch.append(item)
        if len(batch) == archive.pack_size:
            yield batch
            batch = []
    if batch:
        yield batch
    if broken is not None:
        raise broken


def _next(items: Iterator[Capture | Unreadable]) -> Capture | Unreadable | CatalogueError | None:
    """The next item, or why there is none: what an archive gave before it broke is still to be stored."""
    try:
        return next(items, None)
    except CatalogueError as problem:
        return problem


def _one_ahead(batches: Iterator[list[Capture]]) -> Iterator[list[Capture]]:
    """The same batches, of which the next is fetched and hashed while the last is worked on."""

    def fetch() -> list[Capture]:
        batch = next(batches, [])
        for one in batch:
            _ = one.snapshot_id  # is kept with the capture
        return batch

    with ThreadPoolExecutor(max_workers=1) as fetching:
        coming = fetching.submit(fetch)
        while batch := coming.result():
            coming = fetching.submit(fetch)
            yield batch


class _Loading:
    """Batches on their way, three at a time: one is being stored, the one before it, which is stored, is read, and the
    facts of the one before that are appended.

    A context manager, which commits what was stored: also where the archive breaks off half-way, for what it gave it
    gave. ``moment`` is the commit's.
    """

    def __init__(self, ledger: Ledger) -> None:
        self.taken = 0
        self.new: dict[str, None] = {}
        self.moment: datetime | None = None
        self._ledger = ledger
        self._known = ledger.snapshot_ids()
        self._storing = ThreadPoolExecutor(max_workers=1)
        self._appending = ThreadPoolExecutor(max_workers=1)
        self._being_stored: tuple[Future[str], list[Capture]] | None = None
        self._readings: list[Reading] = []
        self._being_appended: Future[None] | None = None
        self._packs: list[str] = []
        self._sightings: list[Sighting] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._appending, self._storing:
            if error is None or isinstance(error, CatalogueError):
                self._read()
                self._append()
                self._wait()
                self.moment = self._ledger.commit(self._packs, sightings=self._sightings)

    def take(self, batch: list[Capture]) -> None:
        new, seen_again = sift(batch, self._known)
        stored = self._storing.submit(self._ledger.raw.write, new) if new else None
        self._read()
        self.taken += len(batch)
        self._sightings += seen_again
        if stored is not None:
            self._being_stored = stored, new
            ids = [one.snapshot_id for one in new]
            self._known.update(ids)
            self.new.update(dict.fromkeys(ids))

    def _read(self) -> None:
        if self._being_stored is not None:
            (stored, captures), self._being_stored = self._being_stored, None
            pack = stored.result()
            self._packs.append(pack)
            self._readings.append(self._ledger.read(pack, captures))
            if len(self._readings) == APPENDED_TOGETHER:
                self._append()

    def _append(self) -> None:
        if self._readings:
            self._wait()
            self._being_appended = self._appending.submit(self._ledger.append_readings, self._readings)
            self._readings = []

    def _wait(self) -> None:
        if self._being_appended is not None:
            self._being_appended.result()

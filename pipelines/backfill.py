"""Loading an archive: every capture in it, in packs, as if it had been taken then.

Belongs here: batches, progress and the tally of an import. Does not belong here: reading archives (`sources`),
what follows from a capture (`ledger`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pipelines.captures import PACK_SIZE, Capture
from pipelines.errors import CatalogueError
from pipelines.ledger.ledger import Ledger, Stored, Verdict
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
    stored: list[Stored] = []
    batch: list[Capture] = []
    try:
        for item in archive:
            if isinstance(item, Unreadable):
                tally.unreadable.append(item)
                on_progress(1)
                continue
            batch.append(item)
            if len(batch) == PACK_SIZE:
                stored.append(_store(batch, ledger, tally))
                on_progress(len(batch))
                batch = []
    except CatalogueError:
        _commit(stored, ledger)  # an archive that breaks off half-way has given what it gave
        raise
    if batch:
        stored.append(_store(batch, ledger, tally))
        on_progress(len(batch))
    moment = _commit(stored, ledger)
    verdicts = ledger.verdicts([snapshot_id for one in stored for snapshot_id in one.new])
    tally.suspicious = [one for one in verdicts if one.verdict == "quarantined"]
    tally.superseded = sum(one.verdict == "superseded" for one in verdicts)
    tally.unseated = [one for one in ledger.turned_at(moment) if one.verdict == "quarantined"]
    return tally


def _commit(stored: Sequence[Stored], ledger: Ledger) -> datetime | None:
    return ledger.commit(
        [pack for one in stored for pack in one.packs], sightings=[it for one in stored for it in one.sightings]
    )


def _store(batch: list[Capture], ledger: Ledger, tally: Tally) -> Stored:
    stored = ledger.store(batch)
    tally.new += len(stored.new)
    tally.known += len(batch) - len(stored.new)
    return stored

"""Loading an archive: every capture in it, in packs, as if it had been taken then.

Belongs here: batches, progress and the tally of an import. Does not belong here: reading archives (`sources`),
what follows from a capture (`ledger`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from pipelines.captures import PACK_SIZE, Capture
from pipelines.ledger.ledger import Ledger, Verdict
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

    Each pack is a commit, so an interrupted import goes on where it stopped. ``on_progress`` is told how many items of
    the archive each commit did.
    """
    tally = Tally()
    batch: list[Capture] = []
    for item in archive:
        if isinstance(item, Unreadable):
            tally.unreadable.append(item)
            on_progress(1)
            continue
        batch.append(item)
        if len(batch) == PACK_SIZE:
            _load(batch, ledger, tally)
            on_progress(len(batch))
            batch = []
    if batch:
        _load(batch, ledger, tally)
        on_progress(len(batch))
    return tally


def _load(batch: list[Capture], ledger: Ledger, tally: Tally) -> None:
    ids = {one.snapshot_id for one in batch}
    verdicts = ledger.load(batch)
    new = [one for one in verdicts if one.snapshot_id in ids]
    tally.new += len(new)
    tally.known += len(batch) - len(new)
    tally.suspicious += [one for one in new if one.verdict == "quarantined"]
    tally.unseated += [one for one in verdicts if one.snapshot_id not in ids and one.verdict == "quarantined"]
    tally.superseded += sum(one.verdict == "superseded" for one in new)

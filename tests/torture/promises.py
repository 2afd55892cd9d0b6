"""What a warehouse may never break, whenever its writer dies.

Belongs here: looking at a warehouse that nobody writes to, and saying what is wrong with it. Does not belong here:
what was done to it (`world`, `trial`).

Three looks. At what readers see: the published file opens, each mart can be read, and each of its snapshots is whole.
At the bytes: every pack reads whole, and nothing that was once there is gone. At the ledger: a copy of the warehouse
opens, which catches up, and then knows every capture and every commit. The copy leaves the warehouse itself as the dead
process left it, so that the next process has to put up with that, and may die of it in its turn.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb

from pipelines.captures import PACK_SIZE, DamagedPackError, RawStore
from pipelines.errors import CatalogueError
from pipelines.ledger.connect import rows
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.published import Published
from pipelines.ledger.schema import checks
from tests.compare import assert_same_rows, history_questions, whole_history

Identity = tuple[int, int, int]
"""Of a file that nobody wrote to: inode, time of change, size."""

Ask = Callable[[str], list[tuple[Any, ...]]]

PUBLISHED = "catalogue.duckdb"
LEDGER = "ledger.duckdb"
LASTING = {PUBLISHED, LEDGER, ".lock", ".run.lock", "raw/journal.jsonl"}
"""What lies in a warehouse in peace, beside the packs and Dagster's folder."""


class BrokenPromiseError(AssertionError):
    """A warehouse is not what it has to be after any death."""


class State(Enum):
    """How a dead writer left its warehouse; the first that fits."""

    NOTHING = "nothing written"
    JOURNAL_AHEAD = "journal ahead of ledger"
    PACK_ALONE = "pack, no journal"
    FACTS_ALONE = "facts, no journal"
    HALF_FILE = "half a file"
    NOT_PUBLISHED = "not published"
    DONE = "all published"


@dataclass
class Promises:
    """What a warehouse has shown or said so far, and may never take back.

    ``captures`` were called stored, or lay in a pack, or were in the published file; ``journal`` is its whole lines.
    """

    warehouse: Path
    captures: set[str] = field(default_factory=set)
    packs: set[str] = field(default_factory=set)
    journal: bytes = b""
    decisions: list[dict[str, str]] = field(default_factory=list)
    has_published: bool = False
    _read: dict[Path, tuple[Identity, set[str]]] = field(default_factory=dict)
    _published: Identity | None = None

    def check(self, spare: Path) -> None:
        """All three looks; ``spare`` is a folder that may be filled and emptied."""
        self.check_published()
        on_disk = self.check_bytes()
        with copy_of(self.warehouse, spare):
            check_ledger(spare, on_disk, self.journal)

    # --- what readers see -------------------------------------------------------------------------------------------

    def check_published(self) -> None:
        """The published file, if there ever was one, opens and holds whole snapshots; looked at once while it stays."""
        path = self.warehouse / PUBLISHED
        if not path.exists():
            _demand(not self.has_published, "the published file is gone")
            return
        self.has_published = True
        same = _identity(path)
        if same == self._published:
            return
        try:
            with duckdb.connect(str(path), read_only=True, config={"threads": 1}) as connection:
                check_marts(lambda query: rows(connection, query))
                self.captures |= {one for (one,) in rows(connection, "SELECT snapshot_id FROM raw.captures")}
            self._published = same
        except duckdb.Error as problem:
            raise BrokenPromiseError(f"the published file: {problem}") from None

    # --- the bytes --------------------------------------------------------------------------------------------------

    def check_bytes(self) -> set[str]:
        """Every pack reads whole, and the journal begins as it did; the captures on disk."""
        raw = RawStore(self.warehouse / "raw")
        packs = raw.packs()
        _demand(self.packs <= set(packs), f"packs are gone: {_some(self.packs - set(packs))}")
        self.packs = set(packs)
        on_disk: set[str] = set().union(*(self._captures_in(raw, pack) for pack in packs))
        _demand(self.captures <= on_disk, f"captures are gone: {_some(self.captures - on_disk)}")
        self.captures = on_disk
        journal = whole_lines(raw.journal.path)
        _demand(journal.startswith(self.journal), "the journal lost lines or changed them")
        self.journal = journal
        entries = raw.journal.entries()
        times = [datetime.fromisoformat(one["recorded_at"]) for one in entries]
        _demand(all(one < next_ for one, next_ in pairwise(times)), "recorded_at of the journal does not increase")
        for decided in self.decisions:
            _demand(any(decided in one["decisions"] for one in entries), f"a decision is gone: {decided}")
        return on_disk

    def _captures_in(self, raw: RawStore, pack: str) -> set[str]:
        """What ``pack`` holds; a file that is the same as at the last look is not read again."""
        path = raw.root / pack
        same = _identity(path)
        if path not in self._read or self._read[path][0] != same:
            try:
                self._read[path] = same, {one.snapshot_id for one in raw.read(pack)}
            except DamagedPackError as problem:
                raise BrokenPromiseError(str(problem)) from None
        return self._read[path][1]


def check_marts(ask: Ask) -> None:
    """Every mart can be read to its last column, `models_at` agrees with the latest snapshot, and all are whole."""
    views = ask("SELECT view_name FROM duckdb_views() WHERE schema_name = 'marts' AND NOT internal ORDER BY 1")
    _demand(bool(views), "there are no marts")
    for (name,) in views:
        ask(f"SELECT count(*), bit_xor(hash(m)) FROM marts.{name} AS m")
    for source, at, listed in ask(
        "SELECT s.source, max(s.observed_at), max_by(s.model_count, s.observed_at) FROM marts.snapshots AS s "
        "JOIN raw.captures AS c ON c.snapshot_id = s.snapshot_id "
        "WHERE s.scope_kind = 'catalogue' AND c.lists_every_modality GROUP BY s.source"
    ):
        ((found,),) = ask(
            f"SELECT count(*) FROM (SELECT m.source, hash(m) FROM marts.models_at(TIMESTAMPTZ '{at}') AS m) "
            f"WHERE source = '{source}'"
        )
        _demand(found == listed, f"models_at({at}) gives {found} models of {source}, its snapshot has {listed}")
        ask(f"SELECT count(*), bit_xor(hash(m)) FROM marts.prices_at(TIMESTAMPTZ '{at}') AS m")
    check_snapshots(ask)


def check_snapshots(ask: Ask) -> None:
    """Every snapshot is there as a whole or not at all.

    One that is there in part would list fewer models, or more, than its capture in the spells that hold at its instant;
    or break one of the invariants by which every run of the daily job is checked.
    """
    for check in checks():
        broken = ask(check.body)
        _demand(not broken, f"{check.name}: {broken[:3]}")
    torn = ask(
        "SELECT s.scope, s.observed_at, s.model_count, c.lists_every_modality, count(p.model_id) "
        "FROM marts.snapshots AS s JOIN raw.captures AS c ON c.snapshot_id = s.snapshot_id "
        "LEFT JOIN marts.model_spells AS p ON p.source = s.source AND p.listed_from <= s.observed_at "
        "AND (p.listed_to IS NULL OR p.listed_to > s.observed_at) WHERE s.scope_kind = 'catalogue' GROUP BY ALL "
        "HAVING count(p.model_id) < s.model_count "
        "OR (c.lists_every_modality AND count(p.model_id) > s.model_count)"
    )
    _demand(not torn, f"snapshots are there in part (scope, time, models, of all modalities, spells): {torn[:3]}")


def check_ledger(warehouse: Path, on_disk: set[str], journal: bytes) -> None:
    """The ledger opens, which catches up, and knows every capture and every commit."""
    try:
        with Ledger(warehouse, lock_timeout=0) as ledger:
            known = {one for (one,) in ledger.rows("SELECT snapshot_id FROM catalogue.raw.captures")}
            commits = ledger.rows("SELECT recorded_at FROM catalogue.core.commits ORDER BY rowid")
            unjudged = ledger.rows(
                "SELECT c.snapshot_id FROM catalogue.raw.captures AS c "
                "JOIN catalogue.core.listings AS l ON l.capture_no = c.capture_no "
                "LEFT JOIN catalogue.core.verdicts AS v ON v.capture_no = c.capture_no AND v.known_to IS NULL "
                "GROUP BY ALL HAVING count(v.capture_no) <> 1"
            )
            check_snapshots(ledger.rows)
            entries = ledger.raw.journal.entries()
    except (CatalogueError, duckdb.Error) as problem:
        raise BrokenPromiseError(f"the ledger does not open again: {problem}") from problem
    _demand(known == on_disk, f"the ledger knows {len(known)} captures, {len(on_disk)} are on disk")
    _demand(not unjudged, f"captures without a verdict: {unjudged[:3]}")
    times = [moment for (moment,) in commits]
    _demand(all(one < next_ for one, next_ in pairwise(times)), "recorded_at of the commits does not increase")
    told = [datetime.fromisoformat(entry["recorded_at"]) for entry in entries]
    _demand(times == told, f"the ledger has {len(times)} commits, the journal {len(told)}, and they are not the same")
    _demand(whole_lines(warehouse / "raw/journal.jsonl").startswith(journal), "catching up rewrote the journal")


def check_nothing_left(warehouse: Path) -> None:
    """Nothing lies in ``warehouse`` but what has to: what earlier deaths left was cleared away."""
    left = [
        name
        for path in warehouse.rglob("*")
        if path.is_file()
        and (name := path.relative_to(warehouse).as_posix()) not in LASTING
        and not name.startswith("dagster/")
        and not (name.startswith("raw/packs/") and name.endswith(".tar.zst") and not path.name.startswith("."))
    ]
    _demand(not left, f"after a run that ended well there are {left}")


def check_against_peace(warehouse: Path, spare: Path) -> None:
    """The published marts are those of a warehouse built in peace from the same captures and decisions."""
    raw = RawStore(warehouse / "raw")
    captures = [one for pack in raw.packs() for one in raw.read(pack)]
    last_words = {one["snapshot_id"]: one for entry in raw.journal.entries() for one in entry["decisions"]}
    with Ledger(spare) as ledger:
        starts = range(0, len(captures), PACK_SIZE)
        packs = [ledger.raw.write(captures[start : start + PACK_SIZE]) for start in starts]
        for pack in packs:
            ledger.append(pack)
        ledger.commit(packs, decisions=list(last_words.values()))
        ((latest,),) = ledger.rows("SELECT max(observed_at) FROM catalogue.marts.snapshots")
        expected = whole_history(ledger, [latest])
    shutil.rmtree(spare)
    with Published(warehouse) as published:
        found = {name: published.ask(one.query).records() for name, one in history_questions([latest]).items()}
    try:
        assert_same_rows(found, expected)
    except AssertionError as difference:
        raise BrokenPromiseError(f"not the history that the captures give in peace:\n{difference}") from None


@dataclass(frozen=True)
class Look:
    """A warehouse at rest: its files, by size and time of change, but for locks and Dagster's."""

    files: frozenset[tuple[str, int, int]]

    @classmethod
    def at(cls, warehouse: Path) -> Look:
        """How ``warehouse`` looks now."""
        found = [
            (path.relative_to(warehouse).as_posix(), path.stat()) for path in warehouse.rglob("*") if path.is_file()
        ]
        return cls(
            frozenset(
                (name, stat.st_size, stat.st_mtime_ns)
                for name, stat in found
                if not name.endswith(".lock") and not name.startswith("dagster/")
            )
        )

    @property
    def unfinished(self) -> set[str]:
        """The names under which files are written before they are put in their places."""
        return {name for name, *_ in self.files if name.endswith(".tmp")}


def state_of(warehouse: Path, before: Look, spare: Path) -> State:
    """How the dead process left ``warehouse``, which looked like ``before`` when it began."""
    now = Look.at(warehouse)
    if now == before:
        return State.NOTHING
    raw = RawStore(warehouse / "raw")
    journal = raw.journal.entries()
    in_journal = {pack for entry in journal for pack in entry["packs"]}
    with copy_of(warehouse, spare):
        commits, packs = _facts(spare / LEDGER)
    if len(journal) > commits:
        return State.JOURNAL_AHEAD
    alone = set(raw.packs()) - in_journal
    if alone:
        return State.FACTS_ALONE if alone & packs else State.PACK_ALONE
    if now.unfinished - before.unfinished:
        return State.HALF_FILE
    return State.NOT_PUBLISHED if _facts(warehouse / PUBLISHED)[0] < commits else State.DONE


def _facts(database: Path) -> tuple[int, set[str]]:
    """The number of commits in a ledger that no one writes to, and the packs of which it has the facts."""
    if not database.exists():
        return 0, set()
    try:
        with duckdb.connect(str(database), read_only=database.name == PUBLISHED) as connection:
            ((commits,),) = connection.execute("SELECT count(*) FROM core.commits").fetchall()
            packs = connection.execute("SELECT DISTINCT pack FROM raw.captures").fetchall()
    except duckdb.Error:
        return 0, set()  # it was being made
    return commits, {pack for (pack,) in packs}


@contextmanager
def copy_of(warehouse: Path, spare: Path) -> Iterator[None]:
    """While it lasts, ``spare`` holds what the writer goes by: packs as links, all else as copies."""
    for path in warehouse.rglob("*"):
        name = path.relative_to(warehouse)
        if path.is_dir() or name.parts[0] == "dagster" or name.as_posix() == PUBLISHED:
            continue
        (spare / name).parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".zst":
            (spare / name).hardlink_to(path)
        else:
            shutil.copyfile(path, spare / name)
    spare.mkdir(exist_ok=True)
    try:
        yield
    finally:
        shutil.rmtree(spare)


def _identity(path: Path) -> Identity:
    stat = path.stat()
    return stat.st_ino, stat.st_mtime_ns, stat.st_size


def whole_lines(path: Path) -> bytes:
    """The lines of the journal that have their end."""
    content = path.read_bytes() if path.exists() else b""
    return content[: content.rfind(b"\n") + 1]


def _some(names: set[str]) -> str:
    return f"{len(names)}, such as {', '.join(sorted(names)[:3])}"


def _demand(holds: bool, otherwise: str) -> None:
    if not holds:
        raise BrokenPromiseError(otherwise)

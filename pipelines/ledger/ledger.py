"""The ledger: one writer that turns captures into history and publishes it.

Belongs here: the lock, transactions, recovery from the journal, publishing.
Does not belong here: what is written within a transaction (`facts`, `derive`), reading marts (`published`).

A commit is in the journal before DuckDB makes it last. Whatever the journal holds and DuckDB lacks, and every
capture in the raw store that no commit took, is caught up when the ledger is next opened; so a process may be
killed at any instant, and a ledger can be built anew from captures and journal alone.
"""

from __future__ import annotations

import itertools
import json
import math
import os
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import duckdb
from filelock import FileLock, Timeout

from pipelines.captures import Capture, RawStore, iso
from pipelines.errors import CatalogueError, UsageError
from pipelines.flatten import Flattener, Frames
from pipelines.judgement import Limits
from pipelines.ledger.connect import NoDatabaseError, attach, in_words, listed, literal, rows
from pipelines.ledger.derive import derive, derive_verdicts, limits_of
from pipelines.ledger.facts import Reading, append, append_provenance, known_ids, read
from pipelines.ledger.offers import waiting_packs
from pipelines.ledger.published import PUBLISHED
from pipelines.ledger.schema import EarlierSchemaError, prepare

LOCK_TIMEOUT_SECONDS = 600.0

OnPack = Callable[[int, int], None]
"""Is told how many packs of how many were read."""


def silent(done: int, total: int) -> None:
    """An :data:`OnPack` that nobody watches."""


APPENDED_TOGETHER = 8
"""Packs of which the facts go to DuckDB at once: a statement costs the same for one row as for a thousand."""

VERIFYING = ".verify-"
"""How the names of folders begin in which a ledger is built to compare with."""

NO_LIMITS: Mapping[str, float] = {}
"""Those that hold go on to hold."""


@dataclass(frozen=True)
class Verdict:
    """What became of a capture: ``accepted``, ``quarantined``, ``rejected`` or ``superseded``, and why.

    ``codes`` name for programs what ``reasons`` say in words.
    """

    snapshot_id: str
    scope: str
    observed_at: datetime
    verdict: str
    codes: tuple[str, ...]
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Sighting:
    """A capture that is known, met again in another place."""

    snapshot_id: str
    origin: str
    provenance: str


def sift(captures: Sequence[Capture], known: Collection[str]) -> tuple[list[Capture], list[Sighting]]:
    """Those of ``captures`` whose snapshot_id is not in ``known``, each once; where the others were seen."""
    new: dict[str, Capture] = {}
    seen_again = []
    for one in captures:
        if one.snapshot_id in known or new.setdefault(one.snapshot_id, one) is not one:
            seen_again.append(Sighting(one.snapshot_id, one.origin, json.dumps(dict(one.provenance))))
    return list(new.values()), seen_again


class Stored(NamedTuple):
    """Captures of which the facts are appended: their packs, the ids of those that are new, sightings of the others."""

    packs: Sequence[str]
    new: Sequence[str]
    sightings: Sequence[Sighting]


class Ledger:
    """The warehouse as its one writer sees it. A context manager: the lock is held within.

    ``warehouse`` is a folder; it is made if it is missing. Opening catches up with journal and raw store, except for
    the packs ``in_hand``, which the caller is about to append and commit. ``anew`` builds the ledger from captures and
    journal alone and puts it in the place of the one that is there, even if that one is damaged; so is a ledger that
    an earlier program filled. ``limits`` are fields of :class:`pipelines.judgement.Limits` that are to hold from now on
    if they do not yet; every capture is judged by them anew.
    Raises :class:`CatalogueError` if another process holds the lock for longer than ``lock_timeout`` seconds.
    ``tell`` is given sentences for a person to read meanwhile, ``on_pack`` is told of the packs to catch up with.
    """

    def __init__(
        self,
        warehouse: Path,
        *,
        in_hand: Collection[str] = (),
        anew: bool = False,
        limits: Mapping[str, float] = NO_LIMITS,
        lock_timeout: float = LOCK_TIMEOUT_SECONDS,
        tell: Callable[[str], None] = lambda sentence: None,
        on_pack: OnPack = silent,
    ) -> None:
        self.warehouse = warehouse
        self.raw = RawStore(warehouse / "raw")
        self.published = warehouse / PUBLISHED
        self._path = warehouse / "ledger.duckdb"
        self._in_hand = frozenset(in_hand)
        self._anew = anew
        self._limits = limits
        self._lock_timeout = lock_timeout
        self._tell = tell
        self._on_pack = on_pack
        self._is_behind = False
        self._flattener = Flattener()
        self._opening: list[datetime] = []

    def __enter__(self) -> Self:
        try:
            self.warehouse.mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            raise CatalogueError(f"the warehouse {self.warehouse} cannot be made: {problem.strerror}") from None
        self._lock = FileLock(self.warehouse / ".lock")
        self._acquire()
        try:
            self._clear_leftovers()
            if self._anew:
                self._replace_by_rebuild()
            self._open()
            self._replay()
            self._take_what_is_left()
            self._bring_limits()
        except duckdb.Error as problem:
            self._close()
            raise CatalogueError(in_words(problem)) from problem
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()
        if isinstance(error, duckdb.Error):
            raise CatalogueError(in_words(error)) from error

    def _close(self) -> None:
        if hasattr(self, "_connection"):
            with suppress(duckdb.Error):  # what it could not write is in the journal
                self._connection.close()
        self._lock.release()

    def _acquire(self) -> None:
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            self._tell(f"another process is writing to {self.warehouse}: waiting up to {self._lock_timeout:.0f} s")
            try:
                self._lock.acquire(timeout=self._lock_timeout)
            except Timeout:
                raise CatalogueError(
                    f"another process has been writing to {self.warehouse} for {self._lock_timeout:.0f} s: "
                    "try again later or raise --lock-timeout"
                ) from None
        except OSError as problem:
            raise CatalogueError(f"the warehouse {self.warehouse} cannot be written to: {problem.strerror}") from None

    def _open(self) -> None:
        try:
            self._connection = attach(self._path)
        except NoDatabaseError as problem:
            raise CatalogueError(f"{problem}; `catalogue rebuild` makes it anew from the captures") from None
        try:
            prepare(self._connection)
        except EarlierSchemaError as problem:
            self._tell(f"{problem}: building it anew from the captures")
            self._connection.close()
            self._replace_by_rebuild()
            self._open()

    # --- what a capture goes through --------------------------------------------------------------------------------

    def load(self, captures: Sequence[Capture]) -> list[Verdict]:
        """Store captures, at most a pack of them and of one source, and commit what follows.

        Gives the verdicts on those that are new, and behind them on the captures loaded before of which this turned the
        verdict. A known capture from another place adds its provenance.
        """
        stored = self.store(captures)
        moment = self.commit(stored.packs, sightings=stored.sightings)
        return self.verdicts(stored.new) + self.turned_at(moment)

    def take(self, packs: Sequence[str], snapshot_ids: Sequence[str]) -> list[Verdict]:
        """Commit what stored ``packs`` hold, and publish.

        Gives the verdicts on ``snapshot_ids``, and behind them on the other captures of which this turned the verdict.
        """
        moment = self.commit(packs)
        self.publish()
        verdicts = self.verdicts(snapshot_ids)
        return verdicts + [one for one in self.turned_at(moment) if one.snapshot_id not in snapshot_ids]

    def store(self, captures: Sequence[Capture]) -> Stored:
        """Store captures, at most a pack of them and of one source, and append their facts.

        They have no consequence until a commit takes the pack, be it the one that catches up at the next opening.
        """
        new, seen_again = sift(captures, known_ids(self._connection, [one.snapshot_id for one in captures]))
        packs = [self.raw.write(new)] if new else []
        for pack in packs:
            self.append(pack, new)
        return Stored(packs, [one.snapshot_id for one in new], seen_again)

    def origins(self, scope: str) -> set[str]:
        """Of all captures of ``scope`` in the ledger: the ways in which they came."""
        return {
            origin
            for (origin,) in self.rows(
                "SELECT DISTINCT p.origin FROM catalogue.raw.provenance AS p "
                "JOIN catalogue.raw.captures AS c ON c.capture_no = p.capture_no WHERE c.scope = ?",
                [scope],
            )
        }

    def snapshot_ids(self) -> set[str]:
        """Of all captures in the ledger."""
        return {snapshot_id for (snapshot_id,) in self.rows("SELECT snapshot_id FROM catalogue.raw.captures")}

    def read(self, pack: str, captures: Sequence[Capture] | None = None, frames: Frames | None = None) -> Reading:
        """What is to be appended of a pack.

        Touches no database, so that meanwhile another thread may append what was read before.
        """
        taken = self.raw.read(pack) if captures is None else captures
        listings = [one.body for one in taken if one.scope.kind != "other"]
        if frames is None and listings:
            frames = self._flattener.flatten(listings)
        return read(pack, taken, frames)

    def append(self, pack: str, captures: Sequence[Capture] | None = None, frames: Frames | None = None) -> None:
        """Append the facts of a pack, without any consequence yet; once is enough, twice does no harm."""
        self.append_readings([self.read(pack, captures, frames)])

    def append_readings(self, readings: Sequence[Reading]) -> None:
        """Append the facts of packs that were read, in that order, and as :meth:`append` does."""
        self._refuse_if_behind()
        try:
            with self._transaction():
                append(self._connection, readings)
        except BaseException:
            self._flattener = Flattener()  # what it has met is not in the ledger
            raise

    def commit(
        self,
        packs: Sequence[str] = (),
        decisions: Sequence[Mapping[str, str]] = (),
        sightings: Sequence[Sighting] = (),
        limits: Limits | None = None,
    ) -> datetime | None:
        """Derive what follows from appended facts and ``decisions``; the moment at which it became known, if anything.

        ``decisions`` are {snapshot_id, decision: accept|reject, reason}. Of ``sightings`` only those count that tell of
        another place than those known. ``limits`` hold from this commit on.
        """
        self._refuse_if_behind()
        self._append_missing(packs)
        sightings = self._new_origins(sightings)
        if not (packs or decisions or sightings or limits):
            return None
        for decision in decisions:
            if decision["reason"].encode("utf-8", "replace").decode() != decision["reason"]:
                raise UsageError("the reason is not written in UTF-8")
        entry = {
            "recorded_at": iso(self._next_moment()),
            "packs": self._concerned(packs),
            "decisions": [dict(one) for one in decisions],
            "sightings": [vars(one) for one in sightings],
            **({"limits": asdict(limits)} if limits else {}),
        }
        with self._transaction():
            moment = self._apply(entry)
            self._is_behind = True
            self.raw.journal.append(entry)
        self._is_behind = False
        self._checkpoint()
        return moment

    def verdicts(self, snapshot_ids: Sequence[str]) -> list[Verdict]:
        """What became of those captures that are judged, oldest first."""
        with listed(self._connection, snapshot_ids) as asked:
            found = self.rows(
                "SELECT c.snapshot_id, c.scope, c.observed_at, v.verdict, v.codes, v.reasons "
                "FROM catalogue.raw.captures AS c JOIN catalogue.core.verdicts AS v ON v.capture_no = c.capture_no "
                f"WHERE v.known_to IS NULL AND c.snapshot_id IN (SELECT value FROM {asked}) "
                "ORDER BY c.observed_at, c.sha256"
            )
        return [
            Verdict(snapshot_id, scope, observed_at, verdict, tuple(codes), tuple(reasons))
            for snapshot_id, scope, observed_at, verdict, codes, reasons in found
        ]

    def turned_at(self, moment: datetime | None) -> list[Verdict]:
        """The verdicts on captures that were accepted until ``moment`` and then not, or not until then."""
        turned = self.rows(
            "SELECT c.snapshot_id FROM catalogue.core.verdicts AS v "
            "JOIN catalogue.core.verdicts AS former "
            "ON former.capture_no = v.capture_no AND former.known_to = v.known_from "
            "JOIN catalogue.raw.captures AS c ON c.capture_no = v.capture_no "
            "WHERE v.known_from = ? AND (v.verdict = 'accepted') <> (former.verdict = 'accepted')",
            [moment],
        )
        return self.verdicts([snapshot_id for (snapshot_id,) in turned]) if turned else []

    @property
    def is_news(self) -> bool:
        """Whether opening committed anything, which is not published yet."""
        return bool(self._opening)

    def quarantined_at_opening(self) -> list[Verdict]:
        """The verdicts on captures that are quarantined since opening caught up or new limits judged them."""
        found: list[tuple[str]] = []
        for moment in self._opening:
            found += self.rows(
                "SELECT c.snapshot_id FROM catalogue.core.verdicts AS v "
                "JOIN catalogue.raw.captures AS c ON c.capture_no = v.capture_no "
                "WHERE v.known_from = ? AND v.known_to IS NULL AND v.verdict = 'quarantined'",
                [moment],
            )
        return self.verdicts([snapshot_id for (snapshot_id,) in found])

    def preview(self, snapshot_ids: Sequence[str]) -> list[Verdict]:
        """The verdicts that a commit would give now, without committing."""
        self._connection.execute("BEGIN")
        try:
            derive_verdicts(self._connection, self._next_moment())
            return self.verdicts(snapshot_ids)
        finally:
            self._connection.execute("ROLLBACK")

    def decidable(self, prefix: str) -> list[dict[str, Any]]:
        """Judged captures whose snapshot_id begins with ``prefix``: {snapshot_id, is_fatal}."""
        return [
            {"snapshot_id": snapshot_id, "is_fatal": is_fatal}
            for snapshot_id, is_fatal in self.rows(
                "SELECT c.snapshot_id, coalesce(l.keyframe_no, a.list_no) IS NULL FROM catalogue.raw.captures AS c "
                "LEFT JOIN catalogue.core.listings AS l ON l.capture_no = c.capture_no "
                "LEFT JOIN catalogue.core.answers AS a ON a.capture_no = c.capture_no "
                "WHERE starts_with(c.snapshot_id, ?) AND (l.capture_no IS NOT NULL OR a.capture_no IS NOT NULL)",
                [prefix],
            )
        ]

    def rows(self, query: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The rows of a query over the ledger as it is, published or not."""
        return rows(self._connection, query, parameters)

    def _checkpoint(self) -> None:
        """Bring what was committed from DuckDB's log into the file; costs next to nothing where that is done."""
        try:
            self._connection.execute("CHECKPOINT catalogue")
        except duckdb.Error as problem:
            raise CatalogueError(in_words(problem)) from problem

    # --- commits ----------------------------------------------------------------------------------------------------

    def _apply(self, entry: Mapping[str, Any]) -> datetime:
        moment = datetime.fromisoformat(entry["recorded_at"])
        for one in entry["decisions"]:
            self._connection.execute(
                "INSERT INTO catalogue.core.decisions VALUES (?, ?, ?, ?)",
                [one["snapshot_id"], one["decision"], one["reason"], moment],
            )
        if entry["sightings"]:
            append_provenance(
                self._connection, [(one["snapshot_id"], one["origin"], one["provenance"]) for one in entry["sightings"]]
            )
        if "limits" in entry:
            self._connection.execute(
                "INSERT INTO catalogue.core.limits (SELECT $unreadable_share, $gone_share, $gone_within_days, $moment)",
                {**entry["limits"], "moment": moment},
            )
        derive(self._connection, moment)
        self._connection.execute("INSERT INTO catalogue.core.commits VALUES (?)", [moment])
        with listed(self._connection, entry["packs"]) as asked:
            self._connection.execute(f"INSERT INTO catalogue.core.packs SELECT value, ? FROM {asked}", [moment])
        return moment

    def _refuse_if_behind(self) -> None:
        """Nothing may follow a commit that may be in the journal and not in the ledger: it would be passed over."""
        if self._is_behind:
            raise CatalogueError("a commit failed half-way: open the warehouse again to catch up with its journal")

    def _concerned(self, packs: Sequence[str]) -> list[str]:
        """``packs`` and those appended before of which a capture waits for its verdict, in the order of appending."""
        waiting = self.rows(
            "SELECT DISTINCT c.pack FROM catalogue.raw.captures AS c "
            "JOIN catalogue.core.listings AS l ON l.capture_no = c.capture_no "
            "ANTI JOIN catalogue.core.verdicts AS v ON v.capture_no = c.capture_no"
        )
        concerned = dict.fromkeys([*packs, *(pack for (pack,) in waiting), *waiting_packs(self._connection)])
        with listed(self._connection, list(concerned)) as asked:
            place = dict(
                self.rows(
                    "SELECT pack, min(capture_no) FROM catalogue.raw.captures "
                    f"WHERE pack IN (SELECT value FROM {asked}) GROUP BY pack"
                )
            )
        return sorted(concerned, key=lambda pack: place.get(pack, math.inf))

    def _replay(self) -> None:
        """Bring the ledger to what the journal says."""
        missed = self.raw.journal.entries(after=self._latest_commit())
        total, done = sum(len(entry["packs"]) for entry in missed), itertools.count(1)
        for entry in missed:
            self._append_missing(entry["packs"], lambda: self._on_pack(next(done), total))
            with self._transaction():
                self._apply(entry)

    def _take_what_is_left(self) -> None:
        """Commit the packs that no commit took and that nobody has in hand: their process was killed."""
        taken = {pack for (pack,) in self.rows("SELECT pack FROM catalogue.core.packs")}
        left = [pack for pack in self.raw.packs() if pack not in taken | self._in_hand]
        done = itertools.count(1)
        self._append_missing(left, lambda: self._on_pack(next(done), len(left)))
        self._committed_at_opening(self.commit(left))

    def _append_missing(self, packs: Sequence[str], on_pack: Callable[[], None] = lambda: None) -> None:
        """Append those of ``packs`` that are not: a pack's facts are appended together or not at all.

        ``on_pack`` is called for each, be it missing or not.
        """
        if not packs:
            return
        with listed(self._connection, packs) as asked:
            found = self.rows(
                f"SELECT DISTINCT pack FROM catalogue.raw.captures WHERE pack IN (SELECT value FROM {asked})"
            )
        readings: list[Reading] = []
        for pack in packs:
            if (pack,) not in found:
                readings.append(self.read(pack))
            if len(readings) == APPENDED_TOGETHER:
                self.append_readings(readings)
                readings.clear()
            on_pack()
        if readings:
            self.append_readings(readings)

    def _committed_at_opening(self, moment: datetime | None) -> None:
        if moment is not None:
            self._opening.append(moment)

    def _bring_limits(self) -> None:
        """See that the asked limits hold."""
        limits = limits_of(self._connection)
        asked = replace(limits, **self._limits)
        if asked != limits:
            moment = self.commit(limits=asked)
            self._committed_at_opening(moment)
            turned = self.turned_at(moment)
            self._tell(
                f"captures are judged by new limits, of which {len(turned)} otherwise than before: "
                + ", ".join(f"{name} {value:g}" for name, value in asdict(asked).items())
            )

    def _latest_commit(self) -> datetime | None:
        latest: datetime | None = self.rows("SELECT max(recorded_at) FROM catalogue.core.commits")[0][0]
        return latest

    def _next_moment(self) -> datetime:
        now, latest = datetime.now(UTC), self._latest_commit()
        return now if latest is None else max(now, latest + timedelta(microseconds=1))

    def _new_origins(self, sightings: Sequence[Sighting]) -> list[Sighting]:
        """Those of ``sightings``, all of captures in the ledger, that tell of an origin for the first time."""
        if not sightings:
            return []
        with listed(self._connection, [one.snapshot_id for one in sightings]) as asked:
            known = set(
                self.rows(
                    "SELECT c.snapshot_id, p.origin FROM catalogue.raw.provenance AS p "
                    "JOIN catalogue.raw.captures AS c ON c.capture_no = p.capture_no "
                    f"WHERE c.snapshot_id IN (SELECT value FROM {asked})"
                )
            )
        found: dict[tuple[str, str], Sighting] = {}
        for one in sightings:
            if (one.snapshot_id, one.origin) not in known:
                found.setdefault((one.snapshot_id, one.origin), one)
        return list(found.values())

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN")
        try:
            yield
            self._connection.execute("COMMIT")
        except duckdb.Error as problem:
            self._roll_back()
            raise CatalogueError(in_words(problem)) from problem
        except BaseException:
            self._roll_back()
            raise

    def _roll_back(self) -> None:
        with suppress(duckdb.Error):
            self._connection.execute("ROLLBACK")

    # --- building anew ----------------------------------------------------------------------------------------------

    def build_anew(self, target: Path, on_pack: OnPack = silent) -> None:
        """Build a second ledger at ``target`` from captures and journal alone.

        Raises :class:`pipelines.captures.DamagedPackError` if a capture that is needed is gone.
        """
        second = Ledger(self.warehouse, on_pack=on_pack)
        second._connection = attach(target)
        try:
            prepare(second._connection)
            second._replay()
        finally:
            second._connection.close()

    @contextmanager
    def beside(self, other: Path) -> Iterator[None]:
        """While it lasts, queries also see the ledger at ``other``, as the database ``rebuilt``."""
        self._connection.execute(f"ATTACH {literal(str(other))} AS rebuilt (READ_ONLY)")
        try:
            yield
        finally:
            self._connection.execute("DETACH rebuilt")

    def _clear_leftovers(self) -> None:
        """Remove what killed processes left behind. The lock is held, so none of it is in use."""
        for name in (".catalogue.*.tmp", f".{self._path.name}.*.tmp", f".{self._path.name}.*.tmp.wal"):
            for path in self.warehouse.glob(name):
                path.unlink(missing_ok=True)
        for folder in self.warehouse.glob(f"{VERIFYING}*"):
            shutil.rmtree(folder, ignore_errors=True)
        self.raw.clear_leftovers()

    def _replace_by_rebuild(self) -> None:
        """Put a ledger built anew in the place of the one that is there, whatever its state.

        On failure that one stays. What its log held and no checkpoint yet is in the journal too.
        """
        fresh = self._path.with_name(f".{self._path.name}.{os.getpid()}.tmp")
        try:
            self.build_anew(fresh, self._on_pack)
            self._path.with_name(f"{self._path.name}.wal").unlink(missing_ok=True)
            fresh.replace(self._path)
        finally:
            fresh.unlink(missing_ok=True)
            fresh.with_name(f"{fresh.name}.wal").unlink(missing_ok=True)

    # --- publishing -------------------------------------------------------------------------------------------------

    def publish(self) -> Path:
        """Replace the published file by the ledger as it is, atomically; readers keep the file that they have open."""
        temporary = self.warehouse / f".catalogue.{os.getpid()}.tmp"
        try:
            self._checkpoint()  # nobody else writes to it meanwhile: the lock is held
            shutil.copyfile(self._path, temporary)
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            temporary.replace(self.published)
        except OSError as problem:
            raise CatalogueError(f"{self.published} cannot be written: {problem.strerror}") from None
        finally:
            temporary.unlink(missing_ok=True)
        return self.published

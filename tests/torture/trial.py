"""A world whose writers are killed, one after the other, and what is held against it after each death.

Belongs here: choosing instants, killing, checking, keeping what broke. Does not belong here: the promises (`promises`),
how many kills there are and how they are shown (`run`).
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from pipelines.errors import CatalogueError
from tests.torture.forks import End, Forks
from tests.torture.killing import NEVER, Instant, Kind
from tests.torture.operations import Order
from tests.torture.promises import (
    BrokenPromiseError,
    Look,
    Promises,
    State,
    check_against_peace,
    check_nothing_left,
    state_of,
)
from tests.torture.world import World

WEIGHTS = {
    **{"snapshot": 25, "import": 22, "decide": 13, "publish": 12},
    **{"rebuild": 11, "migration": 11, "verify": 2, "dagster": 4},
}
"""How often each operation dies, in a hundred."""

KINDS: Sequence[Kind] = ("seconds", "seconds", "seconds", "file", "file", "statement")
"""What the instant of a death is told by: half of them by the clock."""

EXECUTABLES = 0.12
"""How many of the processes that die are the executable, started as a person would."""

_NO_EXECUTABLE = {"snapshot"}
"""The terminal's snapshot is Dagster's, which takes ten times as long."""

_LIVES = 0.15
"""How often the process after a death lives: this often the work is finished, else it may be killed half-way again."""

_GOLDEN = (5**0.5 - 1) / 2
"""Multiples of it, without their whole part, fall one after the other into the largest gap."""

_DELAY_SECONDS = 0.003
_QUARANTINED = 3


@dataclass(frozen=True)
class Kill:
    """One process and its end: enough to do it again on a copy of the warehouse as it was before."""

    seed: str
    order: Order
    instant: Instant
    executable: bool = False

    def __str__(self) -> str:
        form = "the executable" if self.executable else "a fork"
        return f"{self.order.operation}, {form} killed {self.instant}"

    def save(self, path: Path) -> None:
        """As JSON."""
        path.write_text(json.dumps(asdict(self), indent=1))

    @classmethod
    def load(cls, path: Path) -> Self:
        """What :meth:`save` wrote."""
        given = json.loads(path.read_text())
        return cls(given["seed"], Order(**given["order"]), Instant(**given["instant"]), given["executable"])


@dataclass
class Measures:
    """What each operation took when it was last left in peace: seconds, and events of each kind."""

    seconds: dict[tuple[str, bool], float] = field(default_factory=dict)
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    _taken: Counter[tuple[str, Kind]] = field(default_factory=Counter)

    def lack(self, operation: str, executable: bool) -> bool:
        """Whether nothing is known of ``operation`` in this form."""
        return (operation, executable) not in self.seconds or (not executable and operation not in self.counts)

    def next_event(self, operation: str, kind: Kind) -> int:
        """The number of an event at which ``operation`` has not died yet, as far as can be from where it has."""
        place = self._taken[operation, kind]
        self._taken[operation, kind] += 1
        return 1 + int((0.5 + place * _GOLDEN) % 1 * self.counts[operation][kind])

    def note(self, kill: Kill, end: End) -> None:
        """``end`` was a peaceful one."""
        self.seconds[kill.order.operation, kill.executable] = end.seconds
        if end.counts:
            self.counts[kill.order.operation] = dict(end.counts)


class Trial:
    """Kills in one world. A context manager; ``folder`` is empty and is emptied again.

    ``kept`` is where the warehouse before and after a broken promise is put, with what was done to it. ``kinds`` are
    what an instant is told by, each as often as the others; ``executables`` is the share of deaths that are theirs.
    """

    def __init__(
        self,
        folder: Path,
        seed: str,
        forks: Forks,
        measures: Measures,
        kept: Path,
        *,
        kinds: Sequence[Kind] = KINDS,
        executables: float = EXECUTABLES,
    ) -> None:
        self.world = World(folder / "world", seed)
        self.promises = Promises(self.world.warehouse)
        self.states: Counter[tuple[str, State]] = Counter()
        self.ended_first: Counter[str] = Counter()
        self._seed, self._kinds, self._executables = seed, kinds, executables
        self._folder, self._spare, self._kept = folder, folder / "spare", kept
        self._forks, self._measures = forks, measures

    def __enter__(self) -> Self:
        self.world.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.world.__exit__(kind, error, trace)
        shutil.rmtree(self._folder, ignore_errors=True)

    def torture(self, operations: Iterable[str], on_kill: Callable[[], None] = lambda: None) -> None:
        """Kill one process after the other, each doing the next of ``operations``; see that peace then mends all.

        What was never done in this session lives once before it dies, for its time and its events are to be known.
        """
        for first in ("snapshot", "import"):
            self.live(first)
        for operation in operations:
            may_execute = operation not in _NO_EXECUTABLE
            died = False
            while not died:
                executable = may_execute and self.world.chance.random() < self._executables
                if self._measures.lack(operation, executable) or self.world.chance.random() < _LIVES:
                    self.live(operation, executable=executable)
                died = self.kill(operation, executable=executable)
            on_kill()
        self.settle()

    def live(self, operation: str, *, executable: bool = False) -> None:
        """Let ``operation`` come to its end."""
        self._do(Kill(self._seed, self.world.order(operation), NEVER, executable))

    def kill(self, operation: str, *, executable: bool = False) -> bool:
        """Begin ``operation`` and kill it; whether it died rather than ended before."""
        order = self.world.order(operation)
        return self._do(Kill(self._seed, order, self._instant(order.operation, executable), executable))

    def settle(self) -> None:
        """Finish all that was begun, and hold the outcome against a warehouse that lived in peace."""
        for operation in ("import", "snapshot", "verify"):
            self.live(operation)
        with self._keeping(None):
            check_against_peace(self.world.warehouse, self._spare)

    def repeat(self, before: Path, kill: Kill) -> End:
        """Do ``kill`` once more, on a copy of the warehouse ``before``, and check what comes of it."""
        shutil.copytree(before, self.world.warehouse)
        self.promises.check(self._spare)
        again = Kill(self._seed, self.world.adopt(kill.order), kill.instant, kill.executable)
        self.world.serve(again.order)
        return self._perform(again, Look.at(self.world.warehouse))

    # --- one process ------------------------------------------------------------------------------------------------

    def _instant(self, operation: str, executable: bool) -> Instant:
        """At random over the time that the operation takes, or at its n-th event, or just after that began."""
        chance = self.world.chance
        counts = self._measures.counts.get(operation, {})
        kind = chance.choice(self._kinds)
        if executable or kind == "seconds" or not counts.get(kind):
            seconds = self._measures.seconds.get((operation, executable), 1.0)
            return Instant("seconds", seconds=chance.uniform(0, seconds))
        delay = chance.uniform(0, _DELAY_SECONDS) if chance.random() < 0.5 else 0.0
        return Instant(kind, number=self._measures.next_event(operation, kind), delay=delay)

    def _do(self, kill: Kill) -> bool:
        self.world.prepare(kill.order)
        with self._keeping(kill):
            end = self._perform(kill, Look.at(self.world.warehouse))
        return end.is_killed

    def _perform(self, kill: Kill, before: Look) -> End:
        warehouse = self.world.warehouse
        end = self._forks.perform(kill.order, kill.instant, executable=kill.executable)
        self.promises.captures |= set(end.told)
        if end.is_killed:
            self.states[kill.order.operation, state_of(warehouse, before, self._spare)] += 1
            self.promises.check(self._spare)
        else:
            self._ended(kill, end)
        return end

    def _ended(self, kill: Kill, end: End) -> None:
        if end.code not in (0, _QUARANTINED):
            raise BrokenPromiseError(f"it could not go on where others had died: exit code {end.code}\n{end.said}")
        self.ended_first[kill.order.operation] += kill.instant.kind != "never"
        self._measures.note(kill, end)
        self.world.done(kill.order)
        if kill.order.operation == "decide":
            given = kill.order.arguments
            self.promises.decisions.append(
                {"snapshot_id": given["snapshot_id"], "decision": given["decision"], "reason": "to see"}
            )
        check_nothing_left(self.world.warehouse)
        self.promises.check_published()
        self.promises.check_bytes()

    @contextmanager
    def _keeping(self, kill: Kill | None) -> Iterator[None]:
        """Remember the warehouse as it is, and keep it and what becomes of it if that breaks a promise."""
        before = self._folder / "before"
        shutil.rmtree(before, ignore_errors=True)
        if self.world.warehouse.exists():
            shutil.copytree(self.world.warehouse, before)
        else:
            before.mkdir(parents=True)
        try:
            yield
        except (BrokenPromiseError, CatalogueError) as broken:
            place = self._kept / f"{self._seed.replace('/', '-')}-{self.states.total()}"
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir(parents=True)
            shutil.copytree(before, place / "before")
            shutil.copytree(self.world.warehouse, place / "after")
            if kill is None:
                raise BrokenPromiseError(f"{broken}\n(kept in {place})") from broken
            kill.save(place / "kill.json")
            raise BrokenPromiseError(
                f"{kill}: {broken}\nOnce more: python -m tests.torture.run --replay {place}"
            ) from broken

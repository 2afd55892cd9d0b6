"""A disk that is full, a file that may not grow, a folder that may not be written: said clearly, nothing damaged."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.torture.disks import SmallDisk
from tests.torture.forks import EXECUTABLE, Forks
from tests.torture.operations import Order
from tests.torture.promises import Look, Promises, check_nothing_left
from tests.torture.world import World

pytestmark = pytest.mark.slow

DONE = (0, 3)
LONG_REASON = "because " * 12_500
"""A decision with such a reason is a hundred thousand bytes of journal."""

ROOM = (
    *(("import", 0), ("import", 60_000), ("import", 1_000_000)),
    *(("decide", 8_000), ("decide", 160_000), ("decide", 1_000_000)),
    *(("rebuild", 0), ("rebuild", 60_000)),
)
"""What is done, and how many bytes are free then: too few for a pack, the ledger's log, the ledger, or its copy."""

GROWTH = (("import", 4_096), ("import", 60_000), ("import", 1_000_000), ("decide", 20_000), ("again", 1_000_000))
"""What is done, and how many bytes a file may have then. To import again what is known is to publish, and no more."""


@dataclass(frozen=True)
class Base:
    """A warehouse in peace, and what may be done to it next: ``orders`` by operation, one after the other."""

    world: World
    folder: Path
    orders: dict[str, list[Order]]
    promises: Promises

    def order(self, operation: str, number: int, warehouse: Path) -> Order:
        """The ``number``-th order for ``operation``, or the last, to be carried out at ``warehouse``."""
        orders = self.orders[operation]
        order = orders[min(number, len(orders) - 1)]
        self.world.serve(order)
        return Order(order.operation, str(warehouse), order.arguments)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Base]:
    folder = tmp_path_factory.mktemp("base")
    with pytest.MonkeyPatch.context() as patch, World(folder / "world", "disks") as world, Forks(folder) as forks:
        patch.delenv("DAGSTER_HOME", raising=False)
        parts = []
        for _ in range(4):
            parts.append(world.order("import"))
            world.done(parts[-1])
        assert forks.perform(parts[0]).code in DONE
        orders = {operation: [world.order(operation)] for operation in ("rebuild", "decide", "dagster", "verify")}
        orders["decide"][0].arguments["reason"] = LONG_REASON
        shutil.move(world.warehouse, folder / "warehouse")
        promises = Promises(folder / "warehouse")
        promises.check(folder / "spare")
        yield Base(world, folder / "warehouse", orders | {"import": parts[1:], "again": parts[:1]}, promises)


class Place:
    """Where a warehouse has too little room.

    ``warehouse`` is how the processes there name it, ``seen`` where it is seen from here; ``make_room`` ends the want,
    ``reason`` is what the system calls it.
    """

    def __init__(
        self, base: Base, warehouse: Path, seen: Path, forks: Forks, make_room: Callable[[], None], reason: str
    ) -> None:
        self.warehouse, self.seen, self.reason = warehouse, seen, reason
        self._base, self._forks, self._make_room = base, forks, make_room
        self._promises, self._copy = deepcopy(base.promises), warehouse.with_name("copy")
        self._done: Counter[str] = Counter()
        self.told: list[str] = []

    def fails(self, operation: str, *, file_bytes: int | None = None, executable: bool = False) -> None:
        """Do the next of ``operation`` where there is too little room, then where there is enough."""
        order = self._base.order(operation, self._done[operation], self.warehouse)
        self._done[operation] += 1
        first = self._forks.perform(order, file_bytes=file_bytes, executable=executable)
        assert first.code == 1, f"{operation} ended with exit code {first.code}: {first.said}"
        is_told_clearly(first.said, self.warehouse, self.reason)
        self._is_unharmed()
        self.told.append(first.said)
        self._make_room()
        again = self._forks.perform(order, executable=executable)
        assert again.code in DONE, again.said
        check_nothing_left(self.seen)

    def _is_unharmed(self) -> None:
        """The warehouse kept what it had, opens, and holds nothing half-written."""
        shutil.copytree(self.seen, self._copy)
        assert not Look.at(self._copy).unfinished
        self._promises.warehouse = self._copy
        self._promises.check(self._copy.with_name("spare"))
        shutil.rmtree(self._copy)

    def is_proven(self) -> None:
        """All that is stored follows from captures and journal."""
        proof = self._forks.perform(self._base.order("verify", 0, self.warehouse))
        assert proof.code == 0, proof.said

    def named(self) -> set[str]:
        """What was told of as not to be written."""
        names = {"packs": "raw/packs", "journal": "journal.jsonl", "ledger": "ledger", "published": "catalogue.duckdb"}
        return {what for what, name in names.items() if any(name in sentence for sentence in self.told)}


def is_told_clearly(said: str, warehouse: Path, reason: str) -> None:
    """One sentence names what could not be written and why, in words that are not a library's."""
    assert said.count("\n") == 1, said
    assert said.startswith("catalogue: ")
    assert f"{warehouse}/" in said
    assert reason in said
    assert not re.search(r"Error|Exception|invalidated", said), said


def test_on_a_full_disk(base: Base, tmp_path: Path):
    """Truth 4, where the system refuses rather than kills: packs, journal, ledger and published file in turn.

    Seen red with an error of the system that nobody caught while a pack or the journal was written ("the output cannot
    be written"), and with one of DuckDB where the ledger was closed before it was copied.
    """
    warehouse = tmp_path / "warehouse"
    with SmallDisk(warehouse) as disk, Forks(tmp_path, disk.within) as forks:
        place = Place(base, warehouse, disk.view, forks, disk.enlarge, "No space left on device")
        disk.hold(base.folder)
        for operation, free_bytes in ROOM:
            disk.leave(free_bytes)
            place.fails(operation)
        place.is_proven()
    assert place.named() == {"packs", "journal", "ledger", "published"}


def test_where_no_file_may_grow(base: Base, tmp_path: Path):
    """The same by RLIMIT_FSIZE, which needs no mounting."""
    warehouse = tmp_path / "warehouse"
    shutil.copytree(base.folder, warehouse)
    with Forks(tmp_path) as forks:
        place = Place(base, warehouse, warehouse, forks, lambda: None, "File too large")
        for operation, file_bytes in GROWTH:
            place.fails(operation, file_bytes=file_bytes)
        place.is_proven()
    assert place.named() == {"packs", "journal", "ledger", "published"}


def test_a_snapshot_on_a_full_disk(base: Base, tmp_path: Path):
    """The daily job, whose own records are on that disk, too."""
    warehouse = tmp_path / "warehouse"
    with SmallDisk(warehouse) as disk, Forks(tmp_path, disk.within) as forks:
        place = Place(base, warehouse, disk.view, forks, disk.enlarge, "full")
        disk.hold(base.folder)
        disk.leave(100_000)
        place.fails("dagster", executable=True)
        place.is_proven()


@pytest.mark.parametrize("operation", ["import", "decide", "rebuild", "dagster"])
def test_in_a_folder_that_may_not_be_written(base: Base, tmp_path: Path, operation: str):
    """Root may write where nobody may, so it lets go of that power before it starts the executable.

    Seen red with the lock's error left to the terminal's last resort: "the output cannot be written".
    """
    powerless = []
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("root may write anywhere, and there is no setpriv to take that from it")
        powerless = ["setpriv", "--bounding-set=-dac_override", "--inh-caps=-all"]
    warehouse = tmp_path / "warehouse"
    shutil.copytree(base.folder, warehouse)
    look = Look.at(warehouse)
    every = [warehouse, *warehouse.rglob("*")]
    for path in every:
        path.chmod(path.stat().st_mode & ~0o222)
    try:
        order = base.order(operation, 0, warehouse)
        done = subprocess.run(
            [*powerless, EXECUTABLE, *order.command_line()], capture_output=True, text=True, timeout=120
        )
        asked = subprocess.run(
            [*powerless, EXECUTABLE, "sql", "SELECT count(*) FROM marts.snapshots", "--warehouse", warehouse],
            capture_output=True, text=True, timeout=120,
        )  # fmt: skip
    finally:
        for path in every:
            path.chmod(path.stat().st_mode | 0o200)
    assert done.returncode == 1, done.stderr
    is_told_clearly(done.stderr, warehouse.parent, "Permission denied")
    assert asked.returncode == 0, asked.stderr
    assert Look.at(warehouse) == look

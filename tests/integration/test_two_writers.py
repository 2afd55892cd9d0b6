"""Two who would write at once: one waits and says so, or gives up when asked to; neither harms the other."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipelines.ledger.ledger import Ledger
from pipelines.ledger.verify import verify
from tests.torture.forks import EXECUTABLE
from tests.torture.operations import Order
from tests.torture.promises import check_against_peace, check_nothing_left
from tests.torture.world import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path, "writers") as world:
        yield world


def begin(order: Order, *more: str) -> subprocess.Popen[str]:
    command: list[str | Path] = [EXECUTABLE, *order.command_line(), *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def next_import(world: World) -> Order:
    order = world.order("import")
    world.done(order)
    return order


def is_in_order(world: World, spare: Path) -> None:
    """The history is that of a peaceful warehouse, follows from captures and journal, and nothing is left over."""
    check_nothing_left(world.warehouse)
    check_against_peace(world.warehouse, spare)
    with Ledger(world.warehouse) as ledger:
        assert verify(ledger).findings == ()


def ended(process: subprocess.Popen[str]) -> str:
    """What ``process`` said of trouble, once it came to a good end."""
    _, errors = process.communicate(timeout=120)
    assert process.returncode in (0, 3), errors
    return errors


def test_the_second_waits_and_says_so(world: World, tmp_path: Path):
    """Seen red with a lock for which nobody waits: the second gave up at once."""
    with begin_when_locked(world) as second:
        ended(second)
    is_in_order(world, tmp_path / "spare")


@contextmanager
def begin_when_locked(world: World) -> Iterator[subprocess.Popen[str]]:
    """A second writer, begun and heard while there was a first one that now is none any more."""
    with Ledger(world.warehouse) as ledger:
        second = begin(next_import(world))
        assert second.stderr is not None
        told = second.stderr.readline()
        alone = second.poll() is None and not ledger.published.exists()
    with second:
        assert told == f"catalogue: another process is writing to {world.warehouse}: waiting up to 600 s\n"
        assert alone
        yield second


def test_the_second_gives_up_when_it_was_asked_to(world: World):
    order = next_import(world)
    with Ledger(world.warehouse):
        before = sorted(path.name for path in world.warehouse.rglob("*"))
        with begin(order, "--lock-timeout", "1") as second:
            _, errors = second.communicate(timeout=120)
        assert sorted(path.name for path in world.warehouse.rglob("*")) == before
    assert second.returncode == 1
    waits, gave_up = errors.splitlines()
    assert waits.endswith("waiting up to 1 s")
    assert gave_up.startswith(f"catalogue: another process has been writing to {world.warehouse} for 1 s")
    assert "--lock-timeout" in gave_up


@pytest.mark.slow
def test_imports_and_a_rebuild_at_once(world: World, tmp_path: Path):
    """Truth 4. Seen red without the lock: they met in the ledger's file."""
    first = next_import(world)
    with begin(first) as one, begin(next_import(world)) as other:
        ended(one)
        ended(other)
    with begin(world.order("rebuild")) as one, begin(first) as other, begin(next_import(world)) as third:
        ended(one)
        ended(other)
        ended(third)
    is_in_order(world, tmp_path / "spare")

"""Readers in other processes, while captures are loaded and published in a loop: nobody waits, nobody errs."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from pipelines.captures import Capture
from pipelines.demo.catalogue import SimulatedCatalogue
from pipelines.ledger.ledger import Ledger
from pipelines.scopes import ALL_MODELS
from tests.torture import reader

READERS = ("reopen",) * 13 + ("hold",) * 7
READINGS = {"reopen": 3, "hold": 12}
"""Of each reader at least: files opened, and marts read through one connection."""

PUBLISHES = range(20, 120)
"""At least and at most; in between the writer goes on until each reader has read a few times."""


class Reader:
    """A process that reads, and what it has said so far."""

    def __init__(self, how: str, warehouse: Path, log: Path) -> None:
        self.how, self._log = how, log
        published, stop = warehouse / "catalogue.duckdb", log.with_name("stop")
        command: list[str | Path] = [sys.executable, reader.__file__, published, stop, how]
        with log.open("wb") as said:
            self.process = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT)

    @property
    def readings(self) -> list[dict[str, Any]]:
        """Each whole line that it printed."""
        said = self._log.read_text()
        return [json.loads(line) for line in said[: said.rfind("\n") + 1].splitlines()]


@contextmanager
def reading(warehouse: Path, folder: Path) -> Iterator[list[Reader]]:
    """Twenty readers, who are told to stop in the end and then must have nothing to complain about."""
    readers = [Reader(how, warehouse, folder / f"{number}.jsonl") for number, how in enumerate(READERS)]
    try:
        yield readers
        (folder / "stop").touch()
        for one in readers:
            assert one.process.wait(timeout=120) == 0, one.readings[-1:]
    finally:
        for one in readers:
            one.process.kill()
            one.process.wait()


@pytest.mark.slow
def test_readers_and_the_writer_do_not_meet(tmp_path: Path):
    """Truth 9. Half of the captures come late, so that history changes behind the readers, too.

    Seen red with the published file copied in place instead of replaced: readers found it cut short, or blocks of which
    DuckDB could make no sense.
    """
    simulated = SimulatedCatalogue(seed=4, models=30, days=60)
    times = [simulated.start + timedelta(hours=11 * number) for number in range(PUBLISHES.stop + 2)]
    captures = [Capture(ALL_MODELS, at, simulated.listing(at, output_modalities="all"), "live") for at in times]
    warehouse, folder = tmp_path / "warehouse", tmp_path / "readers"
    folder.mkdir()
    with Ledger(warehouse) as ledger:
        ledger.load(captures[:2])
        ledger.publish()
    publishes = 0
    with reading(warehouse, folder) as readers:
        for late, early in zip(captures[3::2], captures[2::2], strict=True):
            for capture in (late, early):
                with Ledger(warehouse) as ledger:
                    (verdict,) = ledger.load([capture])
                    assert verdict.verdict == "accepted"
                    ledger.publish()
                publishes += 1
            assert not (ended := [one.readings[-1] for one in readers if one.process.poll() is not None]), ended
            idle = [one.how for one in readers if len(one.readings) < READINGS[one.how]]
            if publishes >= PUBLISHES.start and not idle:
                break
        else:
            pytest.fail(f"after {publishes} publishes these have hardly read yet: {idle}")
    for one in readers:
        assert not [line for line in one.readings if "wrong" in line]
    states = {line["snapshots"] for one in readers if one.how == "reopen" for line in one.readings}
    assert len(states) > 5, f"the readers met no more than these states: {sorted(states)}"

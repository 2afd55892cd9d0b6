"""A thousand processes killed with -9 while they write, and what was left behind each time. Run by `make torture`.

Belongs here: many worlds in a few workers, progress, the table at the end. Does not belong here: how a process is
killed and what is held against the warehouse (`trial`).

Exit code 1 if any promise was broken: each is told with a command that kills the same process at the same event on a
copy of the same warehouse. What dies by the clock dies a little earlier or later when it is repeated.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.util
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from multiprocessing.queues import SimpleQueue
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from tests.torture.forks import Forks
from tests.torture.promises import BrokenPromiseError, State
from tests.torture.trial import WEIGHTS, Kill, Measures, Trial

KILLS_OF_A_WORLD = 16

_worker: Worker


@dataclass
class Worker:
    """What one process needs for all of its worlds."""

    folder: Path
    forks: Forks
    kept: Path
    died: SimpleQueue[int]
    measures: Measures = field(default_factory=Measures)


@dataclass(frozen=True)
class Outcome:
    """What came of one world: in which states its writers left it, who ended before death came, what broke."""

    seed: str
    states: Counter[tuple[str, State]]
    ended_first: Counter[str]
    broken: str | None


def begin_worker(kept: Path, died: SimpleQueue[int]) -> None:
    """Called once in each worker."""
    global _worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.pop("DAGSTER_HOME", None)
    os.environ["DAGSTER_DISABLE_TELEMETRY"] = "yes"
    folder = Path(tempfile.mkdtemp(prefix="torture-"))
    stack = ExitStack()
    stack.callback(shutil.rmtree, folder, ignore_errors=True)
    multiprocessing.util.Finalize(None, stack.close, exitpriority=1)
    _worker = Worker(folder, stack.enter_context(Forks(folder)), kept, died)


def torture_world(seed: str, kills: int) -> Outcome:
    """Kill in one world until ``kills`` have died or a promise is broken."""
    names, weights = tuple(WEIGHTS), tuple(WEIGHTS.values())
    operations = random.Random(seed).choices(names, weights, k=kills)
    broken = None
    with Trial(_worker.folder / "trial", seed, _worker.forks, _worker.measures, _worker.kept) as trial:
        try:
            trial.torture(operations, on_kill=lambda: _worker.died.put(1))
        except BrokenPromiseError as problem:
            broken = str(problem)
        except Exception:
            broken = f"the torture itself failed in world {seed}:\n{traceback.format_exc()}"
    return Outcome(seed, trial.states, trial.ended_first, broken)


def table_of(outcomes: list[Outcome]) -> Table:
    """Kills per operation, and in which state the warehouse was left."""
    states: Counter[tuple[str, State]] = Counter()
    ended_first: Counter[str] = Counter()
    for one in outcomes:
        states += one.states
        ended_first += one.ended_first
    table = Table("killed in", "kills", *(state.value for state in State), "ended first", title="How the dead left it")
    for operation in (*WEIGHTS, "all of them"):
        rows = [operation] if operation in WEIGHTS else list(WEIGHTS)
        counts = [sum(states[row, state] for row in rows) for state in State]
        ended = sum(ended_first[row] for row in rows)
        table.add_row(operation, *map(str, (sum(counts), *counts, ended)), end_section=operation == list(WEIGHTS)[-1])
    for column in table.columns[1:]:
        column.justify = "right"
    return table


@click.command()
@click.option("--kills", default=1000, show_default=True, type=click.IntRange(1), help="How many processes are to die.")
@click.option("--seed", default=0, show_default=True, help="Another seed is another choice of all that is done.")
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1), help="Worlds at a time.")
@click.option("--kept", type=click.Path(path_type=Path), help="Where a warehouse that breaks a promise is kept.")
@click.option("--replay", type=click.Path(path_type=Path, exists=True), help="Only do once more what was kept there.")
def main(kills: int, seed: int, workers: int, kept: Path | None, replay: Path | None) -> None:
    """Kill writers of a warehouse with -9, and see that it keeps its promises."""
    if replay is not None:
        sys.exit(again(replay))
    sys.exit(torture(kills, seed, workers, kept or Path(tempfile.gettempdir()) / "torture-kept"))


def torture(kills: int, seed: int, workers: int, kept: Path) -> int:
    """All worlds, a progress bar, the table; the exit code."""
    console, errors = Console(), Console(stderr=True)
    context = multiprocessing.get_context("spawn")
    died: SimpleQueue[int] = context.SimpleQueue()
    outcomes: list[Outcome] = []
    begun = time.monotonic()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with (
        Progress(*columns, console=errors) as progress,
        ProcessPoolExecutor(workers, context, initializer=begin_worker, initargs=(kept, died)) as pool,
    ):
        task = progress.add_task("killed", total=kills)
        worlds = [
            pool.submit(torture_world, f"{seed}/{number}", min(KILLS_OF_A_WORLD, kills - first))
            for number, first in enumerate(range(0, kills, KILLS_OF_A_WORLD))
        ]
        waiting = set(worlds)
        while waiting:
            for one in [one for one in waiting if one.done()]:
                waiting.remove(one)
                outcomes.append(one.result())
                if outcomes[-1].broken:
                    errors.print(f"broken: {outcomes[-1].broken}", style="red", markup=False, highlight=False)
            while not died.empty():
                progress.advance(task, died.get())
                if not errors.is_terminal and (done := int(progress.tasks[0].completed)) % 100 == 0:
                    errors.print(f"{done} killed after {time.monotonic() - begun:.0f} s", highlight=False)
            time.sleep(0.2)
    broken = [one for one in outcomes if one.broken]
    dead = sum(one.states.total() for one in outcomes)
    if not console.is_terminal:
        console = Console(width=160)
    console.print(table_of(outcomes))
    console.print(
        f"seed {seed}: {dead} killed in {len(outcomes)} worlds in {time.monotonic() - begun:.0f} s; "
        f"{len(broken)} promises broken"
    )
    return 1 if broken else 0


def again(place: Path) -> int:
    """Kill once more what was kept at ``place``, on a copy of the warehouse as it was before."""
    kill = Kill.load(place / "kill.json")
    with tempfile.TemporaryDirectory(prefix="torture-") as name:
        folder = Path(name)
        with Forks(folder) as forks, Trial(folder / "trial", kill.seed, forks, Measures(), place / "again") as trial:
            print(f"{kill.order.operation}, killed {kill.instant}")
            try:
                end = trial.repeat(place / "before", kill)
            except BrokenPromiseError as broken:
                print(f"broken once more: {broken}")
                return 1
    print("killed" if end.is_killed else f"it ended by itself with exit code {end.code}", "and no promise was broken")
    return 0


if __name__ == "__main__":
    main()

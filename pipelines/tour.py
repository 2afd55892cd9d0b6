"""A tour of the product: simulated days through the code that takes the live catalogue.

Belongs here: driving the product over simulated days. Does not belong here: what is simulated (`catalogue`), how
it is served (`server`), what is shown afterwards (`cli`).
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

from pipelines.defs.run import snapshot_once
from pipelines.demo.catalogue import SimulatedCatalogue
from pipelines.demo.server import CatalogueServer
from pipelines.errors import CatalogueError, UsageError
from pipelines.ledger.ledger import Ledger, Verdict
from pipelines.settings import Settings
from pipelines.snapshot import take
from pipelines.sources.openrouter import OpenRouter

_MARK = ".demo"


def begin(warehouse: Path) -> None:
    """An empty folder for a tour. A former one is removed; any other folder that holds something is refused."""
    if warehouse.exists() and any(warehouse.iterdir()):
        if not (warehouse / _MARK).exists():
            raise UsageError(f"{warehouse} holds something that no demo made: choose another folder for the demo")
        shutil.rmtree(warehouse)
    try:
        warehouse.mkdir(parents=True, exist_ok=True)
        (warehouse / _MARK).touch()
    except OSError as problem:
        raise CatalogueError(f"{warehouse} cannot be written to: {problem.strerror}") from None


def play(warehouse: Path, *, days: int, models: int, seed: int, on_day: Callable[[], None]) -> Verdict:
    """Load ``days`` simulated days, the last by the Dagster job; the verdict on that last one."""
    # The story goes on after the last day, which therefore lies where things still happen.
    catalogue = SimulatedCatalogue(seed=seed, models=models, days=days + days * 2 // 9)
    with CatalogueServer(catalogue, now=catalogue.start) as server:
        with Ledger(warehouse) as ledger, OpenRouter(server.base_url, clock=server.clock) as client:
            for server.now in _mornings(catalogue, days - 1):
                taken = take(client, ledger.raw)
                for pack in taken.packs:
                    ledger.append(pack)
                ledger.commit(taken.packs)
                on_day()
        server.now = catalogue.start + timedelta(days=days - 1, minutes=5)
        result = snapshot_once(Settings(warehouse=warehouse, base_url=server.base_url, clock=server.clock))
        on_day()
    if result.verdict is None or result.error is not None:
        raise CatalogueError(result.error or "the last day's run failed")
    return result.verdict


def _mornings(catalogue: SimulatedCatalogue, days: int) -> Iterator[datetime]:
    return (catalogue.start + timedelta(days=day, minutes=5) for day in range(days))

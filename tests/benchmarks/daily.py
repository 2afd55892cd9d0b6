"""What one more snapshot costs as history grows, and what it costs to publish.

Belongs here: a day after many days. Does not belong here: other programs' days (`peers`), ten years (`ten_years`).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path

from pipelines.captures import PACK_SIZE, Capture
from pipelines.demo.catalogue import SimulatedCatalogue
from pipelines.ledger.ledger import Ledger
from pipelines.scopes import ALL_MODELS
from tests.benchmarks.measure import Against, Bar, Finding, Plan, seconds_of

MODELS = 300
DAYS = 600

NEXT = Bar(
    "next_snapshot",
    f"one more snapshot on {DAYS} simulated days, up to the commit",
    1.2,
    Against.BASELINE,
    baseline=f"the same one on the last {DAYS // 10} of them",
)
PUBLISH = Bar(
    "publish",
    f"publishing after it, on {DAYS} simulated days",
    1.5,
    Against.BASELINE,
    baseline="copying the published file and `fsync`",
)

BARS = (NEXT, PUBLISH)


def measure(plan: Plan) -> Iterator[Finding]:
    """The same captures go into a long and into a short history that ends with the long one's days."""
    days, runs = (20 if plan.is_small else DAYS), plan.rounds + 1
    taken = simulated_days(days + runs)
    plan.tell(f"loading {days} simulated days")
    with Ledger(plan.folder / "long") as long, Ledger(plan.folder / "short") as short:
        fill(long, taken[:days])
        fill(short, taken[days - days // 10 : days])
        on_long, on_short, publishing, copying = [], [], [], []
        for capture in taken[days:]:
            on_short.append(seconds_of(partial(short.load, [capture])))
            on_long.append(seconds_of(partial(long.load, [capture])))
            publishing.append(seconds_of(long.publish))
            copying.append(seconds_of(lambda: copy_durably(long.published, plan.folder / "copy")))
    yield Finding(NEXT.key, on_long[1:], on_short[1:], note=f"{MODELS} models")
    yield Finding(PUBLISH.key, publishing[1:], copying[1:])


def simulated_days(days: int) -> list[Capture]:
    """A simulated listing of all modalities for each of ``days`` days."""
    simulated = SimulatedCatalogue(models=MODELS, days=days)
    moments = [simulated.start + timedelta(days=day) for day in range(days)]
    return [Capture(ALL_MODELS, at, simulated.listing(at, output_modalities="all"), "live") for at in moments]


def fill(ledger: Ledger, captures: Sequence[Capture]) -> None:
    """Load ``captures`` in packs and publish."""
    for first in range(0, len(captures), PACK_SIZE):
        ledger.load(captures[first : first + PACK_SIZE])
    ledger.publish()


def copy_durably(source: Path, target: Path) -> None:
    """The least that publishing can cost: a copy that outlives a crash."""
    shutil.copyfile(source, target)
    with target.open("rb") as file:
        os.fsync(file.fileno())

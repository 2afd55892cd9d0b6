"""What it costs to import two years of history from their bundle.

Belongs here: the time and the memory of an import. Does not belong here: what it leaves behind (`sizes`).
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.bundle import alone
from tests.benchmarks.measure import Against, Bar, Finding, Plan, Unit, interleaved

IMPORT = Bar(
    "import",
    "import of the whole bundle, from its file to the published warehouse",
    2.0,
    Against.BASELINE,
    baseline="the floor: clone, `git cat-file --batch`, `orjson.loads` of every version",
)
MEMORY = Bar("import_memory", "peak memory of that import", 2**30, unit=Unit.BYTES)

BARS = (IMPORT, MEMORY)


def measure(plan: Plan) -> Iterator[Finding]:
    """Each run is a process of its own, timed once its libraries are loaded."""
    if plan.bundle is None:
        yield from plan.absent_bundle(BARS)
        return
    bundle, peaks = plan.bundle, list[float]()

    def seconds(what: str) -> float:
        with tempfile.TemporaryDirectory(dir=plan.folder) as folder:
            done = alone(what, bundle, Path(folder))
        if what == "import":
            peaks.append(done.peak_bytes)
        plan.tell(f"{what} {done.seconds:.2f} s")
        return done.seconds

    ours, floor = interleaved(plan.rounds, lambda: seconds("import"), lambda: seconds("floor"))
    yield Finding(IMPORT.key, ours, floor)
    yield Finding(MEMORY.key, peaks[1:], note="the process; git runs beside it")

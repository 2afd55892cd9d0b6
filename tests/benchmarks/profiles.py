"""Where the time goes: the most expensive functions of an import, and of one more snapshot.

Belongs here: profiles to read before changing code. Does not belong here: figures to publish, since a profiler is slow.
"""

from __future__ import annotations

import cProfile
import pstats
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from pipelines.ledger.ledger import Ledger
from tests.benchmarks.bundle import import_whole, last_of_each_day
from tests.benchmarks.daily import fill

SUBJECTS = ("import", "snapshot")

_DAYS = 20
_LINES = 40


def show(subject: str, bundle: Path) -> int:
    """Profile ``subject`` on the bundle and print what cost most, alone and with what it called."""
    if not bundle.exists():
        print(f"there is no bundle at {bundle}: set CATALOGUE_BUNDLE", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        if subject == "import":
            _print(lambda: import_whole(bundle, Path(folder)))
        else:
            _last_days(bundle, Path(folder))
    return 0


def _last_days(bundle: Path, folder: Path) -> None:
    """The last days of the bundle, one at a time with publishing, on all the days before them."""
    captures = last_of_each_day(bundle)
    with Ledger(folder) as ledger:
        fill(ledger, captures[:-_DAYS])

        def days() -> None:
            for capture in captures[-_DAYS:]:
                ledger.load([capture])
                ledger.publish()

        print(f"{_DAYS} days, one at a time")
        _print(days)


def _print(work: Callable[[], object]) -> None:
    profile = cProfile.Profile()
    profile.runcall(work)
    for order in ("tottime", "cumtime"):
        pstats.Stats(profile).strip_dirs().sort_stats(order).print_stats(_LINES)

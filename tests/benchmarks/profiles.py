"""Where the time goes: the most expensive functions of an import, and functions and statements of one more snapshot.

Belongs here: profiles to read before changing code. Does not belong here: figures to publish, since a profiler is slow.
"""

from __future__ import annotations

import cProfile
import pstats
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import duckdb

from pipelines.ledger.ledger import Ledger
from tests.benchmarks.bundle import import_whole, last_of_each_day
from tests.benchmarks.daily import fill

SUBJECTS = ("import", "snapshot")

_DAYS = 20
_LINES = 40
_STATEMENT = 90
"""Characters of a statement that tell it from others."""


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
    coming = iter(captures[-2 * _DAYS :])
    with Ledger(folder) as ledger:
        fill(ledger, captures[: -2 * _DAYS])

        def days() -> None:
            for capture in islice(coming, _DAYS):
                ledger.load([capture])
                ledger.publish()

        print(f"{_DAYS} days, one at a time")
        with _statements(ledger) as spent:
            days()
        spent.print()
        _print(days)


class _Spent:
    """Stands before a connection and keeps the processor's time of each kind of statement, in seconds."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._times: Counter[str] = Counter()
        self._begun = time.process_time()

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._connection, name)
        if name not in ("execute", "sql", "register", "unregister"):
            return real

        def timed(first: Any, *more: Any, **named: Any) -> Any:
            begun = time.process_time()
            try:
                return real(first, *more, **named)
            finally:
                kind = " ".join(first.split())[:_STATEMENT] if name in ("execute", "sql") else name
                self._seconds[kind] += time.process_time() - begun
                self._times[kind] += 1

        return timed

    def print(self) -> None:
        """What a day cost, the dearest first."""
        whole = time.process_time() - self._begun
        print(f"a day: {whole / _DAYS * 1000:.0f} ms of the processor")
        print(f"{sum(self._seconds.values()) / _DAYS * 1000:8.1f} ms in {self._times.total() / _DAYS:.0f} statements")
        for kind, seconds in sorted(self._seconds.items(), key=lambda one: -one[1])[:_LINES]:
            print(f"{seconds / _DAYS * 1000:8.1f} ms {self._times[kind] / _DAYS:5.1f} ×  {kind}")


@contextmanager
def _statements(ledger: Ledger) -> Iterator[_Spent]:
    """What the statements of ``ledger`` cost while it lasts."""
    connection = ledger._connection
    spent = _Spent(connection)
    ledger._connection = spent  # type: ignore[assignment]
    try:
        yield spent
    finally:
        ledger._connection = connection


def _print(work: Callable[[], object]) -> None:
    profile = cProfile.Profile()
    profile.runcall(work)
    for order in ("tottime", "cumtime"):
        pstats.Stats(profile).strip_dirs().sort_stats(order).print_stats(_LINES)

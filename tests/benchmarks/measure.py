"""Measuring: how often, in which order, against what, and when a bar is met.

Belongs here: bars, findings, verdicts, medians. Does not belong here: what is measured (the families beside this
module), how it is shown (`report`).
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import ModuleType
from typing import Protocol, cast

FEWEST_ROUNDS = 5
"""Of fewer runs no median is published."""


class Against(StrEnum):
    """How a figure comes from what was measured, and on which side of the limit it must stay."""

    BASELINE = "times the baseline, at most"
    SLOWER_BASELINE = "times faster than the baseline, at least"
    BASELINE_PLUS = "more than the baseline, at most"
    NOTHING = "itself, at most"


class Unit(StrEnum):
    """What is counted."""

    SECONDS = "s"
    BYTES = "B"
    CAPTURES = "captures"
    REQUESTS = "requests"


@dataclass(frozen=True)
class Bar:
    """A row of the table: what is measured, against what, and the limit that it must keep."""

    key: str
    what: str
    limit: float
    kind: Against = Against.NOTHING
    unit: Unit = Unit.SECONDS
    baseline: str = ""


@dataclass(frozen=True)
class Finding:
    """What was measured for a bar: the figures of each run after the warm-up, and those of its baseline.

    ``note`` says what a reader must know to believe it. ``parts`` are medians of what the figure is the greatest of.
    ``reason`` is why nothing was measured; then there are no figures.
    """

    key: str
    ours: Sequence[float] = ()
    baseline: Sequence[float] = ()
    note: str = ""
    parts: Mapping[str, float] = field(default_factory=dict)
    reason: str = ""


@dataclass(frozen=True)
class Plan:
    """How to measure: the number of runs after a warm-up, where the bundle is, a folder to work in.

    ``is_small`` asks for the smallest histories that still show that a measurement works. ``versions`` bounds how many
    versions of the bundle the slowest peer replays; None is all of them.
    """

    rounds: int
    folder: Path
    bundle: Path | None
    is_small: bool = False
    versions: int | None = None
    tell: Callable[[str], None] = lambda sentence: None

    def absent_bundle(self, bars: Sequence[Bar]) -> Iterator[Finding]:
        """That ``bars`` could not be measured without the bundle."""
        return (Finding(bar.key, reason="the bundle is not there") for bar in bars)


class Family(Protocol):
    """What a module of measurements offers."""

    BARS: Sequence[Bar]

    def measure(self, plan: Plan) -> Iterator[Finding]:
        """A finding for each bar, in any order."""
        ...


def as_family(module: ModuleType) -> Family:
    """A module that has ``BARS`` and ``measure``."""
    return cast(Family, module)


def verdict(bar: Bar, finding: Finding) -> tuple[float, bool]:
    """The figure that is held against the limit, and whether it keeps it."""
    ours = statistics.median(finding.ours)
    if bar.kind is Against.NOTHING:
        return ours, ours <= bar.limit
    baseline = statistics.median(finding.baseline)
    if bar.kind is Against.BASELINE_PLUS:
        return ours - baseline, ours - baseline <= bar.limit
    if bar.kind is Against.SLOWER_BASELINE:
        return baseline / ours, baseline / ours >= bar.limit
    return ours / baseline, ours / baseline <= bar.limit


def seconds_of(work: Callable[[], object]) -> float:
    """How long ``work`` takes, by the clock on the wall."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def interleaved(rounds: int, *works: Callable[[], float]) -> list[list[float]]:
    """What each of ``works`` gives in ``rounds`` runs after one that does not count.

    The runs take turns, so that whatever else the machine does meanwhile meets all of them alike.
    """
    figures: list[list[float]] = [[] for _ in works]
    for number in range(rounds + 1):
        for place, work in enumerate(works):
            figure = work()
            if number:
                figures[place].append(figure)
    return figures

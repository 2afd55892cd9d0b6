"""Which captures make history: the verdict on each capture of one scope.

Belongs here: from when on a capture is suspicious, alone or beside another, and how a person's decision weighs.
Does not belong here: what the bytes show whatever the limits are (`flatten` finds those defects), databases.

Verdicts are a function of the captures of a scope and of people's decisions, not of the order of loading:
captures are judged in the order of ``observed_at``, each against the latest accepted one before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pipelines.flatten import Defect

Verdict = Literal["accepted", "quarantined", "rejected", "superseded"]
Decision = Literal["accept", "reject"]

_DAY = 86_400_000_000


@dataclass(frozen=True)
class Limits:
    """From when on a capture is suspicious.

    More than ``unreadable_share`` of its prices are no numbers, or more than ``gone_share`` of the models are gone that
    the snapshot before listed, if that one is at most ``gone_within_days`` older.
    """

    unreadable_share: float = 0.01
    gone_share: float = 0.20
    gone_within_days: float = 7


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True)
class Candidate:
    """A capture of a listing to be judged.

    ``moment`` is in microseconds since 1970; ``defects`` are the reasons that its bytes alone give; a fatal capture
    holds nothing that could be accepted. ``unreadable_count`` of its ``price_count`` prices are no numbers.
    """

    capture_no: int
    moment: int
    sha256: str
    defects: tuple[Defect, ...]
    is_fatal: bool
    decision: Decision | None
    price_count: int = 0
    unreadable_count: int = 0


@dataclass(frozen=True)
class Judged:
    """A candidate's verdict, and why it makes no history: nothing to tell if it does, or if its twin does."""

    capture_no: int
    verdict: Verdict
    reasons: tuple[Defect, ...]


def judge(
    candidates: Sequence[Candidate],
    previous: tuple[int, int] | None,
    versions_of: Callable[[int], NDArray[np.int32]],
    limits: Limits,
) -> Iterator[Judged]:
    """The verdicts on ``candidates``, all of one scope, in time order.

    ``previous`` is the moment and capture_no of the latest accepted capture before the first candidate.
    Of several that could be accepted at one instant the one with the smallest SHA-256 makes history.
    """
    before = previous
    for one in sorted(candidates, key=lambda candidate: (candidate.moment, candidate.sha256)):
        if previous is not None and previous[0] < one.moment:
            before = previous
        reasons = (*one.defects, *_unreadable(one, limits))
        if not one.is_fatal and before is not None:
            reasons += tuple(_collapse(one, before, versions_of, limits))
        verdict: Verdict
        if one.decision == "reject":
            verdict = "rejected"
        elif one.is_fatal or (reasons and one.decision != "accept"):
            verdict = "quarantined"
        elif previous is not None and previous[0] == one.moment:
            verdict = "superseded"
        else:
            verdict = "accepted"
            previous = one.moment, one.capture_no
        yield Judged(one.capture_no, verdict, () if verdict in ("accepted", "superseded") else reasons)


def _unreadable(one: Candidate, limits: Limits) -> Iterator[Defect]:
    if _is_more(one.unreadable_count, limits.unreadable_share, one.price_count):
        yield Defect(
            "unreadable_prices",
            f"{one.unreadable_count} of {one.price_count} prices cannot be read "
            f"({_percent(one.unreadable_count / one.price_count)}, allowed are {_percent(limits.unreadable_share)})",
        )


def _collapse(
    one: Candidate, previous: tuple[int, int], versions_of: Callable[[int], NDArray[np.int32]], limits: Limits
) -> Iterator[Defect]:
    age = one.moment - previous[0]
    if age > limits.gone_within_days * _DAY:
        return
    before, now = versions_of(previous[1]) > 0, versions_of(one.capture_no) > 0
    listed, gone = int(before.sum()), int((before & ~now).sum())
    if _is_more(gone, limits.gone_share, listed):
        yield Defect(
            "collapse",
            f"{gone} of the {listed} models listed {age / _DAY:.1f} days before are gone "
            f"({_percent(gone / listed)}, allowed are {_percent(limits.gone_share)})",
        )


def _is_more(part: int, share: float, whole: int) -> bool:
    """Whether ``part`` is more than ``share`` of ``whole``; the share is the decimal number that it is written as."""
    return part > _exact(share) * whole


@cache
def _exact(share: float) -> Fraction:
    return Fraction(str(share))


def _percent(share: float) -> str:
    return f"{share * 100:.3g}%"

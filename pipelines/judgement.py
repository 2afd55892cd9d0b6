"""Which captures make history: the verdict on each capture of one scope.

Belongs here: what makes a capture suspicious beside another, and how a person's decision weighs.
Does not belong here: what the bytes alone show (`flatten` finds those defects), databases.

Verdicts are a function of the captures of a scope and of people's decisions, not of the order of loading:
captures are judged in the order of ``observed_at``, each against the latest accepted one before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pipelines.flatten import Defect, Limits

Verdict = Literal["accepted", "quarantined", "rejected", "superseded"]
Decision = Literal["accept", "reject"]

_DAY = 86_400_000_000


@dataclass(frozen=True)
class Candidate:
    """A capture of a listing to be judged. ``moment`` is in microseconds since 1970; ``defects`` are the reasons that
    its bytes alone give; a fatal capture holds nothing that could be accepted."""

    capture_no: int
    moment: int
    sha256: str
    defects: tuple[Defect, ...]
    is_fatal: bool
    decision: Decision | None


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
        reasons = one.defects
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


def _collapse(
    one: Candidate, previous: tuple[int, int], versions_of: Callable[[int], NDArray[np.int32]], limits: Limits
) -> Iterator[Defect]:
    age = one.moment - previous[0]
    if age > limits.gone_within_days * _DAY:
        return
    before, now = versions_of(previous[1]) > 0, versions_of(one.capture_no) > 0
    listed, gone = int(before.sum()), int((before & ~now).sum())
    if gone > limits.gone_share * listed:
        yield Defect(
            "collapse",
            f"{gone} of the {listed} models listed {age / _DAY:.1f} days before are gone "
            f"({gone / listed:.0%}, allowed are {limits.gone_share:.0%})",
        )

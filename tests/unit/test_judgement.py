from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.flatten import Defect
from pipelines.judgement import DEFAULT_LIMITS, Candidate, Decision, Limits, judge

HOUR = 3_600_000_000
DAY = 24 * HOUR
DEFECT = Defect("count_disagrees", "it says otherwise")
FATAL = Defect("not_json", "it is none")


class Case:
    """Captures of one scope and what they list."""

    def __init__(self) -> None:
        self.candidates: list[Candidate] = []
        self.listings: dict[int, range] = {}

    def capture(
        self,
        moment: int,
        listed: range | int,
        *defects: Defect,
        sha256: str = "5",
        decision: Decision | None = None,
        prices: tuple[int, int] = (0, 0),
    ) -> Case:
        number = len(self.candidates) + 1
        is_fatal = any(defect.is_fatal for defect in defects)
        self.listings[number] = range(listed) if isinstance(listed, int) else listed
        self.candidates.append(Candidate(number, moment, sha256, defects, is_fatal, decision, *prices))
        return self

    def versions_of(self, number: int) -> np.ndarray:
        versions = np.zeros(101, np.int32)
        versions[list(self.listings[number])] = 1
        return versions

    def judged(self, previous: tuple[int, int] | None = None, limits: Limits = DEFAULT_LIMITS) -> dict[int, tuple]:
        """By capture: the verdict and the codes of its reasons."""
        return {
            one.capture_no: (one.verdict, [reason.code for reason in one.reasons])
            for one in judge(self.candidates, previous, self.versions_of, limits)
        }

    def verdicts(self, previous: tuple[int, int] | None = None, limits: Limits = DEFAULT_LIMITS) -> list[str]:
        judged = self.judged(previous, limits)
        return [judged[number][0] for number in sorted(judged)]


def test_a_sound_capture_is_accepted():
    assert Case().capture(0, 10).capture(HOUR, 10).judged() == {1: ("accepted", []), 2: ("accepted", [])}


@pytest.mark.parametrize(("left", "verdict"), [(80, "accepted"), (79, "quarantined"), (0, "quarantined")])
def test_a_fifth_may_go_and_no_more(left, verdict):
    assert Case().capture(0, 100).capture(HOUR, left).verdicts() == ["accepted", verdict]


@pytest.mark.parametrize("listed", range(5, 100, 5))
def test_exactly_a_fifth_is_allowed_whatever_the_number(listed):
    case = Case().capture(0, listed).capture(HOUR, listed - listed // 5)
    assert case.verdicts() == ["accepted", "accepted"]


def test_it_is_who_is_gone_that_counts_and_not_how_many_there_are():
    assert Case().capture(0, range(0, 50)).capture(HOUR, range(25, 100)).judged()[2] == ("quarantined", ["collapse"])


def test_a_collapse_tells_its_figures():
    case = Case().capture(0, 100).capture(36 * HOUR, 50)
    (_, second) = judge(case.candidates, None, case.versions_of, DEFAULT_LIMITS)
    assert second.reasons[0].reason == ("50 of the 100 models listed 1.5 days before are gone (50%, allowed are 20%)")


@pytest.mark.parametrize(("later", "verdict"), [(7 * DAY, "quarantined"), (7 * DAY + 1, "accepted")])
def test_after_seven_days_nothing_is_compared(later, verdict):
    assert Case().capture(0, 100).capture(later, 10).verdicts() == ["accepted", verdict]


def test_a_quarantined_capture_is_no_measure_for_the_next():
    case = Case().capture(0, 100).capture(HOUR, 50).capture(2 * HOUR, 50).capture(3 * HOUR, 95)
    assert case.verdicts() == ["accepted", "quarantined", "quarantined", "accepted"]


def test_a_decision_carries_on_to_the_captures_after_it():
    case = Case().capture(0, 100).capture(HOUR, 50, decision="accept").capture(2 * HOUR, 50)
    assert case.judged() == {1: ("accepted", []), 2: ("accepted", []), 3: ("accepted", [])}
    case = Case().capture(0, 100).capture(HOUR, 90, decision="reject").capture(2 * HOUR, 75)
    assert case.verdicts() == ["accepted", "rejected", "quarantined"]


def test_the_latest_accepted_before_the_first_counts():
    case = Case().capture(0, 100).capture(HOUR, 50)
    later = case.candidates.pop()
    case.candidates.clear()
    case.candidates.append(later)
    assert case.verdicts(previous=(0, 1)) == ["quarantined"]
    assert case.verdicts(previous=None) == ["accepted"]


def test_defects_of_the_bytes_quarantine_and_a_person_may_overrule_them():
    case = Case().capture(0, 10, DEFECT).capture(HOUR, 10, DEFECT, decision="accept")
    assert case.judged() == {1: ("quarantined", ["count_disagrees"]), 2: ("accepted", [])}


def test_nobody_can_accept_what_holds_nothing():
    assert Case().capture(0, 0, FATAL, decision="accept").judged() == {1: ("quarantined", ["not_json"])}
    assert Case().capture(0, 0, FATAL, decision="reject").verdicts() == ["rejected"]


# --- one instant ---


def test_of_two_at_one_instant_the_smaller_hash_makes_history():
    case = Case().capture(0, 10, sha256="b").capture(0, 10, sha256="a").capture(HOUR, 10)
    assert case.verdicts() == ["superseded", "accepted", "accepted"]


@pytest.mark.parametrize("defect", [DEFECT, FATAL])
def test_what_is_not_accepted_supersedes_nothing(defect):
    case = Case().capture(0, 10, defect, sha256="a").capture(0, 10, sha256="b")
    assert case.verdicts() == ["quarantined", "accepted"]


def test_a_rejected_capture_gives_way_to_its_twin():
    case = Case().capture(0, 10, sha256="a", decision="reject").capture(0, 10, sha256="b")
    assert case.verdicts() == ["rejected", "accepted"]


def test_a_twin_is_not_measured_by_its_twin():
    """It is judged against the latest accepted capture before the instant; there is none, so nothing is suspicious."""
    case = Case().capture(0, 10, sha256="a").capture(0, 5, sha256="b")
    assert case.judged() == {1: ("accepted", []), 2: ("superseded", [])}


def test_a_twin_is_measured_by_what_came_before_both():
    case = Case().capture(0, 10).capture(HOUR, 10, sha256="a").capture(HOUR, 5, sha256="b")
    assert case.judged()[3] == ("quarantined", ["collapse"])


# --- limits and order ---


@pytest.mark.parametrize(("unreadable", "verdict"), [(1, "accepted"), (2, "quarantined")])
def test_one_price_in_a_hundred_may_be_unreadable(unreadable, verdict):
    case = Case().capture(0, 10, prices=(100, unreadable))
    assert case.verdicts() == [verdict]
    assert case.verdicts(limits=Limits(unreadable_share=1)) == ["accepted"]


@pytest.mark.parametrize("share", [0.07, 0.14, 0.28, 0.29, 0.55, 0.57, 0.58])
def test_a_share_is_the_decimal_that_it_is_written_as(share):
    """0.29 * 100 is less than 29 among floats."""
    left = 100 - round(share * 100)
    assert Case().capture(0, 100).capture(HOUR, left).verdicts(limits=Limits(gone_share=share)) == ["accepted"] * 2
    assert Case().capture(0, 100).capture(HOUR, left - 1).verdicts(limits=Limits(gone_share=share))[1] == "quarantined"


def test_limits_can_be_set():
    case = Case().capture(0, 100).capture(HOUR, 50)
    assert case.verdicts(limits=Limits(gone_share=0.5)) == ["accepted", "accepted"]
    assert case.verdicts(limits=Limits(gone_within_days=0.01)) == ["accepted", "accepted"]


@given(
    st.lists(
        st.tuples(
            st.integers(0, 5), st.integers(0, 20), st.booleans(), st.sampled_from([None, None, "accept", "reject"])
        ),
        max_size=7,
    ),
    st.integers(),
)
def test_the_order_of_the_candidates_does_not_matter(captures, seed):
    case = Case()
    for number, (moment, listed, has_defect, decision) in enumerate(captures):
        case.capture(moment * DAY, listed, *[DEFECT] * has_defect, sha256=str(number), decision=decision)
    straight = case.judged()
    random.Random(seed).shuffle(case.candidates)
    assert case.judged() == straight


@given(st.lists(st.tuples(st.integers(0, 20), st.booleans()), min_size=1, max_size=8), st.integers(0, 8))
def test_judging_the_rest_after_the_start_is_judging_the_whole(captures, cut):
    case = Case()
    for moment, (listed, has_defect) in enumerate(captures):
        case.capture(moment * 2 * DAY, listed, *[DEFECT] * has_defect)
    whole = case.judged()
    start, case.candidates = case.candidates[:cut], case.candidates[cut:]
    accepted = [(one.moment, one.capture_no) for one in start if whole[one.capture_no][0] == "accepted"]
    assert case.judged(accepted[-1] if accepted else None).items() <= whole.items()

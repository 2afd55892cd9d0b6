"""How the benchmark comes to a figure and a verdict."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks.measure import Against, Bar, Finding, Plan, interleaved, seconds_of, verdict

BASELINE = [1.0, 2.0, 9.0]


def bar(kind: Against, limit: float) -> Bar:
    return Bar("key", "what", limit, kind)


@pytest.mark.parametrize(
    ("kind", "limit", "ours", "figure", "is_met"),
    [
        (Against.NOTHING, 3, [1.0, 3.0, 50.0], 3.0, True),
        (Against.NOTHING, 2.9, [1.0, 3.0, 50.0], 3.0, False),
        (Against.BASELINE, 1.5, [3.0, 3.0, 3.0], 1.5, True),
        (Against.BASELINE, 1.4, [3.0, 3.0, 3.0], 1.5, False),
        (Against.SLOWER_BASELINE, 4, [0.5, 0.5, 7.0], 4.0, True),
        (Against.SLOWER_BASELINE, 4.1, [0.5, 0.5, 7.0], 4.0, False),
        (Against.BASELINE_PLUS, 1.5, [3.5, 3.5, 0.0], 1.5, True),
        (Against.BASELINE_PLUS, 1.4, [3.5, 3.5, 0.0], 1.5, False),
    ],
)
def test_medians_are_held_against_the_limit_on_its_own_side(
    kind: Against, limit: float, ours: list[float], figure: float, is_met: bool
):
    """Red with means for medians, with the ratio turned round, and with < for <=."""
    assert verdict(bar(kind, limit), Finding("key", ours, BASELINE)) == (figure, is_met)


def test_runs_take_turns_and_the_first_of_each_does_not_count():
    """Red where the warm-up counted, and where one work ran all its rounds before the other."""
    order: list[str] = []

    def work(name: str) -> float:
        order.append(name)
        return float(len(order))

    ours, theirs = interleaved(2, lambda: work("a"), lambda: work("b"))
    assert order == ["a", "b"] * 3
    assert ours == [3.0, 5.0]
    assert theirs == [4.0, 6.0]


def test_seconds_are_those_of_the_work():
    seen: list[int] = []
    assert 0 <= seconds_of(lambda: seen.append(1)) < 5
    assert seen == [1]


def test_without_a_bundle_every_bar_says_so():
    bars = [Bar("one", "one", 1), Bar("two", "two", 1)]
    findings = list(Plan(5, Path(), None).absent_bundle(bars))
    assert [one.key for one in findings] == ["one", "two"]
    assert all(one.reason and not one.ours for one in findings)

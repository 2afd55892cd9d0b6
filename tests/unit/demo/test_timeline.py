"""Step functions and the calendar of the simulation."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pipelines.demo.timeline import Calendar, Timeline

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
TICK = timedelta(microseconds=1)


def test_a_step_holds_from_its_own_instant_on() -> None:
    line = Timeline("a").then(NOON, "b").then(NOON + HOUR, "c")
    times = (NOON - TICK, NOON, NOON + HOUR - TICK, NOON + HOUR, NOON + 9 * HOUR)
    assert [line.at(at) for at in times] == ["a", "b", "b", "c", "c"]
    assert line.last == "c"


def test_then_leaves_the_old_timeline_as_it_was() -> None:
    line = Timeline("a")
    line.then(NOON, "b")
    assert line.at(NOON) == line.last == "a"


def test_a_stretch_goes_back_to_what_was() -> None:
    line = Timeline("a").then(NOON, "b").during(NOON + HOUR, NOON + 2 * HOUR, "x")
    assert [line.at(NOON + hours * HOUR) for hours in range(-1, 3)] == ["a", "b", "x", "b"]


@pytest.mark.parametrize("at", [NOON, NOON - TICK])
def test_steps_must_come_in_order(at: datetime) -> None:
    with pytest.raises(ValueError, match="would come before"):
        Timeline("a").then(NOON, "b").then(at, "c")


def test_a_share_of_the_way_is_an_hour_of_a_day() -> None:
    calendar = Calendar(NOON, 60)
    assert calendar.at(0.5, 6, 30) == datetime(2026, 5, 31, 6, 30, tzinfo=UTC)
    assert calendar.end == NOON + timedelta(days=60)


def test_a_workday_is_the_first_monday_from_there_on() -> None:
    for share in (0.1, 0.25, 0.4, 0.77):
        calendar = Calendar(NOON, 60)
        monday = calendar.workday_at(share, 18)
        assert monday.weekday() == 0
        assert timedelta(0) <= monday - calendar.at(share, 18) < timedelta(days=7)

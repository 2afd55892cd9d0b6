"""Time in the simulation: values that change at known instants, and the days in which they do.

Belongs here: the step function, and the calendar that turns "a third of the way, at six" into an instant.
Does not belong here: what changes, and why (`cast`).
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, TypeVar

T = TypeVar("T")


class Timeline(Generic[T]):
    """A value over all of time that changes only at its steps. Immutable: :meth:`then` gives a longer one."""

    __slots__ = ("_from", "_values")

    def __init__(self, first: T) -> None:
        self._from: tuple[datetime, ...] = ()
        self._values: tuple[T, ...] = (first,)

    def then(self, at: datetime, value: T) -> Timeline[T]:
        """This timeline, but ``value`` from ``at`` on. ``at`` must come after every step before it."""
        if self._from and at <= self._from[-1]:
            raise ValueError(f"a step at {at} would come before the one at {self._from[-1]}")
        longer: Timeline[T] = Timeline(self._values[0])
        longer._from = (*self._from, at)
        longer._values = (*self._values, value)
        return longer

    def during(self, begin: datetime, end: datetime, value: T) -> Timeline[T]:
        """This timeline, but ``value`` in ``[begin, end)`` and what it was before again from ``end`` on."""
        return self.then(begin, value).then(end, self._values[-1])

    def at(self, moment: datetime) -> T:
        """The value in force at ``moment``; a step's own instant already has the new value."""
        if not self._from:
            return self._values[0]
        return self._values[bisect_right(self._from, moment)]

    @property
    def steps(self) -> tuple[datetime, ...]:
        """When it changes, in order."""
        return self._from

    @property
    def last(self) -> T:
        """The value after every step."""
        return self._values[-1]


@dataclass(frozen=True)
class Calendar:
    """The simulated days: ``days`` of them from ``start`` (UTC) on."""

    start: datetime
    days: int

    @property
    def end(self) -> datetime:
        """The last simulated instant."""
        return self.start + timedelta(days=self.days)

    def at(self, share: float, hour: int = 0, minute: int = 0) -> datetime:
        """``hour``:``minute`` UTC on the day that lies ``share`` (0 to 1) of the way through."""
        day = self.start + timedelta(days=int(self.days * share))
        return day.replace(hour=hour, minute=minute, second=0, microsecond=0)

    def workday_at(self, share: float, hour: int) -> datetime:
        """As :meth:`at`, on the first Monday from there on."""
        moment = self.at(share, hour)
        return moment + timedelta(days=-moment.weekday() % 7)

"""Ten years of hourly captures of 500 models: what the ledger takes, and what it costs to ask and to go on.

Belongs here: a history longer than any real one. Does not belong here: how it is simulated (`lives`).

440 GB of JSON would say nothing more: each distinct model object is flattened as the product does it, the listings of
the hours are put together from their keys, and facts are appended as frames. The captures' bytes are not stored.
The simulated warehouse commits once a week, not once an hour, which takes a row less for an interval that begins and
ends within a week.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import groupby
from pathlib import Path

from pipelines.captures import Capture
from pipelines.flatten import Flattener, Frames, Listing
from pipelines.ledger.ledger import Ledger
from pipelines.scopes import TEXT_MODELS
from tests.benchmarks.lives import Change, churn_of, lives_of, simulated
from tests.benchmarks.measure import Against, Bar, Finding, Plan, Unit, interleaved, seconds_of
from tests.benchmarks.reading import opened, seconds_to_read, slowest

MODELS = 500
YEARS = 10
WEEKS_A_YEAR = 52
HOURS_A_WEEK = 168
START = datetime(2016, 1, 1, tzinfo=UTC)

SIZE = Bar("ten_years_ledger", "ledger after ten years, hourly, 500 models", 300e6, unit=Unit.BYTES)
MARTS = Bar("ten_years_marts", "the slowest mart read whole, ten years", 1.0)
PRICES_AT = Bar("ten_years_prices_at", "`prices_at` in the middle of ten years", 0.1)
NEXT = Bar(
    "ten_years_next",
    "the next snapshot after ten years, up to the commit",
    1.2,
    Against.BASELINE,
    baseline="the next snapshot after one year",
)

BARS = (SIZE, MARTS, PRICES_AT, NEXT)


def measure(plan: Plan) -> Iterator[Finding]:
    """The ledger at one year is copied aside, so that the next snapshots after one and after ten years take turns."""
    if plan.bundle is None:
        yield from plan.absent_bundle(BARS)
        return
    first, weeks = (2, 8) if plan.is_small else (WEEKS_A_YEAR, YEARS * WEEKS_A_YEAR + 2)
    hours_timed = 3 * plan.rounds + 1
    lives = lives_of(plan.bundle, plan.folder / "clone")
    churn = churn_of(lives)
    plan.tell(f"a listed model changes {churn.changes:.4f} times a day, {churn.additions:.4f} are added for each")
    catalogue = Catalogue(simulated(lives, MODELS, weeks * HOURS_A_WEEK + 2 * hours_timed))
    young, old = plan.folder / "one-year", plan.folder / "ten-years"
    with Ledger(old) as ledger:
        _fill(ledger, catalogue, first, plan)
    shutil.copytree(old, young)
    after_one = [catalogue.next_hours(1) for _ in range(hours_timed)]
    with Ledger(old) as ledger:
        for batch in after_one:
            batch.append_to(ledger)
        ledger.commit([batch.name for batch in after_one])
        _fill(ledger, catalogue, weeks - first, plan)
        ledger.publish()
        if ledger.rows("SELECT count(*) FROM catalogue.marts.snapshots")[0][0] != catalogue.hour:
            raise ValueError("not every simulated capture was accepted: the history is not what it is to be")
        size = float((old / "ledger.duckdb").stat().st_size)
        yield Finding(
            SIZE.key, [size], note=f"{catalogue.hour:,} snapshots, {catalogue.versions:,} versions, weekly commits"
        )
        yield from _reading(ledger.published, weeks, plan)
        yield _going_on(ledger, young, catalogue, after_one)


def _fill(ledger: Ledger, catalogue: Catalogue, weeks: int, plan: Plan) -> None:
    for number in range(weeks):
        batch = catalogue.next_hours(HOURS_A_WEEK)
        batch.append_to(ledger)
        ledger.commit([batch.name])
        if (number + 1) % WEEKS_A_YEAR == 0:
            plan.tell(f"{catalogue.hour:,} snapshots, {catalogue.versions:,} versions")


def _reading(published: Path, weeks: int, plan: Plan) -> Iterator[Finding]:
    plan.tell("reading")
    middle = f"TIMESTAMPTZ '{START + timedelta(weeks=weeks // 2):%Y-%m-%d} 00:00:00+00'"
    with opened(published) as connection:
        yield slowest(connection, plan.rounds, MARTS.key, middle)
        (asked,) = interleaved(
            plan.rounds, lambda: seconds_to_read(connection, f"FROM catalogue.marts.prices_at({middle})")
        )
        yield Finding(PRICES_AT.key, asked)


def _going_on(ledger: Ledger, young: Path, catalogue: Catalogue, after_one: Sequence[Batch]) -> Finding:
    """An hour after one year and an hour after ten, again and again."""
    on_young, on_old = [], []
    with Ledger(young) as other:
        for batch in after_one:
            on_young.append(seconds_of(partial(_load, other, batch)))
            on_old.append(seconds_of(partial(_load, ledger, catalogue.next_hours(1))))
    return Finding(NEXT.key, on_old[1:], on_young[1:], note="facts and what follows; no bytes are stored")


def _load(ledger: Ledger, batch: Batch) -> None:
    batch.append_to(ledger)
    ledger.commit([batch.name])


@dataclass(frozen=True)
class Batch:
    """Captures of some hours, and their frames."""

    name: str
    captures: Sequence[Capture]
    frames: Frames

    def append_to(self, ledger: Ledger) -> None:
        """Append the facts, as a pack that lies nowhere."""
        ledger.append(self.name, self.captures, self.frames)


class Catalogue:
    """The simulated catalogue, hour by hour. ``hour`` is the next one, ``versions`` counts the distinct ones so far."""

    def __init__(self, changes: Iterator[Change]) -> None:
        self.hour = 0
        self.versions = 0
        self._changes = {hour: list(of_hour) for hour, of_hour in groupby(changes, lambda change: change.hour)}
        self._flattener = Flattener()
        self._listed: dict[int, tuple[str, str]] = {}
        self._listing = Listing()

    def next_hours(self, hours: int) -> Batch:
        """The captures of the next ``hours``."""
        of_hours = [self._changes.pop(hour, []) for hour in range(self.hour, self.hour + hours)]
        new = [change.version for changes in of_hours for change in changes if change.version is not None]
        frames = self._flattener.flatten([b'{"data":[' + b",".join(new) + b"]}"])
        self.versions += frames.models.height
        met = iter(zip(frames.listings[0].model_ids, frames.listings[0].model_keys, strict=True))
        listings = []
        for changes in of_hours:
            for change in changes:
                if change.version is None:
                    self._listed.pop(change.place, None)
                else:
                    self._listed[change.place] = next(met)
            if changes:
                ids, keys = zip(*self._listed.values(), strict=True)
                self._listing = Listing(ids, keys, len(ids), price_count=len(ids))
            listings.append(self._listing)
        captures = [self._capture(self.hour + number) for number in range(hours)]
        self.hour += hours
        return Batch(f"simulated-{self.hour}", captures, replace(frames, listings=tuple(listings)))

    def _capture(self, hour: int) -> Capture:
        moment = START + timedelta(hours=hour)
        return Capture(TEXT_MODELS, moment, f"hour {hour}".encode(), "live", _PROVENANCE)


_PROVENANCE = {
    "url": "https://catalogue.example/api/v1/models",
    "status": 200,
    "headers": {"content-type": "application/json", "age": "17", "cf-cache-status": "HIT"},
    "elapsed_ms": 412,
}
"""About as much as a live capture tells of itself."""

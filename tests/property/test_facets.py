"""That membership and ranks are functions of the captures of a facet, whatever order they come in.

Belongs here: truths 1, 3, 4, 5, 7 and 8 for facets, against an oracle of their own.
Does not belong here: that a facet leaves the catalogue as it is (`test_coverage`).
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pipelines.captures import Capture
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.published import Published
from pipelines.ledger.verify import verify
from pipelines.scopes import Scope
from tests.oracle import Answer, judge
from tests.property.small import HOURS, START, empty_warehouse, in_batches
from tests.property.test_order import examples

FACETS = {
    "category=programming": Scope.of("openrouter", "models", category="programming"),
    "sort=top-weekly": Scope.of("openrouter", "models", sort="top-weekly"),
    "zdr=true": Scope.of("openrouter", "models", zdr="true"),
    "models/user": Scope.of("openrouter", "models/user"),
}
RANKINGS = ("category=programming", "sort=top-weekly")
IDS = tuple(f"a/{name}" for name in ("one", "two", "three", "four", "five", "six", "seven"))
MARTS = ("facet_membership", "facet_changes", "rank_history", "ranks")
WEEK = timedelta(days=7)

Told = list[tuple[datetime, list[str]]]
"""The snapshots of a facet in the order of time: when, and the ids in their order."""


class Crowd:
    """Answers about facets in the order in which they are loaded, which is any. Shown by its seed."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        chance = self.chance = random.Random(seed)
        asked = chance.sample(sorted(FACETS), chance.randint(1, 3))
        self.answers = [(facet, answer) for facet in asked for answer in self._of_a_facet()]
        chance.shuffle(self.answers)

    def __repr__(self) -> str:
        return f"Crowd({self._seed})"

    def _of_a_facet(self) -> list[Answer]:
        chance, order, answers = self.chance, list(IDS), []
        for hours in sorted(chance.choices(HOURS, k=chance.randint(2, 9))):
            for _ in range(chance.choice((0, 0, 1, 2))):
                one, other = chance.sample(range(len(order)), 2)
                order[one], order[other] = order[other], order[one]
            lacking = chance.sample(IDS, chance.choice((0, 0, 0, 1, 1, 3)))
            listed = [{"id": one, "pricing": {}} for one in order if one not in lacking]
            body = json.dumps({"data": listed}).encode()
            if chance.random() < 0.1:
                body = chance.choice((b"", b'{"data": []}', json.dumps({"data": [*listed, listed[0]]}).encode()))
            decision = chance.choice((None,) * 8 + ("accept", "reject"))
            answers.append(Answer(START + timedelta(hours=hours), False, body, decision))
        return list({(one.observed_at, one.body): one for one in answers}.values())


crowds = st.builds(Crowd, st.integers(0, 2**32))


def load(ledger: Ledger, batch: Sequence[tuple[str, Answer]]) -> None:
    captures = [(Capture(FACETS[facet], one.observed_at, one.body, "small"), one.decision) for facet, one in batch]
    ledger.load([capture for capture, _ in captures])
    ledger.commit(
        decisions=[
            {"snapshot_id": capture.snapshot_id, "decision": decision, "reason": "because"}
            for capture, decision in captures
            if decision is not None
        ]
    )


def marts_of(ledger: Ledger) -> dict[str, list[tuple[Any, ...]]]:
    return {mart: in_order(ledger.rows(f"SELECT * FROM catalogue.marts.{mart}")) for mart in MARTS}


def in_order(rows: Iterable[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Sorted, with times in one time zone."""
    return sorted((tuple(_in_utc(value) for value in row) for row in rows), key=str)


def _in_utc(value: Any) -> Any:
    return value.astimezone(UTC) if isinstance(value, datetime) else value


# --- the oracle -----------------------------------------------------------------------------------------------------


def snapshots_of(answers: Iterable[Answer]) -> Told:
    """What makes history, without second mentions of a model."""
    told = []
    for answer, _, verdict in judge(answers):
        if verdict == "accepted":
            listed = [entry["id"] for entry in json.loads(answer.body)["data"]]
            told.append((answer.observed_at, sorted(set(listed), key=listed.index)))
    return sorted(told)


def stretches(
    marks: Sequence[tuple[datetime, Any]],
) -> Iterator[tuple[Any, datetime, datetime | None, datetime | None]]:
    """(value, valid_from, valid_to, last_seen_at) of each stretch of equal values; None is no value."""
    start = 0
    for place in range(1, len(marks) + 1):
        is_over = place == len(marks)
        if is_over or marks[place][1] != marks[start][1]:
            if marks[start][1] is not None:
                ends = (None, None) if is_over else (marks[place][0], marks[place - 1][0])
                yield marks[start][1], marks[start][0], *ends
            start = place


def membership(facet: str, told: Told) -> Iterator[tuple[Any, ...]]:
    for model in IDS:
        for _, since, until, last_seen in stretches([(at, True if model in listed else None) for at, listed in told]):
            yield "openrouter", facet, model, since, until, last_seen, since == told[0][0]


def changes(facet: str, told: Told) -> Iterator[tuple[Any, ...]]:
    met = set(told[0][1]) if told else set()
    for (before_at, before), (at, now) in pairwise(told):
        for model in set(now) - set(before):
            yield "openrouter", facet, model, at, before_at, "rejoined" if model in met else "joined"
        for model in set(before) - set(now):
            yield "openrouter", facet, model, at, before_at, "left"
        met |= set(now)


def rank_in(told: Told, model: str, at: datetime) -> int | None:
    """The place of a model in the last snapshot that is not after ``at``."""
    listed = [listed for moment, listed in told if moment <= at][-1:]
    return listed[0].index(model) + 1 if listed and model in listed[0] else None


def moved(rank: int, *before: int | None) -> Iterator[int | None]:
    for one in before:
        yield one
        yield None if one is None else one - rank


def rank_history(facet: str, told: Told) -> Iterator[tuple[Any, ...]]:
    for model in IDS:
        for rank, since, until, last_seen in stretches([(at, rank_in(told, model, at)) for at, _ in told]):
            before = rank_in([one for one in told if one[0] < since], model, since)
            movement = moved(rank, before, rank_in(told, model, since - WEEK))
            yield "openrouter", facet, model, rank, since, until, last_seen, *movement


def ranks(facet: str, told: Told) -> Iterator[tuple[Any, ...]]:
    if told:
        now, listed = told[-1]
        since = {row[2]: row[4] for row in rank_history(facet, told) if row[5] is None}
        for rank, model in enumerate(listed, start=1):
            movement = moved(rank, rank_in(told[:-1], model, now), rank_in(told, model, now - WEEK))
            yield "openrouter", facet, rank, model, *movement, since[model], now


def expected(answers: Sequence[tuple[str, Answer]]) -> dict[str, list[tuple[Any, ...]]]:
    tellers = {"facet_membership": membership, "facet_changes": changes, "rank_history": rank_history, "ranks": ranks}
    rows: dict[str, list[tuple[Any, ...]]] = {mart: [] for mart in tellers}
    for facet in sorted({facet for facet, _ in answers}):
        told = snapshots_of(one for other, one in answers if other == facet)
        for mart, teller in tellers.items():
            if facet in RANKINGS or mart.startswith("facet"):
                rows[mart] += teller(facet, told)
    return {mart: in_order(found) for mart, found in rows.items()}


# --- the properties -------------------------------------------------------------------------------------------------


@examples(25)
@given(crowd=crowds)
def test_facets_are_what_the_oracle_tells(crowd: Crowd) -> None:
    """Truths 3, 5 and 8.

    Seen red with stretches that begin at the last snapshot before a change rather than where they began, with that
    snapshot sought at the change itself, with rankings in the order of ids, with a place that holds from a moment on
    left out at that moment a week later, with quarantined snapshots making history, and without any derivation.
    """
    with empty_warehouse() as ledger:
        for batch in in_batches(crowd.answers, crowd.chance):
            load(ledger, batch)
        found = marts_of(ledger)
        for mart, rows in expected(crowd.answers).items():
            assert found[mart] == rows, mart
        assert ledger.rows("SELECT count(*) FROM catalogue.marts.models") == [(0,)]


@examples(6)
@given(crowd=crowds)
def test_what_was_known_of_facets_stays_and_can_be_built_anew(crowd: Crowd) -> None:
    """Truths 1, 4 and 7."""
    first, *others = in_batches(crowd.answers, crowd.chance)
    with empty_warehouse() as ledger:
        load(ledger, first)
        load(ledger, first)
        ledger.publish()
        then = marts_of(ledger)
        with Published(ledger.warehouse) as published:
            known_at = published.known_at
        for batch in others:
            load(ledger, batch)
        ledger.publish()
        with Published(ledger.warehouse, known_at) as published:
            assert {mart: in_order(published.ask(f"SELECT * FROM marts.{mart}").rows) for mart in MARTS} == then
        assert verify(ledger).findings == ()


def test_a_week_has_as_many_hours_wherever_one_asks() -> None:
    """Red while a week was seven days of the reader's time zone, of which one has 23 hours where clocks are changed."""
    then, now = datetime(2026, 3, 26, 12, 30, tzinfo=UTC), datetime(2026, 4, 2, 12, 15, tzinfo=UTC)
    order = ["a/one", "a/two"]
    scope = FACETS["category=programming"]
    told = {then: order, then + timedelta(hours=12): order[::-1], then - WEEK: order[::-1], now: order}
    bodies = {at: json.dumps({"data": [{"id": one, "pricing": {}} for one in ids]}) for at, ids in told.items()}
    with empty_warehouse() as ledger:
        ledger.load([Capture(scope, at, body.encode(), "small") for at, body in bodies.items()])
        ledger.publish()
        found = {}
        for zone in ("UTC", "Europe/Berlin", "America/New_York"):
            with Published(ledger.warehouse) as published:
                published.run(f"SET TimeZone = '{zone}'")
                found[zone] = [in_order(published.ask(f"SELECT * FROM marts.{one}").rows) for one in MARTS]
    assert found["UTC"] == found["Europe/Berlin"] == found["America/New_York"]

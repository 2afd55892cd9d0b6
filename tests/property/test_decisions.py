"""That a person's word on a capture counts from when it was given, whenever that is, and for the whole of history.

Belongs here: truth 8 in what people decide, and the times between which truth 7 has a snapshot known.
Does not belong here: what is suspicious without anybody's word (`test_order`), what late captures change for
readers of the past (`test_clocks`).
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta

from hypothesis import example, given
from hypothesis import strategies as st

from pipelines.ledger.ledger import Ledger
from tests.compare import assert_marts_equal, assert_same_rows, ledger_marts, whole_history
from tests.oracle import Answer, judge, tell
from tests.property.small import HOURS, START, History, capture_of, empty_warehouse, histories, in_batches
from tests.property.test_order import examples, verdicts_of

INSTANTS = tuple(START + timedelta(hours=hours) for hours in (3, 30, 24 * 8 + 5, 24 * 17))

Decisions = Mapping[Answer, str]
"""The latest word on each capture that somebody decided on; the captures are without decisions of their own."""


def undecided(history: History) -> list[Answer]:
    return [one._replace(decision=None) for one in history.answers]


def decided(answers: Iterable[Answer], decisions: Decisions) -> list[Answer]:
    """``answers`` as the oracle takes them, each with what was decided on it."""
    return [one._replace(decision=decisions.get(one)) for one in answers]


def with_verdict(wanted: str, answers: Iterable[Answer]) -> list[Answer]:
    """The listings on which that is the verdict; what is no listing cannot be accepted and is not among them."""
    return [answer for answer, listing, verdict in judge(answers) if verdict == wanted and listing.is_listing]


@contextmanager
def decided_at_once(answers: Sequence[Answer], decisions: Decisions) -> Iterator[Ledger]:
    """A new warehouse that learns of the captures and of the decisions on them in one commit, open."""
    with empty_warehouse() as ledger:
        captures = [capture_of(one) for one in answers]
        pack = ledger.raw.write(captures)
        ledger.append(pack, captures)
        decide(ledger, decisions, pack)
        yield ledger


def decide(ledger: Ledger, decisions: Decisions, *packs: str) -> datetime:
    moment = ledger.commit(
        packs,
        [
            {"snapshot_id": capture_of(one).snapshot_id, "decision": decision, "reason": f"to {decision}"}
            for one, decision in decisions.items()
        ],
    )
    assert moment is not None
    return moment


def load(ledger: Ledger, answers: Iterable[Answer]) -> datetime:
    ledger.load([capture_of(one) for one in answers])
    return latest_commit(ledger)


def latest_commit(ledger: Ledger) -> datetime:
    latest: datetime = ledger.rows("SELECT max(recorded_at) FROM catalogue.core.commits")[0][0]
    return latest


def assert_decided(ledger: Ledger, answers: Sequence[Answer], decisions: Decisions) -> None:
    """The history is that of the ``decisions``, as the oracle tells it and as a warehouse that learnt all at once."""
    assert_marts_equal(ledger_marts(ledger), tell(decided(answers, decisions)))
    with decided_at_once(answers, decisions) as other:
        assert verdicts_of(ledger) == verdicts_of(other)
        assert_same_rows(whole_history(ledger, INSTANTS), whole_history(other, INSTANTS))


@examples(8)
@given(history=histories.filter(lambda one: bool(with_verdict("quarantined", undecided(one)))))
def test_an_acceptance_may_come_late(history: History) -> None:
    """Truth 8: whether a quarantined capture is accepted at once or after all else was loaded, or in between, it makes
    the same history.

    Seen red with decisions on captures that have a verdict passed over in `_TO_JUDGE`, with an acceptance that
    outweighs the capture's own defects but no collapse, and with `_reconcile` deleting rows.
    """
    answers, chance = undecided(history), history.chance
    suspicious = with_verdict("quarantined", answers)
    accepted = chance.sample(suspicious, chance.randint(1, len(suspicious)))
    with empty_warehouse() as ledger:
        loaded: list[Answer] = []
        waiting = list(accepted)
        for batch in in_batches(answers, chance):
            load(ledger, batch)
            loaded += batch
            for one in [one for one in waiting if one in loaded and chance.random() < 0.3]:
                decide(ledger, {one: "accept"})
                waiting.remove(one)
        for one in waiting:
            decide(ledger, {one: "accept"})
        assert_decided(ledger, answers, dict.fromkeys(accepted, "accept"))


@examples(8)
@given(history=histories.filter(lambda one: bool(with_verdict("accepted", undecided(one)))))
def test_a_rejection_takes_nothing_back_from_before(history: History) -> None:
    """Truths 7 and 8: once an accepted snapshot is rejected, who asks as of an earlier time is answered as before, and
    who asks as of then or later as if it had been rejected at once. What is loaded afterwards alters neither.

    Seen red with `rejudged` leaving out captures that are accepted no more, with only quarantined captures judged anew
    after a decision, and with `_reconcile` deleting rows rather than closing them.
    """
    answers, chance = undecided(history), history.chance
    *early, late = in_batches(answers, chance) if len(answers) > 1 else (answers, [])
    loaded = [one for batch in early for one in batch]
    with empty_warehouse() as ledger:
        moments = [load(ledger, batch) for batch in early]
        accepted = with_verdict("accepted", loaded)
        if not accepted:
            return
        rejected = chance.choice(accepted)
        before = {known_at: as_of(ledger, known_at) for known_at in moments}
        moment = decide(ledger, {rejected: "reject"})
        assert {known_at: as_of(ledger, known_at) for known_at in moments} == before
        assert as_of(ledger, moment - timedelta(microseconds=1)) == before[moments[-1]]
        with decided_at_once(loaded, {rejected: "reject"}) as other:
            afterwards = as_of(other, None)
            assert as_of(ledger, moment) == as_of(ledger, None) == afterwards
        if late:
            load(ledger, late)
        assert {known_at: as_of(ledger, known_at) for known_at in moments} == before
        assert as_of(ledger, moment) == afterwards
        assert_decided(ledger, answers, {rejected: "reject"})


def as_of(ledger: Ledger, known_at: datetime | None) -> dict[str, list[str]]:
    """What the macros tell of :data:`INSTANTS` to somebody who knows what was known at ``known_at``."""
    return {
        f"{macro} {valid_at}": sorted(
            map(
                str,
                ledger.rows(f"SELECT * FROM catalogue.marts.{macro}(?, known_at := ?)", [valid_at, known_at]),
            )
        )
        for macro in ("models_at", "prices_at")
        for valid_at in INSTANTS
    }


@examples(6)
@example(history=History(2123359))
@given(history=histories)
def test_the_last_word_counts(history: History) -> None:
    """Truth 8: whatever was decided before, on whichever captures, alone or with others, between whichever loads.

    Seen red with the first decision counting in `_CANDIDATES`, and in the history that is named with a rejected listing
    of text that goes on covering a model.
    """
    answers, chance = undecided(history), history.chance
    decisions: dict[Answer, str] = {}
    with empty_warehouse() as ledger:
        loaded: list[Answer] = []
        for batch in in_batches(answers, chance):
            load(ledger, batch)
            loaded += batch
            for _ in range(chance.randint(0, 3)):
                words = {one: chance.choice(("accept", "reject")) for one in chance.sample(loaded, 1)}
                words |= {one: chance.choice(("accept", "reject")) for one in loaded if chance.random() < 0.1}
                decide(ledger, words)
                decisions |= words
        assert_decided(ledger, answers, decisions)


# --- when a snapshot is known ---------------------------------------------------------------------------------------


class Marked:
    """Listings of all models, in every one of which a model bears the listing's own name. Shown by its seed.

    One in six has a count that disagrees, and one in six lacks enough models to be a collapse.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        chance = self.chance = random.Random(seed)
        hours = chance.sample(HOURS, chance.randint(3, 7))
        self.answers = [self._answer(number, hour) for number, hour in enumerate(hours)]

    def __repr__(self) -> str:
        return f"Marked({self._seed})"

    def _answer(self, number: int, hour: float) -> Answer:
        lacking = self.chance.choice((0, 0, 0, 1, 1, 3))
        shown = self.chance.sample(range(5), 5 - lacking)
        models = [{"id": f"a/{one}", "pricing": {}} for one in shown]
        models.append({"id": "z/name", "name": f"{number}", "pricing": {"prompt": "0.1"}})
        count = len(models) + self.chance.choice((0, 0, 0, 0, 0, 1))
        body = json.dumps({"data": models, "total_count": count}).encode()
        return Answer(START + timedelta(hours=hour), True, body)


@examples(10)
@given(marked=st.builds(Marked, st.integers(0, 2**32)))
def test_a_snapshot_is_known_from_its_acceptance_until_it_is_taken_back(marked: Marked) -> None:
    """Truths 7 and 8: from the very instant of the commit by which it is accepted, which `snapshots` names, to that by
    which it no longer is, whether somebody rejected it or what came late made it suspicious.

    What is known shows by the name that a model bears: at any instant that of the latest snapshot known. Seen red with
    `known_to >= known_at` for `>` and `known_from < known_at` for `<=` in `listed_at.sql`, and with `recorded_at` in
    `snapshots.sql` when a capture was first accepted, though it was rejected since.
    """
    chance = marked.chance
    known: list[tuple[datetime, list[Answer]]] = []
    decisions: dict[Answer, str] = {}
    loaded: list[Answer] = []
    with empty_warehouse() as ledger:
        for batch in in_batches(marked.answers, chance):
            moments = [load(ledger, batch)]
            loaded += batch
            known.append((moments[0], accepted_among(loaded, decisions)))
            for _ in range(chance.randint(0, 3)):
                words = {chance.choice(loaded): chance.choice(("accept", "reject"))}
                decisions |= words
                known.append((decide(ledger, words), accepted_among(loaded, decisions)))
        names = dict(zip(marked.answers, map(str, range(len(marked.answers))), strict=True))
        instants = [one.observed_at for one in marked.answers]
        told, expected = {}, {}
        for (moment, snapshots), before in zip(known, [[], *(one for _, one in known)], strict=False):
            for known_at, then in ((moment, snapshots), (moment - timedelta(microseconds=1), before)):
                for instant in instants:
                    told[known_at, instant] = ledger.rows(
                        "SELECT name FROM catalogue.marts.models_at(?, known_at := ?) WHERE model_id = 'z/name'",
                        [instant, known_at],
                    )
                    earlier = [one for one in then if one.observed_at <= instant]
                    expected[known_at, instant] = [(names[one],) for one in earlier[-1:]]
        assert told == expected
        recorded = ledger.rows("SELECT observed_at, recorded_at FROM catalogue.marts.snapshots ORDER BY observed_at")
        assert recorded == [(one.observed_at, accepted_since(one, known)) for one in known[-1][1]]


def accepted_among(answers: Iterable[Answer], decisions: Decisions) -> list[Answer]:
    """The accepted ones, in the order of time, without what was decided."""
    judged = judge(decided(answers, decisions))
    return [answer._replace(decision=None) for answer, _, verdict in judged if verdict == "accepted"]


def accepted_since(one: Answer, known: Sequence[tuple[datetime, list[Answer]]]) -> datetime:
    """The first of the latest moments throughout which the snapshot is known."""
    since = known[-1][0]
    for moment, snapshots in reversed(known):
        if one not in snapshots:
            break
        since = moment
    return since

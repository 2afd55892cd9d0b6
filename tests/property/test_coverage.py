"""That each source has one history, made of all its listings that claim to be whole and of nothing else.

Belongs here: truth 5 where scopes and sources meet: a text-only archive and what is asked live, facets, another source.
Does not belong here: absence within one scope or two that alternate (`test_order`).

Of what the design leaves open: unknown fields of facets are no schema drift. Drift is told of the catalogue, and a
facet contributes nothing to it.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from pipelines.ledger.ledger import Ledger
from pipelines.scopes import OPENROUTER, Scope
from tests.compare import Marts, assert_marts_equal, assert_same_rows, ledger_marts, whole_history
from tests.oracle import Answer, judge, tell
from tests.property.small import HOURS, START, an_answer, capture_of, empty_warehouse, in_batches, versions_shown
from tests.property.test_order import examples

GATEWAY = "gateway"

FACETS = (
    Scope.of(OPENROUTER, "models", zdr="true"),
    Scope.of(OPENROUTER, "models", category="programming"),
    Scope.of(OPENROUTER, "models", supported_parameters="tools"),
    Scope.of(OPENROUTER, "models", output_modalities="all", zdr="true"),
    Scope.of(OPENROUTER, "models", output_modalities="image"),
    Scope.of(OPENROUTER, "models/user"),
    Scope.of(OPENROUTER, "models/user", output_modalities="all"),
)

INSTANTS = tuple(START + timedelta(hours=hours) for hours in (0, 30, 55, 24 * 8 + 5, 24 * 17))


class Asked(NamedTuple):
    """An answer, and what it answers."""

    scope: Scope
    answer: Answer


class Crowd:
    """A text-only archive, then listings of all, with facets and another source beside them. Shown by its seed.

    The other source and the facets show models of their own and of the catalogue, in part in the very same versions.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        chance = self.chance = random.Random(seed)
        shown = versions_shown(chance)
        hours = sorted(chance.sample(HOURS, chance.randint(4, 9)))
        turn = chance.randint(1, len(hours) - 1)
        text = [an_answer(shown, hours[:turn], 0, chance) for _ in range(chance.randint(2, 5))]
        everything = [an_answer(shown, hours[turn:], 1, chance) for _ in range(chance.randint(2, 5))]
        self.archive, self.live = _asked(OPENROUTER, text), _asked(OPENROUTER, everything)
        theirs = chance.choice((shown, versions_shown(chance)))
        share = chance.choice((0, 0.5, 1))
        self.gateway = _asked(GATEWAY, [an_answer(theirs, hours, share, chance) for _ in range(chance.randint(2, 5))])
        filtered = {
            **{one: [*versions, *({**version, "rank": 1} for version in versions)] for one, versions in shown.items()},
            "f/only": [{"id": "f/only", "pricing": {"prompt": "0.1"}}],
        }
        scopes = chance.sample(FACETS, 2)
        self.facets = [
            Asked(scope, one.answer)
            for scope in scopes
            for one in _asked(OPENROUTER, [an_answer(filtered, hours, 1, chance) for _ in range(chance.randint(2, 4))])
        ]

    def __repr__(self) -> str:
        return f"Crowd({self._seed})"

    @property
    def catalogue(self) -> list[Asked]:
        return [*self.archive, *self.live]


crowds = st.builds(Crowd, st.integers(0, 2**32))


def _asked(source: str, answers: Iterable[Answer]) -> list[Asked]:
    """What each of ``answers`` to ``source`` answers; the same bytes at the same time only once."""
    unique = {(one.observed_at, one.lists_every_modality, one.body): one for one in answers}
    return [
        Asked(Scope.of(source, "models", output_modalities="all" if one.lists_every_modality else "text"), one)
        for one in unique.values()
    ]


@contextmanager
def warehouse_of(batches: Iterable[Sequence[Asked]]) -> Iterator[Ledger]:
    """A new warehouse into which each of ``batches`` was loaded, open. A pack holds captures of one source."""
    with empty_warehouse() as ledger:
        for batch in batches:
            packs = []
            for source in sorted({one.scope.source for one in batch}):
                captures = [capture_of(one.answer, one.scope) for one in batch if one.scope.source == source]
                packs.append(ledger.raw.write(captures))
                ledger.append(packs[-1], captures)
            ledger.commit(packs, [decision for one in batch for decision in _decision(one)])
        yield ledger


def _answer(one: Asked) -> Answer:
    return one.answer


def _decision(one: Asked) -> Iterator[dict[str, str]]:
    if one.answer.decision is not None:
        snapshot_id = capture_of(one.answer, one.scope).snapshot_id
        yield {"snapshot_id": snapshot_id, "decision": one.answer.decision, "reason": "because"}


def of_source(marts: Marts, source: str) -> Marts:
    """The rows of one source. What compares it with another is no row of either alone."""
    return {
        name: [row for row in rows if row["source"] == source and "other_source" not in row]
        for name, rows in marts.items()
    }


OF_FACETS = {"facet_membership", "facet_changes", "rank_history", "ranks"}


def without_facets(marts: Marts) -> Marts:
    return {
        name: [row for row in rows if name != "snapshots" or row["scope_kind"] == "catalogue"]
        if name not in OF_FACETS
        else []
        for name, rows in marts.items()
    }


def as_openrouter(marts: Marts) -> Marts:
    """The rows of another source under the name of the only one that the oracle knows."""
    return {
        name: [
            {**row, "source": OPENROUTER, **({"scope": _at_openrouter(row["scope"])} if "scope" in row else {})}
            for row in rows
        ]
        for name, rows in marts.items()
    }


def _at_openrouter(scope: str) -> str:
    return f"{OPENROUTER}/{scope.partition('/')[2]}"


def verdicts_of(ledger: Ledger) -> set[tuple[str, datetime, str, str]]:
    return set(
        ledger.rows(
            "SELECT c.scope, c.observed_at, c.sha256, v.verdict FROM catalogue.core.verdicts AS v "
            "JOIN catalogue.raw.captures AS c ON c.capture_no = v.capture_no WHERE v.known_to IS NULL"
        )
    )


def judged(asked: Iterable[Asked]) -> set[tuple[str, datetime, str, str]]:
    """What the oracle says of each capture; every scope is judged by itself."""
    by_scope: dict[Scope, list[Answer]] = {}
    for scope, answer in asked:
        by_scope.setdefault(scope, []).append(answer)
    return {
        (scope.name, answer.observed_at, answer.sha256, verdict)
        for scope, answers in by_scope.items()
        for answer, _, verdict in judge(answers)
    }


@examples(8)
@given(crowd=crowds)
def test_each_source_has_a_history_of_its_own(crowd: Crowd) -> None:
    """Truth 5: what a source's marts hold is what they hold in a warehouse that never heard of the other one, and what
    the oracle tells.

    Seen red with the snapshots of every source in `_SNAPSHOTS`, with `_derive_from_runs` closing the rows of other
    sources, with captures judged by source rather than by scope, and with `first_seen_at` in `models_at.sql` that of
    any source.
    """
    both = [*crowd.catalogue, *crowd.gateway]
    with warehouse_of(in_batches(both, crowd.chance)) as ledger:
        assert verdicts_of(ledger) == judged(both)
        mixed, told = whole_history(ledger, INSTANTS), ledger_marts(ledger)
    for asked in (crowd.catalogue, crowd.gateway):
        source = asked[0].scope.source
        with warehouse_of([asked]) as alone:
            assert_same_rows(of_source(mixed, source), whole_history(alone, INSTANTS))
        assert_marts_equal(as_openrouter(of_source(told, source)), tell(map(_answer, asked)))


@examples(8)
@given(crowd=crowds)
def test_facets_leave_the_catalogue_as_it_is(crowd: Crowd) -> None:
    """Truths 5 and 8: whatever they list, broken or whole, they are judged and only `snapshots` tells of them.

    Seen red with a filter taken for a catalogue in `Scope.kind`, with the kind of scope left out of `accepted.sql`, or
    of `listed_at.sql` (which moves `last_seen_at`), and with captures judged by source.
    """
    with warehouse_of(in_batches([*crowd.catalogue, *crowd.facets], crowd.chance)) as ledger:
        verdicts, found = verdicts_of(ledger), whole_history(ledger, INSTANTS)
    with warehouse_of([crowd.catalogue]) as alone:
        assert_same_rows(without_facets(found), whole_history(alone, INSTANTS))
    assert verdicts == judged(crowd.catalogue) | judged(crowd.facets)
    told = {(row["scope"], row["observed_at"], row["sha256"], "accepted") for row in found["snapshots"]}
    assert told == {one for one in verdicts if one[-1] == "accepted"}


@examples(12)
@given(crowd=crowds)
def test_an_archive_of_text_models_and_what_is_asked_live_are_one_history(crowd: Crowd) -> None:
    """Truth 5, where the scope changes: who is listed on both sides of it was never away, and who could not have been
    listed before it is not new.

    Said of events and spells as such, beside what the oracle tells. Seen red with `history._step` left-censoring only
    before the first snapshot of any kind, and with every spell ending where all is first asked for.
    """
    with warehouse_of(in_batches(crowd.catalogue, crowd.chance)) as ledger:
        told = ledger_marts(ledger)
    assert_marts_equal(told, tell(map(_answer, crowd.catalogue)))
    text, everything = (
        [
            (answer.observed_at, listing)
            for answer, listing, verdict in judge(map(_answer, side))
            if verdict == "accepted"
        ]
        for side in (crowd.archive, crowd.live)
    )
    if not text or not everything:
        return
    (before, last_text), (after, first_all) = text[-1], everything[0]
    events = {(row["model_id"], row["event"]) for row in told["model_events"] if before < row["happened_at"] <= after}
    spells = {row["model_id"]: row for row in told["model_spells"] if row["listed_from"] == after}
    seen = {one for _, listing in text for one in listing.ids}
    for model in first_all.models:
        model_id, outputs_text = model["id"], "text" in model["architecture"]["output_modalities"]
        if model_id in last_text.ids:
            assert model_id not in spells
            assert not {one for one in events if one[0] == model_id}
        elif model_id not in seen:
            assert spells[model_id]["is_left_censored"] != outputs_text
            assert ((model_id, "added") in events) == outputs_text
            assert (model_id in {row["model_id"] for row in told["new_models"]}) == outputs_text

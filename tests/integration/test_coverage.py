"""A simulated catalogue as years of use would meet it: a text-only archive, then everything, filters and a gateway.

Belongs here: truth 5 where scopes and sources meet, on whole simulations. Does not belong here: the same on tiny
catalogues with damage and decisions (`tests/property/test_coverage`), two scopes that alternate (`test_truth`).
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import product
from typing import Any

import pytest

from pipelines.demo.catalogue import SimulatedCatalogue
from pipelines.scopes import ALL_MODELS, OPENROUTER, TEXT_MODELS, Scope
from tests.compare import Marts, assert_marts_equal, assert_same_rows, ledger_marts, whole_history
from tests.oracle import Answer, tell
from tests.property.test_coverage import (
    GATEWAY,
    Asked,
    as_openrouter,
    judged,
    of_source,
    verdicts_of,
    warehouse_of,
    without_facets,
)

DAYS = 60
SWITCH = 30
"""The day from which on every modality is asked for."""

OURS = SimulatedCatalogue(seed=8, models=70, days=DAYS)
THEIRS = SimulatedCatalogue(seed=9, models=60, days=DAYS)
"""They list some of the same ids, each at its own prices."""

ZDR = Scope.of(OPENROUTER, "models", zdr="true")
PROGRAMMING = Scope.of(OPENROUTER, "models", category="programming", output_modalities="all")
TOOLS = Scope.of(OPENROUTER, "models", supported_parameters="tools")
MINE = Scope.of(OPENROUTER, "models/user")


def at_hour(day: int, hour: int) -> datetime:
    return OURS.start + timedelta(days=day, hours=hour, minutes=5)


INSTANTS = (at_hour(SWITCH - 1, 18), at_hour(SWITCH, 0), at_hour(SWITCH, 6), at_hour(45, 1))


def catalogue() -> list[Asked]:
    """Every twelve hours."""
    return [
        Asked(ALL_MODELS if day >= SWITCH else TEXT_MODELS, _answer(OURS, at_hour(day, hour), is_all=day >= SWITCH))
        for day in range(DAYS)
        for hour in (0, 12)
    ]


def gateway() -> list[Asked]:
    """Once a day, at the very times of the catalogue."""
    text, everything = Scope.of(GATEWAY, "models"), Scope.of(GATEWAY, "models", output_modalities="all")
    return [
        Asked(everything if day % 3 else text, _answer(THEIRS, at_hour(day, 12), is_all=day % 3 > 0))
        for day in range(DAYS)
    ]


def facets() -> Iterator[Asked]:
    """Part of the catalogue, with a rank that the catalogue does not have; every ninth is damaged, one is empty."""
    asked = ((ZDR, 12), (PROGRAMMING, 3), (MINE, 12))
    for number, (day, (scope, hour)) in enumerate(product(range(1, DAYS, 3), asked)):
        at = at_hour(day, hour)
        document = json.loads(_answer(OURS, at, is_all=scope == PROGRAMMING).body)
        models = [model for model in document["data"] if len(model["id"]) % 3]
        document["data"] = [{**model, "rank": place} for place, model in enumerate(models)]
        document["total_count"] = len(document["data"])
        body = json.dumps(document).encode()
        yield Asked(scope, Answer(at, False, body[: len(body) // 2] if number % 9 == 0 else body))
    yield Asked(TOOLS, Answer(at_hour(20, 0), False, b'{"data": [], "total_count": 0}'))


def _answer(simulated: SimulatedCatalogue, at: datetime, *, is_all: bool) -> Answer:
    return Answer(at, is_all, simulated.listing(at, output_modalities="all" if is_all else "text"))


@dataclass
class Loaded:
    """The marts of a warehouse that got everything, in any order, and what each capture was taken for."""

    asked: dict[str, list[Asked]]
    marts: Marts = field(default_factory=dict)
    history: Marts = field(default_factory=dict)
    verdicts: set[Any] = field(default_factory=set)


@pytest.fixture(scope="module")
def loaded() -> Loaded:
    asked = {"catalogue": catalogue(), "gateway": gateway(), "facets": list(facets())}
    told = Loaded(asked)
    shuffled = [one for some in asked.values() for one in some]
    random.Random(5).shuffle(shuffled)
    with warehouse_of(shuffled[start : start + 50] for start in range(0, len(shuffled), 50)) as ledger:
        told.marts, told.history, told.verdicts = (
            ledger_marts(ledger),
            whole_history(ledger, INSTANTS),
            verdicts_of(ledger),
        )
    return told


@pytest.mark.parametrize(("who", "source"), [("catalogue", OPENROUTER), ("gateway", GATEWAY)])
def test_each_source_has_a_history_of_its_own(who: str, source: str, loaded: Loaded) -> None:
    """Truth 5: the same rows as in a warehouse that got nothing but the source's catalogue, and as the oracle tells.

    Seen red with the snapshots of every source in `_SNAPSHOTS`, and with `accepted.sql` leaving out the kind of scope.
    """
    asked = loaded.asked[who]
    with warehouse_of(asked[start : start + 60] for start in range(0, len(asked), 60)) as alone:
        expected = whole_history(alone, INSTANTS)
    assert expected["schema_drift"]
    assert_same_rows(without_facets(of_source(loaded.history, source)), expected)
    found = as_openrouter(without_facets(of_source(loaded.marts, source)))
    assert_marts_equal(found, tell(one.answer for one in asked))


def test_facets_are_judged_and_told_as_snapshots_only(loaded: Loaded) -> None:
    """Truths 5 and 8: the damaged ones are quarantined, whole ones are snapshots, and none unseats another's.

    Seen red with captures judged by source rather than by scope, and with a filter taken for a catalogue.
    """
    expected = judged(loaded.asked["facets"])
    times = Counter(verdict for *_, verdict in expected)
    assert times["accepted"] > times["quarantined"] > 5
    names = {scope.name for scope in (ZDR, PROGRAMMING, TOOLS, MINE)}
    assert {one for one in loaded.verdicts if one[0] in names} == expected
    assert {one[-1] for one in loaded.verdicts if one[0] not in names} == {"accepted"}
    told = [(row["scope"], row["observed_at"]) for row in loaded.marts["snapshots"] if row["scope_kind"] == "facet"]
    assert sorted(told) == sorted((scope, at) for scope, at, _, verdict in expected if verdict == "accepted")


def test_the_change_of_scope_is_no_event(loaded: Loaded) -> None:
    """Truth 5 against the simulation: when everything is first asked for, only what really came or went does so; who
    was there all along has one spell across it, and who could not have been seen before is left-censored, not new.

    Seen red with `history._step` left-censoring only before the first snapshot of any kind, and with every spell ending
    where all is first asked for.
    """
    before, after = at_hour(SWITCH - 1, 12), at_hour(SWITCH, 0)
    marts = of_source(loaded.marts, OPENROUTER)
    text, everything = OURS.ids_at(before), OURS.ids_at(after, "all")
    others = everything - OURS.ids_at(after)
    assert len(others) > 10
    events = [(row["event"], row["model_id"]) for row in marts["model_events"] if row["happened_at"] == after]
    ever = {row["model_id"] for row in marts["model_spells"] if row["listed_from"] < after}
    came = {("returned" if one in ever else "added", one) for one in OURS.ids_at(after) - text}
    assert sorted(events) == sorted(came | {("removed", one) for one in text - everything})
    spells = [row for row in marts["model_spells"] if row["listed_from"] <= after]
    across = [row for row in spells if row["listed_from"] <= before and (row["listed_to"] or after) > before]
    assert sorted(row["model_id"] for row in across if row["listed_to"] != after) == sorted(text & everything)
    censored = {row["model_id"] for row in spells if row["listed_from"] == after and row["is_left_censored"]}
    assert censored == others
    assert not others & {row["model_id"] for row in marts["new_models"]}
    listed = [row["model_id"] for row in loaded.history[f"models_at {after}"] if row["source"] == OPENROUTER]
    assert sorted(listed) == sorted(everything)

"""The simulated catalogue: its bytes, its truth, every behaviour that it promises.

The truth is held against a reader that knows nothing of the simulation; behaviours are looked for in the bytes.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.demo.cast import CAST_SIZE
from pipelines.demo.catalogue import SimulatedCatalogue

ROOT = Path(__file__).resolve().parents[3]
START = datetime(2026, 5, 1, tzinfo=UTC)
SEEDS = (0, 1, 77)
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

MODEL_FIELDS = {
    *("id", "name", "created", "description", "context_length", "architecture", "pricing", "top_provider"),
    *(
        "per_request_limits",
        "supported_parameters",
        "hugging_face_id",
        "canonical_slug",
        "default_parameters",
    ),
    *("expiration_date", "knowledge_cutoff", "links", "supported_voices"),
}
FIELDS_OF_SOME = {"benchmarks", "reasoning", "alias_target", "carbon_score"}
CONDITIONS = {"min_prompt_tokens", "utc_start", "utc_end", "utc_days", "max_latency_ms"}

Model = dict[str, Any]
Captures = list[tuple[datetime, dict[str, Model]]]


@cache
def smallest(seed: int) -> SimulatedCatalogue:
    """The smallest simulation that promises every behaviour."""
    return SimulatedCatalogue(seed=seed, models=60, days=60)


def every(hours: int, *, days: int = 60, after: timedelta = timedelta(0)) -> list[datetime]:
    """Instants from ``after`` the start to ``days`` from it, ``hours`` apart."""
    count = (timedelta(days=days) - after) // timedelta(hours=hours) + 1
    return [START + after + timedelta(hours=hours) * number for number in range(count)]


def read(catalogue: SimulatedCatalogue, at: datetime, modalities: str = "all") -> dict[str, Model]:
    models: list[Model] = json.loads(catalogue.listing(at, output_modalities=modalities))["data"]
    by_id = {model["id"]: model for model in models}
    assert len(by_id) == len(models)
    return by_id


@cache
def captures(seed: int, hours: int, modalities: str = "all") -> Captures:
    return taken_at(seed, every(hours), modalities)


def taken_at(seed: int, times: list[datetime], modalities: str = "all") -> Captures:
    return [(at, read(smallest(seed), at, modalities)) for at in times]


def worth(text: str | None) -> Decimal | str | None:
    """What a naive reader takes a price for."""
    return "dynamic" if text == "-1" else None if text is None else Decimal(text)


def headline(model: Model) -> dict[str, str]:
    return {kind: text for kind, text in model["pricing"].items() if kind != "overrides"}


def rules(model: Model) -> list[dict[str, Any]]:
    """The rules with their prices as numbers."""
    return [
        {key: value if key in CONDITIONS else Decimal(value) for key, value in rule.items()}
        for rule in model["pricing"].get("overrides", [])
    ]


def is_timed(rule: dict[str, Any]) -> bool:
    return "utc_start" in rule or "utc_days" in rule


def is_within(rule: dict[str, Any], at: datetime) -> bool:
    now, start, end = at.hour * 100 + at.minute, rule["utc_start"], rule["utc_end"]
    in_hours = start <= now < end if start < end else now >= start or now < end
    return in_hours and WEEKDAYS[at.weekday()] in rule.get("utc_days", WEEKDAYS)


def is_covered(model: Model, kind: str, at: datetime) -> bool:
    return any(is_timed(rule) and kind in rule and is_within(rule, at) for rule in rules(model))


# The bytes


def test_an_instant_has_one_answer_in_whatever_order_it_is_asked_for() -> None:
    times = every(31)
    forwards = {at: smallest(0).listing(at) for at in times}
    other = SimulatedCatalogue(seed=0, models=60, days=60)
    assert {at: other.listing(at) for at in reversed(times)} == forwards
    assert smallest(1).listing(START) != smallest(0).listing(START)


def test_another_process_with_another_hash_seed_gives_the_same_bytes() -> None:
    program = (
        "import hashlib; from datetime import timedelta\n"
        "from pipelines.demo.catalogue import SimulatedCatalogue\n"
        "c = SimulatedCatalogue(seed=5); at = c.start + timedelta(days=44, hours=3)\n"
        "print(hashlib.sha256(c.listing(at, output_modalities='all')).hexdigest())"
    )
    here = SimulatedCatalogue(seed=5).listing(START + timedelta(days=44, hours=3), output_modalities="all")
    for hash_seed in "12":
        environment = os.environ | {"PYTHONHASHSEED": hash_seed}
        command = [sys.executable, "-c", program]
        answer = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=True)
        assert answer.stdout.strip() == hashlib.sha256(here).hexdigest()


def test_a_larger_simulation_has_the_same_models_first() -> None:
    at = START + timedelta(days=20)
    few, many = read(smallest(0), at), read(SimulatedCatalogue(seed=0, models=90, days=60), at)
    assert few.keys() < many.keys()
    assert all(few[id_]["pricing"] == many[id_]["pricing"] for id_ in few)


def test_a_shorter_simulation_is_the_beginning_of_a_longer_one() -> None:
    short = SimulatedCatalogue(seed=0, models=60, days=3)
    assert all(short.listing(at) == smallest(0).listing(at) for at in every(7, days=3))
    with pytest.raises(ValueError, match="not within the simulated days"):
        short.listing(START + timedelta(days=4))


@pytest.mark.parametrize("models", [0, 1, 7, CAST_SIZE, 1000])
def test_a_simulation_has_as_many_models_as_asked_for(models: int) -> None:
    catalogue = SimulatedCatalogue(models=models, days=60)
    ids = set().union(*(catalogue.ids_at(at, "all") for at in every(24)))
    assert len(ids) == models
    assert set(catalogue.parts.values()) <= ids


def test_only_instants_with_a_zone_within_the_days_are_answered() -> None:
    catalogue = smallest(0)
    assert catalogue.end - catalogue.start == timedelta(days=60)
    elsewhere = timezone(timedelta(hours=5, minutes=30))
    assert catalogue.listing(catalogue.end.astimezone(elsewhere)) == catalogue.listing(catalogue.end)
    for outside in (START - timedelta(microseconds=1), catalogue.end + timedelta(microseconds=1)):
        with pytest.raises(ValueError, match="not within the simulated days"):
            catalogue.count(outside)
    with pytest.raises(ValueError, match="time zone"):
        catalogue.listing(START.replace(tzinfo=None))
    with pytest.raises(ValueError, match="fewer than no models"):
        SimulatedCatalogue(models=-1)


@pytest.mark.parametrize("seed", SEEDS)
def test_models_have_every_documented_field(seed: int) -> None:
    models = read(smallest(seed), smallest(seed).end).values()
    varying = smallest(seed).parts["empty_forms"]
    assert all(model.keys() >= MODEL_FIELDS for model in models if model["id"] != varying)
    extra = set().union(*(model.keys() - MODEL_FIELDS for model in models))
    assert extra == FIELDS_OF_SOME
    for model in models:
        architecture = model["architecture"]
        inputs, outputs = architecture["input_modalities"], architecture["output_modalities"]
        assert architecture["modality"] == f"{'+'.join(inputs)}->{'+'.join(outputs)}"
        assert {"tokenizer", "instruct_type"} <= architecture.keys()
        assert {"prompt", "completion"} <= model["pricing"].keys()
        assert model["top_provider"].keys() == {"is_moderated", "context_length", "max_completion_tokens"}
        assert ("alias_target" in model) == model["id"].startswith("~")


def test_modalities_choose_what_is_listed() -> None:
    catalogue, at = SimulatedCatalogue(models=120), START + timedelta(days=80)
    everything = read(catalogue, at, "all")
    for asked, wanted in (
        ("text", {"text"}),
        ("image", {"image"}),
        ("video, rerank", {"video", "rerank"}),
        ("smell", set()),
    ):
        expected = {
            id_ for id_, model in everything.items() if wanted & set(model["architecture"]["output_modalities"])
        }
        assert read(catalogue, at, asked).keys() == catalogue.ids_at(at, asked) == expected
        assert catalogue.count(at, output_modalities=asked) == len(expected)
    assert catalogue.listing(at) == catalogue.listing(at, output_modalities="text")
    assert catalogue.count(at) == catalogue.count(at, output_modalities="text")
    modalities = {modality for m in everything.values() for modality in m["architecture"]["output_modalities"]}
    assert modalities == {"text", "image", "audio", "embeddings", "video", "rerank"}
    assert 0.25 < 1 - catalogue.count(at) / len(everything) < 0.4


def test_now_and_then_an_array_comes_in_another_order() -> None:
    catalogue = smallest(0)
    days = [read(catalogue, START + timedelta(days=day)) for day in range(25, 32)]
    orders = [
        (before[id_]["supported_parameters"], after[id_]["supported_parameters"])
        for before, after in itertools.pairwise(days)
        for id_ in before.keys() & after.keys()
    ]
    moved = [(before, after) for before, after in orders if before != after]
    assert 0 < len(moved) < len(orders) / 10
    assert all(set(before) == set(after) for before, after in moved)


def test_within_an_hour_the_bytes_stay_and_in_the_next_the_order_changes() -> None:
    catalogue, at = smallest(0), START + timedelta(days=31, hours=2)
    assert catalogue.listing(at) == catalogue.listing(at + timedelta(minutes=59))
    now, later = read(catalogue, at), read(catalogue, at + timedelta(hours=1))
    assert list(now) != list(later)
    assert now.keys() == later.keys()
    rated = [id_ for id_ in now if "benchmarks" in now[id_]]
    assert len(rated) > 10
    assert all(now[id_]["benchmarks"] != later[id_]["benchmarks"] for id_ in rated)


def test_envelope_fields_exist_from_a_day_on() -> None:
    catalogue = smallest(0)
    since = {
        "total_count": "envelope_total_count",
        "links": "envelope_links",
        "served_by": "unknown_envelope_field",
    }
    for key, era in since.items():
        begins = catalogue.eras[era]
        assert key not in json.loads(catalogue.listing(begins - timedelta(seconds=1)))
        assert key in json.loads(catalogue.listing(begins))
    last = json.loads(catalogue.listing(catalogue.end))
    assert last["total_count"] == len(last["data"]) == catalogue.count(catalogue.end)
    assert last["links"] == {"next": None}


def test_model_fields_exist_from_a_day_on() -> None:
    since = {"model_links": "links"}
    for era in (
        "supported_voices",
        "knowledge_cutoff",
        "model_links",
        "benchmarks",
        "reasoning",
        "alias_target",
    ):
        begins, key = smallest(0).eras[era], since.get(era, era)
        before, after = read(smallest(0), begins - timedelta(seconds=1)), read(smallest(0), begins)
        varying = smallest(0).parts["empty_forms"]
        assert not any(key in model for id_, model in before.items() if id_ != varying), key
        assert any(key in model for model in after.values()), key


def test_descriptions_are_truncated_from_a_day_on() -> None:
    catalogue = SimulatedCatalogue(models=300)
    begins = catalogue.eras["descriptions_truncated"]
    before, after = read(catalogue, begins - timedelta(seconds=1)), read(catalogue, begins)
    assert not any(model["description"].endswith("...") for model in before.values())
    cut = [id_ for id_, model in after.items() if model["description"].endswith("...")]
    assert 0.8 < len(cut) / len(after) < 0.95
    assert all(before[id_]["description"].startswith(after[id_]["description"][:-3]) for id_ in cut)


def test_a_listing_takes_milliseconds() -> None:
    for models, limit_seconds in ((120, 0.015), (1000, 0.1)):
        catalogue = SimulatedCatalogue(models=models)
        took = []
        for hour in range(5):
            begin = time.perf_counter()
            catalogue.listing(START + timedelta(days=50, hours=hour), output_modalities="all")
            took.append(time.perf_counter() - begin)
        assert min(took) < limit_seconds


# The truth, held against a naive reader


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("modalities", ["text", "all"])
def test_the_truth_at_an_instant_is_what_the_listing_says(seed: int, modalities: str) -> None:
    catalogue = smallest(seed)
    kinds = {kind for _, models in captures(seed, 12) for model in models.values() for kind in headline(model)}
    for at in every(29, after=timedelta(minutes=17)):
        models = read(catalogue, at, modalities)
        assert catalogue.ids_at(at, modalities) == models.keys()
        for id_, model in models.items():
            for kind in kinds:
                assert catalogue.price_at(id_, kind, at) == worth(headline(model).get(kind))
            told = [
                {key: value for key, value in rule._asdict().items() if value not in (None, (), {})}
                for rule in catalogue.rules_at(id_, at)
            ]
            flat = [rule.pop("prices") | rule.pop("other_conditions", {}) | rule for rule in told]
            listed = [
                {key: tuple(value) if key == "utc_days" else value for key, value in rule.items()}
                for rule in rules(model)
            ]
            assert flat == listed


def test_a_model_that_is_not_listed_has_no_price_and_no_rules() -> None:
    catalogue = smallest(0)
    id_ = catalogue.parts["added"]
    assert catalogue.price_at(id_, "prompt", START) is None
    assert catalogue.price_at(id_, "prompt", catalogue.end) is not None
    assert catalogue.rules_at(id_, START) == []
    with pytest.raises(KeyError):
        catalogue.price_at("nobody/nothing", "prompt", START)
    with pytest.raises(KeyError):
        catalogue.rules_at("nobody/nothing", START)


def sightings(taken: Captures, id_: str) -> Iterator[tuple[datetime, Model, bool]]:
    """Captures that list the model, and whether one in between, after it was first seen, did not."""
    gap = seen = False
    for at, models in taken:
        if id_ in models:
            yield at, models[id_], seen and gap
            seen, gap = True, False
        else:
            gap = True


def naive_price_changes(taken: Captures, *, is_base_remembered: bool) -> set[tuple[Any, ...]]:
    """Price changes as captures alone tell: a flip shows a value of the schedule, or the base last shown.

    ``is_base_remembered``: whether a price shown before the present rules counts as their base.
    """
    found = set()
    for id_ in set().union(*(models for _, models in taken)):
        base: dict[str, Any] = {}
        before: tuple[datetime, Model] | None = None
        for at, model, after_absence in sightings(taken, id_):
            shown, known_rules = headline(model), rules(model)
            has_new_rules = before is not None and rules(before[1]) != known_rules
            if has_new_rules and not is_base_remembered:
                base = {}
            for kind in sorted(shown.keys() | (headline(before[1]).keys() if before else set())):
                new = worth(shown.get(kind))
                if before is not None and (old := worth(headline(before[1]).get(kind))) != new:
                    timed = [rule for rule in known_rules if is_timed(rule) and kind in rule]
                    values = {rule[kind] for rule in timed} | {base.get(kind)}
                    is_flip = bool(timed) and not has_new_rules and new in values
                    found.add((at, before[0], id_, kind, old, new, after_absence, is_flip))
                if not is_covered(model, kind, at):
                    base[kind] = new
            before = at, model
    return found


@pytest.mark.parametrize(
    ("seed", "times"),
    [
        *((seed, every(6, after=timedelta(minutes=5))) for seed in SEEDS),
        *((0, every(12, after=timedelta(hours=hour, minutes=59))) for hour in (0, 3, 5, 7, 8, 9, 11)),
        (1, every(6, after=timedelta(days=9, hours=5, minutes=59))),
        pytest.param(1, every(1, days=13, after=timedelta(days=4)), id="hourly-while-schedules-begin"),
        pytest.param(1, every(1, days=37, after=timedelta(days=28, hours=20)), id="hourly-while-they-change"),
    ],
)
def test_price_changes_are_what_captures_show(seed: int, times: list[datetime]) -> None:
    truth = smallest(seed).expected_price_changes(times)
    taken = taken_at(seed, times)
    for is_base_remembered in (False, True):
        assert set(truth) == naive_price_changes(taken, is_base_remembered=is_base_remembered)
    assert len(set(truth)) == len(truth) > 100
    order = [(change.changed_at, change.model_id, change.price_kind) for change in truth]
    assert order == sorted(order)


@pytest.mark.parametrize("seed", SEEDS)
def test_text_captures_show_the_changes_of_text_models(seed: int) -> None:
    taken = captures(seed, 12, "text")
    truth = smallest(seed).expected_price_changes([at for at, _ in taken], "text")
    assert set(truth) == naive_price_changes(taken, is_base_remembered=True)


@pytest.mark.parametrize("modalities", ["text", "all"])
@pytest.mark.parametrize("seed", SEEDS)
def test_events_are_what_captures_show(seed: int, modalities: str) -> None:
    taken = captures(seed, 12, modalities)
    found, seen = [], set(taken[0][1])
    for (_, before), (at, now) in itertools.pairwise(taken):
        found += [(at, id_, "removed") for id_ in before.keys() - now.keys()]
        found += [(at, id_, "returned" if id_ in seen else "added") for id_ in now.keys() - before.keys()]
        seen |= now.keys()
    assert smallest(seed).expected_events([at for at, _ in taken], modalities) == sorted(found)
    assert {event for _, _, event in found} == {"added", "removed", "returned"}


def naive_expirations(taken: Captures) -> set[tuple[Any, ...]]:
    found = set()
    last_at, last_models = taken[-1]
    for id_ in set().union(*(models for _, models in taken)):
        seen = [(at, model["expiration_date"]) for at, model, _ in sightings(taken, id_)]
        runs = [(day, [at for at, _ in run]) for day, run in itertools.groupby(seen, key=lambda pair: pair[1])]
        for number, (day, at) in enumerate(runs):
            if day is None:
                continue
            outcome, gone_at = "announced", None
            if number + 1 < len(runs):
                outcome = "moved" if runs[number + 1][0] else "withdrawn"
            elif id_ not in last_models:
                outcome, gone_at = "removed", min(time for time, _ in taken if time > at[-1])
            elif day < last_at.date().isoformat():
                outcome = "passed_still_listed"
            previous = runs[number - 1][0] if number else None
            previous_date = date.fromisoformat(previous) if previous else None
            found.add((id_, date.fromisoformat(day), at[0], previous_date, outcome, gone_at))
    return found


@pytest.mark.parametrize("seed", SEEDS)
def test_expirations_are_what_captures_show(seed: int) -> None:
    everything = captures(seed, 12)
    for part_of_it in (everything, everything[: len(everything) // 2], everything[55:]):
        truth = smallest(seed).expected_expirations([at for at, _ in part_of_it])
        assert set(truth) == naive_expirations(part_of_it)
        assert len(set(truth)) == len(truth)


def test_the_outcome_of_each_announcement() -> None:
    catalogue = smallest(0)
    by_id: dict[str, list[str]] = {}
    for truth in catalogue.expected_expirations(every(12)):
        by_id.setdefault(truth.model_id, []).append(truth.outcome)
    expected = {
        "expiration_announced": ["announced"],
        "expiration_moved": ["moved", "announced"],
        "expiration_withdrawn": ["withdrawn"],
        "expiration_outlived": ["passed_still_listed"],
        "expiration_across_absence": ["announced"],
        "removed_on_date": ["removed"],
        "removed_before_date": ["removed"],
        "removed_after_date": ["removed"],
        "sentinel_2098": ["announced"],
        "sentinel_9999": ["announced"],
    }
    assert by_id == {catalogue.parts[part]: outcomes for part, outcomes in expected.items()}


def test_a_date_has_not_passed_on_its_own_day() -> None:
    catalogue = smallest(0)
    id_ = catalogue.parts["expiration_outlived"]
    (truth,) = (t for t in catalogue.expected_expirations(every(12)) if t.model_id == id_)
    midnight = datetime.combine(truth.expiration_date, datetime.min.time(), UTC)
    for ends, outcome in ((23, "announced"), (24, "passed_still_listed")):
        times = [START, midnight - timedelta(days=3), midnight + timedelta(hours=ends)]
        assert [t.outcome for t in catalogue.expected_expirations(times) if t.model_id == id_] == [outcome]


def test_times_may_come_in_any_order_and_twice_or_not_at_all() -> None:
    catalogue, times = smallest(0), every(12)
    shuffled = [*times[50:], *times[:60]]
    assert catalogue.expected_price_changes(shuffled) == catalogue.expected_price_changes(times)
    assert catalogue.expected_events(shuffled) == catalogue.expected_events(times)
    assert catalogue.expected_expirations(shuffled) == catalogue.expected_expirations(times)
    assert catalogue.expected_price_changes([]) == []
    assert catalogue.expected_events([]) == []
    assert catalogue.expected_expirations([]) == []


@pytest.mark.parametrize("modalities", ["text", "all"])
@given(seed=st.integers(0, 10**6))
@settings(max_examples=10)
def test_the_catalogue_never_seems_to_collapse(modalities: str, seed: int) -> None:
    catalogue = SimulatedCatalogue(seed=seed, models=60, days=60)
    daily = [catalogue.ids_at(at, modalities) for at in every(24)]
    for number, before in enumerate(daily):
        for now in daily[number + 1 : number + 8]:
            assert len(before - now) / len(before) < 0.15


# Every behaviour, in the bytes


class Role:
    """One model across captures, as a naive reader sees it. Runs of equal values count once."""

    def __init__(self, taken: Captures, id_: str) -> None:
        self.id = id_
        self.sightings = [(at, model) for at, model, _ in sightings(taken, id_)]
        self.taken = taken

    def runs(self, read_one: Callable[[Model], Any]) -> list[Any]:
        return [value for value, _ in itertools.groupby(read_one(model) for _, model in self.sightings)]

    def field(self, key: str) -> list[Any]:
        return self.runs(lambda model: model.get(key, "absent"))

    def texts(self, kind: str) -> list[str | None]:
        return self.runs(lambda model: headline(model).get(kind))

    def prices(self, kind: str) -> list[Any]:
        return [worth(text) for text in self.texts(kind)]

    @property
    def presence(self) -> list[bool]:
        return [listed for listed, _ in itertools.groupby(self.id in models for _, models in self.taken)]

    @property
    def rules(self) -> list[list[dict[str, Any]]]:
        return self.runs(rules)

    @property
    def tiers(self) -> list[list[int | None]]:
        return [[rule.get("min_prompt_tokens") for rule in each] for each in self.rules]

    @property
    def last_seen(self) -> date:
        return self.sightings[-1][0].date()

    def base(self) -> list[Any]:
        """Prompt prices outside every window."""
        shown = [headline(m)["prompt"] for at, m in self.sightings if not is_covered(m, "prompt", at)]
        return [worth(text) for text, _ in itertools.groupby(shown)]

    def bands(self) -> int:
        """How many prices of windows the headline shows while their window is open; of two the later wins."""
        seen = set()
        for at, model in self.sightings:
            known = rules(model)
            in_force: dict[str, Any] = {}
            for rule in known:
                if is_timed(rule) and is_within(rule, at):
                    in_force |= {kind: rule[kind] for kind in ("prompt", "completion") if kind in rule}
            assert in_force.items() <= {kind: worth(text) for kind, text in headline(model).items()}.items()
            seen.add(in_force.get("prompt"))
        return len(seen - {None})

    def covers_the_day(self) -> bool:
        latest = self.rules[-1]
        day = [START + timedelta(minutes=minute) for minute in range(24 * 60)]
        return all(any(is_within(rule, at) for rule in latest) for at in day)


def is_there_and_back(values: list[Any], times: int = 1) -> bool:
    return len(values) == 1 + 2 * times and len(set(values[::2])) == 1 and len(set(values)) == 2


def shows_once(role: Role, kind: str, change: Callable[[Any, Any], bool]) -> bool:
    before, after = role.prices(kind)
    return change(before, after)


def vanishes(role: Role, kind: str) -> bool:
    return role.texts(kind) == ["0", None]


def repeats(role: Role, *targets: str) -> bool:
    """Whether an alias names ``targets`` in turn, and always has the pricing of the one it names."""
    for at, model in role.sightings:
        models = dict(role.taken)[at]
        if target := model.get("alias_target"):
            assert model["pricing"] == models[target["slug"]]["pricing"]
            assert target["name"] == models[target["slug"]]["name"]
    named = [target["slug"] for target in role.field("alias_target") if target != "absent"]
    return role.id.startswith("~") and named == list(targets)


def ends_on(role: Role, days: int) -> bool:
    """Whether the model was last seen ``days`` after its date."""
    expires = date.fromisoformat(role.field("expiration_date")[-1])
    return role.presence == [True, False] and role.last_seen - expires == timedelta(days=days)


BEHAVIOURS: dict[str, Callable[[Role, dict[str, str]], bool]] = {
    "added": lambda r, _: r.presence == [False, True],
    "removed": lambda r, _: r.presence == [True, False],
    "returns_same_price": lambda r, _: r.presence == [True, False, True] and len(r.prices("prompt")) == 1,
    "returns_other_price": lambda r, _: r.presence == [True, False, True] and len(r.prices("prompt")) == 2,
    "increase": lambda r, _: shows_once(r, "prompt", lambda a, b: 0 < a < b),
    "decrease": lambda r, _: all(shows_once(r, k, lambda a, b: a > b > 0) for k in ("prompt", "completion")),
    "becomes_free": lambda r, _: shows_once(r, "prompt", lambda a, b: a > b == 0),
    "becomes_paid": lambda r, _: shows_once(r, "prompt", lambda a, b: 0 == a < b),
    "flap": lambda r, _: is_there_and_back(r.prices("completion"), times=2),
    "transient_zero": lambda r, _: is_there_and_back(r.prices("prompt")) and r.prices("prompt")[1] == 0,
    "dynamic": lambda r, _: r.texts("prompt") == r.texts("completion") == ["-1"],
    "dynamic_beta": lambda r, _: r.texts("prompt") == r.texts("completion") == ["-1"],
    "dynamic_spell": lambda r, _: r.prices("prompt")[1] == "dynamic" and len(set(r.prices("prompt"))) == 3,
    "tier": lambda r, _: r.tiers == [[], [272_000]],
    "two_tiers": lambda r, _: r.tiers == [[], [128_000, 256_000]],
    "rules_only": lambda r, _: r.tiers == [[200_000]] * 2 and len(r.prices("prompt")) == 1,
    "unknown_rule_condition": lambda r, _: r.rules[-1][0]["max_latency_ms"] == 500 and len(r.base()) == 1,
    "schedule_full_day": lambda r, _: r.covers_the_day() and r.bands() >= 2 and len(r.rules[-1]) == 3,
    "rules_respelled": lambda r, _: len(r.rules) == 2 and len(r.runs(lambda m: m["pricing"].get("overrides"))) == 3,
    "alias_scheduled": lambda r, parts: repeats(r, parts["schedule_full_day"]) and len(r.prices("prompt")) > 20,
    "schedule_uncovered": lambda r, _: not r.covers_the_day() and r.bands() == 1,
    "base_repriced": lambda r, _: len(r.base()) == 2 and len(r.rules) == 2,
    "schedule_days": lambda r, _: r.rules[-1][2]["utc_days"] == ["saturday", "sunday"] and r.bands() == 2,
    "schedule_changes": lambda r, _: len(r.rules) == 3 and r.bands() == 2 and len(r.base()) == 1,
    "schedule_ends": lambda r, _: r.rules == [[], r.rules[1], []] and r.bands() == 1,
    "zero_to_absent": lambda r, _: all(
        vanishes(r, kind) for kind in ("request", "image", "web_search", "internal_reasoning")
    ),
    "minus_zero": lambda r, _: r.texts("completion") == ["0", "-0", "0"],
    "long_decimals": lambda r, _: r.texts("prompt") == ["0.0000000208333333333333", "0.00000002083333333333333"],
    "float_noise": lambda r, _: r.texts("prompt") == ["0.0000002", "0.00000020000000000000002"],
    "respelled": lambda r, _: r.texts("image") == ["0.10", "0.1"],
    "alias_moved": lambda r, p: (
        repeats(r, p["alias_first_target"], p["alias_second_target"]) and len(r.prices("prompt")) == 4
    ),
    "alias_first_target": lambda r, _: len(r.prices("prompt")) == 2,
    "alias_second_target": lambda r, _: r.presence == [False, True] and len(r.prices("prompt")) == 2,
    "variant_base": lambda r, _: ":" not in r.id,
    "variant_free": lambda r, p: r.id == p["variant_base"] + ":free" and r.prices("prompt") == [0],
    "variant_batch": lambda r, p: r.id == p["variant_base"] + ":batch",
    "variant_thinking": lambda r, p: r.id == p["variant_base"] + ":thinking",
    "hostile_html": lambda r, _: "<script>" in r.field("name")[0],
    "hostile_formula": lambda r, _: r.field("name") == ["=1+1"],
    "hostile_ansi": lambda r, _: "\x1b[31m" in r.field("name")[0],
    "unicode_name": lambda r, _: "\N{ROCKET}" in r.field("name")[0],
    "expiration_announced": lambda r, _: r.field("expiration_date")[0] is None and r.presence == [True],
    "expiration_moved": lambda r, _: (
        len(r.field("expiration_date")) == 3 and None not in r.field("expiration_date")[1:]
    ),
    "expiration_withdrawn": lambda r, _: r.field("expiration_date")[::2] == [None, None],
    "expiration_outlived": lambda r, _: r.field("expiration_date")[-1] < r.last_seen.isoformat(),
    "expiration_across_absence": lambda r, _: (
        r.presence == [True, False, True] and len(r.field("expiration_date")) == 2
    ),
    "removed_on_date": lambda r, _: ends_on(r, 0),
    "removed_before_date": lambda r, _: ends_on(r, -3),
    "removed_after_date": lambda r, _: ends_on(r, 4),
    "sentinel_2098": lambda r, _: r.field("expiration_date") == ["2098-12-31"],
    "sentinel_9999": lambda r, _: r.field("expiration_date") == [None, "9999-01-01"],
    "context_changes": lambda r, _: len(r.field("context_length")) == 2,
    "modality_widens": lambda r, _: (
        r.runs(lambda m: m["architecture"]["modality"]) == ["text->text", "text->text+image"]
    ),
    "modality_gains_text": lambda r, _: (
        r.runs(lambda m: m["architecture"]["output_modalities"]) == [["image"], ["image", "text"]]
    ),
    "empty_forms": lambda r, _: all(
        form in r.field(key)
        for key, forms in {
            "hugging_face_id": (None, "", "absent"),
            "default_parameters": (None, {}, "absent"),
            "knowledge_cutoff": (None, "", "absent"),
            "supported_voices": (None, [], "absent"),
        }.items()
        for form in forms
    ),
    "unknown_model_field": lambda r, _: r.field("carbon_score")[0] == "absent" and len(r.field("carbon_score")) == 2,
    "unknown_architecture_field": lambda r, _: r.runs(lambda m: m["architecture"].get("experts")) == [None, 64],
    "unknown_price_key": lambda r, _: r.texts("video_second") == [None, "0.05", "0.04"],
}


@pytest.mark.parametrize("part", BEHAVIOURS)
@pytest.mark.parametrize(("seed", "hours"), [(0, 6), (1, 12), (77, 12)])
def test_a_part_is_played_where_it_shows(part: str, seed: int, hours: int) -> None:
    parts = dict(smallest(seed).parts)
    assert BEHAVIOURS[part](Role(captures(seed, hours), parts[part]), parts)


@given(seed=st.integers(0, 10**9), models=st.integers(60, 130), days=st.integers(60, 400))
@settings(max_examples=15)
def test_every_part_is_played_whatever_the_seed(seed: int, models: int, days: int) -> None:
    catalogue = SimulatedCatalogue(seed=seed, models=models, days=days)
    assert catalogue.parts.keys() == BEHAVIOURS.keys()
    times = every(12, days=days)
    assert set().union(*(catalogue.ids_at(at, "all") for at in times[:: len(times) // 50])) >= set(
        catalogue.parts.values()
    )
    told = catalogue.expected_price_changes(times)
    flips = {change.model_id for change in told if change.is_schedule_flip}
    scheduled = (
        *("schedule_full_day", "alias_scheduled", "schedule_uncovered"),
        *("schedule_days", "schedule_changes", "schedule_ends"),
    )
    assert flips == {catalogue.parts[part] for part in scheduled}
    true_changes = {change.model_id for change in told if not change.is_schedule_flip}
    assert catalogue.parts["base_repriced"] in true_changes
    assert catalogue.parts["minus_zero"] not in true_changes
    assert catalogue.parts["respelled"] not in true_changes
    returned = catalogue.parts["returns_other_price"]
    assert any(change.model_id == returned and change.after_absence for change in told)

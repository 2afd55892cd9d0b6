"""A simulated catalogue of any size and length with the churn of the real one.

Belongs here: the generator of `ten_years`. Does not belong here: measuring.

It is stationary: each of its places is taken by the life of a real model, drawn at random from the bundle, with every
version at the age at which it came. The bundle shows a model twice a day, so a version comes at a random hour of those
since the capture before. When a life ends, another one takes its place, so that each change, addition, removal and
return is as frequent for a listed model as it was in the bundle. The first lives are met at a random age, long ones
more often than short ones. Each life has a name of its own, and its description's words in an order of their own, so
that no life compresses better for having been met before. Benchmarks are left out: they make no history.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import orjson

from tests.benchmarks.bundle import versions

_SECONDS_PER_HOUR = 3600

Version = bytes | None
"""A model object as JSON; None while the model is not listed."""


@dataclass(frozen=True)
class Life:
    """A real model's history: (hour since it was first listed, its version from then on), and the hours it lasted."""

    model_id: str
    versions: Sequence[tuple[int, Version]]
    hours: int


@dataclass(frozen=True)
class Change:
    """From ``hour`` on ``place`` lists ``version``."""

    hour: int
    place: int
    version: Version


@dataclass(frozen=True)
class Churn:
    """How much happens to a listed model in a day."""

    changes: float
    additions: float


def lives_of(bundle: Path, clone: Path, seed: int = 0) -> list[Life]:
    """The lives of all models that the bundle ever listed."""
    chance = random.Random(seed)
    last: dict[str, bytes] = {}
    told: dict[str, list[tuple[float, Version]]] = {}
    ends: dict[str, float] = {}
    before = 0.0
    for moment, body in versions(bundle, clone):
        hour = moment.timestamp() / _SECONDS_PER_HOUR
        listed = {model["id"]: model for model in orjson.loads(body)["data"]}
        for model_id, model in listed.items():
            model.pop("benchmarks", None)
            version = orjson.dumps(model)
            if last.get(model_id) != version:
                told.setdefault(model_id, []).append((chance.uniform(before or hour, hour), version))
                last[model_id] = version
            ends[model_id] = hour
        for model_id in last.keys() - listed.keys():
            told[model_id].append((chance.uniform(before, hour), None))
            del last[model_id]
        before = hour
    return [_life(model_id, changes, ends[model_id]) for model_id, changes in told.items()]


def _life(model_id: str, changes: Sequence[tuple[float, Version]], last_seen: float) -> Life:
    born = changes[0][0]
    until = [(int(hour - born), version) for hour, version in changes if hour <= last_seen]
    return Life(model_id, until, max(1, int(last_seen - born)))


def churn_of(lives: Sequence[Life]) -> Churn:
    """What the bundle's models did, for each day on which one was listed."""
    days = sum(life.hours for life in lives) / 24
    return Churn(sum(len(life.versions) - 1 for life in lives) / days, len(lives) / days)


def simulated(lives: Sequence[Life], places: int, hours: int, seed: int = 0) -> Iterator[Change]:
    """What changes in a catalogue of ``places`` models within ``hours``, in the order of the hours."""
    changes = [change for place in range(places) for change in _in_place(lives, place, hours, seed)]
    return iter(sorted(changes, key=lambda change: (change.hour, change.place)))


def _in_place(lives: Sequence[Life], place: int, hours: int, seed: int) -> Iterator[Change]:
    """One life after another; what came before the beginning is told as it stood then."""
    chance = random.Random(f"{seed} {place}")
    by_length = list(accumulate(life.hours for life in lives))
    life = lives[bisect_right(by_length, chance.randrange(by_length[-1]))]
    begun, number = -chance.randrange(life.hours), 0
    while begun < hours:
        name = f"{place}-{number}"
        in_hour = {max(0, begun + age): version for age, version in life.versions if begun + age < hours}
        for hour, version in in_hour.items():
            model = None if version is None else _named(version, name)
            yield Change(hour, place, model)
        begun += life.hours
        number += 1
        life = chance.choice(lives)


def _named(version: bytes, name: str) -> bytes:
    """The model object as that of another model, which is called so."""
    model: dict[str, Any] = orjson.loads(version)
    model_id, colon, variant = model["id"].partition(":")
    model["id"] = f"{model_id}-{name}{colon}{variant}"
    model["name"] = f"{model['name']} {name}"
    for field in ("canonical_slug", "hugging_face_id"):
        if model.get(field):
            model[field] += f"-{name}"
    words = str(model.get("description") or "").split(" ")
    random.Random(f"{name} {words}").shuffle(words)
    model["description"] = " ".join(words)
    return orjson.dumps(model)

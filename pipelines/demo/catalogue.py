"""The simulated catalogue: what the models API would answer at any instant, and the truth behind it.

Belongs here: the public face of the simulation, the listing's bytes, queries of the truth.
Does not belong here: HTTP (`server`), what models are like and what befalls them (`stage`, `parts`, `cast`).
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from types import MappingProxyType
from typing import Any

import orjson

from pipelines.demo import truth
from pipelines.demo.cast import fill
from pipelines.demo.offers import SimulatedOffers
from pipelines.demo.simulated import PriceValue
from pipelines.demo.stage import Stage
from pipelines.demo.timeline import Calendar
from pipelines.demo.truth import TrueEvent, TrueExpiration, TruePriceChange, TrueRule

SHORTEST_STORY_DAYS = 60
"""Days that the story needs; a shorter simulation is the beginning of one this long."""


class SimulatedCatalogue:
    """A catalogue of invented models over ``days`` days from ``start`` on, a pure function of ``seed``.

    ``models`` counts the ids that are ever listed. From 60 models and 60 days on every part is played,
    whatever the seed; :attr:`parts` says by whom. With fewer models the last parts are left out, with fewer
    days the end of the story. Raises ValueError for a negative number, or a time without a zone.

    Every query takes instants within ``[start, start + days]``, in any order; ValueError outside it.
    ``output_modalities`` is what the API's parameter is: a comma list of modalities, or "all".

    Order and benchmarks are others every hour; within an hour in which nothing happens the bytes are equal.
    """

    parts: Mapping[str, str]
    """Which model id plays which part, by part: ``transient_zero``, ``schedule_uncovered``…"""

    eras: Mapping[str, datetime]
    """Since when the listing has what begins one day for all: ``reasoning``, ``envelope_total_count``…"""

    def __init__(
        self,
        *,
        seed: int = 0,
        models: int = 120,
        days: int = 90,
        start: datetime = datetime(2026, 5, 1, tzinfo=UTC),
    ) -> None:
        if models < 0 or days < 0:
            raise ValueError("a simulation cannot have fewer than no models or days")
        self._seed = seed
        self._calendar = Calendar(_utc(start), days)
        self._story = Calendar(_utc(start), max(days, SHORTEST_STORY_DAYS))
        stage = Stage(seed, self._story)
        self.parts = MappingProxyType(fill(stage, models))
        self.eras = MappingProxyType(stage.eras)
        self._models = {model.id: model for model in stage.models}

    @property
    def start(self) -> datetime:
        """The first instant that may be asked for."""
        return self._calendar.start

    @property
    def end(self) -> datetime:
        """The last instant that may be asked for."""
        return self._calendar.end

    # What the API answers

    def listing(self, at: datetime, *, output_modalities: str = "text") -> bytes:
        """The JSON body that ``/models`` answers at ``at``; the order of the models means nothing."""
        at = self._within(at)
        rng = random.Random(f"{self._seed}/{int(at.timestamp()) // 3600}")
        models = list(self._models.values())
        rng.shuffle(models)
        wanted = _wanted(output_modalities)
        data = [model.document(at) for model in models if model.answers(at, wanted)]
        return orjson.dumps(self._envelope(data, at))

    def count(self, at: datetime, *, output_modalities: str = "text") -> int:
        """How many models :meth:`listing` has."""
        return len(self.ids_at(at, output_modalities))

    def endpoints(self, model_id: str, at: datetime) -> bytes | None:
        """The JSON body that ``/models/{model_id}/endpoints`` answers at ``at``; None where there is no such model."""
        return self.offers.endpoints(model_id, self._within(at))

    def zdr_endpoints(self, at: datetime) -> bytes:
        """The JSON body that ``/endpoints/zdr`` answers at ``at``."""
        return self.offers.zdr(self._within(at))

    def providers(self, at: datetime) -> bytes:
        """The JSON body that ``/providers`` answers at ``at``."""
        return self.offers.providers(self._within(at))

    @cached_property
    def offers(self) -> SimulatedOffers:
        """Who offers the models, and the truth about it."""
        return SimulatedOffers(self._models.values(), self._story, self._seed)

    def _envelope(self, data: list[dict[str, Any]], at: datetime) -> dict[str, Any]:
        keys = {
            "envelope_total_count": ("total_count", len(data)),
            "envelope_links": ("links", {"next": None}),
            "unknown_envelope_field": ("served_by", {"region": "north", "shard": 3}),
        }
        return {"data": data} | {key: value for era, (key, value) in keys.items() if at >= self.eras[era]}

    # The truth at an instant

    def ids_at(self, at: datetime, output_modalities: str = "text") -> set[str]:
        """The ids listed at ``at``."""
        at, wanted = self._within(at), _wanted(output_modalities)
        return {model.id for model in self._models.values() if model.answers(at, wanted)}

    def price_at(self, model_id: str, price_kind: str, at: datetime) -> PriceValue | None:
        """The headline price in US dollars, or ``"dynamic"``; None where the key or the model is not listed.

        Raises KeyError for an id that is never listed.
        """
        at = self._within(at)
        model = self._models[model_id]
        price = model.headline_at(at).get(price_kind) if model.is_listed.at(at) else None
        return price.value if price else None

    def rules_at(self, model_id: str, at: datetime) -> list[TrueRule]:
        """The rules in the order listed; none where the model is not. KeyError for an id never listed."""
        at = self._within(at)
        model = self._models[model_id]
        return [TrueRule.of(rule) for rule in model.rules_at(at)] if model.is_listed.at(at) else []

    # What captures taken at `times` must show; times may come in any order, and twice

    def expected_price_changes(
        self, times: Sequence[datetime], output_modalities: str = "all"
    ) -> list[TruePriceChange]:
        """Every change of a headline price between two successive sightings, by time, model and price kind.

        What is a flip agrees with what captures can tell of it if no two are more than twelve hours apart.
        """
        return truth.price_changes(self._models.values(), self._ordered(times), _wanted(output_modalities))

    def expected_events(self, times: Sequence[datetime], output_modalities: str = "all") -> list[TrueEvent]:
        """Every added, removed and returned, by time and model."""
        return truth.events(self._models.values(), self._ordered(times), _wanted(output_modalities))

    def expected_expirations(self, times: Sequence[datetime], output_modalities: str = "all") -> list[TrueExpiration]:
        """Every announcement of a date and what became of it by the last of ``times``, by model and time."""
        return truth.expirations(self._models.values(), self._ordered(times), _wanted(output_modalities))

    def _ordered(self, times: Iterable[datetime]) -> list[datetime]:
        return sorted({self._within(at) for at in times})

    def _within(self, at: datetime) -> datetime:
        at = _utc(at)
        if not self.start <= at <= self.end:
            raise ValueError(f"{at} is not within the simulated days, {self.start} to {self.end}")
        return at


def _utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError(f"{moment} needs a time zone")
    return moment.astimezone(UTC)


def _wanted(output_modalities: str) -> frozenset[str]:
    return frozenset(part.strip() for part in output_modalities.split(","))

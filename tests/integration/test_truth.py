"""Simulated catalogues, loaded and published, against the oracle and against what the simulation itself knows.

Belongs here: whole simulations. Does not belong here: handcrafted answers (`test_cases`, `tests/property`),
real ones (`test_bundle`).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from pipelines.captures import Capture
from pipelines.demo.catalogue import SimulatedCatalogue
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.published import Published
from pipelines.scopes import ALL_MODELS, TEXT_MODELS
from tests.compare import Marts, assert_marts_equal, published_marts
from tests.oracle import Answer, tell


@dataclass(frozen=True)
class Simulation:
    """What is simulated and how often it is asked; ``scopes`` are asked in turn, again and again."""

    seed: int
    days: int
    every_hours: int
    scopes: tuple[str, ...]
    models: int = 70

    @property
    def name(self) -> str:
        return f"{'+'.join(self.scopes)}-every-{self.every_hours}h-seed-{self.seed}"

    @property
    def catalogue(self) -> SimulatedCatalogue:
        return SimulatedCatalogue(seed=self.seed, models=self.models, days=self.days)

    def asked(self, catalogue: SimulatedCatalogue) -> list[tuple[datetime, str]]:
        """The times of captures, a few minutes past every so many hours, and what is asked for."""
        step = timedelta(hours=self.every_hours)
        count = int((catalogue.end - catalogue.start) / step)
        return [
            (catalogue.start + number * step + timedelta(minutes=5), self.scopes[number % len(self.scopes)])
            for number in range(count)
        ]


SIMULATIONS = (
    Simulation(seed=0, days=90, every_hours=12, scopes=("all",)),
    Simulation(seed=1, days=60, every_hours=12, scopes=("text",)),
    Simulation(seed=4, days=30, every_hours=6, scopes=("all",)),
    Simulation(seed=2, days=60, every_hours=6, scopes=("text", "all", "text")),
    Simulation(seed=3, days=90, every_hours=24, scopes=("text", "all")),
)


ALONE = tuple(one for one in SIMULATIONS if len(one.scopes) == 1)
"""The simulations of one scope; the simulation's own truth knows no mixture."""

simulated = pytest.mark.parametrize("simulation", SIMULATIONS, ids=lambda one: one.name)
simulated_alone = pytest.mark.parametrize("simulation", ALONE, ids=lambda one: one.name)


@dataclass(frozen=True)
class Loaded:
    catalogue: SimulatedCatalogue
    times: Sequence[datetime]
    answers: Sequence[Answer]
    warehouse: Path
    marts: Marts


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Simulation], Loaded]:
    """Loads the captures of a simulation in batches of many sizes and publishes; each simulation once."""
    return cache(lambda simulation: _load(simulation, tmp_path_factory.mktemp("truth")))


def _load(simulation: Simulation, warehouse: Path) -> Loaded:
    catalogue = simulation.catalogue
    answers = [
        Answer(at, scope == "all", catalogue.listing(at, output_modalities=scope))
        for at, scope in simulation.asked(catalogue)
    ]
    captures = [
        Capture(ALL_MODELS if one.lists_every_modality else TEXT_MODELS, one.observed_at, one.body, "archive:simulated")
        for one in answers
    ]
    sizes = random.Random(simulation.seed)
    with Ledger(warehouse) as ledger:
        while captures:
            size = sizes.randint(20, 64)
            verdicts = ledger.load(captures[:size])
            assert {one.verdict for one in verdicts} == {"accepted"}
            captures = captures[size:]
        ledger.publish()
    times = [one.observed_at for one in answers]
    return Loaded(catalogue, times, answers, warehouse, published_marts(warehouse))


@simulated
def test_marts_are_what_the_oracle_tells(simulation: Simulation, load: Callable[[Simulation], Loaded]) -> None:
    """Truths 2, 5, 6 and 11. Seen red with `covers` in `history._step` leaving out `lists_every_modality`."""
    loaded = load(simulation)
    assert_marts_equal(loaded.marts, tell(loaded.answers))


@simulated_alone
def test_price_changes_are_those_simulated(simulation: Simulation, load: Callable[[Simulation], Loaded]) -> None:
    """Truths 6 and 11. Seen red with `after_absence` in `price_changes.sql` never true."""
    loaded, scope = load(simulation), simulation.scopes[0]
    expected = [
        (c.changed_at, c.last_seen_at, c.model_id, c.price_kind, *map(_status_and_usd, (c.old, c.new)), c.after_absence)
        for c in loaded.catalogue.expected_price_changes(loaded.times, scope)
    ]
    keys = ("changed_at", "last_seen_at", "model_id", "price_kind")
    found = [
        (
            *(row[key] for key in keys),
            *(_told_status_and_usd(row[f"{side}_price_text"], row[f"{side}_price_usd"]) for side in ("old", "new")),
            row["after_absence"],
        )
        for row in loaded.marts["price_changes"]
    ]
    assert sorted(found, key=str) == sorted(expected, key=str)


@simulated_alone
def test_flips_are_those_simulated(simulation: Simulation, load: Callable[[Simulation], Loaded]) -> None:
    """Truth 11. Seen red with `price_changes.sql` leaving out the base or asking no value of the windows, and with
    `rules_key` in `flatten` keeping the spelling of prices."""
    loaded, scope = load(simulation), simulation.scopes[0]
    changes = loaded.catalogue.expected_price_changes(loaded.times, scope)
    expected = {(c.changed_at, c.model_id, c.price_kind) for c in changes if c.is_schedule_flip}
    found = {
        (row["changed_at"], row["model_id"], row["price_kind"])
        for row in loaded.marts["price_changes"]
        if row["is_schedule_flip"]
    }
    assert expected
    assert found == expected


@simulated_alone
def test_events_are_those_simulated(simulation: Simulation, load: Callable[[Simulation], Loaded]) -> None:
    """Truth 5. Seen red with `started_by` in `history._step` never "return"."""
    loaded, scope = load(simulation), simulation.scopes[0]
    expected = [tuple(one) for one in loaded.catalogue.expected_events(loaded.times, scope)]
    assert {event for *_, event in expected} == {"added", "removed", "returned"}
    rows = loaded.marts["model_events"]
    assert sorted((row["happened_at"], row["model_id"], row["event"]) for row in rows) == sorted(expected)


@simulated_alone
def test_expirations_are_those_simulated(simulation: Simulation, load: Callable[[Simulation], Loaded]) -> None:
    """Truth 2, in what is derived from it. Seen red with every state in `expirations.sql` an announcement."""
    loaded, scope = load(simulation), simulation.scopes[0]
    keys = ("model_id", "expiration_date", "announced_at", "previous_expiration_date", "status", "removed_at")
    found = [tuple(row[key] for key in keys) for row in loaded.marts["expirations"]]
    expected = [tuple(one) for one in loaded.catalogue.expected_expirations(loaded.times, scope)]
    assert sorted(found, key=str) == sorted(expected, key=str)


@simulated_alone
def test_models_and_prices_at_an_instant_are_those_simulated(
    simulation: Simulation, load: Callable[[Simulation], Loaded]
) -> None:
    """Truth 7 for all that is known. Seen red with `r.valid_to > r.valid_at` in `prices_at.sql` as `>=`."""
    loaded, scope = load(simulation), simulation.scopes[0]
    with Published(loaded.warehouse) as published:
        for at in loaded.times[:: len(loaded.times) // 5]:
            listed = published.ask("SELECT model_id FROM marts.models_at(?)", [at]).rows
            assert sorted(one for (one,) in listed) == sorted(loaded.catalogue.ids_at(at, scope))
            prices = published.ask("SELECT model_id, price_kind, price_text, price_usd FROM marts.prices_at(?)", [at])
            found = {(model, kind): _told_status_and_usd(text, usd) for model, kind, text, usd in prices.rows}
            kinds = {row["price_kind"] for row in loaded.marts["price_history"]}
            expected = {
                (model, kind): _status_and_usd(loaded.catalogue.price_at(model, kind, at))
                for (model,) in listed
                for kind in kinds
                if loaded.catalogue.price_at(model, kind, at) is not None
            }
            assert found == expected


def _status_and_usd(value: Any) -> tuple[str, Decimal | None]:
    """A simulated price; None: the key is not listed."""
    if value is None:
        return "unlisted", None
    return ("dynamic", None) if value == "dynamic" else ("fixed", value)


def _told_status_and_usd(text: str | None, usd: Decimal | None) -> tuple[str, Decimal | None]:
    if text is None:
        return "unlisted", None
    return ("dynamic", None) if usd is None else ("fixed", usd)

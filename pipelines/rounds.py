"""A round: taking several lists of models, of which one that fails keeps no other from being taken.

Belongs here: the order of the steps from questions to the published file, what came of each.
Does not belong here: HTTP (`sources`), one question's way into the raw store (`snapshot`), when to ask (`defs`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from pipelines.captures import RawStore
from pipelines.configuration import NamedGateway
from pipelines.errors import CatalogueError
from pipelines.ledger.ledger import Ledger, Verdict
from pipelines.scopes import Scope
from pipelines.settings import Settings
from pipelines.snapshot import Taken, take_gateway, take_listing
from pipelines.sources.gateway import Gateway
from pipelines.sources.http import utc_now
from pipelines.sources.openrouter import OpenRouter


@dataclass
class Round:
    """What came of each question, by its name: what was taken, or why nothing was."""

    taken: dict[str, Taken] = field(default_factory=dict)
    failed: dict[str, CatalogueError] = field(default_factory=dict)

    def __or__(self, other: Round) -> Round:
        """Both, of which no two questions share a name."""
        return Round(self.taken | other.taken, self.failed | other.failed)

    @property
    def packs(self) -> list[str]:
        """Where the answers lie, in the order in which they came."""
        return [pack for one in self.taken.values() for pack in one.packs]


@dataclass(frozen=True)
class Outcome:
    """What a round did to the warehouse.

    ``verdicts`` are those on its captures, by name, ``turned`` those that it turned on captures loaded before.
    """

    verdicts: Mapping[str, Verdict]
    turned: tuple[Verdict, ...]

    @property
    def quarantined(self) -> list[Verdict]:
        """Captures that are suspicious now, those of the round first."""
        return [one for one in (*self.verdicts.values(), *self.turned) if one.verdict == "quarantined"]


def take_scopes(asked: Mapping[str, Scope], settings: Settings) -> Round:
    """Ask OpenRouter, or its EU host, each of the questions ``asked``, one after another; each answer is stored as it
    comes."""
    raw = RawStore(settings.warehouse / "raw")
    with OpenRouter(settings.base_url, policy=settings.fetch_policy, clock=settings.clock or utc_now) as source:
        here = {name: replace(scope, source=settings.source) for name, scope in asked.items()}
        return _each({name: partial(take_listing, source, scope, raw) for name, scope in here.items()})


def take_gateways(asked: Iterable[NamedGateway], settings: Settings) -> Round:
    """Ask each gateway for all that it has, one after another; each answer is stored as it comes."""
    raw = RawStore(settings.warehouse / "raw")

    def take(one: NamedGateway) -> Taken:
        with Gateway(
            one.url,
            name=one.name,
            token_variable=one.token_variable,
            policy=settings.fetch_policy,
            clock=settings.clock or utc_now,
        ) as gateway:
            return take_gateway(gateway, raw)

    return _each({one.name: partial(take, one) for one in asked})


def _each(asked: Mapping[str, Callable[[], Taken]]) -> Round:
    done = Round()
    for name, take in asked.items():
        try:
            done.taken[name] = take()
        except CatalogueError as problem:
            done.failed[name] = problem
    return done


def take_in(done: Round, ledger: Ledger) -> Outcome:
    """Commit what a round took, with its packs in hand, and publish."""
    names = {one.snapshot_id: name for name, one in done.taken.items()}
    verdicts = ledger.take(done.packs, list(names))
    turned = [one for one in verdicts if one.snapshot_id not in names]
    return Outcome({names[one.snapshot_id]: one for one in verdicts if one.snapshot_id in names}, tuple(turned))

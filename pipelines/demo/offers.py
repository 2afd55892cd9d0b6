"""The offers of the simulated models: who serves what at which price, and who of them gives the list its price.

Belongs here: providers and their offers over time, the answers about them, why a headline price changed.
Does not belong here: the models and their list prices (`simulated`, `cast`), HTTP (`server`).

The list's headline is the top provider's offer at that time. A model's own history says when its headline moves; what
moved it is decided here, for each move anew: either the top provider repriced its offer, or the router turned to
another provider that had asked that price before. Some offers have the price to which another is repriced later, which
must not be taken for the router's doing.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

import orjson

from pipelines.demo.simulated import FREE, PriceValue, Quote, Rule, SimulatedModel
from pipelines.demo.timeline import Calendar, Timeline

Cause = Literal["schedule", "routing"]

_PROVIDERS = (
    *("Ashgrove", "Birchway", "Cloudmere", "Deepfen", "Eastmoor", "Farlight", "Greyhaven", "Hollowell"),
    *("Ironbeck", "Junewater", "Kestrelyn", "Longacre"),
)
_TIERS = ("", "", "", "/fp8", "/fp4", "/bf16", "/flex", "/priority", "/eu", "/us-east")
_FACTORS = ("0.87", "1.07", "1.31", "1.73", "2.19")
"""What a bystander asks of the list price: numbers by which no list price of the story is ever multiplied."""

_COUNTRIES = ("US", "SG", "DE", "FR", "CA")


@dataclass(frozen=True)
class Terms:
    """A price list: base prices by kind, and rules. Equal to another that says the same in numbers."""

    prices: tuple[tuple[str, Quote], ...]
    rules: tuple[Rule, ...]

    @classmethod
    def of(cls, model: SimulatedModel, at: datetime) -> Terms:
        """What the list says of ``model`` at ``at``."""
        return cls(tuple(sorted(model.base_at(at).items(), key=lambda item: item[0])), model.rules.at(at))

    def times(self, factor: str) -> Terms:
        """The same terms at another price; rules are left out."""
        prices = tuple(
            (kind, price if price.value == "dynamic" or price == FREE else price.times(factor))
            for kind, price in self.prices
        )
        return Terms(prices, ())

    def headline_at(self, at: datetime) -> dict[str, Quote]:
        """The price of each kind as listed: the base, or the band of a schedule that is in force."""
        headline = dict(self.prices)
        for rule in self.rules:
            if rule.holds_at(at):
                headline.update((kind, price) for kind, price in rule.prices if kind in headline)
        return headline

    def document(self, at: datetime) -> dict[str, Any]:
        """The ``pricing`` of an offer."""
        pricing: dict[str, Any] = {kind: price.text for kind, price in self.headline_at(at).items()}
        if self.rules:
            pricing["overrides"] = [rule.document() for rule in self.rules]
        return pricing | {"discount": 0}


@dataclass(eq=False)
class SimulatedOffer:
    """One provider's offer of a model; ``terms`` are None while it is not made."""

    provider: str
    tag: str
    quantization: str | None
    context_length: int
    is_zdr: bool
    terms: Timeline[Terms | None]

    def value_at(self, kind: str, at: datetime) -> PriceValue | None:
        """The headline price of ``kind``; None while it is absent or the offer is not made."""
        terms = self.terms.at(at)
        price = terms.headline_at(at).get(kind) if terms else None
        return price.value if price else None


@dataclass(eq=False)
class OfferedModel:
    """A model's offers, and which of them gives the list its price; no top provider where there are no offers."""

    model: SimulatedModel
    offers: list[SimulatedOffer] = field(default_factory=list)
    top: Timeline[SimulatedOffer] | None = None

    def offered_at(self, at: datetime) -> list[tuple[SimulatedOffer, Terms]]:
        """The offers that are made at ``at``."""
        return [(one, terms) for one in self.offers if (terms := one.terms.at(at)) is not None]


class SimulatedOffers:
    """The offers of ``models`` over the days of ``calendar``, a pure function of ``seed``."""

    def __init__(self, models: Iterable[SimulatedModel], calendar: Calendar, seed: int) -> None:
        self._seed = seed
        self._models = {
            model.id: _Plot(model, calendar, random.Random(f"{seed}/{model.number}/offers")).play() for model in models
        }
        self._providers = [_Provider(name, calendar, random.Random(f"{seed}/{name}")) for name in _PROVIDERS]

    # What the API answers

    def endpoints(self, model_id: str, at: datetime) -> bytes | None:
        """The body that ``/models/{model_id}/endpoints`` answers; None where the model is not listed.

        Asked by a canonical slug it answers as the first model of that slug, which is the one without a variant.
        """
        offered = self._models.get(model_id) or self._by_slug(model_id, at)
        if offered is None or not offered.model.is_listed.at(at):
            return None
        document = offered.model.document(at)
        told = {key: document[key] for key in ("id", "name", "created", "description", "architecture")}
        endpoints = [self._endpoint(offered.model, offer, terms, at) for offer, terms in offered.offered_at(at)]
        order = random.Random(f"{self._seed}/{model_id}/{int(at.timestamp()) // 3600}")
        order.shuffle(endpoints)
        return orjson.dumps({"data": told | {"endpoints": endpoints}})

    def zdr(self, at: datetime) -> bytes:
        """The body that ``/endpoints/zdr`` answers."""
        offers = [
            self._endpoint(one.model, offer, terms, at)
            for one in self._listed_at(at)
            for offer, terms in one.offered_at(at)
            if offer.is_zdr
        ]
        return orjson.dumps({"data": offers})

    def providers(self, at: datetime) -> bytes:
        """The body that ``/providers`` answers."""
        return orjson.dumps({"data": [one.document(at) for one in self._providers if one.is_listed.at(at)]})

    def _by_slug(self, slug: str, at: datetime) -> OfferedModel | None:
        return next((one for one in self._models.values() if one.model.fields["canonical_slug"].at(at) == slug), None)

    def _listed_at(self, at: datetime) -> Iterator[OfferedModel]:
        return (one for one in self._models.values() if one.model.is_listed.at(at))

    def _endpoint(self, model: SimulatedModel, offer: SimulatedOffer, terms: Terms, at: datetime) -> dict[str, Any]:
        measured = random.Random(f"{model.id}/{offer.tag}/{int(at.timestamp()) // 300}")
        return {
            "name": f"{offer.provider} | {model.id}",
            "model_id": model.id,
            "model_name": model.fields["name"].at(at),
            "context_length": offer.context_length,
            "pricing": terms.document(at),
            "provider_name": offer.provider,
            "tag": offer.tag,
            "quantization": offer.quantization,
            "max_completion_tokens": None,
            "max_prompt_tokens": None,
            "supported_parameters": measured.sample(_PARAMETERS, len(_PARAMETERS)),
            "status": measured.choice((0, 0, 0, 0, -2)),
            "uptime_last_5m": round(measured.uniform(90, 100), 6),
            "uptime_last_30m": round(measured.uniform(90, 100), 6),
            "uptime_last_1d": round(measured.uniform(95, 100), 6),
            "supports_implicit_caching": offer.quantization is None,
            "latency_last_30m": None,
            "throughput_last_30m": None,
        }

    # The truth

    def keys_at(self, model_id: str, at: datetime) -> list[str]:
        """The tags under which ``model_id`` is offered, one for each offer, sorted."""
        return sorted(offer.tag for offer, _ in self._models[model_id].offered_at(at))

    def asked_at(self, model_id: str, tag: str, kind: str, at: datetime) -> list[PriceValue | None]:
        """What the offers under ``tag`` ask at ``at``."""
        return [offer.value_at(kind, at) for offer, _ in self._models[model_id].offered_at(at) if offer.tag == tag]

    def is_routed(self, model_id: str, kind: str, last_seen_at: datetime, changed_at: datetime) -> bool:
        """Whether between the two instants the router turned to another provider, who had asked the new price of
        ``kind`` all the time, and the former top provider did not come to the same price by itself."""
        offered = self._models[model_id]
        if offered.top is None:
            return False
        former, now = offered.top.at(last_seen_at), offered.top.at(changed_at)
        asked = now.value_at(kind, changed_at)

        def has_changed(offer: SimulatedOffer) -> bool:
            return any(last_seen_at < step <= changed_at for step in offer.terms.steps)

        came_itself = (
            has_changed(former)
            and former.terms.at(changed_at) is not None
            and former.value_at(kind, changed_at) == asked
        )
        return former is not now and not has_changed(now) and not came_itself


_PARAMETERS = ("max_tokens", "seed", "stop", "temperature", "tools", "top_p")


class _Plot:
    """Invents the offers of one model, such that the top one's prices are the model's at every instant."""

    def __init__(self, model: SimulatedModel, calendar: Calendar, rng: random.Random) -> None:
        self._offered = OfferedModel(model)
        self._calendar, self._rng = calendar, rng
        self._tags: set[str] = set()

    def play(self) -> OfferedModel:
        model = self._offered.model
        if model.target is not None or self._rng.random() < 0.06:
            return self._offered
        first = self._offer(Timeline(Terms.of(model, self._calendar.start)))
        self._offered.top = Timeline(first)
        for _ in range(self._rng.choice((0, 1, 2, 2, 3))):
            self._bystander()
        lines: list[Timeline[Any]] = [*model.prices.values(), model.rules]
        for step in sorted({step for line in lines for step in line.steps if step > self._calendar.start}):
            self._move(step, Terms.of(model, step))
        return self._offered

    def _move(self, step: datetime, terms: Terms) -> None:
        """The headline becomes ``terms`` at ``step``: who did it?"""
        assert self._offered.top is not None
        top, roll = self._offered.top.last, self._rng.random()
        if terms == top.terms.last:
            top.terms = top.terms.then(step, terms)  # spelled otherwise
            return
        others = [one for one in self._offered.offers if one.terms.last == terms and _is_settled(one, step)]
        if others and roll < 0.7:
            self._offered.top = self._offered.top.then(step, others[0])
        elif roll < 0.45:
            self._offered.top = self._offered.top.then(step, self._offer(self._since_before(step, terms)))
            if self._rng.random() < 0.3:
                top.terms = top.terms.then(step + timedelta(hours=self._rng.choice((0, 30))), None)
        else:
            if self._rng.random() < 0.4:
                self._offer(self._since_before(step, terms))
            top.terms = top.terms.then(step, terms)

    def _since_before(self, step: datetime, terms: Terms) -> Timeline[Terms | None]:
        """An offer of ``terms`` that was there from the beginning, or came some days before ``step``."""
        begin = step - timedelta(days=self._rng.randrange(4, 20), hours=3)
        if begin <= self._calendar.start or self._rng.random() < 0.5:
            return Timeline(terms)
        return Timeline[Terms | None](None).then(begin, terms)

    def _bystander(self) -> None:
        """An offer that never gives the list its price, with a life of its own."""
        terms = Terms.of(self._offered.model, self._calendar.start).times(self._rng.choice(_FACTORS))
        line: Timeline[Terms | None] = Timeline(terms)
        for share in sorted(self._rng.uniform(0.04, 0.96) for _ in range(self._rng.choice((0, 1, 2)))):
            at = self._calendar.at(share, self._rng.randrange(24), self._rng.randrange(60))
            if line.steps and at <= line.steps[-1]:
                continue
            last = line.last
            line = line.then(at, None if last and self._rng.random() < 0.3 else (last or terms).times("1.13"))
        twin = self._rng.random() < 0.1 and len(self._offered.offers) > 1
        self._offer(line, self._offered.offers[-1].tag if twin else None)

    def _offer(self, terms: Timeline[Terms | None], tag: str | None = None) -> SimulatedOffer:
        model, rng = self._offered.model, self._rng
        tag = tag or self._new_tag()
        tier = tag.partition("/")[2]
        made = SimulatedOffer(
            provider=next(name for name in _PROVIDERS if tag.startswith(name.lower())),
            tag=tag,
            quantization=tier if tier in ("fp8", "fp4", "bf16") else rng.choice((None, "unknown")),
            context_length=model.fields["context_length"].at(self._calendar.start) // rng.choice((1, 1, 2)),
            is_zdr=rng.random() < 0.4,
            terms=terms,
        )
        self._offered.offers.append(made)
        return made

    def _new_tag(self) -> str:
        free = [tag for name in _PROVIDERS for tier in _TIERS if (tag := f"{name.lower()}{tier}") not in self._tags]
        tag = self._rng.choice(free)
        self._tags.add(tag)
        return tag


def _is_settled(offer: SimulatedOffer, step: datetime) -> bool:
    """Whether nothing befalls ``offer`` from shortly before ``step`` on."""
    return all(one < step - timedelta(days=2) for one in offer.terms.steps)


class _Provider:
    """A provider of the simulation; its privacy policy moves once, some name their data centres."""

    def __init__(self, name: str, calendar: Calendar, rng: random.Random) -> None:
        slug = name.lower()
        policy = f"https://{slug}.invalid/privacy"
        self._name, self._slug = name, slug
        self._policy = Timeline(policy).then(calendar.at(rng.uniform(0.1, 0.9), 11), f"{policy}/2026")
        country = rng.choice(_COUNTRIES)
        self._headquarters = country if rng.random() < 0.8 else None
        self._datacenters: Timeline[Sequence[str] | None] = Timeline(
            rng.choice((None, [], [country], sorted({country, "US"})))
        )
        self.is_listed = Timeline(True) if rng.random() < 0.8 else Timeline(False).then(calendar.at(0.5, 7), True)

    def document(self, at: datetime) -> dict[str, Any]:
        """The provider as listed."""
        return {
            "name": self._name,
            "slug": self._slug,
            "privacy_policy_url": self._policy.at(at),
            "terms_of_service_url": f"https://{self._slug}.invalid/terms",
            "status_page_url": None,
            "headquarters": self._headquarters,
            "datacenters": self._datacenters.at(at),
        }

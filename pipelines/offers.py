"""From bytes to Polars frames: offers of models by providers, offers without data retention, providers.

Belongs here: what an answer about offers or providers says, and what speaks against it; which of it is a state and
which a measurement. Does not belong here: listings of models (`flatten`), databases, comparing one answer with another.

Everything here is a pure function of bytes. An offer is named by its model, its tag and, since a model may have two
offers under one tag, its place among these twins, the cheaper first: a number is a rank, not an identity.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import orjson
import polars as pl

from pipelines.flatten import (
    PRICE_RULES,
    PRICES,
    Defect,
    canonical,
    digest,
    example_of,
    frame_of,
    is_texts,
    is_whole,
    json_type,
    parse,
    price_rows,
    rule_rows,
    rules_key,
    show,
    spell_numbers,
)
from pipelines.pricing import UNITS, read_price, split_pricing
from pipelines.scopes import Scope, Topic

ANSWERS: Mapping[str, pl.DataType] = {
    "place": pl.Int32(),
    "topic": pl.String(),
    "model_id": pl.String(),
    "list_key": pl.String(),
    "price_count": pl.Int32(),
    "unreadable_count": pl.Int32(),
    "defects": pl.String(),
}
"""A row for each answer, by its place in the batch. ``list_key`` names what it lists; null if that cannot be told.
``model_id`` is null unless one model's offers were asked for. ``defects`` is JSON."""

OFFERS: Mapping[str, pl.DataType] = {
    "place": pl.Int32(),
    "list_key": pl.String(),
    "model_id": pl.String(),
    "tag": pl.String(),
    "twin_no": pl.Int32(),
    "state_key": pl.String(),
    "price_list_key": pl.String(),
    "rules_key": pl.String(),
}
"""A row for each offer of a distinct list of offers; ``place`` is the first answer that gives the list."""

OFFER_STATES: Mapping[str, pl.DataType] = {
    "state_key": pl.String(),
    "name": pl.String(),
    "provider_name": pl.String(),
    "quantization": pl.String(),
    "context_length": pl.Int64(),
    "max_completion_tokens": pl.Int64(),
    "max_prompt_tokens": pl.Int64(),
    "supported_parameters": pl.List(pl.String()),
    "supports_implicit_caching": pl.Boolean(),
    "extra": pl.String(),
}
"""A row for each distinct state of an offer: all that is neither price nor measurement. ``extra`` is JSON."""

ZDR_OFFERS: Mapping[str, pl.DataType] = {
    "place": pl.Int32(),
    "list_key": pl.String(),
    "model_id": pl.String(),
    "tag": pl.String(),
}
"""A row for each offer of a distinct list of offers without data retention; twins are not told apart."""

PROVIDERS: Mapping[str, pl.DataType] = {"list_key": pl.String(), "state_key": pl.String()}
"""A row for each provider of a distinct list of providers."""

PROVIDER_STATES: Mapping[str, pl.DataType] = {
    "state_key": pl.String(),
    "slug": pl.String(),
    "name": pl.String(),
    "privacy_policy_url": pl.String(),
    "terms_of_service_url": pl.String(),
    "status_page_url": pl.String(),
    "headquarters": pl.String(),
    "datacenters": pl.List(pl.String()),
    "extra": pl.String(),
}
"""A row for each distinct state of a provider. ``extra`` is JSON."""

_PERCENTILES = ("p50", "p75", "p90", "p99")

MEASUREMENTS: Mapping[str, pl.DataType] = {
    "place": pl.Int32(),
    "model_id": pl.String(),
    "tag": pl.String(),
    "twin_no": pl.Int32(),
    "status": pl.Int32(),
    "uptime_last_5m": pl.Float64(),
    "uptime_last_30m": pl.Float64(),
    "uptime_last_1d": pl.Float64(),
    **{f"latency_last_30m_{one}": pl.Float64() for one in _PERCENTILES},
    **{f"throughput_last_30m_{one}": pl.Float64() for one in _PERCENTILES},
    "extra": pl.String(),
}
"""A row for each offer of each answer. ``extra`` is JSON: measurements that have no column."""

UNKNOWN_FIELDS: Mapping[str, pl.DataType] = {
    "place": pl.Int32(),
    "path": pl.String(),
    "json_type": pl.String(),
    "example": pl.String(),
}
"""A row for each path in an answer that the API's description does not name; ``example`` is JSON."""

_FATAL_PRICES = (1, 1)
"""How a ``pricing`` that is no object counts: one price, which cannot be read."""


@dataclass(frozen=True)
class OfferFrames:
    """A batch of answers: a row for each, and the distinct things that they say."""

    answers: pl.DataFrame
    offers: pl.DataFrame
    offer_states: pl.DataFrame
    prices: pl.DataFrame
    price_rules: pl.DataFrame
    zdr_offers: pl.DataFrame
    providers: pl.DataFrame
    provider_states: pl.DataFrame
    measurements: pl.DataFrame
    unknown_fields: pl.DataFrame


@dataclass(frozen=True)
class _Offer:
    """One entry of ``endpoints``, read."""

    tag: str
    state_key: str
    price_list_key: str
    rules_key: str | None
    order: tuple[Any, ...]
    measured: tuple[Any, ...]


class _Refused(Exception):
    """An answer that says nothing, and why."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.defect = Defect(code, reason)


def flatten_answers(answers: Sequence[tuple[Scope, bytes]]) -> OfferFrames:
    """The frames of answers about offers and providers; never raises, whatever their bytes are.

    Every scope has a topic. Rows come in the order in which things are met.
    """
    batch = _Batch()
    for place, (scope, body) in enumerate(answers):
        batch.take(place, scope, body)
    return batch.frames()


class _Batch:
    """Collects rows; what was met before is told once."""

    def __init__(self) -> None:
        self._answers: list[tuple[Any, ...]] = []
        self._offers: list[tuple[Any, ...]] = []
        self._offer_states: dict[str, tuple[Any, ...]] = {}
        self._prices: list[tuple[Any, ...]] = []
        self._rules: list[tuple[Any, ...]] = []
        self._zdr: list[tuple[Any, ...]] = []
        self._providers: list[tuple[Any, ...]] = []
        self._provider_states: dict[str, tuple[Any, ...]] = {}
        self._measurements: list[tuple[Any, ...]] = []
        self._unknown: list[tuple[Any, ...]] = []
        self._price_lists: dict[str, tuple[str | None, int, int]] = {}
        self._lists: set[str] = set()

    def frames(self) -> OfferFrames:
        return OfferFrames(
            frame_of(self._answers, ANSWERS),
            frame_of(self._offers, OFFERS),
            frame_of(list(self._offer_states.values()), OFFER_STATES),
            frame_of(self._prices, PRICES),
            frame_of(self._rules, PRICE_RULES),
            frame_of(self._zdr, ZDR_OFFERS),
            frame_of(self._providers, PROVIDERS),
            frame_of(list(self._provider_states.values()), PROVIDER_STATES),
            frame_of(self._measurements, MEASUREMENTS),
            frame_of(self._unknown, UNKNOWN_FIELDS),
        )

    def take(self, place: int, scope: Scope, body: bytes) -> None:
        topic, model_id = scope.topic, scope.model_id
        list_key, prices, unreadable, defects = None, 0, 0, []
        try:
            document, text = _document(body)
            if topic == "offers":
                assert model_id is not None
                list_key, prices, unreadable = self._offers_of(place, model_id, document, text)
            elif topic == "zdr":
                list_key = self._zdr_offers(place, document)
            else:
                list_key = self._provider_list(document)
            unknown = dict(_unknown_in(topic, document))
            self._unknown += [
                (place, path, json_type(unknown[path]), example_of(unknown[path])) for path in sorted(unknown)
            ]
        except _Refused as refused:
            defects = [refused.defect]
        except (orjson.JSONEncodeError, RecursionError):
            defects = [Defect("not_json", "the answer nests its JSON deeper than can be stored")]
        except ValueError as problem:
            defects = [Defect("not_json", f"the answer is not JSON: {problem}")]
        told = orjson.dumps([{"code": one.code, "reason": one.reason, "is_fatal": one.is_fatal} for one in defects])
        self._answers.append((place, topic, model_id, list_key, prices, unreadable, told.decode()))

    # --- one model's offers -----------------------------------------------------------------------------------------

    def _offers_of(self, place: int, model_id: str, document: Any, text: bytes) -> tuple[str, int, int]:
        entries = _endpoints(model_id, document)
        spell_numbers([text], entries, lambda whole: whole["data"]["endpoints"])
        offers = sorted((self._offer(model_id, entry) for entry in entries), key=lambda offer: (offer.tag, offer.order))
        numbered = list(_with_twin_no(offers))
        members = [[one.tag, number, one.state_key, one.price_list_key] for one, number in numbered]
        list_key = digest(canonical(["offers", model_id, members]))
        if list_key not in self._lists:
            self._lists.add(list_key)
            self._offers += [
                (place, list_key, model_id, one.tag, number, one.state_key, one.price_list_key, one.rules_key)
                for one, number in numbered
            ]
        self._measurements += [(place, model_id, one.tag, number, *one.measured) for one, number in numbered]
        counts = [self._price_lists[one.price_list_key][1:] for one in offers]
        return list_key, sum(prices for prices, _ in counts), sum(unreadable for _, unreadable in counts)

    def _offer(self, model_id: str, entry: dict[str, Any]) -> _Offer:
        fields = {name: value for name, value in entry.items() if not _is_measurement(name)}
        pricing = fields.pop("pricing")
        if fields.get("model_id") == model_id:
            del fields["model_id"]
        tag = _tag(fields)
        if fields.get("tag") == tag:
            del fields["tag"]
        columns = {name: _take(fields, name, fits) for name, fits in _OFFER_COLUMNS.items()}
        if is_texts(columns["supported_parameters"]):
            columns["supported_parameters"] = sorted(set(columns["supported_parameters"]))
        extra = canonical({name: value for name, value in fields.items() if value is not None})
        state_key = digest(canonical([columns, extra.decode()]))
        price_list_key, order = self._price_list(pricing)
        rules = self._price_lists[price_list_key][0]
        measured = _measured(entry)
        self._offer_states.setdefault(state_key, (state_key, *columns.values(), extra.decode()))
        return _Offer(tag, state_key, price_list_key, rules, (*order, state_key, repr(measured)), measured)

    def _price_list(self, pricing: Any) -> tuple[str, tuple[Any, ...]]:
        """The key of a price list, and where it places an offer among its twins: by the price of a prompt token, of a
        completion token, then by how the whole list is spelled."""
        spelled = canonical(pricing)
        key = digest(spelled)
        headline, rules, _ = split_pricing(pricing)
        if key not in self._price_lists:
            texts = [*headline.values(), *(text for rule in rules for text in rule.prices.values())]
            unreadable = sum(read_price(text).status == "unreadable" for text in texts)
            counts = (len(texts), unreadable) if isinstance(pricing, dict) else _FATAL_PRICES
            self._price_lists[key] = rules_key(rules), *counts
            self._prices += price_rows(key, headline)
            self._rules += rule_rows(key, headline, rules)
        return key, (_worth(headline.get("prompt")), _worth(headline.get("completion")), spelled)

    # --- offers without data retention, providers -------------------------------------------------------------------

    def _zdr_offers(self, place: int, document: Any) -> str:
        entries = _data(document, "offers")
        for entry in entries:
            if not isinstance(entry.get("model_id"), str) or not entry["model_id"]:
                raise _Refused("wrong_shape", f"an offer in the answer names no model: {show(entry)}")
        members = sorted({(entry["model_id"], _tag(entry)) for entry in entries})
        list_key = digest(canonical(["zdr", members]))
        if list_key not in self._lists:
            self._lists.add(list_key)
            self._zdr += [(place, list_key, model_id, tag) for model_id, tag in members]
        return list_key

    def _provider_list(self, document: Any) -> str:
        entries = _data(document, "providers")
        if not entries:
            raise _Refused("wrong_shape", "the answer lists no providers")
        rows: dict[str, tuple[str, tuple[Any, ...]]] = {}
        for entry in entries:
            slug = entry.get("slug") or entry.get("name")
            if not isinstance(slug, str):
                raise _Refused("wrong_shape", f"a provider in the answer has neither slug nor name: {show(entry)}")
            fields = dict(entry)
            if fields.get("slug") == slug:
                del fields["slug"]
            columns = {name: _take(fields, name, fits) for name, fits in _PROVIDER_COLUMNS.items()}
            if is_texts(columns["datacenters"]):
                columns["datacenters"] = sorted(set(columns["datacenters"])) or None
            extra = canonical({name: value for name, value in fields.items() if value is not None}).decode()
            key = digest(canonical([slug, columns, extra]))
            rows.setdefault(slug, (key, (key, slug, *columns.values(), extra)))
        members = sorted(key for key, _ in rows.values())
        list_key = digest(canonical(["providers", members]))
        if list_key not in self._lists:
            self._lists.add(list_key)
            self._providers += [(list_key, key) for key in members]
        for key, row in rows.values():
            self._provider_states.setdefault(key, row)
        return list_key


# --- the envelope ---------------------------------------------------------------------------------------------------


def _document(body: bytes) -> tuple[dict[str, Any], bytes]:
    document, text = parse(body)
    if not isinstance(document, dict):
        raise _Refused("wrong_shape", "the answer is JSON but no object")
    if isinstance(document.get("error"), dict):
        raise _Refused("wrong_shape", f"the answer is an error: {show(document['error'].get('message'))}")
    return document, text


def _endpoints(model_id: str, document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The offers in an answer about ``model_id``; none is a statement as well."""
    data = document.get("data")
    entries = data.get("endpoints") if isinstance(data, dict) else None
    if not isinstance(data, dict) or not isinstance(data.get("id"), str) or not isinstance(entries, list):
        raise _Refused("wrong_shape", "the answer is JSON but holds no model with a list of offers")
    if data["id"] != model_id:
        raise _Refused(
            "other_model",
            f"the answer is about another model, {show(data['id'])}, than {show(model_id)}, which was asked",
        )
    if not all(isinstance(entry, dict) and "pricing" in entry for entry in entries):
        raise _Refused("wrong_shape", "an offer in the answer is no object with a pricing")
    return entries


def _data(document: Mapping[str, Any], what: str) -> list[dict[str, Any]]:
    entries = document.get("data")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise _Refused("wrong_shape", f"the answer is JSON but holds no list of {what}")
    return entries


# --- an offer -------------------------------------------------------------------------------------------------------


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


_OFFER_COLUMNS = {
    "name": _is_text,
    "provider_name": _is_text,
    "quantization": _is_text,
    "context_length": is_whole,
    "max_completion_tokens": is_whole,
    "max_prompt_tokens": is_whole,
    "supported_parameters": is_texts,
    "supports_implicit_caching": _is_flag,
}
_PROVIDER_COLUMNS = {
    "name": _is_text,
    "privacy_policy_url": _is_text,
    "terms_of_service_url": _is_text,
    "status_page_url": _is_text,
    "headquarters": _is_text,
    "datacenters": is_texts,
}
"""What each column can hold; anything else stays in ``extra`` under its own name."""


def _take(fields: dict[str, Any], name: str, fits: Any) -> Any:
    value = fields.get(name)
    if value is None or not fits(value):
        return None
    del fields[name]
    return int(value) if fits is is_whole else value


def _tag(fields: Mapping[str, Any]) -> str:
    """What tells a provider's offers of a model apart; the provider's name where an offer has no tag."""
    return next((str(fields[name]) for name in ("tag", "provider_name") if _is_text(fields.get(name))), "")


def _worth(text: str | None) -> tuple[bool, Decimal]:
    """Orders prices: numbers first, by their size."""
    usd = read_price(text).usd if text is not None else None
    return usd is None, usd or Decimal(0)


def _with_twin_no(offers: Iterable[_Offer]) -> Iterator[tuple[_Offer, int]]:
    """Offers in the order of tags and among twins of price, each with its number among its twins, from 1."""
    previous, number = None, 0
    for one in offers:
        number = number + 1 if one.tag == previous else 1
        previous = one.tag
        yield one, number


# --- measurements ---------------------------------------------------------------------------------------------------

_MEASURED = ("uptime_last_5m", "uptime_last_30m", "uptime_last_1d")
_DISTRIBUTIONS = ("latency_last_30m", "throughput_last_30m")


def _is_measurement(name: str) -> bool:
    return name == "status" or name.startswith(("uptime_", "latency_", "throughput_"))


def _measured(entry: Mapping[str, Any]) -> tuple[Any, ...]:
    """The columns of :data:`MEASUREMENTS` from ``status`` on."""
    rest = {name: value for name, value in entry.items() if _is_measurement(name) and value is not None}
    status = rest.pop("status", None)
    if not is_whole(status) or abs(status) >= 2**31:
        rest |= {} if status is None else {"status": status}
        status = None
    values = [None if status is None else int(status)]
    values += [rest.pop(name) if _is_number(rest.get(name)) else None for name in _MEASURED]
    for name in _DISTRIBUTIONS:
        found = rest.get(name)
        inner = dict(found) if isinstance(found, dict) else {}
        values += [inner.pop(one) if _is_number(inner.get(one)) else None for one in _PERCENTILES]
        if isinstance(found, dict):
            del rest[name]
            rest |= {name: left} if (left := {one: value for one, value in inner.items() if value is not None}) else {}
    numbers = [values[0], *(None if value is None else float(value) for value in values[1:])]
    return *numbers, canonical(rest).decode() if rest else None


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < 2**63 and math.isfinite(value)


# --- what is unknown ------------------------------------------------------------------------------------------------

_ABOUT_A_MODEL = frozenset({"id", "name", "created", "description", "architecture", "endpoints"})
_OFFER_FIELDS = frozenset(
    {
        *("model_id", "model_name", "tag", "pricing", "supports_voice_cloning", "status"),
        *(*_OFFER_COLUMNS, *_MEASURED, *_DISTRIBUTIONS),
    }
)
_PROVIDER_FIELDS = frozenset({"slug", *_PROVIDER_COLUMNS})


def _unknown_in(topic: Topic | None, document: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Path and value of everything that the API's description does not name, as often as it comes."""
    yield from ((f"$.{name}", value) for name, value in document.items() if name != "data")
    data = document["data"]
    if topic == "providers":
        for entry in data:
            yield from ((f"providers[].{name}", entry[name]) for name in entry.keys() - _PROVIDER_FIELDS)
        return
    if topic == "offers":
        yield from ((f"$.data.{name}", data[name]) for name in data.keys() - _ABOUT_A_MODEL)
        data = data["endpoints"]
    for entry in data:
        yield from ((f"endpoints[].{path}", value) for path, value in _unknown_in_offer(entry))


def _unknown_in_offer(entry: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    yield from ((name, entry[name]) for name in entry.keys() - _OFFER_FIELDS)
    for name in _DISTRIBUTIONS:
        if isinstance(found := entry.get(name), dict):
            yield from ((f"{name}.{inner}", found[inner]) for inner in found.keys() - set(_PERCENTILES))
    pricing = entry.get("pricing")
    if not isinstance(pricing, dict):
        return
    yield from ((f"pricing.{kind}", pricing[kind]) for kind in pricing.keys() - UNITS.keys() - {"overrides"})
    for rule in split_pricing(pricing)[1]:
        told = {**rule.unknown_conditions, **rule.prices}
        yield from ((f"pricing.overrides[].{key}", told[key]) for key in told.keys() - UNITS.keys())

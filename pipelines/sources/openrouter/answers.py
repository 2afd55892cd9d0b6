"""The API's answers as typed values: models, offers, providers, a count.

Belongs here: reading one body exactly, keeping what no document names, saying what is wrong with a body.
Does not belong here: asking (`client`), the feed (`feed`), and how bodies become history (`flatten`), which must get
something out of every body, while a caller of these functions is better served by an error.

Every parser raises SourceError, one sentence, if the body is not the documented kind of answer. Within it a field of
an unexpected type is None (or empty), and stays in ``extra`` as it came. Prices are exact: no float touches them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from pipelines.errors import SourceError
from pipelines.pricing import Price, read_price
from pipelines.sources.http_failures import clean

_SEPARATOR = b"\x1e"


@dataclass(frozen=True)
class Pricing:
    """A price list in USD: ``prices`` by kind, the ``texts`` that they were read from, ``overrides`` as they came.

    A kind that is absent is not listed, which is not the same as free; see :class:`pipelines.pricing.Price`.
    ``discount`` is a fraction from 0 to 1 that the prices already contain.
    """

    prices: Mapping[str, Price]
    texts: Mapping[str, str]
    overrides: Sequence[Mapping[str, Any]]
    discount: Decimal | None
    extra: Mapping[str, Any]

    def usd(self, kind: str) -> Decimal | None:
        """The price of one unit of ``kind``; None if it is not listed, dynamic or unreadable."""
        price = self.prices.get(kind)
        return None if price is None else price.usd


@dataclass(frozen=True)
class Model:
    """One model. Lengths are in tokens, ``created_at`` is UTC, ``extra`` holds every other field as it came."""

    id: str
    name: str | None
    canonical_slug: str | None
    created_at: datetime | None
    description: str | None
    context_length_tokens: int | None
    max_completion_tokens: int | None
    input_modalities: tuple[str, ...]
    output_modalities: tuple[str, ...]
    supported_parameters: tuple[str, ...]
    expiration_date: str | None
    pricing: Pricing
    extra: Mapping[str, Any]


@dataclass(frozen=True)
class Models:
    """A list of models over all its pages; ``total_count`` is None where the API does not tell it."""

    models: tuple[Model, ...]
    total_count: int | None


@dataclass(frozen=True)
class Endpoint:
    """One provider's offer of a model. Lengths are in tokens, ``uptime_last_30m`` is in per cent."""

    model_id: str | None
    provider_name: str | None
    tag: str | None
    name: str | None
    context_length_tokens: int | None
    max_prompt_tokens: int | None
    max_completion_tokens: int | None
    quantization: str | None
    status: int | None
    uptime_last_30m: Decimal | None
    supported_parameters: tuple[str, ...]
    pricing: Pricing
    extra: Mapping[str, Any]


@dataclass(frozen=True)
class Endpoints:
    """All offers of the model ``id``; a variant may be answered with the offers of its base model."""

    id: str
    name: str | None
    endpoints: tuple[Endpoint, ...]
    extra: Mapping[str, Any]


@dataclass(frozen=True)
class Provider:
    """One provider; ``headquarters`` and ``datacenters`` are countries' codes."""

    name: str | None
    slug: str
    privacy_policy_url: str | None
    terms_of_service_url: str | None
    status_page_url: str | None
    headquarters: str | None
    datacenters: tuple[str, ...]
    extra: Mapping[str, Any]


def parse_models(body: bytes) -> Models:
    """The answer to ``/models`` or ``/models/user``: one page, or pages joined as a JSON text sequence."""
    pages = body.split(_SEPARATOR)[1:] if body.startswith(_SEPARATOR) else [body]
    documents = [_document("list of models", page) for page in pages]
    models = [_model(item) for document in documents for item in _items("list of models", document)]
    counts = [count for document in documents if (count := _whole(document.get("total_count"))) is not None]
    return Models(tuple(models), counts[0] if counts else None)


def parse_model(body: bytes) -> Model:
    """The answer to ``/model/{author}/{slug}``."""
    document = _document("model", body)
    return _model(document.get("data"))


def parse_count(body: bytes) -> int:
    """The number in an answer of ``/models/count``: ``{"data": {"count": 457}}``."""
    data = _document("count of models", body).get("data")
    count = _whole(data.get("count")) if isinstance(data, dict) else None
    if count is None or count < 0:
        raise SourceError("The count of models holds no number at data.count; ask again later.")
    return count


def parse_endpoints(body: bytes) -> Endpoints:
    """The answer to ``/models/{author}/{slug}/endpoints``."""
    fields = _Fields(_document("list of offers", body).get("data"))
    model_id, offers = fields.text("id"), fields.take("endpoints")
    if model_id is None or not isinstance(offers, list):
        raise SourceError("The list of offers holds none at data.endpoints; ask again later.")
    return Endpoints(model_id, fields.text("name"), tuple(map(_endpoint, offers)), fields.rest())


def parse_zdr_endpoints(body: bytes) -> tuple[Endpoint, ...]:
    """The answer to ``/endpoints/zdr``: offers of all models whose providers keep no data."""
    return tuple(map(_endpoint, _items("list of offers", _document("list of offers", body))))


def parse_providers(body: bytes) -> tuple[Provider, ...]:
    """The answer to ``/providers``."""
    return tuple(map(_provider, _items("list of providers", _document("list of providers", body))))


class _Fields:
    """The fields of a JSON object, to be taken one by one; what was not taken, or was of another type, remains."""

    def __init__(self, value: Any) -> None:
        self._left = dict(value) if isinstance(value, dict) else {}

    def take(self, name: str) -> Any:
        return self._left.pop(name, None)

    def text(self, name: str) -> str | None:
        value = self._left.get(name)
        return str(self._left.pop(name)) if isinstance(value, str) else None

    def whole(self, name: str) -> int | None:
        value = _whole(self._left.get(name))
        if value is not None:
            del self._left[name]
        return value

    def decimal(self, name: str) -> Decimal | None:
        value = self._left.get(name)
        if isinstance(value, bool) or not isinstance(value, int | Decimal):
            return None
        del self._left[name]
        return Decimal(value)

    def texts(self, name: str) -> tuple[str, ...]:
        value = self._left.get(name)
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            return ()
        return tuple(self._left.pop(name))

    def inner(self, name: str) -> _Fields:
        """The fields of the object ``name``, which stays in ``extra`` as a whole."""
        return _Fields(self._left.get(name))

    def rest(self) -> Mapping[str, Any]:
        return {name: value for name, value in self._left.items() if value is not None}


def _document(what: str, body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body.decode("utf-8-sig"), parse_float=Decimal, parse_constant=_refuse)
    except RecursionError:
        raise SourceError(f"The {what} is nested too deeply to be read; ask again later.") from None
    except ValueError:
        raise SourceError(f"The {what} is not JSON{_beginning(body)}; ask again later.") from None
    if not isinstance(document, dict):
        raise SourceError(f"The {what} is JSON, but no object; ask again later.")
    return document


def _refuse(constant: str) -> Any:
    """``NaN`` and ``Infinity``, which Python would read, are not JSON."""
    raise ValueError(constant)


def _beginning(body: bytes) -> str:
    """What a body begins with that is no JSON: often a page for people that something on the way sent instead."""
    start = clean(body[:200].decode("utf-8", "replace"))[:40].strip()
    return f" (it begins with {start!r})" if start else " (it is empty)"


def _items(what: str, document: Mapping[str, Any]) -> list[Any]:
    items = document.get("data")
    if not isinstance(items, list):
        raise SourceError(f"The {what} holds no list at data; ask again later.")
    return items


def _model(value: Any) -> Model:
    fields = _Fields(value)
    model_id = fields.text("id")
    if model_id is None:
        raise SourceError("A model in the answer has no id; ask again later.")
    architecture, top_provider = fields.inner("architecture"), fields.inner("top_provider")
    return Model(
        id=model_id,
        name=fields.text("name"),
        canonical_slug=fields.text("canonical_slug"),
        created_at=_moment(fields),
        description=fields.text("description"),
        context_length_tokens=fields.whole("context_length"),
        max_completion_tokens=top_provider.whole("max_completion_tokens"),
        input_modalities=architecture.texts("input_modalities"),
        output_modalities=architecture.texts("output_modalities"),
        supported_parameters=fields.texts("supported_parameters"),
        expiration_date=fields.text("expiration_date"),
        pricing=_pricing(fields.take("pricing")),
        extra=fields.rest(),
    )


def _endpoint(value: Any) -> Endpoint:
    fields = _Fields(value)
    return Endpoint(
        model_id=fields.text("model_id"),
        provider_name=fields.text("provider_name"),
        tag=fields.text("tag"),
        name=fields.text("name"),
        context_length_tokens=fields.whole("context_length"),
        max_prompt_tokens=fields.whole("max_prompt_tokens"),
        max_completion_tokens=fields.whole("max_completion_tokens"),
        quantization=fields.text("quantization"),
        status=fields.whole("status"),
        uptime_last_30m=fields.decimal("uptime_last_30m"),
        supported_parameters=fields.texts("supported_parameters"),
        pricing=_pricing(fields.take("pricing")),
        extra=fields.rest(),
    )


def _provider(value: Any) -> Provider:
    fields = _Fields(value)
    slug = fields.text("slug")
    if slug is None:
        raise SourceError("A provider in the answer has no slug; ask again later.")
    return Provider(
        name=fields.text("name"),
        slug=slug,
        privacy_policy_url=fields.text("privacy_policy_url"),
        terms_of_service_url=fields.text("terms_of_service_url"),
        status_page_url=fields.text("status_page_url"),
        headquarters=fields.text("headquarters"),
        datacenters=fields.texts("datacenters"),
        extra=fields.rest(),
    )


def _pricing(value: Any) -> Pricing:
    fields = _Fields(value)
    overrides = fields.take("overrides")
    discount = fields.decimal("discount")
    rest = fields.rest()
    texts = {kind: text for kind, text in rest.items() if isinstance(text, str)}
    prices = {kind: read_price(text) for kind, text in texts.items()}
    extra = {kind: other for kind, other in rest.items() if kind not in texts}
    rules = [rule for rule in overrides if isinstance(rule, dict)] if isinstance(overrides, list) else []
    return Pricing(prices, texts, rules, discount, extra)


def _moment(fields: _Fields) -> datetime | None:
    """``created``, which documents call a whole number and a double in turn: seconds since 1970."""
    seconds = fields.decimal("created")
    if seconds is None or not 0 <= seconds < 253402300800:
        return None
    return datetime.fromtimestamp(int(seconds), UTC)


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None

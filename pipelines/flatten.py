"""From bytes to Polars frames: models, prices and price rules, as the source gave them.

Belongs here: telling a listing from anything else, the columns of a model, exact prices, what is unknown.
Does not belong here: files and databases, and any comparison of one capture with another.

Everything here is a pure function of bytes. A batch of captures is flattened at once, and a model object that
occurs in many of them is flattened once: captures of one catalogue repeat each other almost entirely.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any, NamedTuple, cast

import msgspec
import orjson
import polars as pl
import pyarrow as pa

from pipelines.groups import Group, entries_in, groups_of, models_of, unknown_in
from pipelines.pricing import PRICE_DIGITS, PRICE_SCALE, UNITS, Rule, number_key, read_price, split_pricing, unit_of

PRICE = pl.Decimal(PRICE_DIGITS, PRICE_SCALE)
MOMENT = pl.Datetime("us", "UTC")

MODELS: Mapping[str, pl.DataType] = {
    "model_key": pl.String(),
    "model_id": pl.String(),
    "author": pl.String(),
    "base_model_id": pl.String(),
    "variant": pl.String(),
    "is_alias": pl.Boolean(),
    "alias_target": pl.String(),
    "name": pl.String(),
    "canonical_slug": pl.String(),
    "hugging_face_id": pl.String(),
    "created_at": MOMENT,
    "description": pl.String(),
    "context_length": pl.Int64(),
    "modality": pl.String(),
    "input_modalities": pl.List(pl.String()),
    "output_modalities": pl.List(pl.String()),
    "tokenizer": pl.String(),
    "instruct_type": pl.String(),
    "max_completion_tokens": pl.Int64(),
    "is_moderated": pl.Boolean(),
    "supported_parameters": pl.List(pl.String()),
    "default_parameters": pl.String(),
    "expiration_date": pl.Date(),
    "knowledge_cutoff": pl.String(),
    "extra": pl.String(),
    "state_key": pl.String(),
    "meaning_key": pl.String(),
    "price_list_key": pl.String(),
    "rules_key": pl.String(),
    "outputs_text": pl.Boolean(),
}
"""A row for each distinct model object. ``default_parameters`` and ``extra`` are JSON. Keys are 128-bit hashes in
hex: ``model_key`` of the whole object but its benchmarks, ``state_key`` of its attributes as received, ``meaning_key``
of its attributes where empty forms are equal and arrays of strings are sets, ``price_list_key`` of its pricing as
received, ``rules_key`` of its rules as numbers (null: no rules)."""

PRICES: Mapping[str, pl.DataType] = {
    "price_list_key": pl.String(),
    "price_kind": pl.String(),
    "unit": pl.String(),
    "price_text": pl.String(),
    "price_usd": PRICE,
    "price_status": pl.String(),
}
"""A row for each headline price of a distinct price list."""

PRICE_RULES: Mapping[str, pl.DataType] = {
    "price_list_key": pl.String(),
    "rule_no": pl.Int32(),
    "min_prompt_tokens": pl.Int64(),
    "utc_start": pl.Int32(),
    "utc_end": pl.Int32(),
    "utc_days": pl.List(pl.String()),
    "unknown_conditions": pl.String(),
    "price_kind": pl.String(),
    "unit": pl.String(),
    "price_text": pl.String(),
    "price_usd": PRICE,
    "price_status": pl.String(),
}
"""A row for each price of each rule of a distinct price list; ``rule_no`` counts from 1. ``unknown_conditions`` is JSON
and null where every condition is understood."""

UNKNOWN_FIELDS: Mapping[str, pl.DataType] = {
    "model_key": pl.String(),
    "path": pl.String(),
    "json_type": pl.String(),
    "example": pl.String(),
}
"""A row for each field of a distinct model object that the API's description does not name; ``example`` is JSON."""

_VOLATILE = "benchmarks"
_GROUPS = ("architecture", "top_provider")
_NESTED = (*_GROUPS, "alias_target")
_KNOWN_FIELDS = frozenset(
    [
        "id",
        "name",
        "created",
        "description",
        "context_length",
        "architecture",
        "pricing",
        "top_provider",
        "per_request_limits",
        "supported_parameters",
        "hugging_face_id",
        "canonical_slug",
        "default_parameters",
        "expiration_date",
        "knowledge_cutoff",
        "links",
        "supported_voices",
        "benchmarks",
        "reasoning",
        "alias_target",
        "architecture.modality",
        "architecture.input_modalities",
        "architecture.output_modalities",
        "architecture.tokenizer",
        "architecture.instruct_type",
        "top_provider.is_moderated",
        "top_provider.context_length",
        "top_provider.max_completion_tokens",
        "alias_target.slug",
        "alias_target.name",
    ]
)
_KNOWN_ENVELOPE = frozenset({"data", "total_count", "links"})
_KNOWN_MODALITIES = frozenset(
    ["text", "image", "file", "audio", "video", "embeddings", "rerank", "speech", "transcription"]
)
_NO_ATTRIBUTE = frozenset({"links"})
_MAX_DEPTH = 4


@dataclass(frozen=True)
class Defect:
    """Why a capture cannot be taken at its word. ``code`` is for programs, ``reason`` for people."""

    code: str
    reason: str

    @property
    def is_fatal(self) -> bool:
        """Whether there is nothing in it that a person could accept."""
        return self.code in {"not_json", "wrong_shape", "other_model"}


@dataclass(frozen=True)
class Listing:
    """What one capture lists, in its order, repeated ids included.

    ``model_keys`` names rows of the :data:`MODELS` frame. ``defects`` are those that the bytes alone show.
    ``unreadable_count`` of its ``price_count`` prices are no numbers; how many are too many, bytes cannot say.
    ``groups`` are a gateway's.
    """

    model_ids: tuple[str, ...] = ()
    model_keys: tuple[str, ...] = ()
    reported_count: int | None = None
    price_count: int = 0
    unreadable_count: int = 0
    defects: tuple[Defect, ...] = ()
    unknown_fields: tuple[tuple[str, str, str], ...] = ()
    groups: tuple[Group, ...] = ()


@dataclass(frozen=True)
class Frames:
    """A batch of captures: a listing for each, and the distinct things that they list."""

    listings: tuple[Listing, ...]
    models: pl.DataFrame
    prices: pl.DataFrame
    price_rules: pl.DataFrame
    unknown_fields: pl.DataFrame


def flatten(bodies: Iterable[bytes]) -> Frames:
    """The frames of a batch of ``/models`` answers; never raises, whatever the bytes are.

    Frames have the schemas :data:`MODELS`, :data:`PRICES`, :data:`PRICE_RULES` and :data:`UNKNOWN_FIELDS`.
    """
    return Flattener().flatten(bodies)


class _Met(NamedTuple):
    """A model object that was flattened before."""

    key: str
    model_id: str
    price_count: int
    unreadable_count: int


class _PriceList(NamedTuple):
    """A ``pricing`` as received, taken apart. ``oddities`` are what is no price, by its path."""

    rules_key: str | None
    rules: Sequence[Rule]
    oddities: Mapping[str, Any]
    price_count: int
    unreadable_count: int
    price_rows: Sequence[tuple[Any, ...]]
    rule_rows: Sequence[tuple[Any, ...]]


class _Envelope(msgspec.Struct, forbid_unknown_fields=True):
    """An answer as the API gives it, its models left as the bytes that they are."""

    data: list[msgspec.Raw]
    total_count: msgspec.Raw = msgspec.Raw(b"null")
    links: msgspec.Raw = msgspec.Raw(b"null")


_ENVELOPE = msgspec.json.Decoder(_Envelope)

_REMEMBERED = 20_000
"""Model objects of which the bytes are remembered from one batch to the next: some tens of megabytes."""


class Flattener:
    """Flattens batch after batch. A frame holds only the objects that no batch before it had.

    Most of what a capture lists is, byte for byte, what the one before it listed; so models are told apart by their
    bytes first, and only those that were not met before are read.
    """

    def __init__(self) -> None:
        self._met: dict[str, _Met] = {}
        self._met_bytes: dict[bytes, _Met] = {}
        self._met_lists: dict[str, _PriceList] = {}
        self._forget_rows()

    def _forget_rows(self) -> None:
        self._models: list[tuple[Any, ...]] = []
        self._prices: list[tuple[Any, ...]] = []
        self._rules: list[tuple[Any, ...]] = []
        self._unknown: list[tuple[str, str, str, str]] = []

    def flatten(self, bodies: Iterable[bytes]) -> Frames:
        """As :func:`flatten`; rows of what was met in an earlier call are left out."""
        self._forget_rows()
        if len(self._met_bytes) > _REMEMBERED:
            self._met_bytes.clear()
        listings = tuple(self._by_bytes(body) or self._by_reading(body) for body in bodies)
        return Frames(
            listings,
            frame_of(self._models, MODELS),
            frame_of(self._prices, PRICES),
            frame_of(self._rules, PRICE_RULES),
            frame_of(self._unknown, UNKNOWN_FIELDS),
        )

    def _by_bytes(self, body: bytes) -> Listing | None:
        """The listing of an answer without anything unusual about it; None if it must be read to be told."""
        try:
            envelope = _ENVELOPE.decode(body)
            orjson.loads(bytes(envelope.links))
            page = {"total_count": orjson.loads(bytes(envelope.total_count))}
            contents = [bytes(raw) for raw in envelope.data]
            known = [self._met_bytes.get(content) for content in contents]
            strange = [content for content, met in zip(contents, known, strict=True) if met is None]
            new = {content: _read_model(content) for content in strange}
            self._met_bytes.update(zip(new, self._meet(list(new.values())), strict=True))
        except (msgspec.MsgspecError, ValueError, RecursionError, orjson.JSONEncodeError):
            return None
        models = [met or self._met_bytes[content] for met, content in zip(known, contents, strict=True)]
        return _listing(models, _reported_count([page]), ())

    def _by_reading(self, body: bytes) -> Listing:
        try:
            parsed = [parse(page) for page in _pages(body)]
            pages = [document for document, _ in parsed]
            models: list[dict[str, Any]] = []
            for page in pages:
                entries = find_listing(page)
                if entries is None:
                    return Listing(defects=(Defect("wrong_shape", _shape_reason(pages)),))
                models.extend(entries)
            spell_numbers([text for _, text in parsed], models, lambda document: find_listing(document) or [])
            unknown = tuple(_unknown_envelope(pages))
            grouped = [entry for page in pages for entry in entries_in(page)]
            listing = _listing(self._meet(models_of(grouped) if grouped else models), _reported_count(pages), unknown)
            return replace(listing, groups=groups_of(grouped))
        except ValueError as problem:
            return Listing(defects=(Defect("not_json", f"the answer is not JSON: {problem}"),))
        except orjson.JSONEncodeError:
            return Listing(defects=(Defect("not_json", "the answer nests its JSON deeper than can be stored"),))

    def _meet(self, models: Sequence[dict[str, Any]]) -> list[_Met]:
        """What is known of ``models``; those that are new are flattened."""
        stable = [{name: value for name, value in model.items() if name != _VOLATILE} for model in models]
        keys = [digest(canonical(model)) for model in stable]
        for key, model in zip(keys, stable, strict=True):
            if key not in self._met:
                self._met[key] = _Met(key, model["id"], *self._flatten_model(key, model))
        return [self._met[key] for key in keys]

    def _flatten_model(self, key: str, model: dict[str, Any]) -> tuple[int, int]:
        pricing = model.get("pricing")
        list_key = digest(canonical(pricing))
        prices = self._met_lists.get(list_key) or _read_price_list(list_key, pricing)
        row = (*_model_row(key, model, prices.oddities), list_key, prices.rules_key, _outputs_text(model))
        unknown = [(key, *found) for found in _unknown_in(model, prices.rules)]
        # from here on nothing fails
        if list_key not in self._met_lists:
            self._met_lists[list_key] = prices
            self._prices += prices.price_rows
            self._rules += prices.rule_rows
        self._models.append(row)
        self._unknown += unknown
        return prices.price_count, prices.unreadable_count


def frame_of(rows: Sequence[tuple[Any, ...]], schema: Mapping[str, pl.DataType]) -> pl.DataFrame:
    """Rows as a frame with the columns of ``schema``."""
    columns = zip(*rows, strict=True) if rows else ((),) * len(schema)
    # By way of Arrow, which reads lists and decimals many times faster than Polars does.
    fields = pl.DataFrame(schema=schema).to_arrow().schema
    arrays = [pa.array(column, field.type) for field, column in zip(fields, columns, strict=True)]
    return cast(pl.DataFrame, pl.from_arrow(pa.Table.from_arrays(arrays, schema=fields)))


def _read_model(content: bytes) -> dict[str, Any]:
    model = orjson.loads(content)
    if not _is_model(model):
        raise ValueError("no model")
    spell_numbers([content], [model], lambda document: [document])
    return dict(model)


def _listing(models: Sequence[_Met], reported: int | None, unknown: tuple[tuple[str, str, str], ...]) -> Listing:
    keys, ids, price_counts, unreadable_counts = zip(*models, strict=True) if models else ((),) * 4
    return Listing(
        ids,
        keys,
        reported if reported is not None and abs(reported) < 2**63 else None,
        sum(price_counts),
        sum(unreadable_counts),
        tuple(_defects(ids, reported)),
        unknown,
    )


def _defects(ids: Sequence[str], reported: int | None) -> Iterator[Defect]:
    if not ids:
        yield Defect("no_models", "the answer lists no models")
        return
    if len(set(ids)) != len(ids):
        twice = sorted(one for one, times in Counter(ids).items() if times > 1)
        yield Defect("duplicate_ids", f"{len(twice)} ids are listed more than once, such as {show(twice[0])}")
    if reported is not None and reported != len(ids):
        yield Defect("count_disagrees", f"the answer lists {len(ids)} models and says that there are {reported}")


# --- the envelope ---------------------------------------------------------------------------------------------------


def _pages(body: bytes) -> list[bytes]:
    """The pages of an answer: several are joined as a JSON text sequence (RFC 7464)."""
    return body.split(b"\x1e")[1:] if body.startswith(b"\x1e") else [body]


def parse(page: bytes) -> tuple[Any, bytes]:
    """The document, and the text that gave it: what JavaScript writes and strict JSON forbids is mended first, which is
    a byte order mark, and half a surrogate pair where a text was cut."""
    try:
        return orjson.loads(page), page
    except orjson.JSONDecodeError as problem:
        mended = _ESCAPE.sub(_whole_pair, page.removeprefix(b"\xef\xbb\xbf"))
        try:
            return orjson.loads(mended), mended
        except orjson.JSONDecodeError:
            raise problem from None


_ESCAPE = re.compile(rb"\\u[dD][89aAbB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[dD][89a-fA-F][0-9a-fA-F]{2}|\\.")


def _whole_pair(escape: re.Match[bytes]) -> bytes:
    return b"\\ufffd" if len(escape[0]) == 6 and escape[0][:3].lower() == b"\\ud" else escape[0]


def read_count(body: bytes) -> int | None:
    """The number in an answer of ``/models/count``; None where it holds none."""
    try:
        counted = parse(body)[0]["data"]["count"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return int(counted) if is_whole(counted) and counted >= 0 else None


def find_listing(document: Any) -> list[dict[str, Any]] | None:
    """The model objects of a bare list, of ``{data: …}`` or of an object wrapped around one of these; else None.

    A wrapper may nest up to four deep and may hold only one listing. Of a gateway's groups it is the objects of all.
    """
    if isinstance(document, list):
        return document if all(_is_model(entry) for entry in document) else None
    if not isinstance(document, dict):
        return None
    if entries := entries_in(document):
        return find_listing([model for entry in entries for model in entry.group["models"]])
    if isinstance(document.get("data"), list):
        return find_listing(document["data"])
    inner = list(_listings_within(document, _MAX_DEPTH))
    return inner[0] if len(inner) == 1 else None


def _listings_within(document: Mapping[str, Any], depth: int) -> Iterator[list[dict[str, Any]]]:
    for value in document.values():
        if isinstance(value, list) and value and all(_is_model(entry) for entry in value):
            yield value
        elif isinstance(value, dict) and isinstance(value.get("data"), list):
            models = find_listing(value)
            if models is not None:
                yield models
        elif isinstance(value, dict) and depth > 1:
            yield from _listings_within(value, depth - 1)


def _is_model(entry: Any) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("id"), str) and bool(entry["id"]) and "pricing" in entry


def _shape_reason(pages: Sequence[Any]) -> str:
    page = pages[0]
    if isinstance(page, dict) and isinstance(page.get("error"), dict):
        return f"the answer is an error: {show(page['error'].get('message'))}"
    return "the answer is JSON but holds no one list of models with an id and a pricing each"


def _reported_count(pages: Sequence[Any]) -> int | None:
    for page in pages:
        if isinstance(page, dict) and type(page.get("total_count")) is int:
            return int(page["total_count"])
    return None


def _unknown_envelope(pages: Sequence[Any]) -> Iterator[tuple[str, str, str]]:
    """Fields beside the list, only where the envelope is the API's own: a wrapper's fields are the archive's."""
    for page in pages:
        if entries := entries_in(page):
            yield from ((path, json_type(value), example_of(value)) for path, value in unknown_in(page, entries))
        elif isinstance(page, dict) and isinstance(page.get("data"), list):
            for name in sorted(page.keys() - _KNOWN_ENVELOPE):
                yield f"$.{name}", json_type(page[name]), example_of(page[name])


# --- a model --------------------------------------------------------------------------------------------------------


def _model_row(key: str, model: dict[str, Any], oddities: Mapping[str, Any]) -> tuple[Any, ...]:
    """The columns of :data:`MODELS` up to ``meaning_key``."""
    fields = _fields(model)
    fields.update(oddities)
    columns = _take_columns(fields)
    # What its column cannot hold is kept under the column's name, so that it is one attribute whatever its form.
    extra = {
        _MISFITS.get(name, name): value
        for name, value in fields.items()
        if value is not None or name not in _KNOWN_FIELDS
    }
    base, _, variant = model["id"].partition(":")
    attributes = {name: value for name, value in extra.items() if name not in _NO_ATTRIBUTE} | columns
    for name in _DATED & columns.keys():
        attributes[name] = str(columns[name])
    meaning = {name: meant for name, value in attributes.items() if (meant := _meaning(value)) is not None}
    defaults = columns.get("default_parameters")
    return (
        key,
        model["id"],
        base.removeprefix("~").partition("/")[0],
        base,
        variant or None,
        base.startswith("~"),
        columns.get("alias_target"),
        *map(columns.get, _BEFORE_DEFAULTS),
        None if defaults is None else canonical(defaults).decode(),
        columns.get("expiration_date"),
        columns.get("knowledge_cutoff"),
        canonical(extra).decode(),
        digest(canonical([model["id"], attributes, extra])),
        digest(canonical([model["id"], meaning])),
    )


def _fields(model: dict[str, Any]) -> dict[str, Any]:
    """The fields of a model by name, those of its inner objects by dotted name.

    A field that nobody knows may stand where its name is another's; then it goes by ``$.`` and its name.
    """
    fields: dict[str, Any] = {}
    for name, value in model.items():
        if name in _NESTED and isinstance(value, dict):
            for inner, one in value.items():
                fields[f"{name}.{inner}"] = one
        elif name not in {"id", "pricing"} and (value is not None or name not in _GROUPS):
            is_inner = "." in name and name.partition(".")[0] in (*_NESTED, "pricing")
            is_ambiguous = is_inner or (name in _ATTRIBUTES and name not in _KNOWN_FIELDS)
            fields[f"$.{name}" if is_ambiguous else name] = value
    return fields


def _take_columns(fields: dict[str, Any]) -> dict[str, Any]:
    """The attributes that their columns can hold, by column, taken out of ``fields``."""
    columns: dict[str, Any] = {}
    for column, (name, fits, convert) in _ATTRIBUTES.items():
        value = fields.get(name)
        if value is not None and fits(value):
            try:
                columns[column] = convert(value)
            except (ValueError, OverflowError, OSError):
                continue
            del fields[name]
    return columns


def _same(value: Any) -> Any:
    return value


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def is_whole(value: Any) -> bool:
    """Whether ``value`` is a whole number that fits into 64 bits."""
    return (type(value) is int or (type(value) is float and value.is_integer())) and abs(value) < 2**63


def is_texts(value: Any) -> bool:
    """Whether ``value`` is a list of texts; an empty one is."""
    return isinstance(value, list) and set(map(type, value)) <= {str}


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(int(seconds), UTC)


def _day(text: str) -> date:
    """The day of a date or of a date and time."""
    if len(text) > 10 and text[10] in "T ":
        return datetime.fromisoformat(text).date()
    return date.fromisoformat(text)


_ATTRIBUTES: Mapping[str, tuple[str, Callable[[Any], bool], Callable[[Any], Any]]] = {
    "alias_target": ("alias_target.slug", _is_text, _same),
    "name": ("name", _is_text, _same),
    "canonical_slug": ("canonical_slug", _is_text, _same),
    "hugging_face_id": ("hugging_face_id", _is_text, _same),
    "created_at": ("created", is_whole, _moment),
    "description": ("description", _is_text, _same),
    "context_length": ("context_length", is_whole, int),
    "modality": ("architecture.modality", _is_text, _same),
    "input_modalities": ("architecture.input_modalities", is_texts, _same),
    "output_modalities": ("architecture.output_modalities", is_texts, _same),
    "tokenizer": ("architecture.tokenizer", _is_text, _same),
    "instruct_type": ("architecture.instruct_type", _is_text, _same),
    "max_completion_tokens": ("top_provider.max_completion_tokens", is_whole, int),
    "is_moderated": ("top_provider.is_moderated", _is_flag, _same),
    "supported_parameters": ("supported_parameters", is_texts, _same),
    "default_parameters": ("default_parameters", _is_object, _same),
    "expiration_date": ("expiration_date", _is_text, _day),
    "knowledge_cutoff": ("knowledge_cutoff", _is_text, _same),
}
"""Each attribute's column, where the API has it, what its column can hold, and how it gets there."""

_MISFITS = {name: column for column, (name, _, _) in _ATTRIBUTES.items()}
_DATED = {column for column, (_, _, convert) in _ATTRIBUTES.items() if convert in (_moment, _day)}
_BEFORE_DEFAULTS = [name for name in MODELS if name in _ATTRIBUTES][1:-3]


def _meaning(value: Any) -> Any:
    """``value`` such that two that mean the same are equal: empty forms are None, arrays of strings are sorted sets."""
    if isinstance(value, list):
        return (sorted(set(value)) if is_texts(value) else value) or None
    return (value or None) if isinstance(value, (str, dict)) else value


def _outputs_text(model: Mapping[str, Any]) -> bool:
    """Whether a text-only listing would show the model. Captures before 2025-03-31 have only ``modality``, such as
    ``text+image->text``; a model that says nothing of its output is one of text."""
    architecture = model.get("architecture")
    if not isinstance(architecture, dict):
        return True
    outputs = architecture.get("output_modalities")
    if is_texts(outputs) and outputs:
        return "text" in outputs
    modality = architecture.get("modality")
    if isinstance(modality, str) and "->" in modality:
        return "text" in modality.rpartition("->")[2].split("+")
    return True


# --- prices ---------------------------------------------------------------------------------------------------------


def _read_price_list(list_key: str, pricing: Any) -> _PriceList:
    headline, rules, oddities = split_pricing(pricing)
    texts = [*headline.values(), *(text for rule in rules for text in rule.prices.values())]
    unreadable = sum(read_price(text).status == "unreadable" for text in texts)
    if not isinstance(pricing, dict):
        texts, unreadable = [""], 1
    rows = list(price_rows(list_key, headline)), list(rule_rows(list_key, headline, rules))
    return _PriceList(rules_key(rules), rules, oddities, len(texts), unreadable, *rows)


def rules_key(rules: Sequence[Rule]) -> str | None:
    """Equal for two lists of rules that say the same in the same order, whatever their prices' spelling."""
    if not rules:
        return None
    return digest(
        canonical(
            [
                [
                    {**rule.conditions, "utc_days": sorted(rule.conditions.get("utc_days", []))},
                    rule.unknown_conditions,
                    {kind: number_key(text) for kind, text in rule.prices.items()},
                ]
                for rule in rules
            ]
        )
    )


def price_rows(list_key: str, headline: Mapping[str, str]) -> Iterator[tuple[Any, ...]]:
    """A row of :data:`PRICES` for each headline price."""
    for kind, text in headline.items():
        price = read_price(text)
        yield list_key, kind, unit_of(kind, headline), text, price.usd, price.status


def rule_rows(list_key: str, headline: Mapping[str, str], rules: Sequence[Rule]) -> Iterator[tuple[Any, ...]]:
    """A row of :data:`PRICE_RULES` for each price of each rule."""
    for number, rule in enumerate(rules, start=1):
        unknown = canonical(rule.unknown_conditions).decode() if rule.unknown_conditions else None
        conditions = [rule.conditions.get(key) for key in ("min_prompt_tokens", "utc_start", "utc_end", "utc_days")]
        for kind, text in rule.prices.items():
            price = read_price(text)
            yield list_key, number, *conditions, unknown, kind, unit_of(kind, headline), text, price.usd, price.status


def spell_numbers(
    texts: Sequence[bytes],
    models: Sequence[dict[str, Any]],
    models_in: Callable[[Any], Sequence[dict[str, Any]]],
) -> None:
    """Where a price is a JSON number and no text, put the number as it was written in its place.

    ``models_in`` finds ``models`` in the documents that ``texts`` spell.

    No float may touch a price, so where there are fractions the answer is read once more with its numbers as texts.
    Raises ValueError for numbers and nesting beyond what the second reading takes.
    """
    numeric = [
        number for number, model in enumerate(models) if next(_price_numbers(model["pricing"]), None) is not None
    ]
    if not numeric:
        return
    exact: Sequence[dict[str, Any]] = models
    if any(type(value) is float for number in numeric for value in _price_numbers(models[number]["pricing"])):
        try:
            documents = [json.loads(text, parse_float=_Fraction) for text in texts]
        except (ValueError, RecursionError) as problem:
            raise ValueError(f"its numbers cannot be read exactly: {problem}") from None
        exact = [model for document in documents for model in models_in(document)]
    for number in numeric:
        models[number]["pricing"] = _spelled(models[number]["pricing"], exact[number]["pricing"])


class _Fraction:
    """A JSON number with a fraction or an exponent, as it was written."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __str__(self) -> str:
        return self.text


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)


def _price_numbers(pricing: Any) -> Iterator[Any]:
    """The numbers that stand where a price is expected: under any key of a price list, under a price kind of a rule."""
    if isinstance(pricing, dict) and not set(map(type, pricing.values())) <= {str}:
        yield from (value for value in pricing.values() if _is_number(value))
        for rule in _rules_of(pricing):
            yield from (value for key, value in rule.items() if key in UNITS and _is_number(value))


def _spelled(pricing: dict[str, Any], exact: dict[str, Any]) -> dict[str, Any]:
    prices = {key: str(exact[key]) if _is_number(value) else value for key, value in pricing.items()}
    if rules := _rules_of(pricing):
        prices["overrides"] = [
            {key: str(known[key]) if key in UNITS and _is_number(value) else value for key, value in rule.items()}
            for rule, known in zip(rules, exact["overrides"], strict=True)
        ]
    return prices


def _rules_of(pricing: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rules of a price list; none if they are not a list of objects."""
    rules = pricing.get("overrides")
    return rules if isinstance(rules, list) and all(isinstance(rule, dict) for rule in rules) else []


# --- what is unknown ------------------------------------------------------------------------------------------------


def _unknown_in(model: Mapping[str, Any], rules: Sequence[Rule]) -> Iterator[tuple[str, str, str]]:
    """Path, JSON type and example of everything that the API's description does not name."""
    for name, value in model.items():
        if name not in _KNOWN_FIELDS:
            yield name, json_type(value), example_of(value)
        elif name in _NESTED and isinstance(value, dict):
            for inner, one in value.items():
                if f"{name}.{inner}" not in _KNOWN_FIELDS:
                    yield f"{name}.{inner}", json_type(one), example_of(one)
    pricing = model.get("pricing")
    if isinstance(pricing, dict):
        for kind in sorted(pricing.keys() - UNITS.keys() - {"overrides"}):
            yield f"pricing.{kind}", json_type(pricing[kind]), example_of(pricing[kind])
    for rule in rules:
        for key, value in (*rule.unknown_conditions.items(), *rule.prices.items()):
            if key not in UNITS:
                yield f"pricing.overrides[].{key}", json_type(value), example_of(value)
    architecture = model.get("architecture")
    for side in ("input_modalities", "output_modalities"):
        modalities = architecture.get(side) if isinstance(architecture, dict) else None
        for modality in sorted(set(modalities or ()) - _KNOWN_MODALITIES) if is_texts(modalities) else ():
            yield f"architecture.{side}[{modality}]", "string", example_of(modality)


def json_type(value: Any) -> str:
    """What JSON calls ``value``: object, array, string, number, boolean or null."""
    names = {dict: "object", list: "array", str: "string", bool: "boolean", type(None): "null"}
    return names.get(type(value), "number")


def example_of(value: Any) -> str:
    """``value`` as JSON, cut after 200 characters."""
    text = canonical(value).decode()
    return text if len(text) <= 200 else canonical(text[:200]).decode()


# --- spelling -------------------------------------------------------------------------------------------------------


def canonical(value: Any) -> bytes:
    """Canonical JSON: keys sorted, no spaces."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def digest(content: bytes) -> str:
    """A 128-bit hash of ``content``, in hex."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def show(value: Any) -> str:
    """``value`` as JSON, short enough for a sentence."""
    return json.dumps(value)[:200]

"""An independent oracle: what the marts must hold after the given answers, in plain Python.

Belongs here: a second, naive reading of the design, which shares no code with the warehouse.
Does not belong here: anything from `pipelines`, anything clever; comparing (`compare`), making answers (the tests).

It loops over snapshots and models, keeps every sighting of every model, and tells each mart from these. No float
touches a price: JSON numbers with a point or an exponent are read as their text.

Where the design leaves something open the oracle follows what the warehouse decided:

- Of a text-only and an all-modality snapshot at one instant only the latter makes history: it says all that the
  former could.
- A model without text output that a text-only snapshot lists all the same is covered by text-only snapshots from then
  on, for as long as it shows the same.
- Other negative prices than -1 are unreadable. Each unreadable text has an interval of its own, but a change is only
  one to or from them: `became_unreadable` or `became_readable`, weighed after listed and unlisted.
- An interval ends with its spell: a model that returns unchanged begins new intervals, but makes no change. The old
  text of a change is the text of the interval before it, which may belong to an earlier spell.
- `image` is per token where it equals a prompt price above zero and no `image_token` stands beside it; an interval
  has the unit with which it was last seen.
- The schedule that makes a flip are the rules with a time and without `min_prompt_tokens` or unknown conditions. A
  sighting lies outside every window if no rule of the schedule that it shows itself holds then: what a later schedule
  does at that hour is nothing to it.
- A base that no sighting outside every window ever showed is not known: a change of rules counts those minutes as
  unknown, and a request is told the headline instead. Only windows that name the price count, and a base may come from
  before an absence. A price that was not listed outside the windows is not listed there: no row, and no unknown minute.
- The tiers that a change of rules is compared in part at the thresholds, zero or more, of the rules that name the price
  before or after, those with unknown conditions left out. Prices that no such rule names are told only if their
  headline is another. Only from one number to another is it a repricing; minutes on which an unreadable text, -1 or an
  unlisted price begins or ends are changed ones.
- What a request pays has the unit that the price list in force gives it, wherever its base was seen. Of the rules that
  nobody understands those are told that would win over the price given, and of prices that are none at all not even
  these.
- A key of a rule is a price if it is a documented price kind or a text that is a number; else an unknown condition.
- Rules are compared as numbers, days as sets; a rule's interval ends where the rule, or its price of a kind, is gone.
- `attribute_changes` gives the values of the two successive snapshots as received, `created_at` and `expiration_date`
  as ISO 8601 texts. Only the attribute itself is weighed as empty or as a set, not what is nested in it.
- `extra` leaves out documented fields that are null, and keeps unknown ones that are. A value that its column cannot
  hold stands there under the column's name, an unknown field whose name could be another's under `$.` and its own.
- A date that is announced before an absence and stands after it is one announcement.
- `last_` prices are the texts last seen, not those of the interval.
- Of a model that is listed twice, in a capture that a person accepted, the first counts.
- Only an accepted capture strictly before it is what a capture is judged against, so never its twin at one instant.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from functools import cache
from typing import Any, NamedTuple

Row = dict[str, Any]
Marts = dict[str, list[Row]]

SOURCE = "openrouter"
SCOPES = {False: "openrouter/models", True: "openrouter/models?output_modalities=all"}


class Answer(NamedTuple):
    """A capture of a catalogue scope; ``decision`` is a person's word on it: None, "accept" or "reject"."""

    observed_at: datetime
    lists_every_modality: bool
    body: bytes
    decision: str | None = None

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.body).hexdigest()


def tell(answers: Iterable[Answer]) -> Marts:
    """The rows of every mart that the oracle knows, in no order."""
    accepted = [(answer, listing) for answer, listing, verdict in judge(answers) if verdict == "accepted"]
    lives = follow(accepted)
    last_day = max((answer.observed_at for answer, _ in accepted), default=datetime.min).date()
    marts: Marts = {
        "snapshots": list(_snapshots(accepted)),
        "models": [],
        "prices": [],
        "price_history": [],
        "price_rule_history": [],
        "price_changes": [],
        "price_rule_changes": [],
        "model_spells": [],
        "model_events": [],
        "model_history": [],
        "new_models": [],
        "removed_models": [],
        "expirations": [],
        "attribute_changes": [],
    }
    for model_id, life in lives.items():
        told = {
            "models": _model(life),
            "price_history": _price_history(life),
            "price_rule_history": _price_rule_history(life),
            "price_changes": _price_changes(model_id, life),
            "price_rule_changes": _price_rule_changes(model_id, life),
            "model_spells": _spells(life),
            "model_events": _events(life),
            "model_history": _model_history(life),
            "new_models": [] if life.spells[0].is_left_censored else [_summary(life)],
            "removed_models": [] if life.spells[-1].listed_to is None else [_summary(life)],
            "expirations": _expirations(life, last_day),
            "attribute_changes": _attribute_changes(life),
        }
        for mart, rows in told.items():
            marts[mart].extend({"source": SOURCE, "model_id": model_id, **row} for row in rows)
    now = ("source", "model_id", "price_kind", "unit", "price_text", "price_usd", "price_status", "valid_from")
    marts["prices"] = [{key: row[key] for key in now} for row in marts["price_history"] if row["valid_to"] is None]
    return marts


# --- prices ---------------------------------------------------------------------------------------------------------

UNITS = {
    **dict.fromkeys(("prompt", "completion", "internal_reasoning"), "token"),
    **dict.fromkeys(("input_cache_read", "input_cache_write", "input_cache_write_1h"), "token"),
    **dict.fromkeys(("audio", "audio_output", "input_audio_cache"), "audio token"),
    "image_token": "image token",
    **dict.fromkeys(("image", "image_output"), "image"),
    "request": "request",
    "web_search": "search",
    "discount": "fraction",
}
CONDITIONS = ("min_prompt_tokens", "utc_start", "utc_end", "utc_days")
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


class Number(str):
    """A JSON number with a point or an exponent, as it was written."""

    __slots__ = ()


class Price(NamedTuple):
    text: str
    status: str
    usd: Decimal | None

    @property
    def value(self) -> tuple[str, Decimal | None]:
        """What two prices share when they are worth the same."""
        return self.status, self.usd

    @property
    def reading(self) -> Any:
        """What two prices share when they are read the same: an unreadable one is only like itself."""
        return self.text if self.status == "unreadable" else self.value


UNLISTED = ("unlisted", None)


@cache
def read_price(text: str) -> Price:
    """-1 is dynamic, zero is free; what is no decimal number or does not fit into DECIMAL(38, 24) is unreadable."""
    unreadable = Price(text, "unreadable", None)
    try:
        value = Decimal(text)
    except InvalidOperation:
        return unreadable
    if not set(text) <= set("0123456789+-.eE") or not value.is_finite():
        return unreadable
    if value == -1:
        return Price(text, "dynamic", None)
    if value == 0:
        return Price(text, "free", Decimal(0))
    return Price(text, "listed", value) if value > 0 and _fits(value) else unreadable


def _fits(value: Decimal) -> bool:
    _, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    if not -500 < exponent < 500:
        return False
    whole = int("".join(map(str, digits)))
    if exponent < -24:
        whole, rest = divmod(whole, 10 ** (-24 - exponent))
        return bool(rest == 0 and whole < 10**38)
    return bool(whole * 10 ** (exponent + 24) < 10**38)


@dataclass
class Rule:
    conditions: dict[str, Any]
    unknown: dict[str, Any]
    prices: dict[str, Price]

    @property
    def meaning(self) -> Any:
        prices = {kind: price.reading for kind, price in self.prices.items()}
        return self._days_as_set(), self.unknown, prices

    def price_meaning(self, kind: str) -> Any:
        return self._days_as_set(), self.unknown, self.prices[kind].reading

    @property
    def is_window(self) -> bool:
        """Whether the time of day, and it alone, says when it holds."""
        timed = any(self.conditions.get(key) is not None for key in ("utc_start", "utc_end", "utc_days"))
        return timed and self.conditions.get("min_prompt_tokens") is None and not self.unknown

    def holds_at(self, at: datetime) -> bool:
        days = self.conditions.get("utc_days")
        if days and DAYS[at.weekday()] not in days:
            return False
        start, end = self.conditions.get("utc_start", 0), self.conditions.get("utc_end", 2400)
        now = at.hour * 100 + at.minute
        return bool(start <= now < end if start <= end else now >= start or now < end)

    def takes(self, prompt_tokens: int) -> bool:
        """Whether requests of so many tokens are large enough for it."""
        threshold = self.conditions.get("min_prompt_tokens")
        return threshold is None or prompt_tokens > threshold

    def _days_as_set(self) -> dict[str, Any]:
        return {**self.conditions, "utc_days": sorted(self.conditions.get("utc_days") or [])}


def _read_pricing(pricing: Any) -> tuple[dict[str, Price], list[Rule], dict[str, Any]]:
    """Headline prices by kind, rules, and what is neither."""
    if not isinstance(pricing, dict):
        return {}, [], {"pricing": pricing}
    headline, rules, oddities = {}, [], {}
    for kind, value in pricing.items():
        if kind == "overrides" and isinstance(value, list) and all(isinstance(rule, dict) for rule in value):
            rules = [_read_rule(rule) for rule in value]
        elif isinstance(value, str) or type(value) is int:
            headline[kind] = read_price(str(value))
        elif value is not None and kind in UNITS:
            headline[kind] = read_price(json.dumps(_plain(value), separators=(",", ":"), sort_keys=True))
        elif value is not None:
            oddities[f"pricing.{kind}"] = _plain(value)
    return headline, rules, oddities


def _read_rule(rule: Mapping[str, Any]) -> Rule:
    read = Rule({}, {}, {})
    for key, value in rule.items():
        is_number = type(value) is int or isinstance(value, Number)
        if value is None:
            continue
        if key in CONDITIONS and _is_condition(key, value):
            read.conditions[key] = value
        elif key in UNITS and (isinstance(value, str) or is_number):
            read.prices[key] = read_price(str(value))
        elif key in CONDITIONS:
            read.unknown[key] = _plain(value)
        elif isinstance(value, str) and not is_number and read_price(value).status != "unreadable":
            read.prices[key] = read_price(value)
        else:
            read.unknown[key] = _plain(value)
    return read


def _is_condition(key: str, value: Any) -> bool:
    if key == "utc_days":
        return isinstance(value, list) and all(isinstance(day, str) for day in value)
    return type(value) is int and (key == "min_prompt_tokens" or 0 <= value <= 2400)


def _unit(kind: str, headline: Mapping[str, Price]) -> str:
    if kind == "image" and "image_token" not in headline and {"prompt", "image"} <= headline.keys():
        image, prompt = headline["image"], headline["prompt"]
        if image.status == "listed" and image.usd == prompt.usd:
            return "token"
    return UNITS.get(kind, "unknown")


# --- a model as one snapshot shows it -------------------------------------------------------------------------------

KNOWN = {
    *("id", "name", "created", "description", "context_length", "architecture", "pricing", "top_provider"),
    *("per_request_limits", "supported_parameters", "hugging_face_id", "canonical_slug", "default_parameters"),
    *("expiration_date", "knowledge_cutoff", "links", "supported_voices", "benchmarks", "reasoning", "alias_target"),
    *("architecture.modality", "architecture.input_modalities", "architecture.output_modalities"),
    *("architecture.tokenizer", "architecture.instruct_type", "top_provider.is_moderated"),
    *("top_provider.context_length", "top_provider.max_completion_tokens", "alias_target.slug", "alias_target.name"),
}


def _text(value: Any) -> Any:
    return value if isinstance(value, str) and not isinstance(value, Number) else None


def _texts(value: Any) -> Any:
    return value if isinstance(value, list) and all(_text(item) is not None for item in value) else None


def _whole(value: Any) -> Any:
    if isinstance(value, Number):
        return int(Decimal(value)) if Decimal(value) == int(Decimal(value)) else None
    return value if type(value) is int and abs(value) < 2**63 else None


def _flag(value: Any) -> Any:
    return value if isinstance(value, bool) else None


def _object(value: Any) -> Any:
    return _plain(value) if isinstance(value, dict) else None


def _moment(value: Any) -> Any:
    try:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=_whole(value))
    except (TypeError, OverflowError):
        return None


def _day(value: Any) -> Any:
    try:
        return date.fromisoformat(value[:10]) if _text(value) else None
    except ValueError:
        return None


COLUMNS = {
    "alias_target": ("alias_target.slug", _text),
    "name": ("name", _text),
    "canonical_slug": ("canonical_slug", _text),
    "hugging_face_id": ("hugging_face_id", _text),
    "created_at": ("created", _moment),
    "description": ("description", _text),
    "context_length": ("context_length", _whole),
    "modality": ("architecture.modality", _text),
    "input_modalities": ("architecture.input_modalities", _texts),
    "output_modalities": ("architecture.output_modalities", _texts),
    "tokenizer": ("architecture.tokenizer", _text),
    "instruct_type": ("architecture.instruct_type", _text),
    "max_completion_tokens": ("top_provider.max_completion_tokens", _whole),
    "is_moderated": ("top_provider.is_moderated", _flag),
    "supported_parameters": ("supported_parameters", _texts),
    "default_parameters": ("default_parameters", _object),
    "expiration_date": ("expiration_date", _day),
    "knowledge_cutoff": ("knowledge_cutoff", _text),
}
"""The attributes that have a column, where an answer has them, and how they are read (None: it cannot hold that)."""


class Observation:
    """One model in one snapshot."""

    def __init__(self, model: Mapping[str, Any]) -> None:
        self.headline, self.rules, oddities = _read_pricing(model["pricing"])
        self.rules_meaning = [rule.meaning for rule in self.rules]
        self.outputs_text = _outputs_text(model.get("architecture"))
        fields = {**_flat(model), **oddities}
        columns = {column: read(fields.get(path)) for column, (path, read) in COLUMNS.items()}
        held = {COLUMNS[column][0] for column, value in columns.items() if value is not None}
        column_of = {path: column for column, (path, _) in COLUMNS.items()}
        self.extra = {
            column_of.get(name, name): _plain(value)
            for name, value in fields.items()
            if name not in held and (value is not None or name not in KNOWN)
        }
        base, _, variant = model["id"].partition(":")
        is_alias = base.startswith("~")
        self.row: Row = {
            "author": base[1 if is_alias else 0 :].split("/")[0],
            "base_model_id": base,
            "variant": variant or None,
            "is_alias": is_alias,
            **columns,
            "extra": self.extra,
        }
        self.attributes = {column: _as_json(value) for column, value in columns.items() if value is not None}
        for name, value in self.extra.items():
            if name != "links":
                self.attributes.setdefault(name, value)
        self.meaning = {
            name: _canonical(sorted(set(value)) if value and _texts(value) else value)
            for name, value in self.attributes.items()
            if not _is_empty(value)
        }


def _flat(model: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a model, those of its groups under dotted names."""
    fields: dict[str, Any] = {}
    for name, value in model.items():
        if name in ("id", "pricing", "benchmarks"):
            continue
        if name in ("architecture", "top_provider", "alias_target"):
            if isinstance(value, dict):
                fields.update({f"{name}.{inner}": one for inner, one in value.items()})
            elif value is not None:
                fields[name] = value
        elif name not in KNOWN and (name in COLUMNS or "." in name or name.startswith("$")):
            fields[f"$.{name}"] = value
        else:
            fields[name] = value
    return fields


def _outputs_text(architecture: Any) -> bool:
    """Output modalities are told as a list, or only by a modality such as "text+image->text"."""
    if isinstance(architecture, dict):
        if _texts(architecture.get("output_modalities")):
            return "text" in architecture["output_modalities"]
        modality = _text(architecture.get("modality"))
        if modality and "->" in modality:
            return "text" in modality.split("->")[-1].split("+")
    return True


def _plain(value: Any) -> Any:
    """``value`` as JSON gives it by default, with floats where it has them."""
    if isinstance(value, Number):
        return float(value)
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return value


def _as_json(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    return value.isoformat() if isinstance(value, date) else value


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _is_empty(value: Any) -> bool:
    return value is None or value == "" or value == [] or value == {}


# --- a capture ------------------------------------------------------------------------------------------------------


@dataclass
class Listing:
    """What one capture lists; ``models`` is empty where its bytes are no listing."""

    models: list[Mapping[str, Any]] = field(default_factory=list)
    reported_count: int | None = None
    is_listing: bool = True

    @property
    def ids(self) -> list[str]:
        return [model["id"] for model in self.models]


def read_listing(body: bytes) -> Listing:
    """A bare list of models, or one under ``data``."""
    try:
        document = json.loads(body.decode("utf-8-sig"), parse_float=Number, parse_constant=_refuse)
    except ValueError:
        return Listing(is_listing=False)
    reported = None
    if isinstance(document, dict):
        reported = document.get("total_count")
        document = document.get("data")
    if not isinstance(document, list) or not all(
        isinstance(one, dict) and isinstance(one.get("id"), str) and one["id"] and "pricing" in one for one in document
    ):
        return Listing(is_listing=False)
    for model in document:
        model.pop("benchmarks", None)
    return Listing(document, reported if type(reported) is int else None)


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")


def _is_suspicious_alone(listing: Listing) -> bool:
    """No models, ids twice, more than 1 % unreadable prices, or another count than it says itself."""
    ids = listing.ids
    if not ids or len(set(ids)) < len(ids):
        return True
    if listing.reported_count is not None and listing.reported_count != len(ids):
        return True
    total = unreadable = 0
    for model in listing.models:
        texts = _price_texts(model["pricing"])
        total += len(texts)
        unreadable += sum(text is None or read_price(text).status == "unreadable" for text in texts)
    return 100 * unreadable > total


def _price_texts(pricing: Any) -> list[str | None]:
    """The texts of all prices, headline and rules; a pricing that is no object counts as one that nobody can read."""
    if not isinstance(pricing, dict):
        return [None]
    headline, rules, _ = _read_pricing(pricing)
    return [price.text for prices in (headline, *(rule.prices for rule in rules)) for price in prices.values()]


def judge(answers: Iterable[Answer]) -> list[tuple[Answer, Listing, str]]:
    """The verdict on each distinct answer, in time order: accepted, quarantined, rejected or superseded."""
    judged: list[tuple[Answer, Listing, str]] = []
    latest: dict[bool, list[tuple[datetime, set[str]]]] = {False: [], True: []}
    for answer in sorted(set(answers), key=lambda one: (one.observed_at, one.sha256)):
        listing = read_listing(answer.body)
        accepted = latest[answer.lists_every_modality]
        earlier = [one for one in accepted[-2:] if one[0] < answer.observed_at]
        is_suspicious = not listing.is_listing or _is_suspicious_alone(listing)
        if earlier and answer.observed_at - earlier[-1][0] <= timedelta(days=7):
            before = earlier[-1][1]
            is_suspicious = is_suspicious or 5 * len(before - set(listing.ids)) > len(before)
        if answer.decision == "reject":
            verdict = "rejected"
        elif not listing.is_listing or (is_suspicious and answer.decision != "accept"):
            verdict = "quarantined"
        elif accepted and accepted[-1][0] == answer.observed_at:
            verdict = "superseded"
        else:
            verdict = "accepted"
            accepted.append((answer.observed_at, set(listing.ids)))
        judged.append((answer, listing, verdict))
    return judged


def _snapshots(accepted: Sequence[tuple[Answer, Listing]]) -> Iterator[Row]:
    previous: dict[bool, datetime] = {}
    for answer, listing in accepted:
        before = previous.get(answer.lists_every_modality)
        yield {
            "source": SOURCE,
            "scope": SCOPES[answer.lists_every_modality],
            "scope_kind": "catalogue",
            "observed_at": answer.observed_at,
            "model_count": len(listing.models),
            "reported_count": listing.reported_count,
            "sha256": answer.sha256,
            "hours_since_previous": before and (answer.observed_at - before).total_seconds() / 3600,
        }
        previous[answer.lists_every_modality] = answer.observed_at


# --- lives ----------------------------------------------------------------------------------------------------------


@dataclass
class Stretch:
    """Successive sightings of a model that show the same."""

    seen: Observation
    times: list[datetime]
    raw: Mapping[str, Any]
    is_listed_as_text: bool = False


@dataclass
class Spell:
    is_left_censored: bool
    stretches: list[Stretch]
    listed_to: datetime | None = None

    @property
    def listed_from(self) -> datetime:
        return self.stretches[0].times[0]

    @property
    def last_seen_at(self) -> datetime:
        return self.stretches[-1].times[-1]


@dataclass
class Life:
    spells: list[Spell]

    @property
    def last(self) -> Observation:
        return self.spells[-1].stretches[-1].seen

    def sightings(self) -> Iterator[tuple[Spell, Stretch, datetime | None]]:
        """Every stretch with its spell and the first snapshot that no longer shows it, in time order."""
        for spell in self.spells:
            ends = [stretch.times[0] for stretch in spell.stretches[1:]]
            for stretch, end in zip(spell.stretches, [*ends, spell.listed_to], strict=True):
                yield spell, stretch, end


def follow(accepted: Sequence[tuple[Answer, Listing]]) -> dict[str, Life]:
    """The life of every model that was ever listed."""
    lives: dict[str, Life] = {}
    had_text = had_all = False
    one_per_instant = {answer.observed_at: pair for pair in sorted(accepted, key=_fuller_last) for answer in pair[:1]}
    for at, (answer, listing) in sorted(one_per_instant.items()):
        models = {model["id"]: model for model in reversed(listing.models)}
        for model_id, life in lives.items():
            covered = answer.lists_every_modality or life.spells[-1].stretches[-1].is_listed_as_text
            if model_id not in models and covered and life.spells[-1].listed_to is None:
                life.spells[-1].listed_to = at
        for model_id, model in models.items():
            if model_id not in lives:
                seen = Observation(model)
                could_be_listed = had_text if seen.outputs_text else had_all
                lives[model_id] = Life([Spell(not could_be_listed, [Stretch(seen, [at], model)])])
                continue
            spell = lives[model_id].spells[-1]
            stretch = spell.stretches[-1]
            is_same = model == stretch.raw
            if spell.listed_to is not None:
                seen = stretch.seen if is_same else Observation(model)
                lives[model_id].spells.append(Spell(False, [Stretch(seen, [at], model)]))
            elif is_same:
                stretch.times.append(at)
            else:
                spell.stretches.append(Stretch(Observation(model), [at], model))
        for model_id in models:
            stretch = lives[model_id].spells[-1].stretches[-1]
            stretch.is_listed_as_text |= stretch.seen.outputs_text or not answer.lists_every_modality
        had_text, had_all = True, had_all or answer.lists_every_modality
    return lives


def _fuller_last(pair: tuple[Answer, Listing]) -> bool:
    return pair[0].lists_every_modality


# --- marts ----------------------------------------------------------------------------------------------------------


def _spells(life: Life) -> Iterator[Row]:
    for number, spell in enumerate(life.spells, start=1):
        yield {
            "spell_no": number,
            "listed_from": spell.listed_from,
            "listed_to": spell.listed_to,
            "last_seen_at": spell.last_seen_at,
            "is_left_censored": spell.is_left_censored,
        }


def _events(life: Life) -> Iterator[Row]:
    for number, spell in enumerate(life.spells):
        if number:
            yield {"happened_at": spell.listed_from, "event": "returned"}
        elif not spell.is_left_censored:
            yield {"happened_at": spell.listed_from, "event": "added"}
        if spell.listed_to is not None:
            yield {"happened_at": spell.listed_to, "event": "removed"}


def _model(life: Life) -> Iterator[Row]:
    spell = life.spells[-1]
    if spell.listed_to is None:
        first = life.spells[0].listed_from
        yield {**life.last.row, "first_seen_at": first, "last_seen_at": spell.last_seen_at}


def _model_history(life: Life) -> Iterator[Row]:
    row: Row | None = None
    meaning: Any = None
    open_spell: Spell | None = None
    for spell, stretch, end in life.sightings():
        if row is not None and spell is open_spell and stretch.seen.meaning == meaning:
            row |= {"valid_to": end, "last_seen_at": stretch.times[-1]}
            continue
        if row is not None:
            yield row
        open_spell, meaning = spell, stretch.seen.meaning
        row = {
            **stretch.seen.row,
            "first_seen_at": life.spells[0].listed_from,
            "valid_from": stretch.times[0],
            "valid_to": end,
            "last_seen_at": stretch.times[-1],
        }
    assert row is not None
    yield row


def _attribute_changes(life: Life) -> Iterator[Row]:
    before: tuple[Spell, Stretch] | None = None
    for spell, stretch, _ in life.sightings():
        if before is not None:
            old, new = before[1].seen, stretch.seen
            for name in sorted(old.meaning.keys() | new.meaning.keys()):
                if old.meaning.get(name) != new.meaning.get(name):
                    yield {
                        "changed_at": stretch.times[0],
                        "last_seen_at": before[1].times[-1],
                        "attribute": name,
                        "old_value": old.attributes.get(name),
                        "new_value": new.attributes.get(name),
                        "after_absence": spell is not before[0],
                    }
        before = spell, stretch


def _price_history(life: Life) -> Iterator[Row]:
    for kind in {kind for _, stretch, _ in life.sightings() for kind in stretch.seen.headline}:
        row: Row | None = None
        open_spell: Spell | None = None
        reading: Any = None
        for spell, stretch, end in life.sightings():
            price = stretch.seen.headline.get(kind)
            unit = _unit(kind, stretch.seen.headline) if price else None
            told = {"valid_to": end, "last_seen_at": stretch.times[-1], "unit": unit}
            if row is not None:
                if price and spell is open_spell and price.reading == reading:
                    row |= told
                    continue
                yield row
                row = None
            if price:
                open_spell, reading = spell, price.reading
                row = {
                    "price_kind": kind,
                    "price_text": price.text,
                    "price_usd": price.usd,
                    "price_status": price.status,
                    "valid_from": stretch.times[0],
                    **told,
                }
        if row is not None:
            yield row


def _price_rule_history(life: Life) -> Iterator[Row]:
    open_rows: dict[tuple[int, str], tuple[Any, Row]] = {}
    open_spell: Spell | None = None
    for spell, stretch, end in life.sightings():
        told = {"valid_to": end, "last_seen_at": stretch.times[-1]}
        going_on: dict[tuple[int, str], tuple[Any, Row]] = {}
        for number, rule in enumerate(stretch.seen.rules, start=1):
            for kind, price in rule.prices.items():
                meaning = rule.price_meaning(kind)
                before, row = open_rows.get((number, kind), (None, {}))
                if spell is not open_spell or before != meaning:
                    row = {
                        "rule_no": number,
                        **{key: rule.conditions.get(key) for key in CONDITIONS},
                        "unknown_conditions": rule.unknown or None,
                        "price_kind": kind,
                        "price_text": price.text,
                        "price_usd": price.usd,
                        "price_status": price.status,
                        "valid_from": stretch.times[0],
                    }
                going_on[number, kind] = meaning, row | told | {"unit": _unit(kind, stretch.seen.headline)}
        for key, (_, row) in open_rows.items():
            if key not in going_on or going_on[key][1]["valid_from"] != row["valid_from"]:
                yield row
        open_rows, open_spell = going_on, spell
    for _, row in open_rows.values():
        yield row


def _price_changes(model_id: str, life: Life) -> Iterator[Row]:
    latest: dict[str, tuple[tuple[str, Decimal | None], Row]] = {}
    changes: list[Row] = []
    texts: dict[str, str] = {}
    before: tuple[Spell, Stretch] | None = None
    for spell, stretch, _ in life.sightings():
        new = stretch.seen.headline
        old = before[1].seen.headline if before else new
        old_texts = dict(texts)
        for kind in old.keys() | new.keys():
            old_value = old[kind].value if kind in old else UNLISTED
            new_value = new[kind].value if kind in new else UNLISTED
            is_same = before is not None and spell is before[0] and kind in old and kind in new
            if kind in new and not (is_same and old[kind].reading == new[kind].reading):
                texts[kind] = new[kind].text
            if before is None or old_value == new_value:
                continue
            row = {
                "changed_at": stretch.times[0],
                "last_seen_at": before[1].times[-1],
                "price_kind": kind,
                "change_kind": _change_kind(old_value, new_value),
                "old_price_text": old_texts[kind] if kind in old else None,
                "new_price_text": texts[kind] if kind in new else None,
                "old_price_usd": old_value[1],
                "new_price_usd": new_value[1],
                "change_ratio": float(new_value[1] / old_value[1] - 1) if old_value[1] and new_value[1] else None,
                "is_alias": model_id.startswith("~"),
                "has_rule_change": before[1].seen.rules_meaning != stretch.seen.rules_meaning,
                "is_schedule_flip": _is_flip(life, before[1], stretch, kind, old_value[1], new_value[1]),
                "after_absence": spell is not before[0],
                "reverted_at": None,
            }
            row["is_repricing"] = (
                row["change_kind"] in ("increase", "decrease", "became_free", "became_paid")
                and not row["is_schedule_flip"]
            )
            # An oracle of listings alone: no offers were captured that could explain more.
            row["explained_by"] = "schedule" if row["is_schedule_flip"] else None
            if kind in latest and latest[kind][0] == new_value:
                latest[kind][1]["reverted_at"] = stretch.times[0]
            latest[kind] = old_value, row
            changes.append(row)
        before = spell, stretch
    yield from changes


def _change_kind(old: tuple[str, Decimal | None], new: tuple[str, Decimal | None]) -> str:
    weighed = (
        (old[0] == "unlisted", "listed"),
        (new[0] == "unlisted", "unlisted"),
        (new[0] == "unreadable", "became_unreadable"),
        (old[0] == "unreadable", "became_readable"),
        (new[0] == "dynamic", "became_dynamic"),
        (old[0] == "dynamic", "became_fixed"),
        (old[0] == "free", "became_paid"),
        (new[0] == "free", "became_free"),
    )
    for holds, kind in weighed:
        if holds:
            return kind
    return "increase" if (new[1] or 0) > (old[1] or 0) else "decrease"


def _is_flip(
    life: Life, before: Stretch, stretch: Stretch, kind: str, old: Decimal | None, new: Decimal | None
) -> bool:
    """Whether the rules are as they were, a schedule names the kind, and the new price is one of the schedule's values,
    or its base."""
    rules = stretch.seen.rules
    bands = [rule.prices[kind].usd for rule in _windows(rules, kind)]
    if not bands or before.seen.rules_meaning != stretch.seen.rules_meaning or old is None or new is None:
        return False
    base = _last_outside(life, kind, before.times[-1])
    return new in bands or (base is not None and kind in base[0].headline and base[0].headline[kind].usd == new)


def _windows(rules: Sequence[Rule], kind: str) -> list[Rule]:
    return [rule for rule in rules if rule.is_window and kind in rule.prices]


def _last_outside(life: Life, kind: str, at: datetime) -> tuple[Observation, datetime] | None:
    """The last sighting up to ``at`` outside every window for the price of the rules that it shows itself."""
    for spell in reversed(life.spells):
        for stretch in reversed(spell.stretches):
            windows = _windows(stretch.seen.rules, kind)
            for moment in reversed(stretch.times):
                if moment <= at and not any(rule.holds_at(moment) for rule in windows):
                    return stretch.seen, moment
    return None


# --- what a request pays --------------------------------------------------------------------------------------------

WEEK = [datetime(2024, 1, 1, tzinfo=UTC) + timedelta(minutes=minute) for minute in range(7 * 24 * 60)]
"""The minutes of a week, from Monday on."""

Minutes = int
"""A set of minutes of a week, one bit for each."""

Paid = Sequence[tuple[Price | None, Minutes]]
"""The prices of a week, each with the minutes at which it is paid; None: not known."""

NOT_LISTED = Price("", *UNLISTED)


def _open_minutes(rule: Rule) -> Minutes:
    return _minutes_of(json.dumps([rule.conditions.get(key) for key in ("utc_start", "utc_end", "utc_days")]))


@cache
def _minutes_of(times: str) -> Minutes:
    """The minutes at which a rule of these times holds, found by trying each."""
    conditions = zip(("utc_start", "utc_end", "utc_days"), json.loads(times), strict=True)
    rule = Rule({key: value for key, value in conditions if value is not None}, {}, {})
    return int("".join("01"[rule.holds_at(moment)] for moment in WEEK), 2)


def _paid_in_a_week(rules: Sequence[Rule], kind: str, base: Price | None, prompt_tokens: int) -> Paid:
    """The last rule takes the minutes at which it holds, the one before it its own of those that are left, and so on;
    the rest is the base's."""
    left = (1 << len(WEEK)) - 1
    paid: list[tuple[Price | None, Minutes]] = []
    for rule in reversed(rules):
        if kind in rule.prices and not rule.unknown and rule.takes(prompt_tokens):
            taken = left & _open_minutes(rule)
            paid.append((rule.prices[kind], taken))
            left -= taken
    return [(price, minutes) for price, minutes in (*paid, (base, left)) if minutes]


def _price_rule_changes(model_id: str, life: Life) -> Iterator[Row]:
    before: tuple[Spell, Stretch] | None = None
    for spell, stretch, _ in life.sightings():
        if before is not None and before[1].seen.rules_meaning != stretch.seen.rules_meaning:
            sides = (before[1].seen, before[1].times[-1]), (stretch.seen, stretch.times[0])
            for row in _weeks_compared(life, sides):
                yield {
                    "changed_at": stretch.times[0],
                    "last_seen_at": before[1].times[-1],
                    "is_alias": model_id.startswith("~"),
                    "after_absence": spell is not before[0],
                    **row,
                }
        before = spell, stretch


def _weeks_compared(life: Life, sides: Sequence[tuple[Observation, datetime]]) -> Iterator[Row]:
    """The week before a change of rules beside the week after it, for each price and tier."""
    rules = [rule for seen, _ in sides for rule in seen.rules if not rule.unknown]
    named = {kind for rule in rules for kind in rule.prices}
    for kind in {kind for seen, _ in sides for kind in seen.headline} | named:
        bases = [_base_at(life, kind, *side) for side in sides]
        tiers = {rule.conditions.get("min_prompt_tokens") for rule in rules if kind in rule.prices}
        for tier in {None} | {one for one in tiers if one is not None and one >= 0}:
            tokens = 0 if tier is None else tier + 1
            old, new = (
                _paid_in_a_week(seen.rules, kind, base, tokens) for (seen, _), base in zip(sides, bases, strict=True)
            )
            row = _week_compared(old, new)
            if kind in named or row["changed_minutes"]:
                yield {"price_kind": kind, "min_prompt_tokens": tier, **row}


def _base_at(life: Life, kind: str, seen: Observation, at: datetime) -> Price | None:
    """What the hours cost that no rule names, by what was captured up to ``at``; None if nothing shows it."""
    if _windows(seen.rules, kind):
        shown = _last_outside(life, kind, at)
        return shown and shown[0].headline.get(kind, NOT_LISTED)
    return seen.headline.get(kind, NOT_LISTED)


def _week_compared(old: Paid, new: Paid) -> Row:
    changed = unknown = 0
    is_repricing = False
    for one, its in old:
        for other, others in new:
            minutes = (its & others).bit_count()
            if one is None or other is None:
                unknown += minutes
            elif minutes and one.reading != other.reading:
                changed += minutes
                is_repricing = is_repricing or not (one.usd is None or other.usd is None)
    row: Row = {"changed_minutes": changed, "unknown_minutes": unknown, "is_repricing": is_repricing}
    for side, paid in (("old", old), ("new", new)):
        known = [price.usd for price, _ in paid if price is not None and price.usd is not None]
        row[f"{side}_low_usd"], row[f"{side}_high_usd"] = min(known, default=None), max(known, default=None)
    means = [_mean(old), _mean(new)]
    row["week_ratio"] = float(means[1] / means[0] - 1) if means[0] and means[1] is not None else None
    return row


def _mean(paid: Paid) -> Fraction | None:
    """The mean of a week's prices, None unless all are numbers."""
    sums = [
        Fraction(price.usd) * minutes.bit_count()
        for price, minutes in paid
        if price is not None and price.usd is not None
    ]
    return sum(sums, Fraction(0)) / len(WEEK) if len(sums) == len(paid) else None


class Listed(NamedTuple):
    """What is known of a model that is listed at an instant.

    ``pricing`` is as received in the snapshot in force. ``bases`` are the sightings that show the base of scheduled
    prices; a price that none shows is not there.
    """

    model_id: str
    seen: Observation
    pricing: Any
    bases: dict[str, tuple[Observation, datetime]]
    last_seen_at: datetime
    next_seen_at: datetime | None

    def base_texts(self) -> dict[str, str | None]:
        """What each scheduled price was where its base was last seen, None if it was not listed."""
        found = {kind: seen.headline.get(kind) for kind, (seen, _) in self.bases.items()}
        return {kind: price and price.text for kind, price in found.items()}


def listed_at(answers: Iterable[Answer], at: datetime) -> list[Listed]:
    """The models that are listed at ``at`` if ``answers`` are all that is known."""
    lives = follow([(answer, listing) for answer, listing, verdict in judge(answers) if verdict == "accepted"])
    found = []
    for model_id, life in lives.items():
        for _, stretch, end in life.sightings():
            if stretch.times[0] <= at and (end is None or at < end):
                rules = stretch.seen.rules
                kinds = {kind for rule in rules if rule.is_window for kind in rule.prices}
                bases = {kind: shown for kind in kinds if (shown := _last_outside(life, kind, at))}
                times = [moment for _, any_stretch, _ in life.sightings() for moment in any_stretch.times]
                last = max(moment for moment in times if moment <= at)
                following = min((moment for moment in times if moment > at), default=None)
                found.append(Listed(model_id, stretch.seen, stretch.raw["pricing"], bases, last, following))
    return found


def request_prices(listed: Listed, at: datetime, prompt_tokens: int) -> Iterator[Row]:
    """The rows of `request_prices_at` for a model."""
    seen, rules = listed.seen, list(enumerate(listed.seen.rules, start=1))
    for kind in {*seen.headline, *(kind for _, rule in rules for kind in rule.prices)}:
        price: Price | None = seen.headline.get(kind)
        number: int | None = None
        base_seen_at: datetime | None = listed.last_seen_at
        if _windows(seen.rules, kind):
            shown = listed.bases.get(kind)
            base_seen_at = shown[1] if shown else None
            price = (shown[0] if shown else seen).headline.get(kind)
        unknown: list[Any] = []
        for place, rule in reversed(rules):
            if kind in rule.prices and rule.unknown:
                unknown.insert(0, rule.unknown)
            elif kind in rule.prices and rule.takes(prompt_tokens) and rule.holds_at(at):
                price, number, base_seen_at = rule.prices[kind], place, None
                break
        if price is not None:
            yield {
                "source": SOURCE,
                "model_id": listed.model_id,
                "price_kind": kind,
                "unit": _unit(kind, seen.headline),
                "price_text": price.text,
                "price_usd": price.usd,
                "price_status": price.status,
                "rule_no": number,
                "base_seen_at": base_seen_at,
                "unknown_conditions": unknown or None,
                "last_seen_at": listed.last_seen_at,
                "next_seen_at": listed.next_seen_at,
            }


# --- summaries and announcements ------------------------------------------------------------------------------------


def _summary(life: Life) -> Row:
    first, last = life.spells[0].stretches[0].seen, life.last
    row: Row = {
        "name": last.row["name"],
        "author": last.row["author"],
        "first_seen_at": life.spells[0].listed_from,
        "last_seen_at": life.spells[-1].last_seen_at,
        "removed_at": life.spells[-1].listed_to,
    }
    for when, seen in (("first", first), ("last", last)):
        for kind in ("prompt", "completion"):
            price = seen.headline.get(kind)
            row[f"{when}_{kind}_text"] = price.text if price else None
            row[f"{when}_{kind}_usd"] = price.usd if price else None
    return row


def _expirations(life: Life, last_day: date) -> Iterator[Row]:
    announced: list[Row] = []
    shown: date | None = None
    for _, stretch, _ in life.sightings():
        day = stretch.seen.row["expiration_date"]
        if day == shown:
            if announced and day is not None:
                announced[-1]["last_seen_at"] = stretch.times[-1]
            continue
        if announced and shown is not None:
            announced[-1] |= {"status": "withdrawn" if day is None else "moved", "ended_at": stretch.times[0]}
        if day is not None:
            announced.append(
                {
                    "author": life.last.row["author"],
                    "expiration_date": day,
                    "status": "announced",
                    "is_placeholder": day >= date(2090, 1, 1),
                    "announced_at": stretch.times[0],
                    "previous_expiration_date": shown,
                    "days_left": (day - last_day).days,
                    "notice_days": (day - stretch.times[0].date()).days,
                    "removed_at": None,
                    "removal": None,
                    "last_seen_at": stretch.times[-1],
                    "ended_at": None,
                }
            )
        shown = day
    if shown is not None:
        removed_at = life.spells[-1].listed_to
        if removed_at is not None:
            announced[-1] |= {"status": "removed", "removed_at": removed_at, "ended_at": removed_at}
            announced[-1]["removal"] = _removal(shown, life.spells[-1].last_seen_at, removed_at)
        elif shown < last_day:
            announced[-1]["status"] = "passed_still_listed"
    for row in announced:
        over = (row["last_seen_at"].date() - row["expiration_date"]).days
        row["outlived_days"] = over if over > 0 else None
    yield from announced


def _removal(day: date, last_seen_at: datetime, removed_at: datetime) -> str:
    """Between the two moments the model went; on which side of its day is told only as far as they show it."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    if removed_at <= midnight:
        return "before"
    if last_seen_at - midnight >= timedelta(days=1):
        return "after"
    near = (day - last_seen_at.date()).days < 2 and (removed_at.date() - day).days < 2
    return "on" if near else "unclear"

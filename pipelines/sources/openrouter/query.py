"""What may be asked of ``/models``: every documented parameter, typed, and checked before anything is sent.

Belongs here: names, types and bounds of parameters, and how each is spelled in an address.
Does not belong here: sending the question (`client`), reading the answer (`answers`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from decimal import Decimal, InvalidOperation
from typing import Any, Literal, Self, get_args

from pipelines.errors import UsageError

Sort = Literal[
    "pricing-low-to-high",
    "pricing-high-to-low",
    "context-high-to-low",
    "throughput-high-to-low",
    "latency-low-to-high",
    "most-popular",
    "top-weekly",
    "newest",
    "intelligence-high-to-low",
    "design-arena-elo-high-to-low",
]
Region = Literal["eu", "us"]
Number = Decimal | int | str
"""A number that reaches the API digit by digit as it was given; a float would not."""
Names = str | Sequence[str]
"""One name, several, or several in one text with commas between."""

INPUT_MODALITIES = ("text", "image", "file", "audio", "video")
OUTPUT_MODALITIES = ("text", "image", "embeddings", "audio", "video", "rerank", "speech", "transcription")

MAX_LIMIT = 1000
"""Models on a page at most."""

_INDICES = ("intelligence_index", "coding_index", "agentic_index", "tool_success_rate")
_BOUNDED = ("price", "output_price", "age_days", *_INDICES)
"""What has a parameter ``min_…`` and another ``max_…``."""

_ELSEWHERE = {"use_rss": "rss()", "use_rss_chat_links": "rss(chat_links=True)"}


@dataclass(frozen=True)
class ModelsQuery:
    """A question to ``/models``; None leaves a parameter to the API, which then lists models with text output.

    Prices are in USD per million prompt (or output) tokens, ages in days, ``context`` is the least number of
    tokens. UsageError, one sentence with the parameter's name and what is allowed, if a value cannot be meant.
    With ``is_lenient`` the names of modalities, sorts and regions are taken as they are, since the API may know
    new ones, and ``extra`` may hold parameters that no document names. Source: the API's published specification.
    """

    output_modalities: Names | None = None
    input_modalities: Names | None = None
    supported_parameters: Names | None = None
    category: str | None = None
    sort: Sort | None = None
    q: str | None = None
    context: int | None = None
    min_price: Number | None = None
    max_price: Number | None = None
    min_output_price: Number | None = None
    max_output_price: Number | None = None
    min_age_days: int | None = None
    max_age_days: int | None = None
    min_intelligence_index: Number | None = None
    max_intelligence_index: Number | None = None
    min_coding_index: Number | None = None
    max_coding_index: Number | None = None
    min_agentic_index: Number | None = None
    max_agentic_index: Number | None = None
    min_tool_success_rate: Number | None = None
    max_tool_success_rate: Number | None = None
    arch: str | None = None
    model_authors: Names | None = None
    providers: Names | None = None
    distillable: bool | None = None
    zdr: Literal[True] | None = None
    region: Region | None = None
    offset: int | None = None
    limit: int | None = None
    is_lenient: bool = False
    extra: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, *, is_lenient: bool = False, **parameters: Any) -> Self:
        """The query with these ``parameters``; unknown ones are refused, or kept in ``extra`` if ``is_lenient``."""
        unknown = parameters.keys() - PARAMETERS
        for name in sorted(unknown):
            if name in _ELSEWHERE:
                raise UsageError(f"{name} asks for the feed and not for a list: use {_ELSEWHERE[name]}.")
            if not is_lenient:
                raise UsageError(
                    f"{name} is no parameter of /models that is documented; known are {', '.join(PARAMETERS)}."
                )
        extra = {name: _text(name, parameters.pop(name)) for name in sorted(unknown)}
        return cls(**parameters, is_lenient=is_lenient, extra=extra)

    @classmethod
    def spelled(cls, parameters: Mapping[str, str]) -> Self:
        """The query with these ``parameters`` as an address spells them; the inverse of :meth:`params`."""
        return cls.of(**{name: _READING.get(name, str)(text) for name, text in parameters.items()})

    def __post_init__(self) -> None:
        spelled = self.params()
        for name in _BOUNDED:
            least, most = spelled.get(f"min_{name}"), spelled.get(f"max_{name}")
            if least is not None and most is not None and Decimal(least) > Decimal(most):
                raise UsageError(f"min_{name} must not be above max_{name}, but {least} is above {most}.")

    def params(self) -> dict[str, str]:
        """The parameters as an address spells them; those that are None are left out."""
        spelled = {}
        for name in PARAMETERS:
            value = getattr(self, name)
            if value is not None:
                spelled[name] = self._spelled(name, value)
        return spelled | dict(self.extra)

    def _spelled(self, name: str, value: Any) -> str:
        if name in _CHOICES:
            return _choices(name, value, None if self.is_lenient else _CHOICES[name])
        return _SPELLING.get(name, _text)(name, value)


PARAMETERS = tuple(one.name for one in fields(ModelsQuery) if one.name not in ("is_lenient", "extra"))
"""The names of all documented parameters of a list."""

_CHOICES = {
    "output_modalities": (*OUTPUT_MODALITIES, "all"),
    "input_modalities": INPUT_MODALITIES,
    "sort": get_args(Sort),
    "region": get_args(Region),
}
_SINGLE = ("sort", "region")


def _choices(name: str, value: Any, allowed: Sequence[str] | None) -> str:
    text = _text(name, value) if name in _SINGLE else _names(name, value)
    chosen = [text] if name in _SINGLE else text.split(",")
    strange = [one for one in chosen if allowed is not None and one not in allowed]
    if allowed is not None and strange:
        raise UsageError(f"{name} must be {_one_of(name, allowed)}, not {strange[0]!r}.")
    return text


def _one_of(name: str, allowed: Sequence[str]) -> str:
    return ("one of " if name in _SINGLE else "one or more of ") + ", ".join(allowed)


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise UsageError(f"{name} must be text on one line that is not empty, not {value!r}.")
    return value.strip()


def _names(name: str, value: Any) -> str:
    parts = value.split(",") if isinstance(value, str) else list(value) if isinstance(value, Sequence) else [value]
    names = [part.strip() if isinstance(part, str) else "" for part in parts]
    if not names or not all(re.fullmatch(r"[^\s,]+", one) and one.isprintable() for one in names):
        raise UsageError(f"{name} must be names with commas between, such as 'a,b', not {value!r}.")
    return ",".join(dict.fromkeys(names))


def _number(name: str, value: Any) -> str:
    if isinstance(value, bool | float):
        raise UsageError(f"{name} must be a decimal number as text, Decimal or int, not {value!r}.")
    try:
        number = Decimal(value)
    except (InvalidOperation, TypeError, ValueError):
        number = Decimal("NaN")
    if not number.is_finite() or number < 0 or abs(number.adjusted()) > 30:
        raise UsageError(f"{name} must be a decimal number of at least 0, not {value!r}.")
    return format(number, "f")


def _whole(least: int, most: int | None = None) -> Callable[[str, Any], str]:
    def spell(name: str, value: Any) -> str:
        is_whole = isinstance(value, int) and not isinstance(value, bool)
        if not is_whole or value < least or (most is not None and value > most):
            bounds = f"of at least {least}" if most is None else f"from {least} to {most}"
            raise UsageError(f"{name} must be a whole number {bounds}, not {value!r}.")
        return str(value)

    return spell


def _yes_or_no(name: str, value: Any) -> str:
    if not isinstance(value, bool):
        raise UsageError(f"{name} must be True or False, not {value!r}.")
    return "true" if value else "false"


def _yes(name: str, value: Any) -> str:
    if value is not True:
        raise UsageError(f"{name} can only be True, which asks for models with such an offer, not {value!r}.")
    return "true"


_SPELLING: Mapping[str, Callable[[str, Any], str]] = {
    **{f"{side}_{name}": _number for side in ("min", "max") for name in _BOUNDED},
    **{f"{side}_age_days": _whole(0) for side in ("min", "max")},
    "supported_parameters": _names,
    "model_authors": _names,
    "providers": _names,
    "context": _whole(0),
    "offset": _whole(0),
    "limit": _whole(1, MAX_LIMIT),
    "distillable": _yes_or_no,
    "zdr": _yes,
}


def _read_whole(text: str) -> int | str:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else text


def _read_yes_or_no(text: str) -> bool | str:
    return {"true": True, "false": False}.get(text, text)


_READING: Mapping[str, Callable[[str], Any]] = {
    **dict.fromkeys(("min_age_days", "max_age_days", "context", "offset", "limit"), _read_whole),
    **dict.fromkeys(("distillable", "zdr"), _read_yes_or_no),
}
"""What a text is read as where a parameter is no text; what cannot be read so stays text, which is refused."""

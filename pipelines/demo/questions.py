"""What a simulated API makes of a question's parameters: which models it lists, in what order, and its feed.

Belongs here: filters, sorts, aliases and variants, the RSS, over models as they are listed.
Does not belong here: HTTP (`server`), what is listed at all (`catalogue`).

Some of what is asked shows in no listing: who keeps no data, what is popular. Such traits are drawn from the model's id
and the month, or for rankings the week, so that they are stable within it and change in time.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from email.utils import format_datetime
from typing import Any
from xml.sax.saxutils import escape

Document = Mapping[str, Any]

FEED_ITEMS = 600
"""Models in the feed at most."""

PAGING = ("offset", "limit", "output_modalities")
"""Parameters that the server and the listing see to."""

MODALITIES = {"text", "image", "embeddings", "audio", "video", "rerank", "speech", "transcription", "file", "all"}

_MILLION = 1_000_000


class BadQuestionError(ValueError):
    """A parameter that the API refuses with status 400; the message is for its answer."""


def answer(models: Sequence[Document], query: Mapping[str, str], at: datetime) -> list[Document]:
    """Those of ``models`` that ``query`` asks for at ``at``, in its order. Parameters unknown to it change nothing.

    A category that is not sorted otherwise comes in the order of its use, the most used first.
    """
    tests = [_FILTERS[name](value) for name, value in query.items() if name in _FILTERS]
    chosen = [model for model in models if all(test(model, at) for test in tests)]
    order = query.get("sort")
    if order is not None and order not in _SORTS:
        raise BadQuestionError(f"sort: {order} is none of {', '.join(_SORTS)}")
    if order is None and "category" not in query:
        return chosen
    rank = _ranked(f"category={query['category']}") if order is None else _SORTS[order]
    return sorted(chosen, key=lambda model: (*rank(model, at), model["id"]))


def is_plain(query: Mapping[str, str]) -> bool:
    """Whether ``query`` filters and sorts nothing."""
    return not (query.keys() & _FILTERS.keys() or "sort" in query)


def check_modalities(query: Mapping[str, str]) -> None:
    """BadQuestionError if ``output_modalities`` holds a name that the API does not know."""
    strange = set(query.get("output_modalities", "text").split(",")) - MODALITIES
    if strange:
        raise BadQuestionError(f"output_modalities: {min(strange)!r} is no modality")


def find(models: Iterable[Document], asked: str) -> Document | None:
    """The model that ``asked`` names: an id, a canonical slug, an alias, or an id with a variant not listed itself.

    An alias gives the model that it stands for, an unlisted variant its base model; None if there is none.
    """
    known = {str(model["id"]): model for model in models}
    found = known.get(asked) or known.get(f"~{asked}")
    if found is None:
        slugs = {str(model.get("canonical_slug")): model for model in known.values() if ":" not in str(model["id"])}
        found = slugs.get(asked) or _base_of(known, asked)
    if found is None:
        return None
    target = found.get("alias_target") or {}
    return known.get(str(target.get("slug")), found)


def _base_of(known: Mapping[str, Document], asked: str) -> Document | None:
    base, _, variant = asked.rpartition(":")
    return known.get(base) if variant in ("batch", "beta", "exacto", "extended", "floor", "nitro", "thinking") else None


def permits(model: Document, at: datetime) -> bool:
    """Whether the simulated account's settings let it use ``model``: three in four are."""
    return _trait("permitted", model, at) < 75


def feed(models: Sequence[Document], at: datetime, *, chat_links: bool) -> bytes:
    """The RSS of ``models``, the newest first; its ``lastBuildDate`` is ``at``, whatever is in it."""
    newest = sorted(models, key=lambda model: (-int(model.get("created") or 0), str(model["id"])))[:FEED_ITEMS]
    items = "".join(_item(model, chat_links=chat_links) for model in newest)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<rss version="2.0"><channel><title>OpenRouter - New Models</title>'
        f"<lastBuildDate>{format_datetime(at.astimezone(UTC), usegmt=True)}</lastBuildDate>{items}</channel></rss>\n"
    ).encode()


def _item(model: Document, *, chat_links: bool) -> str:
    base = str(model["id"]).partition(":")[0]
    added = datetime.fromtimestamp(int(model.get("created") or 0), UTC)
    link = f"https://openrouter.ai/chat?models={base}" if chat_links else f"https://openrouter.ai/{base}"
    title = f"{model.get('name')} ({base})"
    return (
        f"\n<item><title>{_cdata(title)}</title>"
        f"<description>{_cdata(str(model.get('description') or ''))}</description><link>{escape(link)}</link>"
        f'<guid isPermaLink="false">{escape(str(model.get("canonical_slug") or base))}</guid>'
        f"<pubDate>{format_datetime(added, usegmt=True)}</pubDate></item>"
    )


def _cdata(text: str) -> str:
    legible = "".join(character for character in text if character.isprintable() or character in "\n\t")
    return "<![CDATA[" + legible.replace("]]>", "]]]]><![CDATA[>") + "]]>"


# --- filters: the text of a parameter to a test of a model ---

Test = Callable[[Document, datetime], bool]


def _bound(name: str, value_of: Callable[[Document, datetime], Decimal | None], *, is_least: bool) -> Any:
    def build(text: str) -> Test:
        limit = _decimal(name, text)

        def test(model: Document, at: datetime) -> bool:
            value = value_of(model, at)
            return value is not None and (value >= limit if is_least else value <= limit)

        return test

    return build


def _decimal(name: str, text: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or number < 0:
        raise BadQuestionError(f"{name}: expected a number of at least 0, received {text!r}")
    return number


def _price(kind: str) -> Callable[[Document, datetime], Decimal | None]:
    def price(model: Document, at: datetime) -> Decimal | None:
        text = (model.get("pricing") or {}).get(kind)
        usd = Decimal(text) if isinstance(text, str) else None
        return None if usd is None or usd < 0 else usd * _MILLION

    return price


def _age_days(model: Document, at: datetime) -> Decimal:
    return Decimal(int(at.timestamp()) - int(model.get("created") or 0)) / 86_400


def _index(name: str) -> Callable[[Document, datetime], Decimal | None]:
    def index(model: Document, at: datetime) -> Decimal | None:
        scores = (model.get("benchmarks") or {}).get("artificial_analysis") or {}
        return Decimal(str(scores[name])) if name in scores else None

    return index


def _context(model: Document, at: datetime) -> Decimal:
    return Decimal(model.get("context_length") or 0)


def _has_all(value_of: Callable[[Document], Iterable[str]]) -> Callable[[str], Test]:
    def build(text: str) -> Test:
        wanted = set(text.split(","))
        return lambda model, at: wanted <= set(value_of(model))

    return build


def _chosen(name: str, allowed: Mapping[str, Test]) -> Callable[[str], Test]:
    def build(text: str) -> Test:
        if text not in allowed:
            raise BadQuestionError(f"{name}: expected {' | '.join(allowed)}, received {text!r}")
        return allowed[text]

    return build


def _trait(name: str, model: Document, at: datetime) -> int:
    """A number below 100 that is the model's own for a month."""
    return zlib.crc32(f"{name}/{model['id']}/{at:%Y-%m}".encode()) % 100


def _has(name: str, share: int) -> Test:
    return lambda model, at: _trait(name, model, at) < share


def _lacks(name: str, share: int) -> Test:
    return lambda model, at: _trait(name, model, at) >= share


def _any_of(name: str, share: int) -> Callable[[str], Test]:
    return lambda text: lambda model, at: any(_has(f"{name}={one}", share)(model, at) for one in text.split(","))


def _author(text: str) -> Test:
    return lambda model, at: str(model["id"]).removeprefix("~").partition("/")[0] in text.split(",")


def _words(text: str) -> Test:
    return lambda model, at: text.lower() in f"{model['id']} {model.get('name')}".lower()


def _architecture(key: str) -> Callable[[Document], list[str]]:
    return lambda model: list((model.get("architecture") or {}).get(key) or ())


_MEASURES: Mapping[str, Callable[[Document, datetime], Decimal | None]] = {
    "price": _price("prompt"),
    "output_price": _price("completion"),
    "age_days": _age_days,
    "intelligence_index": _index("intelligence_index"),
    "coding_index": _index("coding_index"),
    "agentic_index": _index("agentic_index"),
    "tool_success_rate": lambda model, at: Decimal(_trait("tool_success_rate", model, at)),
}

_FILTERS: Mapping[str, Callable[[str], Test]] = {
    **{f"min_{name}": _bound(f"min_{name}", measure, is_least=True) for name, measure in _MEASURES.items()},
    **{f"max_{name}": _bound(f"max_{name}", measure, is_least=False) for name, measure in _MEASURES.items()},
    "context": _bound("context", _context, is_least=True),
    "supported_parameters": _has_all(lambda model: model.get("supported_parameters") or ()),
    "input_modalities": _has_all(_architecture("input_modalities")),
    "arch": lambda text: lambda model, at: (model.get("architecture") or {}).get("tokenizer") == text,
    "model_authors": _author,
    "q": _words,
    "category": lambda text: _has(f"category={text}", 30),
    "providers": _any_of("provider", 25),
    "distillable": _chosen("distillable", {"true": _has("distillable", 40), "false": _lacks("distillable", 40)}),
    "zdr": _chosen("zdr", {"true": _has("zdr", 60)}),
    "region": _chosen("region", {"eu": _has("region=eu", 35), "us": _has("region=us", 80)}),
}


# --- sorts: what comes first has the least key ---

Key = Callable[[Document, datetime], tuple[Any, ...]]


def _cheapest(model: Document, at: datetime) -> tuple[Any, ...]:
    price = _price("prompt")(model, at)
    return (price is None, price or Decimal(0))


def _dearest(model: Document, at: datetime) -> tuple[Any, ...]:
    price = _price("prompt")(model, at)
    return (price is None, -(price or Decimal(0)))


def _ranked(name: str) -> Key:
    return lambda model, at: (zlib.crc32(f"{name}/{model['id']}/{at:%G-%V}".encode()),)


def _cleverest(model: Document, at: datetime) -> tuple[Any, ...]:
    return (-(_index("intelligence_index")(model, at) or Decimal(-1)),)


_SORTS: Mapping[str, Key] = {
    "pricing-low-to-high": _cheapest,
    "pricing-high-to-low": _dearest,
    "context-high-to-low": lambda model, at: (-_context(model, at),),
    "throughput-high-to-low": _ranked("throughput"),
    "latency-low-to-high": _ranked("latency"),
    "most-popular": _ranked("popular"),
    "top-weekly": _ranked("weekly"),
    "newest": lambda model, at: (-int(model.get("created") or 0),),
    "intelligence-high-to-low": _cleverest,
    "design-arena-elo-high-to-low": _ranked("elo"),
}

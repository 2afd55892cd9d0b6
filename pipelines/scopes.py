"""What was asked: a source, an endpoint, its parameters, and what the answer may be taken to say.

Belongs here: the naming of scopes and their kind. Does not belong here: how a source is asked (`sources/`)
or how an answer becomes history (`history`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import parse_qsl, quote, unquote, urlencode

from pipelines.errors import UsageError

ScopeKind = Literal["catalogue", "facet", "other"]

Topic = Literal["offers", "zdr", "providers"]
"""What an answer beside the listings is about: one model's offers, all offers that keep no data, all providers."""

OPENROUTER = "openrouter"
OPENROUTER_EU = "openrouter-eu"
"""The host that routes within the EU: it lists fewer models, so it is a source of its own."""

GATEWAY = "gateway"
"""What a gateway is called if it has no other name."""

_GROUPED = "api/ai/models"
_LISTINGS = frozenset({"models", "models/user", _GROUPED})
_EVERY_MODALITY = (("output_modalities", "all"),)
_DEFAULTS = {("output_modalities", "text")}
_FEED = ("use_rss", "true")
_RANKINGS = frozenset({"category", "sort"})


_OFFERS_OF = re.compile(r"models/(.+)/endpoints", re.DOTALL)
_TOPICS: Mapping[str, Topic] = {"endpoints/zdr": "zdr", "providers": "providers"}


@dataclass(frozen=True, order=True)
class Scope:
    """One question put to one source, such as ``openrouter/models?output_modalities=all``.

    Two scopes with the same parameters in another order are one scope.
    """

    source: str
    endpoint: str
    params: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, source: str, endpoint: str, **params: str) -> Scope:
        """The scope of ``endpoint`` asked with ``params``; asking for the default is asking for nothing."""
        return cls(source, endpoint, tuple(sorted(params.items() - _DEFAULTS)))

    @classmethod
    def parse(cls, name: str) -> Scope:
        """The scope that :attr:`name` spells; the inverse of ``scope.name``."""
        path, _, query = name.partition("?")
        source, _, endpoint = path.partition("/")
        return cls.of(source, endpoint, **dict(parse_qsl(query, keep_blank_values=True)))

    @property
    def name(self) -> str:
        """The public spelling, in which parameters are sorted."""
        query = urlencode(self.params, safe=",")
        return f"{self.source}/{self.endpoint}" + (f"?{query}" if query else "")

    @property
    def kind(self) -> ScopeKind:
        """``catalogue`` claims to list everything of its kind: all models, or all with text output.

        ``facet`` is any other listing: a filter, a ranking, one account's models. ``other`` is no listing of models,
        such as ``/models/count`` or the feed.
        """
        if self.endpoint not in _LISTINGS or self.is_feed:
            return "other"
        is_whole = (self.endpoint == "models" and self.params in ((), _EVERY_MODALITY)) or self._is_grouped
        return "catalogue" if is_whole else "facet"

    @property
    def facet(self) -> str | None:
        """What a facet is called within its source, such as ``category=programming`` or ``models/user``; None for what
        is none."""
        if self.kind != "facet":
            return None
        return self.name.removeprefix(f"{self.source}/").removeprefix("models?")

    @property
    def is_ranking(self) -> bool:
        """Whether the order of the answer says something: a category is in the order of usage."""
        return self.kind == "facet" and any(name in _RANKINGS for name, _ in self.params)

    @property
    def is_feed(self) -> bool:
        """Whether the answer is the feed of new models, in RSS."""
        return self.endpoint == "models" and _FEED in self.params

    @property
    def counts(self) -> str | None:
        """The output modalities of which models are counted, such as ``image`` or ``all``; None if it is no count."""
        if self.endpoint != "models/count":
            return None
        return dict(self.params).get("output_modalities", "text")

    @property
    def topic(self) -> Topic | None:
        """What the answer is about; None for listings of models and what else is asked beside these topics."""
        if self.params:
            return None
        return "offers" if self.model_id is not None else _TOPICS.get(self.endpoint)

    @property
    def model_id(self) -> str | None:
        """The model whose offers are asked for; None if none are."""
        asked = _OFFERS_OF.fullmatch(self.endpoint)
        return unquote(asked[1]) if asked else None

    @property
    def lists_every_modality(self) -> bool:
        """Whether models of every output modality would be listed; else only those with text output are."""
        return self.params == _EVERY_MODALITY or self._is_grouped

    @property
    def _is_grouped(self) -> bool:
        """Whether it is all that a gateway has, by modality and provider."""
        return self.endpoint == _GROUPED and not self.params


TEXT_MODELS = Scope.of(OPENROUTER, "models")
ALL_MODELS = Scope.of(OPENROUTER, "models", output_modalities="all")
ALL_MODELS_COUNT = Scope.of(OPENROUTER, "models/count", output_modalities="all")
ZDR_OFFERS = Scope.of(OPENROUTER, "endpoints/zdr")
"""The offers of all models whose providers keep no data."""
PROVIDERS = Scope.of(OPENROUTER, "providers")


def offers_scope(model_id: str, source: str = OPENROUTER) -> Scope:
    """The question for one model's offers. Whatever an id holds, the scope's name spells it in one piece."""
    return Scope.of(source, f"models/{quote(model_id, safe='/:~@+,;=!$&()*')}/endpoints")


def gateway_scope(name: str = GATEWAY) -> Scope:
    """The question for all that the gateway ``name`` has. UsageError for a name that cannot be a source's."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,62}", name) or name in (OPENROUTER, OPENROUTER_EU):
        raise UsageError("A gateway's name has small letters, digits, - and _, and is not that of another source.")
    return Scope.of(name, _GROUPED)

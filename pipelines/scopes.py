"""What was asked: a source, an endpoint, its parameters, and what the answer may be taken to say.

Belongs here: the naming of scopes and their kind. Does not belong here: how a source is asked (`sources/`)
or how an answer becomes history (`history`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from urllib.parse import parse_qsl, urlencode

ScopeKind = Literal["catalogue", "facet", "other"]

OPENROUTER = "openrouter"


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
        """The scope of ``endpoint`` asked with ``params``."""
        return cls(source, endpoint, tuple(sorted(params.items())))

    @classmethod
    def parse(cls, name: str) -> Scope:
        """The scope that :attr:`name` spells; the inverse of ``scope.name``."""
        path, _, query = name.partition("?")
        source, _, endpoint = path.partition("/")
        return cls(source, endpoint, tuple(sorted(parse_qsl(query, keep_blank_values=True))))

    @property
    def name(self) -> str:
        """The public spelling, in which parameters are sorted."""
        query = urlencode(self.params, safe=",")
        return f"{self.source}/{self.endpoint}" + (f"?{query}" if query else "")

    @property
    def kind(self) -> ScopeKind:
        """``catalogue`` claims to list everything of its kind; ``facet`` is a filter or a ranking of it;
        ``other`` is no listing of models (``/models/count``)."""
        if self.endpoint != "models":
            return "other"
        return "catalogue" if {key for key, _ in self.params} <= {"output_modalities"} else "facet"

    @property
    def lists_every_modality(self) -> bool:
        """Whether models of every output modality would be listed; else only those with text output are."""
        return dict(self.params).get("output_modalities") == "all"


TEXT_MODELS = Scope.of(OPENROUTER, "models")
ALL_MODELS = Scope.of(OPENROUTER, "models", output_modalities="all")
ALL_MODELS_COUNT = Scope.of(OPENROUTER, "models/count", output_modalities="all")

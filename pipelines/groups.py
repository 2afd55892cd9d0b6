"""A gateway's grouped list of models, brought to the form of OpenRouter's.

Belongs here: telling a grouped list, which groups it has, and which of several objects of one id counts.
Does not belong here: what a model's fields mean (`flatten`), asking a gateway (`sources`).

A gateway answers ``{modality: [{provider, configured, models: [Model…]}…]…}`` for whatever modalities it knows. One
model may stand under several modalities and providers. Where its objects differ, that of a configured group counts
before others; then the provider and the modality that come first in the alphabet; so the choice does not depend on the
order of the answer, which means nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

_KNOWN = frozenset({"provider", "configured", "models"})


@dataclass(frozen=True, order=True)
class Group:
    """The models that one provider has for one modality, sorted. ``is_configured`` None: the gateway does not say."""

    modality: str
    provider: str
    is_configured: bool | None
    model_ids: tuple[str, ...]


class Entry(NamedTuple):
    """A group as it was received."""

    modality: str
    group: dict[str, Any]

    @property
    def is_configured(self) -> bool | None:
        """What the gateway says; None if nothing that can be read."""
        said = self.group.get("configured")
        return said if isinstance(said, bool) else None

    @property
    def rank(self) -> tuple[bool, str, str]:
        """The smaller, the more its objects count."""
        return self.is_configured is not True, self.group["provider"], self.modality


def entries_in(document: Any) -> list[Entry]:
    """The groups of a gateway's answer; none if it is not one, for which one list of something else is enough."""
    if not isinstance(document, dict):
        return []
    lists = {modality: value for modality, value in document.items() if isinstance(value, list)}
    if not all(_is_group(one) for value in lists.values() for one in value):
        return []
    return [Entry(modality, one) for modality, value in lists.items() for one in value]


def _is_group(one: Any) -> bool:
    return isinstance(one, dict) and isinstance(one.get("provider"), str) and isinstance(one.get("models"), list)


def groups_of(entries: Sequence[Entry]) -> tuple[Group, ...]:
    """The groups, sorted; those of one modality, provider and configuration are one."""
    ids: dict[tuple[str, str, bool | None], set[str]] = {}
    for entry in entries:
        key = entry.modality, entry.group["provider"], entry.is_configured
        ids.setdefault(key, set()).update(model["id"] for model in entry.group["models"])
    ordered = sorted(ids, key=lambda key: (*key[:2], str(key[2])))
    return tuple(Group(*key, tuple(sorted(ids[key]))) for key in ordered)


def models_of(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """One object for each id, in OpenRouter's form; an id that one group lists twice comes twice."""
    found: dict[str, list[tuple[tuple[bool, str, str], dict[str, Any]]]] = {}
    repeated: list[dict[str, Any]] = []
    for entry in entries:
        models = [_in_one_form(model) for model in entry.group["models"]]
        times = Counter(model["id"] for model in models)
        repeated += [model for model in {model["id"]: model for model in models}.values() if times[model["id"]] > 1]
        for model in models:
            found.setdefault(model["id"], []).append((entry.rank, model))
    return [_first(objects) for objects in found.values()] + repeated


def _first(objects: Sequence[tuple[tuple[bool, str, str], dict[str, Any]]]) -> dict[str, Any]:
    if len(objects) == 1:
        return objects[0][1]
    return min(objects, key=lambda one: (one[0], orjson.dumps(one[1], option=orjson.OPT_SORT_KEYS)))[1]


def _in_one_form(model: Mapping[str, Any]) -> dict[str, Any]:
    """``topProvider`` goes by OpenRouter's name; ``max_completion_tokens`` beside it is told once if it is the same.

    Where the two disagree both are kept, and the one outside is reported as unknown.
    """
    plain = dict(model)
    if "topProvider" in plain and "top_provider" not in plain:
        plain["top_provider"] = plain.pop("topProvider")
    provider = plain.get("top_provider")
    if "max_completion_tokens" in plain and (provider is None or isinstance(provider, dict)):
        inner = dict(provider or {})
        outer = plain["max_completion_tokens"]
        if inner.get("max_completion_tokens") in (None, outer):
            inner["max_completion_tokens"] = outer
            plain["top_provider"] = inner
            del plain["max_completion_tokens"]
        elif outer is None:
            del plain["max_completion_tokens"]
    return plain


def unknown_in(document: Mapping[str, Any], entries: Sequence[Entry]) -> Iterator[tuple[str, Any]]:
    """Path and value of what stands beside the groups, and within a group beside what is known of one."""
    yield from ((f"$.{name}", value) for name, value in document.items() if not isinstance(value, list))
    seen: dict[str, Any] = {}
    for entry in entries:
        for name in entry.group.keys() - _KNOWN:
            seen.setdefault(f"$.*[].{name}", entry.group[name])
    yield from sorted(seen.items())

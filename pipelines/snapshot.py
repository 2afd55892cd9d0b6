"""Taking one snapshot: ask, store, and say what was stored.

Belongs here: the order of the steps between a source and the raw store.
Does not belong here: HTTP (`sources`), what follows from a capture (`ledger`), orchestration (`defs`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import polars as pl

from pipelines.captures import Capture, RawStore
from pipelines.errors import SourceError
from pipelines.flatten import Frames, flatten, read_count
from pipelines.scopes import Scope
from pipelines.sources.openrouter import OUTPUT_MODALITIES


class Catalogue(Protocol):
    """A source of the catalogue, such as :class:`pipelines.sources.openrouter.OpenRouter`."""

    def models(self, output_modalities: str = "all") -> Capture: ...  # noqa: D102

    def count(self, output_modalities: str = "all") -> Capture: ...  # noqa: D102


@dataclass(frozen=True)
class Taken:
    """A stored snapshot.

    The first of ``packs`` holds the listing, the others its counts. ``listed`` models are in the listing; ``counted``
    is what ``/models/count`` said last, None if nothing.
    """

    packs: tuple[str, ...]
    snapshot_id: str
    listed: int
    counted: int | None

    @property
    def counts_agree(self) -> bool:
        """Whether ``/models/count`` says what the listing shows; unknown counts as agreement."""
        return self.counted is None or self.counted == self.listed


def take(source: Catalogue, raw: RawStore) -> Taken:
    """Ask for all models, for their count, and for that of each output modality; each answer is stored before anything
    looks at it. A modality that is not documented is not asked for: the API might refuse it.

    A count is cached apart from the list: where they disagree it is asked once more. One that fails ends the counting.
    """
    models = source.models()
    packs = [raw.write([models])]
    frames = flatten([models.body])
    listed = {"all": len(frames.listings[0].model_ids), **_by_output_modality(frames)}
    counted: dict[str, int | None] = {}
    wrong = list(listed)
    for _ in range(2):
        answers = _counts(source, wrong)
        if answers:
            packs.append(raw.write(list(answers.values())))
        counted |= {modality: read_count(answer.body) for modality, answer in answers.items()}
        wrong = [one for one in answers if counted[one] not in (None, listed[one])]
        if not wrong:
            break
    return Taken(tuple(packs), models.snapshot_id, listed["all"], counted.get("all"))


def _by_output_modality(frames: Frames) -> dict[str, int]:
    """How many models of a single listing put out each documented modality, by its name."""
    told = frames.models.select(pl.col("output_modalities").list.unique()).explode("output_modalities").drop_nulls()
    known = told.filter(pl.col("output_modalities").is_in(OUTPUT_MODALITIES))
    return dict(sorted(known.group_by("output_modalities").len().rows()))


def _counts(source: Catalogue, modalities: Sequence[str]) -> dict[str, Capture]:
    """The answers about each of ``modalities``, up to the first that cannot be had."""
    answers: dict[str, Capture] = {}
    for modality in modalities:
        try:
            answers[modality] = source.count(modality)
        except SourceError:
            break
    return answers


class Grouped(Protocol):
    """A gateway, such as :class:`pipelines.sources.gateway.Gateway`."""

    def models(self) -> Capture: ...  # noqa: D102


def take_gateway(gateway: Grouped, raw: RawStore) -> Taken:
    """Ask for all that a gateway has; its answer is stored before anything looks at it."""
    return _stored(gateway.models(), raw)


class Listing(Protocol):
    """A source of filtered and ranked lists, such as :class:`pipelines.sources.openrouter.OpenRouter`."""

    def listing(self, scope: Scope) -> Capture: ...  # noqa: D102


def take_listing(source: Listing, scope: Scope, raw: RawStore) -> Taken:
    """Ask for the list that ``scope`` names; its answer is stored before anything looks at it."""
    return _stored(source.listing(scope), raw)


def _stored(models: Capture, raw: RawStore) -> Taken:
    packs = (raw.write([models]),)
    return Taken(packs, models.snapshot_id, len(flatten([models.body]).listings[0].model_ids), None)

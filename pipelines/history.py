"""From snapshots to runs: who was listed when, in which version.

Belongs here: the one loop over snapshots in time order, what counts as evidence of absence, who is left-censored.
Does not belong here: databases, prices and attributes (a version is a number here), verdicts on captures.

The loop steps from instant to instant and works on whole arrays of models at each, so its cost is a few
microseconds for a snapshot in which nothing changed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

Numbers = NDArray[np.int64]
Flags = NDArray[np.bool_]

STARTED_BY = ("first", "change", "return")
ENDED_BY = ("change", "absence")

NEVER = np.iinfo(np.int64).max

RUNS = {
    "model_no": pl.Int32(),
    "version_no": pl.Int32(),
    "valid_from": pl.Int64(),
    "valid_to": pl.Int64(),
    "last_seen_at": pl.Int64(),
    "started_by": pl.String(),
    "ended_by": pl.String(),
    "is_left_censored": pl.Boolean(),
    "text_listed_from": pl.Int64(),
}
"""A row for each run. Times are microseconds since 1970; ``valid_to``, ``last_seen_at`` and ``ended_by`` are null
while it lasts. ``text_listed_from``: since when listings of text models cover it, null if they do not."""


class Instant(NamedTuple):
    """An accepted snapshot of a catalogue scope. ``moment`` is in microseconds since 1970."""

    moment: int
    capture_no: int
    lists_every_modality: bool


@dataclass
class Catalogue:
    """What is known of every model at one instant; arrays are indexed by model_no.

    ``version`` is the version last seen (0: never seen), ``valid_from`` when its run began, ``last_seen`` the latest
    snapshot that listed the model. ``text_listed_from`` is when listings of text models began to cover it: with its run
    if it outputs text, else when one shows it all the same (:data:`NEVER`: not yet). ``has_text``/``has_all``: whether
    any snapshot came before that would have listed a model with/without text output. ``touched``: models whose runs
    must be told again.
    """

    version: Numbers
    valid_from: Numbers
    last_seen: Numbers
    started_by: Numbers
    text_listed_from: Numbers
    is_listed: Flags
    is_left_censored: Flags
    touched: Flags
    has_text: bool = False
    has_all: bool = False

    @classmethod
    def empty(cls, models: int) -> Catalogue:
        """Before the first snapshot, with room for model numbers up to ``models``."""

        def numbers() -> Numbers:
            return np.zeros(models + 1, np.int64)

        def flags() -> Flags:
            return np.zeros(models + 1, np.bool_)

        return cls(numbers(), numbers(), numbers(), numbers(), numbers() + NEVER, flags(), flags(), flags())


@dataclass
class _Ended:
    """Runs that ended, as one array per column and instant."""

    columns: list[list[NDArray[Any]]] = field(default_factory=lambda: [[] for _ in RUNS])

    def add(self, *values: NDArray[Any]) -> None:
        for column, value in zip(self.columns, values, strict=True):
            column.append(value)

    def column(self, number: int) -> NDArray[Any]:
        parts = self.columns[number]
        return np.concatenate(parts) if parts else np.zeros(0, np.int64)


def one_per_instant(snapshots: Sequence[Instant]) -> list[Instant]:
    """In time order, one snapshot for each instant: the one that lists every modality says all that the other could."""
    by_moment: dict[int, Instant] = {}
    for snapshot in sorted(snapshots, key=lambda one: (one.moment, one.lists_every_modality)):
        by_moment[snapshot.moment] = snapshot
    return list(by_moment.values())


def replay(
    snapshots: Sequence[Instant],
    versions_of: Callable[[int], NDArray[np.int32]],
    outputs_text: Flags,
    catalogue: Catalogue,
) -> pl.DataFrame:
    """The runs (:data:`RUNS`) of every touched model that last until ``snapshots[0]`` or longer.

    ``catalogue`` is the state before the first of ``snapshots`` and is used up. ``versions_of(capture_no)`` gives the
    version of each model in a capture (0: not listed). ``outputs_text`` is indexed by version_no.

    A model is removed by a snapshot that lacks it although it covers it: one of every modality covers all models, one
    of text covers those whose last seen version outputs text, or that a listing of text models has shown.
    """
    ended = _Ended()
    for snapshot in one_per_instant(snapshots):
        _step(snapshot, versions_of(snapshot.capture_no).astype(np.int64), outputs_text, catalogue, ended)
    return _frame(ended, catalogue)


def _step(now: Instant, seen: Numbers, outputs_text: Flags, state: Catalogue, ended: _Ended) -> None:
    is_seen = seen > 0
    covers = is_seen | now.lists_every_modality | (state.text_listed_from < now.moment)
    gone = state.is_listed & ~is_seen & covers
    changed = is_seen & state.is_listed & (seen != state.version)
    starting = changed | (is_seen & ~state.is_listed)
    for models, cause in ((gone, 1), (changed, 0)):
        _end(np.flatnonzero(models), now.moment, cause, state, ended)
    new = np.flatnonzero(starting)
    if new.size:
        never = state.version[new] == 0
        state.started_by[new] = np.where(never, 0, np.where(state.is_listed[new], 1, 2))
        is_text = outputs_text[seen[new]]
        could_be_listed = np.where(is_text, state.has_text, state.has_all)
        state.is_left_censored[new] = never & ~could_be_listed
        state.version[new] = seen[new]
        state.valid_from[new] = now.moment
        state.text_listed_from[new] = np.where(is_text, now.moment, NEVER)
        state.touched[new] = True
    if not now.lists_every_modality:
        unexpected = is_seen & (state.text_listed_from == NEVER)
        state.text_listed_from[unexpected] = now.moment
        state.touched |= unexpected
    state.is_listed = (state.is_listed & ~gone) | is_seen
    state.last_seen[is_seen] = now.moment
    state.has_text = True
    state.has_all |= now.lists_every_modality


def _end(models: Numbers, moment: int, cause: int, state: Catalogue, ended: _Ended) -> None:
    if models.size:
        state.touched[models] = True
        ended.add(
            models,
            state.version[models],
            state.valid_from[models],
            np.full(models.size, moment),
            state.last_seen[models],
            state.started_by[models],
            np.full(models.size, cause),
            state.is_left_censored[models],
            state.text_listed_from[models],
        )


def _frame(ended: _Ended, state: Catalogue) -> pl.DataFrame:
    lasting = np.flatnonzero(state.is_listed & state.touched)
    closed = pl.DataFrame(
        {name: ended.column(number) for number, name in enumerate(RUNS)},
        schema_overrides={"is_left_censored": pl.Boolean},
    )
    nothing = [None] * lasting.size
    opened = pl.DataFrame(
        [
            pl.Series("model_no", lasting),
            pl.Series("version_no", state.version[lasting]),
            pl.Series("valid_from", state.valid_from[lasting]),
            pl.Series("valid_to", nothing, pl.Int64),
            pl.Series("last_seen_at", nothing, pl.Int64),
            pl.Series("started_by", state.started_by[lasting]),
            pl.Series("ended_by", nothing, pl.Int64),
            pl.Series("is_left_censored", state.is_left_censored[lasting]),
            pl.Series("text_listed_from", state.text_listed_from[lasting]),
        ]
    )
    return pl.concat([closed, opened]).with_columns(
        pl.col("model_no", "version_no").cast(pl.Int32),
        pl.col("started_by").replace_strict(dict(enumerate(STARTED_BY)), return_dtype=pl.String),
        pl.col("text_listed_from").replace(NEVER, None),
        pl.col("ended_by").replace_strict(dict(enumerate(ENDED_BY)), return_dtype=pl.String),
    )

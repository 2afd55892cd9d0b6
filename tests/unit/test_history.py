from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.history import RUNS, Catalogue, Instant, replay

MODELS = 3
TEXT, IMAGE = (1, 3, 5), (2, 4, 6)
"""Version numbers; a model may have any of them."""
OUTPUTS_TEXT = np.array([False, True, False, True, False, True, False])

Listing = tuple[int, int, int]


@dataclass(frozen=True)
class Snapshot:
    """Versions of the models 1, 2, 3 (0: not listed) at an instant."""

    moment: int
    is_all: bool
    versions: Listing


def run(snapshots: Sequence[Snapshot], before: Catalogue | None = None) -> list[tuple]:
    """The runs by the code under test, as sorted rows."""
    frame = replay(
        [Instant(one.moment, number, one.is_all) for number, one in enumerate(snapshots)],
        lambda number: np.array([0, *snapshots[number].versions], np.int32),
        OUTPUTS_TEXT,
        before or Catalogue.empty(MODELS),
    )
    assert dict(frame.schema) == RUNS
    return sorted(frame.rows(), key=lambda row: (row[0], row[2]))


def reference(snapshots: Sequence[Snapshot]) -> list[tuple]:
    """The runs by one model at a time, in the plainest way."""
    runs: list[tuple] = []
    for model in range(1, MODELS + 1):
        version = start = seen = 0
        text_from: int | None = None
        cause, censored = "first", False
        before: list[Snapshot] = []
        for now in sorted(snapshots, key=lambda one: one.moment):
            lists = now.versions[model - 1]
            listed = start > 0
            would_show = now.is_all or text_from is not None
            if listed and not lists and would_show:
                runs.append((model, version, start, now.moment, seen, cause, "absence", censored, text_from))
                start = 0
            elif lists and listed and lists != version:
                runs.append((model, version, start, now.moment, seen, cause, "change", censored, text_from))
                cause, version, start, censored = "change", lists, now.moment, False
                text_from = now.moment if lists in TEXT else None
            elif lists and not listed:
                cause = "return" if version else "first"
                covered = any(one.is_all or lists in TEXT for one in before)
                version, start, censored = lists, now.moment, cause == "first" and not covered
                text_from = now.moment if lists in TEXT else None
            if lists:
                seen = now.moment
                if text_from is None and not now.is_all:
                    text_from = now.moment
            before.append(now)
        if start:
            runs.append((model, version, start, None, None, cause, None, censored, text_from))
    return sorted(runs, key=lambda row: (row[0], row[2]))


versions = st.just(0) | st.sampled_from([*TEXT, *IMAGE])
listings = st.tuples(versions, versions, versions)
histories = st.lists(st.tuples(st.booleans(), listings), max_size=8).map(
    lambda steps: [Snapshot(10 * (number + 1), *step) for number, step in enumerate(steps)]
)


@given(histories)
def test_runs_are_those_of_the_plain_reference(history):
    assert run(history) == reference(history)


@given(histories, st.randoms(use_true_random=False))
def test_the_order_in_which_snapshots_are_given_does_not_matter(history, random):
    shuffled = random.sample(history, len(history))
    assert run(shuffled) == reference(history)


@given(histories, st.integers(0, 8))
def test_a_replay_from_the_middle_is_the_end_of_the_whole(history, cut):
    """Given the state before it, a suffix tells every run that lasts until its first instant or longer."""
    cut = min(cut, len(history))
    state = Catalogue.empty(MODELS)
    run(history[:cut], state)
    state.touched[:] = True
    since = history[cut].moment if cut < len(history) else 10 * (cut + 1)
    expected = [row for row in reference(history) if row[3] is None or row[3] >= since]
    assert run(history[cut:], state) == expected


@given(histories, st.integers(0, 8))
def test_models_that_nothing_touches_are_passed_over(history, cut):
    cut = min(cut, len(history))
    state = Catalogue.empty(MODELS)
    run(history[:cut], state)
    state.touched[:] = False
    since = history[cut].moment if cut < len(history) else 10 * (cut + 1)
    whole = [row for row in reference(history) if row[3] is None or row[3] >= since]
    touched = {
        row[0]
        for row in reference(history)
        if row[2] >= since or (row[3] is not None and row[3] >= since) or (row[8] is not None and row[8] >= since)
    }
    assert run(history[cut:], copy.deepcopy(state)) == [row for row in whole if row[0] in touched]


@given(histories)
def test_a_repeated_snapshot_splits_nothing(history):
    """A capture between two neighbours that equals the first of them."""
    repeated = [*history, *(Snapshot(one.moment + 5, one.is_all, one.versions) for one in history)]
    without_last_seen = [(*row[:4], *row[5:]) for row in run(history)]
    assert [(*row[:4], *row[5:]) for row in run(repeated)] == without_last_seen


# --- the rules, one by one ---


def test_nothing_gives_nothing():
    assert run([]) == []


def test_the_first_snapshot_makes_nobody_new():
    assert run([Snapshot(1, True, (1, 2, 0)), Snapshot(2, True, (1, 2, 3))]) == [
        (1, 1, 1, None, None, "first", None, True, 1),
        (2, 2, 1, None, None, "first", None, True, None),
        (3, 3, 2, None, None, "first", None, False, 2),
    ]


def test_a_text_listing_says_nothing_of_other_models():
    history = [Snapshot(1, True, (1, 2, 0)), Snapshot(2, False, (0, 0, 0)), Snapshot(3, True, (0, 0, 0))]
    assert run(history) == [
        (1, 1, 1, 2, 1, "first", "absence", True, 1),
        (2, 2, 1, 3, 1, "first", "absence", True, None),
    ]


def test_a_model_that_no_earlier_snapshot_covered_is_left_censored_when_first_seen():
    history = [Snapshot(1, False, (1, 0, 0)), Snapshot(2, True, (1, 2, 3)), Snapshot(3, True, (1, 2, 3))]
    assert [(row[0], row[2], row[7]) for row in run(history)] == [(1, 1, True), (2, 2, True), (3, 2, False)]


def test_coverage_is_not_forgotten():
    history = [Snapshot(1, True, (1, 0, 0)), Snapshot(2, False, (1, 0, 0)), Snapshot(3, True, (1, 2, 0))]
    assert run(history)[1] == (2, 2, 3, None, None, "first", None, False, None)


def test_what_a_model_was_last_decides_who_covers_it():
    to_image = [Snapshot(1, True, (1, 0, 0)), Snapshot(2, True, (2, 0, 0)), Snapshot(3, False, (0, 0, 0))]
    to_text = [Snapshot(1, True, (2, 0, 0)), Snapshot(2, True, (1, 0, 0)), Snapshot(3, False, (0, 0, 0))]
    assert run(to_image)[-1][3] is None
    assert run(to_text)[-1][3] == 3


def test_what_a_listing_of_text_models_once_showed_it_covers():
    """A model that outputs no text and yet stands in such a listing, as some do."""
    history = [Snapshot(1, True, (2, 0, 0)), Snapshot(2, False, (0, 0, 0)), Snapshot(3, False, (2, 0, 0))]
    assert run(history) == [(1, 2, 1, None, None, "first", None, True, 3)]
    assert run([*history, Snapshot(4, False, (0, 0, 0))]) == [(1, 2, 1, 4, 3, "first", "absence", True, 3)]


def test_a_return_is_not_left_censored():
    history = [Snapshot(1, True, (1, 0, 0)), Snapshot(2, True, (0, 0, 0)), Snapshot(3, True, (1, 0, 0))]
    assert run(history) == [
        (1, 1, 1, 2, 1, "first", "absence", True, 1),
        (1, 1, 3, None, None, "return", None, False, 3),
    ]


def test_of_one_instant_the_listing_of_all_modalities_counts():
    history = [Snapshot(1, True, (1, 2, 0)), Snapshot(1, False, (1, 0, 0))]
    for order in (history, history[::-1]):
        assert [row[0] for row in run(order)] == [1, 2]


@pytest.mark.parametrize("moment", [0, 1_786_000_000_123_456])
def test_moments_are_whole_microseconds(moment):
    frame = replay([Instant(moment, 0, True)], lambda _: np.array([0, 1], np.int32), OUTPUTS_TEXT, Catalogue.empty(1))
    assert frame.select("valid_from", pl.col("valid_to").is_null()).rows() == [(moment, True)]

"""Tiny catalogues in which everything goes wrong that can, for Hypothesis to choose from.

Belongs here: strategies for answers, loading answers in any order and batches. Does not belong here: any property.

A catalogue has one to six models. What an answer lists is chosen anew each time from small pools, so that values
come back, are respelled, or stay; most answers lack at most one model, so that not all of them are a collapse.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from pipelines.captures import Capture
from pipelines.ledger.ledger import Ledger
from pipelines.scopes import ALL_MODELS, TEXT_MODELS
from tests.oracle import Answer

START = datetime(2026, 8, 3, 8, tzinfo=UTC)
"""A Monday, one hour before the window of most rules."""

IDS = ("a/one", "a/one:free", "~a/latest", "b/two", "c/three", "c/four")

PRICES = ("0.10", "0.1", "0.2", "0", "-0", "-1", "0.0000000208333333333333", None)

WINDOW = {"utc_start": 900, "utc_end": 1700}
RULES: tuple[Any, ...] = (
    [],
    [WINDOW | {"prompt": "0.2"}],
    [WINDOW | {"prompt": "0.20", "completion": "0"}],
    [{"utc_start": 1700, "utc_end": 900, "prompt": "0.1"}, WINDOW | {"prompt": "0.2"}],
    [{"min_prompt_tokens": 900, "prompt": "0.2"}],
    [{"utc_start": 900, "prompt": "0.2"}],
    [{"max_latency_ms": 900, "prompt": "0.2"}],
    [{"utc_days": ["tuesday", "monday"], "prompt": "0.2"}],
    [{"utc_days": ["monday", "tuesday"], "prompt": "abc", "image": None}],
)

FIELDS: dict[str, tuple[Any, ...]] = {
    "name": ("One", "Two", "<b>\u202e🙂"),
    "created": (1_700_000_000, 1_700_000_000.0),
    "context_length": (None, 0, 4096),
    "supported_parameters": (["a", "b"], ["b", "a"], [], None),
    "default_parameters": (None, {}, {"temperature": 0.5}),
    "expiration_date": (None, None, "2026-09-01", "2026-08-04", "9999-01-01", "late in 2026"),
    "supported_voices": (None, ["x", "y"], ["y", "x"], []),
    "reasoning": ({"mandatory": True}, {"mandatory": False}),
    "unheard_of": (None, "null", "", 7, [1.5]),
    "links": ({"details": "/1"}, {"details": "/2"}),
    "benchmarks": (1, 2),
    "alias_target": (None, {"slug": "a/one", "name": "One"}, {"slug": "b/two", "name": "One"}),
    "top_provider": (None, {"context_length": 1}, {"is_moderated": True, "max_completion_tokens": None}),
}

HOURS = (0, 2, 10.5, 26, 34.5, 50, 58, 24 * 6 + 1, 24 * 7, 24 * 8, 24 * 8 + 10, 24 * 16)
"""When answers are given. Some lie more than seven days apart, many on different sides of a window's edge."""

NO_LISTINGS = (b"", b'{"data": [', b"[]", b'{"data": []}', b'{"error": {"code": 500, "message": "no"}}', b"[1]")


def models(model_id: str) -> st.SearchStrategy[dict[str, Any]]:
    """One model, as one answer shows it."""
    outputs = st.sampled_from((["text"], ["text"], ["image"], ["image", "text"]))
    kinds = ("prompt", "prompt", "completion", "image", "tokens_of_tea")
    pricing = st.dictionaries(st.sampled_from(kinds), st.sampled_from(PRICES), max_size=3)
    fields = {name: st.sampled_from(values) for name, values in FIELDS.items()}
    return st.builds(
        lambda shown, outputs, pricing, rules: {
            "id": model_id,
            **shown,
            "architecture": {"output_modalities": outputs},
            "pricing": pricing | ({"overrides": rules} if rules else {}),
        },
        st.fixed_dictionaries({}, optional=fields),
        outputs,
        pricing,
        st.sampled_from(RULES),
    )


@st.composite
def histories(draw: st.DrawFn, *, min_size: int = 1, max_size: int = 8) -> list[Answer]:
    """Distinct answers in the order in which they are loaded, which is any."""
    ids = IDS[: draw(st.integers(1, len(IDS)))]
    pool = [model for model_id in ids for model in draw(st.lists(models(model_id), min_size=1, max_size=3))]
    shown = {one: [model for model in pool if model["id"] == one] for one in ids}
    answers = draw(st.lists(_answers(shown), min_size=min_size, max_size=max_size))
    unique = {(one.observed_at, one.lists_every_modality, one.body): one for one in answers}
    return list(unique.values())


@st.composite
def _answers(draw: st.DrawFn, shown: dict[str, list[dict[str, Any]]]) -> Answer:
    at = START + timedelta(hours=draw(st.sampled_from(HOURS)))
    lists_all = draw(st.sampled_from((True, True, False)))
    decision = draw(st.sampled_from((None,) * 8 + ("accept", "reject")))
    body = draw(st.one_of(_listings(shown, lists_all), _listings(shown, lists_all), _damaged(shown)))
    return Answer(at, lists_all, body, decision)


@st.composite
def _listings(draw: st.DrawFn, shown: dict[str, list[dict[str, Any]]], lists_all: bool) -> bytes:
    gone = draw(st.lists(st.sampled_from(tuple(shown)), max_size=draw(st.sampled_from((0, 0, 1, 1, 2, 6)))))
    listed = [draw(st.sampled_from(versions)) for one, versions in shown.items() if one not in gone]
    if not lists_all:
        listed = [one for one in listed if "text" in one["architecture"]["output_modalities"]]
    listed = draw(st.permutations(listed))
    envelope = draw(st.sampled_from(({}, {"total_count": len(listed), "served_by": 1})))
    return _json({"data": listed, **envelope})


@st.composite
def _damaged(draw: st.DrawFn, shown: dict[str, list[dict[str, Any]]]) -> bytes:
    listed = [draw(st.sampled_from(versions)) for versions in shown.values()]
    unreadable = {**listed[0], "pricing": {"prompt": draw(st.sampled_from(("abc", "1e99", "")))}}
    damaged = (
        *NO_LISTINGS,
        _json(listed)[:-5],
        _json([*listed, {**listed[0], "name": "twice"}]),
        _json({"data": listed, "total_count": len(listed) + 1}),
        _json({"data": [unreadable, *listed[1:]]}),
        _json(listed[: len(listed) // 2]),
    )
    return draw(st.sampled_from(damaged))


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


@st.composite
def batches_of(draw: st.DrawFn, answers: Sequence[Answer]) -> list[list[Answer]]:
    """The answers in another order, cut anywhere."""
    left, batches = list(draw(st.permutations(answers))), []
    while left:
        size = draw(st.integers(1, len(left)))
        batches.append(left[:size])
        left = left[size:]
    return batches


def capture_of(answer: Answer) -> Capture:
    scope = ALL_MODELS if answer.lists_every_modality else TEXT_MODELS
    return Capture(scope, answer.observed_at, answer.body, "archive:small")


def load(ledger: Ledger, answers: Iterable[Answer]) -> None:
    """Load a batch, and tell the ledger what a person decided on it."""
    batch = [(one, capture_of(one)) for one in answers]
    ledger.load([capture for _, capture in batch])
    ledger.commit(
        decisions=[
            {"snapshot_id": capture.snapshot_id, "decision": one.decision, "reason": "because"}
            for one, capture in batch
            if one.decision is not None
        ]
    )


@contextmanager
def warehouse_of(batches: Iterable[Iterable[Answer]]) -> Iterator[Ledger]:
    """A new warehouse into which each of ``batches`` was loaded, open."""
    with tempfile.TemporaryDirectory(prefix="small-") as folder, Ledger(Path(folder)) as ledger:
        for batch in batches:
            load(ledger, batch)
        yield ledger

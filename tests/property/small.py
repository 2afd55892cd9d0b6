"""Tiny catalogues in which everything goes wrong that can, for Hypothesis to choose from.

Belongs here: strategies for answers, loading answers in any order and batches. Does not belong here: any property.

A catalogue has one to six models. What an answer lists is chosen anew each time from small pools, so that values
come back, are respelled, or stay; most answers lack at most one model, so that not all of them are a collapse.
"""

from __future__ import annotations

import json
import random
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import strategies as st

from pipelines.captures import Capture
from pipelines.ledger.ledger import Ledger
from pipelines.scopes import ALL_MODELS, TEXT_MODELS, Scope
from tests.oracle import Answer

T = TypeVar("T")

START = datetime(2026, 8, 3, 8, tzinfo=UTC)
"""A Monday, one hour before the window of most rules."""

IDS = ("a/one", "a/one:free", "~a/latest", "b/two", "c/three", "c/four")

KINDS = ("prompt", "completion", "image", "image_token", "tokens_of_tea")

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
    [{"utc_days": ["monday", "tuesday"], "prompt": "0.20", "image": None}],
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

Versions = Mapping[str, Sequence[dict[str, Any]]]
"""The versions in which each model is shown, by id."""

HOURS = (0, 2, 10.5, 26, 34.5, 50, 58, 24 * 6 + 1, 24 * 7, 24 * 8, 24 * 8 + 10, 24 * 16)
"""When answers are given. Some lie more than seven days apart, many on different sides of a window's edge."""

NO_LISTINGS = (b"", b'{"data": [', b"[]", b'{"data": []}', b'{"error": {"code": 500, "message": "no"}}', b"[1]")


class History:
    """Answers in the order in which they are loaded, which is any, and one way to cut them into batches.

    Shown by its seed alone, which is all that Hypothesis chooses: left to choose everything it prefers histories too
    short to have any. ``chance`` is for what else a test has to choose.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        chance = self.chance = random.Random(seed)
        shown = versions_shown(chance)
        hours = chance.sample(HOURS, chance.randint(3, len(HOURS)))
        all_share = chance.choice((0, 0.5, 0.5, 0.8, 1))
        answers = [an_answer(shown, hours, all_share, chance) for _ in range(chance.randint(5, 16))]
        unique = {(one.observed_at, one.lists_every_modality, one.body): one for one in answers}
        self.answers = list(unique.values())

    def __repr__(self) -> str:
        return f"History({self._seed})"

    def batches(self) -> list[list[Answer]]:
        """The answers in another order, in two to four batches, or in one if there is but one answer."""
        return in_batches(self.answers, self.chance)


histories = st.builds(History, st.integers(0, 2**32))


def in_batches(captures: Sequence[T], chance: random.Random) -> list[list[T]]:
    """The captures in another order, in two to four batches, or in one if there is but one capture."""
    shuffled = chance.sample(captures, len(captures))
    places = range(1, len(shuffled))
    cuts = sorted(chance.sample(places, min(len(places), chance.randint(1, 3))))
    return [shuffled[start:end] for start, end in pairwise((0, *cuts, len(shuffled)))]


def versions_shown(chance: random.Random) -> Versions:
    """One to six models, each in one to three versions."""
    ids = IDS[: chance.choice((1, 2, 5, 5, 5, 6, 6))]
    return {one: [_model(one, chance) for _ in range(chance.randint(1, 3))] for one in ids}


def _model(model_id: str, chance: random.Random) -> dict[str, Any]:
    """A version of a model; a quarter of the fields are not there."""
    fields = {name: chance.choice(values) for name, values in FIELDS.items() if chance.random() < 0.75}
    pricing: dict[str, Any] = {kind: chance.choice(PRICES) for kind in KINDS if chance.random() < 0.6}
    if chance.random() < 0.5:
        pricing["overrides"] = chance.choice(RULES)
    outputs = chance.choice((["text"], ["text"], ["image"], ["image", "text"]))
    return {"id": model_id, **fields, "architecture": {"output_modalities": outputs}, "pricing": pricing}


def an_answer(shown: Versions, hours: Sequence[float], all_share: float, chance: random.Random) -> Answer:
    """Most are listings that lack at most one model; one in eight is damaged, on some a person decided.

    One in ten text-only listings has models without text output, too.
    """
    lists_all = chance.random() < all_share
    listed = [chance.choice(versions) for versions in shown.values()]
    for _ in range(chance.choice((0, 0, 0, 0, 1, 1, 1, 1, 2, 5))):
        listed = [one for one in listed if one["id"] != chance.choice(listed)["id"]] if listed else []
    if not lists_all and chance.random() < 0.9:
        listed = [one for one in listed if "text" in one["architecture"]["output_modalities"]]
    chance.shuffle(listed)
    envelope = chance.choice(({}, {"total_count": len(listed), "served_by": 1}))
    body = json.dumps({"data": listed, **envelope}).encode()
    if listed and chance.random() < 1 / 8:
        body = _damaged(listed, chance)
    decision = chance.choice((None,) * 17 + ("accept", "accept", "reject"))
    return Answer(START + timedelta(hours=chance.choice(hours)), lists_all, body, decision)


def _damaged(listed: Sequence[dict[str, Any]], chance: random.Random) -> bytes:
    first = listed[0]
    price = {"prompt": chance.choice(("abc", "1e99", ""))}
    unreadable = {**first, "pricing": chance.choice((price, {"overrides": [price]}))}
    bodies: tuple[Any, ...] = (
        [*listed, {**first, "name": "twice"}],
        {"data": listed, "total_count": len(listed) + 1},
        {"data": [unreadable, *listed[1:]]},
    )
    whole = json.dumps(chance.choice(bodies)).encode()
    return chance.choice((whole, whole, whole[:-5], *NO_LISTINGS))


def capture_of(answer: Answer, scope: Scope | None = None) -> Capture:
    """The capture of an answer to ``scope``; OpenRouter's catalogue if none is named."""
    scope = scope or (ALL_MODELS if answer.lists_every_modality else TEXT_MODELS)
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


@cache
def _untouched() -> bytes:
    """The ledger's file of a warehouse that was opened once: making its tables takes as long as a commit."""
    with tempfile.TemporaryDirectory(prefix="small-") as folder:
        with Ledger(Path(folder)):
            pass
        return Path(folder, "ledger.duckdb").read_bytes()


@contextmanager
def empty_warehouse() -> Iterator[Ledger]:
    """A new warehouse, open."""
    with tempfile.TemporaryDirectory(prefix="small-") as folder:
        Path(folder, "ledger.duckdb").write_bytes(_untouched())
        with Ledger(Path(folder)) as ledger:
            yield ledger


@contextmanager
def warehouse_of(batches: Iterable[Iterable[Answer]]) -> Iterator[Ledger]:
    """A new warehouse into which each of ``batches`` was loaded, open."""
    with empty_warehouse() as ledger:
        for batch in batches:
            load(ledger, batch)
        yield ledger

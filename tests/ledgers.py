"""Made-up usage logs, and catalogues whose prices do all that prices do.

Belongs here: histories with every price kind, tiers, schedules, aliases, absences and gaps, and requests against them.
Does not belong here: any expectation.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.oracle import Answer

Row = dict[str, Any]

START = datetime(2026, 7, 6, 0, 5, tzinfo=UTC)
"""A Monday."""

DAYS = 40

KINDS = (
    *("internal_reasoning", "input_cache_read", "input_cache_write", "input_cache_write_1h", "audio", "audio_output"),
    *("input_audio_cache", "image_token", "image", "image_output", "request", "web_search"),
)

PRICES = (
    *("0.0000000208333333333333", "0.00000020000000000000002", "0.000015", "0.0000025", "0.01", "0.1", "0"),
    *("-0", "0.000001", "0.0000000000000000000001", "3.5"),
)

AUTHORS = ("osprey", "heron", "plover")

RULES: Sequence[list[Row]] = (
    [],
    [],
    [{"min_prompt_tokens": 200_000, "prompt": "0.000005", "completion": "0.00002", "input_cache_read": "0.0000005"}],
    [{"utc_start": 900, "utc_end": 1700, "prompt": "0.000004"}],
    [
        {"utc_start": 1700, "utc_end": 900, "prompt": "0.000001", "completion": "0.000002"},
        {"utc_start": 900, "utc_end": 1700, "prompt": "0.000003", "completion": "0.000006"},
    ],
    [
        {"min_prompt_tokens": 1000, "prompt": "0.000007"},
        {"utc_days": ["saturday", "sunday"], "prompt": "0.0000005"},
        {"min_prompt_tokens": 200_000, "utc_start": 2200, "utc_end": 600, "prompt": "0.000009", "web_search": "0.02"},
    ],
    [{"region": "moon", "prompt": "0"}, {"utc_start": 1230, "prompt": "0.00000123"}],
)


class World:
    """Answers about some forty models over forty days, about two a day, some days without any."""

    def __init__(self, seed: int) -> None:
        chance = self.chance = random.Random(seed)
        ids = [f"{author}/{name}" for author in AUTHORS for name in ("one", "two", "three", "four", "five", "six")]
        ids += [f"{one}:free" for one in ids[::4]] + [f"{one}:batch" for one in ids[::5]]
        self.aliases = [f"~{author}/latest" for author in AUTHORS]
        self.shown = {one: [self._model(one) for _ in range(chance.choice((1, 2, 3, 4)))] for one in ids}
        self.ids = ids
        moments = sorted(
            START + timedelta(days=day, hours=hour, seconds=chance.randint(0, 600))
            for day in range(DAYS)
            for hour in (0, 8, 12, 20)
            if chance.random() < 0.45 and not 17 <= day <= 19
        )
        state = {one: chance.choice(versions) for one, versions in self.shown.items()}
        absent: set[str] = set(chance.sample(ids, 3))
        targets = {alias: chance.choice(self._targets(alias)) for alias in self.aliases}
        self.answers: list[Answer] = []
        for at in moments:
            for one in ids:
                if chance.random() < 0.08:
                    state[one] = chance.choice(self.shown[one])
                if chance.random() < (0.25 if one in absent else 0.01):
                    absent ^= {one}
            for alias in self.aliases:
                if chance.random() < 0.1:
                    targets[alias] = chance.choice(self._targets(alias))
            lists_all = chance.random() < 0.6
            models = [state[one] for one in ids if one not in absent]
            listed = {model["id"] for model in models}
            models += [self._alias(alias, target, state) for alias, target in targets.items() if target in listed]
            if not lists_all:
                models = [one for one in models if "text" in one["architecture"]["output_modalities"]]
            self.answers.append(Answer(at, lists_all, json.dumps({"data": models}).encode()))

    def _targets(self, alias: str) -> list[str]:
        author = alias[1:].split("/")[0]
        return [f"{author}/{name}" for name in ("one", "two", "three")]

    def _alias(self, alias: str, target: str, state: dict[str, Row]) -> Row:
        told = {"alias_target": {"slug": target, "name": target}} if self.chance.random() < 0.95 else {}
        return {**state[target], "id": alias, "canonical_slug": alias, **told}

    def _model(self, model_id: str) -> Row:
        chance = self.chance
        pricing: Row = {"prompt": chance.choice(PRICES), "completion": chance.choice(PRICES)}
        pricing |= {kind: chance.choice(PRICES) for kind in KINDS if chance.random() < 0.7}
        if chance.random() < 0.2:
            pricing |= {"image": pricing["prompt"]}
            pricing.pop("image_token", None)
        if chance.random() < 0.06:
            pricing |= dict.fromkeys(chance.sample(["prompt", "completion", "audio", "request"], 2), "-1")
        if chance.random() < 0.5:
            pricing["overrides"] = chance.choice(RULES)
        base = model_id.partition(":")[0]
        outputs = ["image"] if base.endswith("six") else ["text"]
        return {
            "id": model_id,
            "canonical_slug": f"{base}-2026-07-01",
            "context_length": 100_000,
            "architecture": {"input_modalities": ["text"], "output_modalities": outputs},
            "pricing": pricing,
        }

    def instants(self, count: int) -> list[datetime]:
        """At snapshots, beside them, on edges of windows, and anywhere, a little beyond both ends too."""
        chance = self.chance
        seen = [answer.observed_at for answer in self.answers]
        found = []
        for _ in range(count):
            draw = chance.random()
            if draw < 0.15:
                moment = chance.choice(seen) + timedelta(microseconds=chance.choice((-1, 0, 0, 1)))
            elif draw < 0.4:
                edge = chance.choice((0, 600, 900, 1230, 1700, 2200))
                day = START.replace(hour=0, minute=0) + timedelta(days=chance.randint(0, DAYS))
                moment = day + timedelta(hours=edge // 100, minutes=edge % 100, microseconds=chance.choice((-1, 0, 0)))
            else:
                moment = START + timedelta(seconds=chance.randint(-3 * 86_400, (DAYS + 3) * 86_400))
            found.append(moment)
        return found

    def log(self, count: int, *, counts_requests: bool = True) -> list[Row]:
        """Requests by ids, aliases, slugs with and without a variant, and names that nobody knows."""
        chance = self.chance
        names = [*self.ids, *self.aliases * 3, *(f"{one}-2026-07-01" for one in self.ids if ":" not in one)]
        names += [f"{one}-2026-07-01:free" for one in self.ids[::7] if ":" not in one] + ["osprey/won"]
        rows = []
        for at in self.instants(count):
            prompt = chance.choice(
                (0, 7, 999, 1000, 1001, 150_000, 200_000, 200_001, 900_000, chance.randint(0, 10**6))
            )
            completion = chance.choice((0, 1, 500, chance.randint(0, 30_000)))
            cached = [chance.randint(0, prompt // 3) if chance.random() < 0.3 else 0 for _ in range(3)]
            row = {
                "time": at,
                "model": chance.choice(names),
                "prompt_tokens": prompt,
                "completion_tokens": completion,
                "reasoning_tokens": chance.randint(0, completion) if chance.random() < 0.3 else 0,
                "cache_read_tokens": cached[0],
                "cache_write_5m_tokens": cached[1],
                "cache_write_1h_tokens": cached[2],
                **{
                    name: chance.randint(1, 9999) if chance.random() < 0.08 else 0
                    for name in ("audio_tokens", "audio_output_tokens", "audio_cache_tokens", "image_tokens")
                },
                "images": chance.randint(1, 9) if chance.random() < 0.08 else 0,
                "output_images": chance.randint(1, 9) if chance.random() < 0.04 else 0,
                "web_searches": chance.randint(1, 3) if chance.random() < 0.08 else 0,
                "tag": chance.choice(("red", "blue", None)),
            }
            if counts_requests:
                row["requests"] = 1 if chance.random() < 0.5 else 0
            rows.append(row)
        return rows

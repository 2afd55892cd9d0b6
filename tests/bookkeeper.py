"""An independent oracle of what requests cost: one request at a time, in plain Python decimals.

Belongs here: a second, naive reading of what `catalogue reprice` promises, on top of the oracle of the catalogue.
Does not belong here: anything from `pipelines`, making histories or logs (the tests).

It knows every sight of every model and looks between which two a request lies. What it settles where the promise is
open: the bounds of a cost take for each kind the smaller or the larger of the two prices, since one may have changed
before the other; an alias whose target is another at its next sight is priced by the former and bounded by the latter.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Context, Decimal
from typing import Any

from tests.oracle import Answer, Life, Listed, Observation, follow, judge, request_prices

EXACT = Context(prec=120)

KIND_OF = {
    "prompt_tokens": "prompt",
    "completion_tokens": "completion",
    "reasoning_tokens": "internal_reasoning",
    "cache_read_tokens": "input_cache_read",
    "cache_write_5m_tokens": "input_cache_write",
    "cache_write_1h_tokens": "input_cache_write_1h",
    "audio_tokens": "audio",
    "audio_output_tokens": "audio_output",
    "audio_cache_tokens": "input_audio_cache",
    "image_tokens": "image_token",
    "images": "image",
    "output_images": "image_output",
    "requests": "request",
    "web_searches": "web_search",
}

CACHED = ("cache_read_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens")

AS_PROMPT = {
    "input_cache_read": "cache_read_as_prompt",
    "input_cache_write": "cache_write_as_prompt",
    "input_cache_write_1h": "cache_write_1h_as_prompt",
}


@dataclass
class Sight:
    at: datetime
    seen: Observation
    raw: Mapping[str, Any]
    spell_no: int


@dataclass
class Verdict:
    """What a request cost by kind (None: no price), how sure that is, and what was assumed."""

    model_id: str | None
    confidence: str
    costs: dict[str, Decimal | None]
    total: Decimal | None
    lower: Decimal | None
    upper: Decimal | None
    assumptions: list[str]


Prices = dict[str, tuple[str, Decimal | None, str]]
"""Status, value and unit by kind."""


class Bookkeeper:
    """Prices requests by what ``answers`` show."""

    def __init__(self, answers: Iterable[Answer], cached: str = "inclusive", reasoning: str = "inclusive") -> None:
        accepted = [(answer, listing) for answer, listing, verdict in judge(answers) if verdict == "accepted"]
        self.cached, self.reasoning = cached, reasoning
        self.lives = follow(accepted)
        self.snapshots = sorted({(answer.observed_at, answer.lists_every_modality) for answer, _ in accepted})
        self.sights: dict[str, list[Sight]] = {}
        for model_id, life in self.lives.items():
            self.sights[model_id] = [
                Sight(at, stretch.seen, stretch.raw, number)
                for number, spell in enumerate(life.spells)
                for stretch in spell.stretches
                for at in stretch.times
            ]
        self.times = {model_id: [one.at for one in sights] for model_id, sights in self.sights.items()}
        self._bases: dict[tuple[str, int], dict[str, tuple[Observation, datetime]]] = {}

    # --- names ---

    def resolve(self, name: str) -> str | None:
        if name in self.lives:
            return name
        slug, _, variant = name.partition(":")
        named: list[tuple[int, Any, str]] = []
        for model_id, sights in self.sights.items():
            for number, sight in enumerate(sights):
                own, its = sight.seen.row["canonical_slug"], sight.seen.row["variant"]
                is_named = own is not None and (own == name or (own == slug and variant and its == variant))
                if is_named:
                    until = self._shown_until(model_id, number)
                    rank = 2 if its is not None and own == name else 1
                    named.append((rank, -until.timestamp(), model_id))
        return min(named)[2] if named else None

    def _shown_until(self, model_id: str, number: int) -> datetime:
        """When a later snapshot shows another state of the model, or none of it."""
        sights = self.sights[model_id]
        for later in sights[number + 1 :]:
            if later.spell_no != sights[number].spell_no:
                break
            if later.seen.meaning != sights[number].seen.meaning:
                return later.at
        end = self.lives[model_id].spells[sights[number].spell_no].listed_to
        return end or datetime.max.replace(tzinfo=sights[number].at.tzinfo, year=9000)

    # --- between which sights ---

    def _around(self, model_id: str, at: datetime) -> tuple[int | None, int | None]:
        """The sight in force at ``at``, and the next one of the same spell."""
        place = bisect_right(self.times[model_id], at) - 1
        if place < 0:
            return None, None
        sights = self.sights[model_id]
        spell = self.lives[model_id].spells[sights[place].spell_no]
        if spell.listed_to is not None and at >= spell.listed_to:
            return None, None
        has_next = place + 1 < len(sights) and sights[place + 1].spell_no == sights[place].spell_no
        return place, place + 1 if has_next else None

    def _prices(self, model_id: str, place: int, at: datetime, prompt_tokens: int) -> Prices:
        sight = self.sights[model_id][place]
        key = model_id, place
        if key not in self._bases:
            kinds = {kind for rule in sight.seen.rules if rule.is_window for kind in rule.prices}
            found = {kind: self._last_outside(model_id, place, kind) for kind in kinds}
            self._bases[key] = {kind: shown for kind, shown in found.items() if shown}
        listed = Listed(model_id, sight.seen, sight.raw["pricing"], self._bases[key], sight.at, None)
        rows = request_prices(listed, at, prompt_tokens)
        return {row["price_kind"]: (row["price_status"], row["price_usd"], row["unit"]) for row in rows}

    def _last_outside(self, model_id: str, place: int, kind: str) -> tuple[Observation, datetime] | None:
        for sight in reversed(self.sights[model_id][: place + 1]):
            windows = [rule for rule in sight.seen.rules if rule.is_window and kind in rule.prices]
            if not any(rule.holds_at(sight.at) for rule in windows):
                return sight.seen, sight.at
        return None

    # --- a request ---

    def price(self, row: Mapping[str, Any]) -> Verdict:
        model_id = self.resolve(row["model"])
        if model_id is None:
            return Verdict(None, "unknown_model", {}, None, None, None, [])
        at = row["time"]
        counts = {kind: row.get(name) or 0 for name, kind in KIND_OF.items()}
        size = counts["prompt"]
        cached = sum(counts[KIND_OF[name]] for name in CACHED)
        if self.cached == "inclusive":
            counts["prompt"] -= cached
        else:
            size += cached
        if self.reasoning == "inclusive":
            counts["completion"] -= counts["internal_reasoning"]
        paying, following, state = self._sides(model_id, at, size)
        if paying is None:
            return Verdict(model_id, state, {}, None, None, None, [])
        target, prices = paying
        counts_requests = "requests" in row
        costs, missing, assumptions = self._costs(prices, counts, counts_requests)
        total = _sum(costs)
        if total is None:
            return Verdict(target, missing, costs, None, None, None, assumptions)
        if following is None:
            return Verdict(target, state, costs, total, None, None, assumptions)
        others, _, _ = self._costs(following, counts, counts_requests)
        if _sum(others) is None:
            return Verdict(target, "changed_within_gap", costs, total, None, None, assumptions)
        sides = {kind: sorted((costs[kind] or Decimal(0), others[kind] or Decimal(0))) for kind in costs}
        lower, upper = (_sum({kind: side[place] for kind, side in sides.items()}) for place in (0, 1))
        if lower == upper:
            return Verdict(target, "exact", costs, total, None, None, assumptions)
        return Verdict(target, "changed_within_gap", costs, total, lower, upper, assumptions)

    def _sides(self, model_id: str, at: datetime, size: int) -> tuple[tuple[str, Prices] | None, Prices | None, str]:
        """Whose prices are paid and what they are, those that follow if they are others', and what is known."""
        place, next_place = self._around(model_id, at)
        if place is None:
            return None, None, self._why_not(model_id, at)
        target = self._target(model_id, place)
        is_sight = self.sights[model_id][place].at == at
        spell = self.lives[model_id].spells[self.sights[model_id][place].spell_no]
        has_gone = target != model_id and next_place is None and spell.listed_to is not None and not is_sight
        own, own_next = self._around(target, at)
        if own is None:
            return None, None, self._why_not(model_id, at)
        paying = target, self._prices(target, own, at, size)
        if next_place is not None and not is_sight:
            turned = self._target(model_id, next_place)
            if turned != target:
                other, _ = self._around(turned, self.sights[model_id][next_place].at)
                if other is None:
                    return paying, None, "after_last_observation"
                return paying, self._prices(turned, other, at, size), ""
        if has_gone:
            return paying, None, "after_last_observation"
        if self.sights[target][own].at == at:
            return paying, None, "exact"
        if own_next is None:
            return paying, None, "after_last_observation"
        return paying, self._prices(target, own_next, at, size), ""

    def _target(self, model_id: str, place: int) -> str:
        told = self.sights[model_id][place].seen.row["alias_target"] if model_id.startswith("~") else None
        return told if told in self.lives else model_id

    def _why_not(self, model_id: str, at: datetime) -> str:
        """Nobody lists it: because snapshots around lack it, or because none could yet show it."""
        life = self.lives[model_id]
        following = next((one for one in self.times[model_id] if one > at), None)
        if following is None:
            return "not_listed_then"
        before = [one for one in self.times[model_id] if one <= at]
        since = None
        if before:
            spell = life.spells[self.sights[model_id][len(before) - 1].spell_no]
            since = spell.listed_to
        is_text = any(stretch.is_listed_as_text for spell in life.spells for stretch in spell.stretches)
        lacking = [
            moment
            for moment, lists_all in self.snapshots
            if (lists_all or is_text) and moment < following and (since is None or moment >= since)
        ]
        return "not_listed_then" if lacking and lacking[0] <= at <= lacking[-1] else "before_first_observation"

    def _costs(
        self, prices: Prices, counts: Mapping[str, int], counts_requests: bool
    ) -> tuple[dict[str, Decimal | None], str, list[str]]:
        costs: dict[str, Decimal | None] = {}
        troubles, assumptions = set(), []
        image = prices.get("image")
        per_token = image is not None and image[2] == "token" and image[1] is not None
        for kind, count in counts.items():
            status, usd, _ = prices.get(kind, ("unlisted", None, ""))
            if kind == "image_token" and status == "unlisted" and per_token:
                status, usd, _ = prices["image"]
            if kind == "image" and per_token:
                status, usd = "free", Decimal(0)
                assumptions += ["images_in_prompt"] if count else []
            if kind in AS_PROMPT and status == "unlisted":
                status, usd, _ = prices.get("prompt", ("unlisted", None, ""))
                assumptions += [AS_PROMPT[kind]] if count else []
            if kind == "internal_reasoning" and (status == "unlisted" or usd == 0):
                assumed = "reasoning_as_completion" if status == "unlisted" else "zero_reasoning_as_completion"
                status, usd, _ = prices.get("completion", ("unlisted", None, ""))
                assumptions += [assumed] if count else []
            if kind == "request" and not counts_requests:
                count = 1 if usd or status in ("dynamic", "unreadable") else 0
                assumptions += ["one_request"] if usd else []
            if not count:
                costs[kind] = Decimal(0)
            elif usd is None:
                costs[kind] = None
                troubles.add(status)
            else:
                costs[kind] = EXACT.multiply(Decimal(count), usd)
        for status, label in (
            ("dynamic", "dynamic"),
            ("unreadable", "unreadable_price"),
            ("unlisted", "unlisted_price"),
        ):
            if status in troubles:
                return costs, label, sorted(assumptions)
        return costs, "", sorted(assumptions)


def _sum(costs: Mapping[str, Decimal | None]) -> Decimal | None:
    total = Decimal(0)
    for cost in costs.values():
        if cost is None:
            return None
        total = EXACT.add(total, cost)
    return total


__all__ = ["CACHED", "KIND_OF", "Bookkeeper", "Life", "Verdict"]

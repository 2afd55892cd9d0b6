"""Ordinary simulated models: invented names, plausible fields, prices that stay as they are.

Belongs here: what a model of each kind looks like before anything befalls it, since when each field exists.
Does not belong here: what befalls models (`cast`, `parts`).
"""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any, Literal

from pipelines.demo.simulated import ABSENT, DYNAMIC, FREE, Quote, SimulatedModel, quote
from pipelines.demo.timeline import Calendar, Timeline

Kind = Literal["text", "vision", "embeddings", "image", "audio", "video", "rerank", "router"]

_MODALITIES: dict[Kind, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "text": (("text",), ("text",)),
    "vision": (("text", "image"), ("text",)),
    "router": (("text", "image"), ("text",)),
    "embeddings": (("text",), ("embeddings",)),
    "image": (("text", "image"), ("image",)),
    "audio": (("text", "audio"), ("audio",)),
    "video": (("text", "image"), ("video",)),
    "rerank": (("text",), ("rerank",)),
}

_AUTHORS = (
    *("Quillmere", "Veldspar", "Bluequern", "Fennelworks", "Marrowgate", "Hazelmoth", "Tidewrack"),
    *("Larkstone", "Copperfinch", "Emberfold", "Snowquill", "Brackenworth", "Saltmarrow", "Dunlinford"),
)
_FAMILIES = (
    *("Plover", "Heron", "Teal", "Basalt", "Juniper", "Tansy", "Sorrel", "Wren", "Flint", "Alder", "Bittern"),
    *("Curlew", "Marl", "Yarrow", "Siskin", "Rowan", "Gabbro", "Linnet", "Sedge", "Dotterel"),
)
_SIZES = ("Mini", "Small", "Large", "Max", "8B", "27B", "70B", "235B")
_MERITS = (
    "It answers long questions about dull documents without losing its patience.",
    "It was tuned for careful arithmetic, short replies and tidy lists.",
    "It reads tables and diagrams, and says so when it cannot.",
    "It is quick, cheap and content with small tasks.",
    "It plans in many steps and calls tools between them.",
    "It speaks forty languages and is polite in most of them.",
)
_PARAMETERS = (
    *("frequency_penalty", "include_reasoning", "logprobs", "max_tokens", "presence_penalty", "reasoning"),
    *("response_format", "seed", "stop", "structured_outputs", "temperature", "tool_choice", "tools"),
    *("top_k", "top_logprobs", "top_p"),
)
_VOICES = ["ash", "fern"]
_DEFAULTS: tuple[dict[str, float | None] | None, ...] = (None, {}, {"temperature": 0.7, "top_p": None})

_ERAS = {
    "supported_voices": 0.06,
    "knowledge_cutoff": 0.08,
    "model_links": 0.1,
    "benchmarks": 0.15,
    "reasoning": 0.2,
    "alias_target": 0.3,
    "envelope_total_count": 0.35,
    "envelope_links": 0.35,
    "descriptions_truncated": 0.4,
    "unknown_envelope_field": 0.6,
}
"""Fields and habits of the whole listing that begin one day, and how far through the simulation (0 to 1)."""


class Stage:
    """Makes the models of one simulation, each from its own random numbers, and keeps them in :attr:`models`.

    A model does not depend on how many come after it: a larger simulation begins with the same ones.
    """

    def __init__(self, seed: int, calendar: Calendar) -> None:
        self.calendar = calendar
        self.eras: dict[str, datetime] = {
            name: calendar.at(share, 2, 30 + number) for number, (name, share) in enumerate(_ERAS.items())
        }
        self.models: list[SimulatedModel] = []
        self._seed = seed
        self._ids: set[str] = set()

    def rng(self, number: int, purpose: str) -> random.Random:
        """The random numbers of model ``number`` for one purpose."""
        return random.Random(f"{self._seed}/{number}/{purpose}")

    def model(
        self, kind: Kind, *, slug: str | None = None, name: str | None = None, canonical: str | None = None
    ) -> SimulatedModel:
        """A new model that is listed from beginning to end and never changes.

        ``slug`` (the whole id), ``name`` and ``canonical`` (its canonical slug) are invented where not given.
        """
        number = len(self.models)
        rng = self.rng(number, "looks")
        created = self.calendar.start - timedelta(days=rng.randrange(20, 700), seconds=rng.randrange(86_400))
        invented_slug, invented_name = self._invent_name(rng)
        slug, name = slug or invented_slug, name or invented_name
        canonical = canonical or f"{slug}-{created:%Y%m%d}"
        inputs, outputs = _MODALITIES[kind]
        is_text = "text" in outputs
        context_length = rng.choice((32_768, 131_072, 200_000, 262_144, 1_048_576)) if is_text else 0
        model = SimulatedModel(
            number=number,
            id=slug,
            inputs=Timeline(inputs),
            outputs=Timeline(outputs),
            fields={
                "canonical_slug": Timeline(canonical),
                "hugging_face_id": Timeline(rng.choice((None, "", slug))),
                "name": Timeline(name),
                "created": Timeline(int(created.timestamp())),
                "description": self._description(name, rng),
                "context_length": Timeline(context_length),
                "per_request_limits": Timeline(None),
                "supported_parameters": Timeline(rng.sample(_PARAMETERS, 8) if is_text else []),
                "default_parameters": Timeline(rng.choice(_DEFAULTS)),
                "knowledge_cutoff": self.since("knowledge_cutoff", rng.choice((None, "2025-09-30"))),
                "links": self.since("model_links", {"details": f"/api/v1/models/{canonical}/endpoints"}),
                "supported_voices": self.since("supported_voices", _VOICES if kind == "audio" else None),
                "reasoning": self._reasoning(rng) if is_text else Timeline(ABSENT),
            },
            architecture={
                "tokenizer": Timeline({"router": "Router", "video": "Media"}.get(kind, "Other")),
                "instruct_type": Timeline(rng.choice((None, None, "chatml"))),
            },
            prices={kind: Timeline(price) for kind, price in _prices(kind, rng).items()},
            top_provider={
                "is_moderated": Timeline(rng.random() < 0.2),
                "context_length": Timeline(context_length),
                "max_completion_tokens": Timeline(rng.choice((None, 8_192, 65_536)) if is_text else None),
            },
            has_benchmarks=self._has_benchmarks(is_text and rng.random() < 0.6),
        )
        self.models.append(model)
        self._ids.add(slug)
        return model

    def since(self, era: str, value: Any) -> Timeline[Any]:
        """``value`` from the beginning of ``era`` on; before, the key is absent."""
        return Timeline[Any](ABSENT).then(self.eras[era], value)

    def _invent_name(self, rng: random.Random) -> tuple[str, str]:
        while True:
            author, family = rng.choice(_AUTHORS), rng.choice(_FAMILIES)
            version, size = f"{rng.randrange(1, 10)}.{rng.randrange(10)}", rng.choice(_SIZES)
            slug = f"{author}/{family}-{version}-{size}".lower()
            if slug not in self._ids:
                return slug, f"{author}: {family} {version} {size}"

    def _description(self, name: str, rng: random.Random) -> Timeline[Any]:
        whole = " ".join((f"{name} is an invented model.", *rng.sample(_MERITS, 3)))
        if rng.random() < 0.13:
            return Timeline(whole)
        cut = whole[: rng.randrange(90, 120)].rstrip(" .,") + "..."
        return Timeline(whole).then(self.eras["descriptions_truncated"], cut)

    def _reasoning(self, rng: random.Random) -> Timeline[Any]:
        if rng.random() < 0.4:
            return Timeline(ABSENT)
        is_mandatory = rng.random() < 0.3
        return self.since("reasoning", {"mandatory": is_mandatory, "supported_efforts": ["high", "low"]})

    def _has_benchmarks(self, is_rated: bool) -> Timeline[bool]:
        return Timeline(False).then(self.eras["benchmarks"], is_rated)


def _prices(kind: Kind, rng: random.Random) -> dict[str, Quote | None]:
    """What a new model of ``kind`` costs, by price key."""
    prompt = quote(f"0.{rng.randrange(5, 900):08d}")
    if kind == "router":
        return {"prompt": DYNAMIC, "completion": DYNAMIC}
    if kind == "embeddings":
        return {"prompt": prompt, "completion": FREE}
    if kind in ("video", "rerank"):
        return {"prompt": FREE, "completion": FREE}
    if kind == "image":
        per_picture = {"image_token": prompt.times("6"), "image": quote("0.04")}
        return {"prompt": prompt, "completion": FREE, **per_picture}
    prices: dict[str, Quote | None] = {"prompt": prompt, "completion": prompt.times(rng.choice("345"))}
    if kind == "audio":
        return prices | {"audio": prompt.times("8"), "audio_output": prompt.times("16")}
    if kind == "vision":
        prices["image"] = prompt
    if rng.random() < 0.5:
        prices |= {"input_cache_read": prompt.times("0.1"), "input_cache_write": prompt.times("1.25")}
    if rng.random() < 0.3:
        prices["web_search"] = quote("0.01")
    return prices

"""Who plays what: the models that a simulation must have, and the ordinary ones that fill it up.

Belongs here: the table of scenes, groups of models that belong together, the random life of all others.
Does not belong here: what a part does (`parts`), how a model looks (`stage`).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from pipelines.demo import parts
from pipelines.demo.parts import Part
from pipelines.demo.simulated import FREE, Quote, SimulatedModel
from pipelines.demo.stage import Kind, Stage
from pipelines.demo.timeline import Calendar, Timeline

Roles = dict[str, SimulatedModel]


@dataclass(frozen=True)
class Scene:
    """Models that only make sense together: ``play`` puts ``size`` of them on the stage, by part."""

    size: int
    play: Callable[[Stage], Roles]


def _solo(kind: Kind, *played: Part) -> Scene:
    """One model of ``kind`` that plays each of ``played``, in that order."""

    def play(stage: Stage) -> Roles:
        model = stage.model(kind)
        for part in played:
            part(model, stage.calendar)
        return {part.__name__: model for part in played}

    return Scene(1, play)


def _routers(stage: Stage) -> Roles:
    """Two models whose price is dynamic from beginning to end."""
    return {
        "dynamic": stage.model("router", slug="switchyard/auto", name="Switchyard: Auto"),
        "dynamic_beta": stage.model("router", slug="switchyard/auto-beta", name="Switchyard: Auto Beta"),
    }


def _variants(stage: Stage) -> Roles:
    """A model and three variants of it, which share its canonical slug."""
    base = stage.model("text")
    roles = {"variant_base": base}
    for variant, prompt, completion in (
        ("free", "0", "0"),
        ("batch", "0.5", "0.5"),
        ("thinking", "1", "1.2"),
    ):
        model = stage.model(
            "text",
            slug=f"{base.id}:{variant}",
            name=f"{base.fields['name'].last} ({variant})",
            canonical=base.fields["canonical_slug"].last,
        )
        model.prices = {
            kind: Timeline[Quote | None](parts.base_price(base, kind).times(factor))
            for kind, factor in (("prompt", prompt), ("completion", completion))
        }
        roles[f"variant_{variant}"] = model
    return roles


def _moving_alias(stage: Stage) -> Roles:
    """An alias whose target is repriced, then another model, which is repriced as well."""
    first, second = stage.model("text"), stage.model("text")
    parts.increase(first, stage.calendar)
    parts.appear(second, stage.calendar.at(0.5, 9, 30))
    cheaper = parts.base_price(second, "prompt").times("0.5")
    second.prices["prompt"] = second.prices["prompt"].then(stage.calendar.at(0.75, 9, 30), cheaper)
    alias = _alias_of(first, stage)
    alias.target = Timeline(first).then(stage.calendar.at(0.55, 19, 8), second)
    return {"alias_moved": alias, "alias_first_target": first, "alias_second_target": second}


def _scheduled_alias(stage: Stage) -> Roles:
    """A model with a schedule and an alias of it: both flip."""
    target = stage.model("text")
    for part in (parts.schedule_full_day, parts.rules_respelled):
        part(target, stage.calendar)
    return {
        "schedule_full_day": target,
        "rules_respelled": target,
        "alias_scheduled": _alias_of(target, stage),
    }


def _alias_of(target: SimulatedModel, stage: Stage) -> SimulatedModel:
    slug = f"~{target.id}-latest"
    alias = stage.model("router", slug=slug, name=f"{target.fields['name'].last} Latest", canonical=slug)
    alias.target = Timeline(target)
    alias.fields["alias_target"] = stage.since("alias_target", None)
    return alias


_SCENES: tuple[Scene, ...] = (
    _solo("text", parts.added),
    _solo("text", parts.removed),
    _solo("text", parts.returns_other_price),
    _solo("embeddings", parts.returns_same_price),
    _solo("text", parts.increase),
    _solo("text", parts.decrease, parts.expiration_announced),
    _solo("text", parts.becomes_free),
    _solo("text", parts.becomes_paid),
    _solo("text", parts.flap, parts.hostile_formula),
    _solo("text", parts.transient_zero),
    Scene(2, _routers),
    _solo("text", parts.dynamic_spell),
    _solo("text", parts.tier, parts.hostile_ansi),
    _solo("text", parts.two_tiers),
    _solo("text", parts.rules_only),
    _solo("text", parts.unknown_rule_condition),
    Scene(2, _scheduled_alias),
    _solo("text", parts.schedule_uncovered, parts.base_repriced),
    _solo("text", parts.schedule_days),
    _solo("text", parts.schedule_changes),
    _solo("text", parts.schedule_ends),
    _solo("text", parts.zero_to_absent),
    _solo("rerank", parts.minus_zero),
    _solo("embeddings", parts.long_decimals, parts.sentinel_2098),
    _solo("text", parts.float_noise, parts.unicode_name),
    _solo("image", parts.respelled, parts.hostile_html),
    Scene(3, _moving_alias),
    Scene(4, _variants),
    _solo("text", parts.expiration_moved),
    _solo("vision", parts.expiration_withdrawn),
    _solo("text", parts.expiration_outlived),
    _solo("text", parts.expiration_across_absence),
    _solo("text", parts.removed_on_date),
    _solo("audio", parts.removed_before_date),
    _solo("embeddings", parts.removed_after_date),
    _solo("rerank", parts.sentinel_9999),
    _solo("text", parts.context_changes, parts.unknown_model_field),
    _solo("text", parts.modality_widens),
    _solo("image", parts.modality_gains_text),
    _solo("text", parts.empty_forms, parts.unknown_architecture_field),
    _solo("video", parts.unknown_price_key),
)

CAST_SIZE = sum(scene.size for scene in _SCENES)
"""Models that a simulation needs for every part to be played."""

_FILLING: tuple[Kind, ...] = ("image", "video", "audio", "embeddings", "rerank")


def fill(stage: Stage, models: int) -> dict[str, str]:
    """Put ``models`` models on the stage and return which id plays which part.

    Scenes come first, in the table's order, as long as they fit; then models with a random life, so many of
    them without text that about a third of all are.
    """
    played: dict[str, str] = {}
    for scene in _SCENES:
        if len(stage.models) + scene.size <= models:
            played |= {part: model.id for part, model in scene.play(stage).items()}
    without_text = sum("text" not in model.outputs.last for model in stage.models)
    while len(stage.models) < models:
        is_text = 3 * without_text >= len(stage.models)
        number = len(stage.models)
        kind: Kind = ("text", "vision")[number % 2] if is_text else _FILLING[without_text % len(_FILLING)]
        without_text += not is_text
        _live(stage.model(kind), stage.calendar, stage.rng(number, "life"))
    return played


def _live(model: SimulatedModel, calendar: Calendar, rng: random.Random) -> None:
    """A random life: some come, some go, some come back, most are repriced now and then."""
    fate = rng.random()
    if fate < 0.12:
        parts.appear(model, _any_time(calendar, rng))
    elif fate < 0.18:
        model.is_listed = Timeline(True).then(_any_time(calendar, rng), False)
    elif fate < 0.22:
        begin = _any_time(calendar, rng)
        model.is_listed = Timeline(True).during(begin, begin + timedelta(hours=rng.randrange(30, 200)), False)
    for kind, line in model.prices.items():
        price = line.last
        if price is not None and price != FREE and rng.random() < 0.4:
            for at in sorted({_any_time(calendar, rng) for _ in range(3)}):
                line = line.then(at, price.times(rng.choice(("1", "0.8", "1.1", "1.25", "2"))))
            model.prices[kind] = line
    if "web_search" not in model.prices and "text" in model.outputs.last and rng.random() < 0.3:
        model.prices["web_search"] = Timeline[Quote | None](FREE).then(_any_time(calendar, rng), None)


def _any_time(calendar: Calendar, rng: random.Random) -> datetime:
    """Some minute between 4 and 96 % of the way."""
    return calendar.at(rng.uniform(0.04, 0.96), rng.randrange(24), rng.randrange(60))

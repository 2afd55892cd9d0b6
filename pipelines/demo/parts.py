"""The parts that models play: each function makes one thing befall a model, at a known share of the way.

Belongs here: one small function per behaviour that captures of the real catalogue hold.
Does not belong here: who plays which part (`cast`).

Where a schedule leaves hours uncovered it begins, and its base moves, at an hour after which twelve more are
uncovered. Whoever looks at least twice a day sees the base before the next window opens, so what captures
tell of a flip is what the simulation knows of it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any

from pipelines.demo.simulated import ABSENT, DYNAMIC, FREE, Quote, Rule, SimulatedModel, quote
from pipelines.demo.timeline import Calendar, Timeline

Part = Callable[[SimulatedModel, Calendar], None]

_HEADLINES = ("prompt", "completion")


def base_price(model: SimulatedModel, kind: str) -> Quote:
    """What ``model`` costs outside every rule, after all changes so far."""
    price = model.prices[kind].last
    assert price is not None, f"{model.id} has no {kind} price to go by"
    return price


def appear(model: SimulatedModel, at: datetime) -> None:
    """Not there until ``at``, and said to have been created shortly before."""
    model.is_listed = Timeline(False).then(at, True)
    model.fields["created"] = Timeline(int(at.timestamp()) - 600)


# Listed or not


def added(model: SimulatedModel, calendar: Calendar) -> None:
    """Was not there at first."""
    appear(model, calendar.at(0.3, 9, 41))


def removed(model: SimulatedModel, calendar: Calendar) -> None:
    """Goes, and does not come back."""
    model.is_listed = model.is_listed.then(calendar.at(0.7, 15, 12), False)


def returns_same_price(model: SimulatedModel, calendar: Calendar) -> None:
    """Goes, and comes back at the price it had."""
    model.is_listed = model.is_listed.during(calendar.at(0.3, 4, 7), calendar.at(0.45, 20, 52), False)


def returns_other_price(model: SimulatedModel, calendar: Calendar) -> None:
    """Goes, and comes back at another price."""
    model.is_listed = model.is_listed.during(calendar.at(0.35, 10, 3), calendar.at(0.5, 6, 33), False)
    _reprice(model, "prompt", calendar, 0.42, base_price(model, "prompt").times("1.6"))


# Prices


def increase(model: SimulatedModel, calendar: Calendar) -> None:
    """Costs more one day."""
    _reprice(model, "prompt", calendar, 0.25, base_price(model, "prompt").times("1.5"))


def decrease(model: SimulatedModel, calendar: Calendar) -> None:
    """Costs less one day, prompt and completion at once."""
    for kind in _HEADLINES:
        _reprice(model, kind, calendar, 0.33, base_price(model, kind).times("0.75"))


def becomes_free(model: SimulatedModel, calendar: Calendar) -> None:
    """Costs nothing from a day on."""
    for kind in _HEADLINES:
        _reprice(model, kind, calendar, 0.48, FREE)


def becomes_paid(model: SimulatedModel, calendar: Calendar) -> None:
    """Was free until a day."""
    for kind in _HEADLINES:
        price = base_price(model, kind)
        model.prices[kind] = Timeline[Quote | None](FREE)
        _reprice(model, kind, calendar, 0.52, price)


def flap(model: SimulatedModel, calendar: Calendar) -> None:
    """Twice takes another price and goes back to the old one within a day."""
    other = base_price(model, "completion").times("1.3")
    for share in (0.22, 0.64):
        begin = calendar.at(share, 7, 14)
        line = model.prices["completion"]
        model.prices["completion"] = line.during(begin, begin + timedelta(hours=20), other)


def transient_zero(model: SimulatedModel, calendar: Calendar) -> None:
    """Is listed as free for fifteen hours, by mistake."""
    begin = calendar.at(0.57, 5, 38)
    model.prices["prompt"] = model.prices["prompt"].during(begin, begin + timedelta(hours=15), FREE)


def dynamic_spell(model: SimulatedModel, calendar: Calendar) -> None:
    """Has a price, then a dynamic one, then a price again."""
    for kind in _HEADLINES:
        settled = base_price(model, kind).times("1.2")
        _reprice(model, kind, calendar, 0.3, DYNAMIC)
        _reprice(model, kind, calendar, 0.5, settled)


def zero_to_absent(model: SimulatedModel, calendar: Calendar) -> None:
    """Lists four optional prices as "0" until it no longer lists them, one after another."""
    shares = {"request": 0.2, "image": 0.3, "web_search": 0.4, "internal_reasoning": 0.5}
    for kind, share in shares.items():
        model.prices[kind] = Timeline[Quote | None](FREE).then(calendar.at(share, 1, 17), None)


def minus_zero(model: SimulatedModel, calendar: Calendar) -> None:
    """Spells a price of nothing as "-0" for a while."""
    model.prices["completion"] = Timeline[Quote | None](FREE).during(
        calendar.at(0.2, 3, 9), calendar.at(0.6, 3, 9), quote("-0")
    )


def long_decimals(model: SimulatedModel, calendar: Calendar) -> None:
    """Has a price of 22 decimal places, later one of 23."""
    model.prices["prompt"] = Timeline[Quote | None](quote("0.0000000208333333333333"))
    _reprice(model, "prompt", calendar, 0.4, quote("0.00000002083333333333333"))


def float_noise(model: SimulatedModel, calendar: Calendar) -> None:
    """Has a price that went through a float one day: another number, if barely."""
    model.prices["prompt"] = Timeline[Quote | None](quote("0.0000002"))
    _reprice(model, "prompt", calendar, 0.4, quote("0.00000020000000000000002"))


def respelled(model: SimulatedModel, calendar: Calendar) -> None:
    """Has the same price in another spelling."""
    model.prices["image"] = Timeline[Quote | None](quote("0.10"))
    _reprice(model, "image", calendar, 0.4, quote("0.1"))


# Rules


def tier(model: SimulatedModel, calendar: Calendar) -> None:
    """Gets a dearer long-context tier."""
    _set_rules(model, calendar, 0.2, 9, (_tier(model, 272_000, "2"),))


def two_tiers(model: SimulatedModel, calendar: Calendar) -> None:
    """Gets two tiers, of which the later wins."""
    _set_rules(model, calendar, 0.24, 9, (_tier(model, 128_000, "1.5"), _tier(model, 256_000, "2")))


def rules_only(model: SimulatedModel, calendar: Calendar) -> None:
    """Has a tier whose price changes while no headline does."""
    model.rules = Timeline((_tier(model, 200_000, "2"),))
    _set_rules(model, calendar, 0.45, 16, (_tier(model, 200_000, "2.5"),))


def unknown_rule_condition(model: SimulatedModel, calendar: Calendar) -> None:
    """Gets a rule whose condition nobody has heard of."""
    rule = Rule(_scaled(model, "1.2"), other_conditions=(("max_latency_ms", 500),))
    _set_rules(model, calendar, 0.5, 9, (rule,))


def schedule_full_day(model: SimulatedModel, calendar: Calendar) -> None:
    """Gets three bands that cover the day, the first across midnight; the base never shows again."""
    bands = (_band(model, 2200, 600, "0.8"), _band(model, 600, 1400, "2"), _band(model, 1400, 2200, "3"))
    _set_rules(model, calendar, 0.08, 3, bands)


def rules_respelled(model: SimulatedModel, calendar: Calendar) -> None:
    """Has the same rules in another spelling."""
    respelled_rules = tuple(
        Rule(
            tuple((kind, Quote(price.text + "0", price.value)) for kind, price in rule.prices),
            utc_start=rule.utc_start,
            utc_end=rule.utc_end,
        )
        for rule in model.rules.last
    )
    _set_rules(model, calendar, 0.5, 3, respelled_rules)


def schedule_uncovered(model: SimulatedModel, calendar: Calendar) -> None:
    """Gets peak hours; outside them the base shows."""
    _set_rules(model, calendar, 0.1, 18, (_band(model, 900, 1700, "2"),))


def base_repriced(model: SimulatedModel, calendar: Calendar) -> None:
    """Has another base under the same schedule: a true repricing."""
    for kind in _HEADLINES:
        line = model.prices[kind]
        model.prices[kind] = line.then(calendar.at(0.5, 18, 20), base_price(model, kind).times("1.25"))


def schedule_days(model: SimulatedModel, calendar: Calendar) -> None:
    """Gets a tier, dear hours, and at the weekend cheap ones, which win over them."""
    weekend = _band(model, 800, 2000, "0.5", days=("saturday", "sunday"))
    daily = _band(model, 1000, 1600, "1.5")
    begin = calendar.workday_at(0.15, 18)
    model.rules = model.rules.then(begin, (_tier(model, 200_000, "2"), daily, weekend))


def schedule_changes(model: SimulatedModel, calendar: Calendar) -> None:
    """Gets peak hours, later others at another price."""
    _set_rules(model, calendar, 0.12, 20, (_band(model, 830, 1830, "2"),))
    _set_rules(model, calendar, 0.55, 20, (_band(model, 1000, 1900, "3"),))


def schedule_ends(model: SimulatedModel, calendar: Calendar) -> None:
    """Gets hours with cheap prompts alone, which end on an afternoon while they are in force."""
    _set_rules(model, calendar, 0.1, 19, (_band(model, 730, 1900, "0.5", ("prompt",)),))
    _set_rules(model, calendar, 0.6, 13, ())


# Dates


def expiration_announced(model: SimulatedModel, calendar: Calendar) -> None:
    """Has a date after the last simulated day."""
    _announce(model, calendar, 0.6, _day(calendar, 1.0, plus=10))


def expiration_moved(model: SimulatedModel, calendar: Calendar) -> None:
    """Has a date that is put off."""
    _announce(model, calendar, 0.15, _day(calendar, 0.6))
    _announce(model, calendar, 0.4, _day(calendar, 1.0, plus=30))


def expiration_withdrawn(model: SimulatedModel, calendar: Calendar) -> None:
    """Has a date that is withdrawn."""
    _announce(model, calendar, 0.2, _day(calendar, 0.8))
    _announce(model, calendar, 0.5, None)


def expiration_outlived(model: SimulatedModel, calendar: Calendar) -> None:
    """Is still listed long after its date."""
    _announce(model, calendar, 0.1, _day(calendar, 0.4))


def expiration_across_absence(model: SimulatedModel, calendar: Calendar) -> None:
    """Goes and comes back with the date it had: one announcement."""
    _announce(model, calendar, 0.2, _day(calendar, 1.0, plus=5))
    model.is_listed = model.is_listed.during(calendar.at(0.38, 9, 5), calendar.at(0.44, 9, 5), False)


def removed_on_date(model: SimulatedModel, calendar: Calendar) -> None:
    """Goes on the day that was announced."""
    _announce(model, calendar, 0.2, _day(calendar, 0.5))
    model.is_listed = model.is_listed.then(calendar.at(0.5, 8, 2), False)


def removed_before_date(model: SimulatedModel, calendar: Calendar) -> None:
    """Goes three days before the day that was announced."""
    _announce(model, calendar, 0.2, _day(calendar, 0.6))
    model.is_listed = model.is_listed.then(calendar.at(0.6, 8, 2) - timedelta(days=3), False)


def removed_after_date(model: SimulatedModel, calendar: Calendar) -> None:
    """Goes four days after the day that was announced."""
    _announce(model, calendar, 0.2, _day(calendar, 0.7))
    model.is_listed = model.is_listed.then(calendar.at(0.7, 8, 2) + timedelta(days=4), False)


def sentinel_2098(model: SimulatedModel, calendar: Calendar) -> None:
    """Has a date from the beginning that means no date."""
    model.expires = Timeline[date | None](date(2098, 12, 31))


def sentinel_9999(model: SimulatedModel, calendar: Calendar) -> None:
    """Gets a date that means no date."""
    _announce(model, calendar, 0.3, date(9999, 1, 1))


# Names that try to be more than a name


def hostile_html(model: SimulatedModel, calendar: Calendar) -> None:
    """Has HTML in its name."""
    model.fields["name"] = Timeline('<script>alert("x")</script><img src=x onerror=alert(1)>')


def hostile_formula(model: SimulatedModel, calendar: Calendar) -> None:
    """Has a spreadsheet formula for a name."""
    model.fields["name"] = Timeline("=1+1")


def hostile_ansi(model: SimulatedModel, calendar: Calendar) -> None:
    """Has terminal escapes in its name, which would colour a screen and set a title."""
    model.fields["name"] = Timeline("\x1b[31mRed\x1b[0m\x1b]0;owned\x07 | pipe")


def unicode_name(model: SimulatedModel, calendar: Calendar) -> None:
    """Has a name in other scripts, with an emoji of several code points."""
    model.fields["name"] = Timeline("Möwe 鸥 чайка 👩‍🚀 ‏שחף")


# Other fields


def context_changes(model: SimulatedModel, calendar: Calendar) -> None:
    """Reads twice as much from a day on."""
    at = calendar.at(0.5, 12, 44)
    for fields in (model.fields, model.top_provider):
        fields["context_length"] = fields["context_length"].then(at, fields["context_length"].last * 2)


def modality_widens(model: SimulatedModel, calendar: Calendar) -> None:
    """Writes text, later pictures too."""
    model.outputs = model.outputs.then(calendar.at(0.5, 14, 21), ("text", "image"))


def modality_gains_text(model: SimulatedModel, calendar: Calendar) -> None:
    """Makes pictures, later text too: only then does a listing of text models have it."""
    model.outputs = model.outputs.then(calendar.at(0.4, 14, 21), ("image", "text"))


def empty_forms(model: SimulatedModel, calendar: Calendar) -> None:
    """Spells nothing in every way there is, turn by turn."""
    spellings: dict[str, tuple[Any, ...]] = {
        "hugging_face_id": (None, "", ABSENT),
        "default_parameters": (None, {}, ABSENT),
        "knowledge_cutoff": (None, "", ABSENT),
        "supported_voices": (None, [], ABSENT),
    }
    for key, forms in spellings.items():
        line: Timeline[Any] = Timeline(forms[0])
        for turn in range(1, 13):
            line = line.then(calendar.at(turn / 14, 8, 55), forms[turn % len(forms)])
        model.fields[key] = line


def unknown_model_field(model: SimulatedModel, calendar: Calendar) -> None:
    """Gets a field that nobody has heard of."""
    value = {"grade": "B", "grams_per_million_tokens": 12.5}
    model.fields["carbon_score"] = Timeline[Any](ABSENT).then(calendar.at(0.5, 10, 10), value)


def unknown_architecture_field(model: SimulatedModel, calendar: Calendar) -> None:
    """Gets a field inside `architecture` that nobody has heard of."""
    model.architecture["experts"] = Timeline[Any](ABSENT).then(calendar.at(0.55, 10, 10), 64)


def unknown_price_key(model: SimulatedModel, calendar: Calendar) -> None:
    """Gets a price of a kind that nobody has heard of, which then falls."""
    model.prices["video_second"] = Timeline[Quote | None](None)
    _reprice(model, "video_second", calendar, 0.45, quote("0.05"))
    _reprice(model, "video_second", calendar, 0.7, quote("0.04"))


def _reprice(model: SimulatedModel, kind: str, calendar: Calendar, share: float, price: Quote) -> None:
    model.prices[kind] = model.prices[kind].then(calendar.at(share, 13, 47), price)


def _scaled(model: SimulatedModel, factor: str, kinds: tuple[str, ...] = _HEADLINES) -> tuple[tuple[str, Quote], ...]:
    return tuple((kind, base_price(model, kind).times(factor)) for kind in kinds)


def _tier(model: SimulatedModel, min_prompt_tokens: int, factor: str) -> Rule:
    return Rule(_scaled(model, factor), min_prompt_tokens=min_prompt_tokens)


def _band(
    model: SimulatedModel,
    start: int,
    end: int,
    factor: str,
    kinds: tuple[str, ...] = _HEADLINES,
    days: tuple[str, ...] = (),
) -> Rule:
    return Rule(_scaled(model, factor, kinds), utc_start=start, utc_end=end, utc_days=days)


def _set_rules(model: SimulatedModel, calendar: Calendar, share: float, hour: int, rules: tuple[Rule, ...]) -> None:
    model.rules = model.rules.then(calendar.at(share, hour), rules)


def _announce(model: SimulatedModel, calendar: Calendar, share: float, day: date | None) -> None:
    model.expires = model.expires.then(calendar.at(share, 17, 36), day)


def _day(calendar: Calendar, share: float, *, plus: int = 0) -> date:
    return (calendar.at(share) + timedelta(days=plus)).date()

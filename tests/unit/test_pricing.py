from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipelines.pricing import (
    UNITS,
    Rule,
    clock_holds,
    in_window,
    number_key,
    read_price,
    request_prices,
    split_pricing,
    unit_of,
)

LIMIT = Decimal(10) ** 14


def fits(value: Decimal) -> bool:
    """Whether DECIMAL(38, 24) holds ``value`` (zero or more) exactly, in plain arithmetic on integers."""
    numerator, denominator = value.as_integer_ratio()
    return value < LIMIT and (numerator * 10**24) % denominator == 0


# --- prices ---


@pytest.mark.parametrize(
    "text",
    [
        "0.00000018",
        "0.0000000208333333333333",
        "0.00000020000000000000002",
        "0.36",
        "1e-7",
        "2.5E-08",
        "1E+2",
        "99999999999999.999999999999999999999999",
        "0.000000000000000000000001",
        "0.5000000000000000000000000000000000",
        "100000000000000e-1",
        "000000000000000000001",
    ],
)
def test_a_price_is_read_to_the_last_digit(text):
    price = read_price(text)
    assert (price.status, price.usd) == ("listed", Decimal(text))


@pytest.mark.parametrize("text", ["0", "-0", "0.0", "-0.00", "0e5", "-0e-30", "0." + "0" * 30])
def test_zero_in_any_spelling_is_free(text):
    price = read_price(text)
    assert (price.status, price.usd) == ("free", Decimal(0))
    assert not str(price.usd).startswith("-")


@pytest.mark.parametrize("text", ["-1", "-1.0", "-1.000", "-1e0", "-10e-1"])
def test_minus_one_is_dynamic_and_no_price(text):
    price = read_price(text)
    assert (price.status, price.usd) == ("dynamic", None)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        " 1",
        "1 ",
        "1\n",
        "1_000",
        "1,000",
        "0,1",
        "$1",
        "1.2.3",
        ".",
        "e5",
        "1e",
        "NaN",
        "sNaN",
        "Infinity",
        "-Infinity",
        "inf",
        "true",
        "null",
        "{}",
        "0x10",
        "\uff11",
        "\u0663",
        "\u22121",
        "-2",
        "-0.5",
        "-1.0000000000000000000000001",
        "100000000000000",
        "1e14",
        "1e9999",
        "1e99999999999",
        "0." + "0" * 24 + "1",
        "1e-25",
        "1" * 5000,
    ],
)
def test_what_is_no_price_or_does_not_fit_is_unreadable(text):
    price = read_price(text)
    assert (price.status, price.usd) == ("unreadable", None)


@given(st.decimals(allow_nan=False, allow_infinity=False))
@example(Decimal("99999999999999.999999999999999999999999"))
@example(Decimal("0." + "0" * 24 + "5"))
@example(Decimal("1.0" + "0" * 40))
def test_a_decimal_is_exact_or_unreadable(value):
    price = read_price(str(value))
    if value == -1:
        assert price.status == "dynamic"
    elif value < 0 or not fits(value):
        assert (price.status, price.usd) == ("unreadable", None)
    else:
        assert price.usd == value
        assert price.status == ("listed" if value else "free")


@given(st.integers(0, 10**38 - 1), st.integers(-30, 10), st.integers(0, 12))
def test_trailing_zeros_change_nothing(digits, exponent, zeros):
    plain = Decimal(f"{digits}e{exponent}")
    longer = f"{digits}{'0' * zeros}e{exponent - zeros}"
    assert read_price(longer).usd == (plain if fits(plain) else None)


@given(st.text(max_size=12))
def test_no_text_raises(text):
    assert (read_price(text).usd is not None) == (read_price(text).status in {"listed", "free"})


numbers = st.builds(
    lambda digits, exponent, zeros: f"{digits}{'0' * zeros}e{exponent - zeros}",
    st.integers(0, 30),
    st.integers(-3, 3),
    st.integers(0, 3),
)


@given(numbers, numbers)
@example("0.10", "0.1")
@example("1e1", "10")
@example("-0", "0")
def test_texts_share_a_key_exactly_when_they_are_one_number(one, other):
    assert (number_key(one) == number_key(other)) == (Decimal(one) == Decimal(other))


def test_keys_keep_apart_what_is_no_number():
    keys = [number_key(text) for text in ("-1", "0", "1", "x", "y", "", "free", "dynamic")]
    assert len(set(keys)) == len(keys)
    assert number_key("-1") == number_key("-1.0")


# --- units ---


@pytest.mark.parametrize(
    ("kind", "pricing", "unit"),
    [
        ("prompt", {"prompt": "1"}, "token"),
        ("input_cache_write_1h", {}, "token"),
        ("input_audio_cache", {}, "audio token"),
        ("image_token", {}, "image token"),
        ("request", {}, "request"),
        ("web_search", {}, "search"),
        ("discount", {}, "fraction"),
        ("per_moon_phase", {"per_moon_phase": "1"}, "unknown"),
        ("image", {"image": "0.10", "prompt": "0.1"}, "token"),
        ("image", {"image": "0.2", "prompt": "0.1"}, "image"),
        ("image", {"image": "0.1", "prompt": "0.1", "image_token": "5"}, "image"),
        ("image", {"image": "0", "prompt": "0"}, "image"),
        ("image", {"image": "x", "prompt": "x"}, "image"),
        ("image", {"image": "0.1"}, "image"),
        ("image_output", {"image_output": "0.1", "prompt": "0.1"}, "image"),
    ],
)
def test_a_kind_has_a_unit(kind, pricing, unit):
    assert unit_of(kind, pricing) == unit


def test_every_documented_kind_has_a_known_unit():
    assert "unknown" not in {unit_of(kind, {}) for kind in UNITS}


# --- the clock ---


@pytest.mark.parametrize(
    ("start", "end", "inside", "outside"),
    [
        (400, 600, [400, 459, 559], [0, 359, 600, 2359]),
        (1000, 100, [1000, 2359, 0, 59], [100, 500, 959]),
        (0, 2400, [0, 1200, 2359], []),
        (2300, 0, [2300, 2359], [0, 2259]),
        (500, 500, [], [459, 500, 501]),
    ],
)
def test_a_window_is_half_open_and_may_wrap(start, end, inside, outside):
    assert all(in_window(start, end, hhmm) for hhmm in inside)
    assert not any(in_window(start, end, hhmm) for hhmm in outside)


SATURDAY = datetime(2026, 8, 1, 10, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("rule", "holds"),
    [
        ({}, True),
        ({"min_prompt_tokens": 5, "prompt": "1"}, True),
        ({"utc_start": 1000, "utc_end": 1100}, True),
        ({"utc_start": 1030, "utc_end": 1031}, True),
        ({"utc_start": 1031, "utc_end": 1030}, False),
        ({"utc_start": 900, "utc_end": 1030}, False),
        ({"utc_start": 1000}, True),
        ({"utc_start": 1100}, False),
        ({"utc_end": 1100}, True),
        ({"utc_end": 1000}, False),
        ({"utc_days": ["saturday", "sunday"]}, True),
        ({"utc_days": ["friday"]}, False),
        ({"utc_days": []}, True),
        ({"utc_start": 1000, "utc_end": 1100, "utc_days": ["friday"]}, False),
    ],
)
def test_all_time_conditions_must_hold(rule, holds):
    assert clock_holds(rule, SATURDAY) is holds


def test_the_clock_is_utc():
    late_on_friday = SATURDAY.replace(hour=1).astimezone(timezone(-timedelta(hours=5)))
    assert clock_holds({"utc_days": ["saturday"], "utc_start": 100, "utc_end": 200}, late_on_friday)


# --- rules ---


def rule_of(rule: Mapping[str, Any]) -> Rule:
    """The one rule of a price list that has no other."""
    _, [read], oddities = split_pricing({"overrides": [rule]})
    assert oddities == {}
    return read


def test_pricing_is_split_into_headline_rules_and_the_rest():
    headline, rules, oddities = split_pricing(
        {
            "prompt": "0.10",
            "unheard_of": "a text",
            "request": 7,
            "web_search": {"high": "1", "b": 2},
            "completion": None,
            "tiers": ["1", "2"],
            "overrides": [{"utc_start": 900, "prompt": "0.2"}, {}],
        }
    )
    assert headline == {"prompt": "0.10", "unheard_of": "a text", "request": "7", "web_search": '{"b":2,"high":"1"}'}
    assert rules == [Rule({"utc_start": 900}, {}, {"prompt": "0.2"}), Rule({}, {}, {})]
    assert oddities == {"pricing.tiers": ["1", "2"]}


@pytest.mark.parametrize("pricing", [None, "free", 5, ["1"]])
def test_pricing_that_is_no_object_is_kept_as_an_oddity(pricing):
    assert split_pricing(pricing) == ({}, [], {"pricing": pricing})


@pytest.mark.parametrize("overrides", [{"prompt": "1"}, [{"prompt": "1"}, "2"], 5])
def test_overrides_that_are_no_list_of_objects_are_kept_as_an_oddity(overrides):
    told = split_pricing({"prompt": "1", "overrides": overrides})
    assert told == ({"prompt": "1"}, [], {"pricing.overrides": overrides})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("min_prompt_tokens", 0),
        ("min_prompt_tokens", -1),
        ("min_prompt_tokens", 2**63 - 1),
        ("utc_start", 0),
        ("utc_end", 2400),
        ("utc_days", []),
        ("utc_days", ["monday", "feast"]),
    ],
)
def test_a_well_formed_condition_is_understood(key, value):
    assert rule_of({key: value, "prompt": "1"}) == Rule({key: value}, {}, {"prompt": "1"})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("min_prompt_tokens", "900"),
        ("min_prompt_tokens", 900.0),
        ("min_prompt_tokens", True),
        ("min_prompt_tokens", 2**63),
        ("utc_start", -1),
        ("utc_start", 2401),
        ("utc_end", "1700"),
        ("utc_days", "monday"),
        ("utc_days", [1]),
        ("max_latency_ms", 900),
        ("region", "eu"),
        ("region", ["eu"]),
        ("feast", {"name": "easter"}),
        ("prompt", 1),
    ],
)
def test_what_is_neither_condition_nor_price_is_a_condition_that_nobody_knows(key, value):
    assert rule_of({key: value, "completion": "1"}) == Rule({}, {key: value}, {"completion": "1"})


@pytest.mark.parametrize("text", ["1", "-1", "0.10"])
def test_a_number_under_a_new_name_is_a_price(text):
    assert rule_of({"tokens_of_tea": text}).prices == {"tokens_of_tea": text}


def test_an_unreadable_text_is_a_price_where_the_price_is_documented():
    assert rule_of({"prompt": "dear", "tea": "dear"}) == Rule({}, {"tea": "dear"}, {"prompt": "dear"})


def test_null_says_nothing():
    assert rule_of({"utc_start": None, "region": None, "prompt": None, "image": "1"}) == Rule({}, {}, {"image": "1"})


@pytest.mark.parametrize(
    ("rule", "is_window"),
    [
        ({"utc_start": 900}, True),
        ({"utc_end": 900}, True),
        ({"utc_days": ["monday"]}, True),
        ({"utc_days": []}, True),
        ({}, False),
        ({"min_prompt_tokens": 5}, False),
        ({"utc_start": 900, "min_prompt_tokens": 5}, False),
        ({"utc_start": 900, "region": "eu"}, False),
        ({"utc_start": 900, "utc_end": "1700"}, False),
    ],
)
def test_a_window_is_what_the_clock_alone_turns_on(rule, is_window):
    """Seen red with a tier of certain hours as a window."""
    assert rule_of(rule | {"prompt": "1"}).is_window is is_window


@pytest.mark.parametrize(
    ("rule", "prompt_tokens", "holds"),
    [
        ({}, 0, True),
        ({"min_prompt_tokens": 0}, 0, False),
        ({"min_prompt_tokens": 0}, 1, True),
        ({"min_prompt_tokens": 272_000}, 272_000, False),
        ({"min_prompt_tokens": 272_000}, 272_001, True),
        ({"min_prompt_tokens": -1}, 0, True),
        ({"min_prompt_tokens": 5, "utc_start": 1000, "utc_end": 1100}, 6, True),
        ({"min_prompt_tokens": 5, "utc_start": 1000, "utc_end": 1100}, 5, False),
        ({"min_prompt_tokens": 5, "utc_start": 900, "utc_end": 1000}, 6, False),
        ({"region": "eu"}, 6, False),
        ({"utc_start": 1000, "utc_end": 1100, "region": "eu"}, 6, False),
        ({"utc_start": "1000"}, 6, False),
    ],
)
def test_a_rule_holds_where_all_its_conditions_do(rule, prompt_tokens, holds):
    """Seen red with `>=` for `>`, and with unknown conditions passed over."""
    assert rule_of(rule | {"prompt": "1"}).holds(SATURDAY, prompt_tokens) is holds


# --- what a request pays ---

WINDOW = {"utc_start": 1000, "utc_end": 1100}
OUTSIDE = SATURDAY.replace(hour=12)


def texts_paid(
    pricing: Mapping[str, Any],
    moment: datetime = SATURDAY,
    prompt_tokens: int = 0,
    base: Mapping[str, str | None] | None = None,
) -> dict[str, str]:
    return {kind: told.text for kind, told in request_prices(pricing, moment, prompt_tokens, base).items()}


def test_without_rules_a_request_pays_the_headline():
    told = request_prices({"prompt": "0.10", "image": "-1", "request": None, "audio": "-0"}, SATURDAY, 0)
    assert {kind: (one.text, one.price.status, one.unit, one.rule_no) for kind, one in told.items()} == {
        "prompt": ("0.10", "listed", "token", None),
        "image": ("-1", "dynamic", "image", None),
        "audio": ("-0", "free", "audio token", None),
    }


def test_a_rule_gives_the_prices_that_it_names_and_no_others():
    pricing = {"prompt": "1", "completion": "2", "overrides": [{"prompt": "3", "audio": "4"}]}
    told = request_prices(pricing, SATURDAY, 0)
    assert {kind: (one.text, one.rule_no) for kind, one in told.items()} == {
        "prompt": ("3", 1),
        "completion": ("2", None),
        "audio": ("4", 1),
    }


@pytest.mark.parametrize(("order", "prompt"), [([0, 1], "4"), ([1, 0], "3")])
def test_of_two_rules_that_hold_the_later_wins(order, prompt):
    """Seen red with the first rule winning."""
    rules = [{"prompt": "3"}, {"min_prompt_tokens": 5, "prompt": "4"}]
    pricing = {"prompt": "1", "overrides": [rules[place] for place in order]}
    told = request_prices(pricing, SATURDAY, 6)["prompt"]
    assert (told.text, told.rule_no) == (prompt, 2)


def test_a_later_rule_that_does_not_hold_wins_nothing():
    pricing = {"prompt": "1", "overrides": [{"prompt": "3"}, {"min_prompt_tokens": 5, "prompt": "4"}]}
    assert texts_paid(pricing, prompt_tokens=5) == {"prompt": "3"}


def test_the_given_base_counts_where_a_schedule_names_the_price_and_no_rule_holds():
    """Seen red with the base of prices that no schedule names, and with a base before the rules."""
    tier = {"min_prompt_tokens": 5, "completion": "9"}
    pricing = {"prompt": "3", "completion": "2", "overrides": [WINDOW | {"prompt": "3"}, tier]}
    base = {"prompt": "1", "completion": "7"}
    assert texts_paid(pricing, OUTSIDE, base=base) == {"prompt": "1", "completion": "2"}
    assert texts_paid(pricing, SATURDAY, base=base) == {"prompt": "3", "completion": "2"}
    assert texts_paid(pricing, OUTSIDE, 6, base) == {"prompt": "1", "completion": "9"}


def test_without_a_base_the_headline_stands_for_it():
    pricing = {"prompt": "3", "image": "4", "overrides": [WINDOW | {"prompt": "3", "image": "4"}]}
    assert texts_paid(pricing, OUTSIDE) == {"prompt": "3", "image": "4"}
    assert texts_paid(pricing, OUTSIDE, base={"image": "1"}) == {"prompt": "3", "image": "1"}


def test_a_price_that_was_not_listed_outside_the_windows_is_none_there():
    pricing = {"prompt": "3", "overrides": [WINDOW | {"prompt": "3"}]}
    assert texts_paid(pricing, OUTSIDE, base={"prompt": None}) == {}
    assert texts_paid(pricing, SATURDAY, base={"prompt": None}) == {"prompt": "3"}


def test_a_price_in_rules_alone_may_have_a_base():
    pricing = {"overrides": [WINDOW | {"audio": "3"}]}
    assert texts_paid(pricing, OUTSIDE) == {}
    assert texts_paid(pricing, OUTSIDE, base={"audio": "1"}) == {"audio": "1"}


def test_a_tier_of_certain_hours_makes_no_schedule():
    """Seen red with `is_window` for every rule that has a time."""
    pricing = {"prompt": "1", "overrides": [WINDOW | {"min_prompt_tokens": 5, "prompt": "3"}]}
    assert texts_paid(pricing, OUTSIDE, base={"prompt": "7"}) == {"prompt": "1"}


def test_unknown_conditions_are_told_where_their_rule_could_have_won():
    """Seen red with those of earlier rules, and with those of rules for other prices."""
    rules = [{"prompt": "3", "a": 1}, {"prompt": "4"}, {"prompt": "5", "b": 2}, {"image": "6", "c": 3, "d": 4}]
    told = request_prices({"prompt": "1", "image": "2", "audio": "3", "overrides": rules}, SATURDAY, 0)
    assert {kind: (one.text, one.unknown_conditions) for kind, one in told.items()} == {
        "prompt": ("4", ({"b": 2},)),
        "image": ("2", ({"c": 3, "d": 4},)),
        "audio": ("3", ()),
    }


def test_the_unit_is_told_from_the_price_list():
    pricing = {"prompt": "0.1", "image": "0.10", "overrides": [{"image": "7", "tokens_of_tea": "1"}]}
    told = request_prices(pricing, SATURDAY, 0)
    assert {kind: one.unit for kind, one in told.items()} == {
        "prompt": "token",
        "image": "token",
        "tokens_of_tea": "unknown",
    }


def test_the_moment_may_be_told_in_any_zone():
    rule = {"utc_days": ["saturday"], "utc_start": 100, "utc_end": 200, "prompt": "3"}
    late_on_friday = SATURDAY.replace(hour=1).astimezone(timezone(-timedelta(hours=5)))
    assert texts_paid({"prompt": "1", "overrides": [rule]}, late_on_friday) == {"prompt": "3"}

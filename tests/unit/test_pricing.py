from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipelines.pricing import UNITS, clock_holds, in_window, number_key, read_price, unit_of

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

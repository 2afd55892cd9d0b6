"""That money is exact, whatever a source writes.

Belongs here: truth 6. Does not belong here: how prices change (`test_order`).
"""

from __future__ import annotations

import json
from decimal import Decimal

from hypothesis import example, given
from hypothesis import strategies as st

from pipelines.flatten import flatten
from pipelines.pricing import number_key, read_price
from tests import oracle

NUMBERS = st.from_regex(r"[+-]?([0-9]{1,20}(\.[0-9]{0,30})?|\.[0-9]{1,30})([eE][+-]?[0-9]{1,4})?", fullmatch=True)
FITTING = st.from_regex(r"[0-9]{1,14}\.[0-9]{1,24}", fullmatch=True)
TEXTS = st.one_of(
    NUMBERS,
    FITTING,
    st.text(),
    st.text(alphabet="0123456789+-.eE_ ,", max_size=12),
    st.decimals(allow_nan=True, allow_infinity=True).map(str),
    st.sampled_from(
        ("-1", "-1.0", "-0", "-0.00", "0e9999", "1e14", "99999999999999.9", "1e-24", "1e-25", "\u0661", "0x1")
    ),
)


@given(TEXTS)
@example("12345678901234.123456789012345678901234")
def test_a_price_is_what_its_text_says(text: str) -> None:
    """Truth 6: to the last digit, or not at all. Seen red with `Decimal(text)` rounded to the context's 28 digits, and
    with `PRICE_SCALE` one less."""
    price, expected = read_price(text), oracle.read_price(text)
    assert (price.status, price.usd) == (expected.status, expected.usd)
    if price.status == "listed":
        assert price.usd == Decimal(text)


RESPELLED = st.tuples(FITTING, st.sampled_from(("", "0", "00", "e0", "E-1", "1"))).map(
    lambda pair: (pair[0], "".join(pair))
)


@given(st.one_of(RESPELLED, st.tuples(TEXTS, TEXTS)))
def test_two_texts_are_one_price_if_they_are_one_number(texts: tuple[str, str]) -> None:
    """Truth 6. Seen red with `number_key` keeping trailing zeros."""
    first, second = texts
    one, other = oracle.read_price(first), oracle.read_price(second)
    same = one.value == other.value and (one.status != "unreadable" or first == second)
    assert (number_key(first) == number_key(second)) == same


@given(NUMBERS, st.integers(0, 5))
def test_spelling_does_not_change_a_price(text: str, zeros: int) -> None:
    """Truth 6: zeros at the end say nothing. Seen red with `number_key` keeping trailing zeros."""
    if "e" not in text.lower() and "." in text and read_price(text).status != "unreadable":
        assert number_key(text) == number_key(text + "0" * zeros)


@given(st.from_regex(r"(0|[1-9][0-9]{0,12})\.[0-9]{1,24}", fullmatch=True))
def test_a_json_number_keeps_every_digit(literal: str) -> None:
    """Truth 6: no float touches a price, not even one that the source wrote as a number.

    Seen red with `_spell_numbers` left out.
    """
    model = json.dumps({"id": "a/b", "pricing": {"prompt": "PRICE", "overrides": [{"completion": "PRICE"}]}})
    frames = flatten([f"[{model}]".replace('"PRICE"', literal).encode()])
    for frame in (frames.prices, frames.price_rules):
        assert frame["price_text"].to_list() == [literal]
        assert frame["price_usd"].to_list() == [Decimal(literal)]

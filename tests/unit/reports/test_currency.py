"""Exchange rates: two kinds of files, the rate of a day or the last before it, and what is said where there is none."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from fractions import Fraction

import pytest

from pipelines.errors import CatalogueError, UsageError
from pipelines.reports.currency import MissingRateError, read_rates

EURO_BASED = """Date,USD,JPY,CYP,GBP,
2026-07-31,1.1446,171.2,N/A,0.8651,
2026-07-30,1.25,170.0,N/A,0.8,
2026-07-28,1.2,N/A,N/A,0.84,
"""
PLAIN = "date,currency,rate\n2026-07-28,EUR,0.85\n2026-07-28,CHF,0.79\n2026-07-30,EUR,0.8\n"


@pytest.fixture
def file(tmp_path):
    def write(text: str | bytes):
        path = tmp_path / "rates.csv"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return write


def test_the_history_of_the_central_bank_says_what_a_euro_buys(file):
    """Broken once by multiplying with the dollar's rate instead of dividing by it."""
    path = file(EURO_BASED)
    assert read_rates(path, "EUR").on(date(2026, 7, 30)).per_usd == Fraction(4, 5)
    assert read_rates(path, "GBP").on(date(2026, 7, 30)).per_usd == Fraction("0.8") / Fraction("1.25")
    assert read_rates(path, "usd").on(date(2026, 7, 30)).per_usd == 1


def test_a_plain_file_says_what_a_dollar_buys(file):
    assert read_rates(file(PLAIN), "EUR").on(date(2026, 7, 30)).per_usd == Fraction(4, 5)


def test_a_day_without_a_rate_has_the_last_before_it(file):
    """Broken once by taking the nearest day, which may lie after it."""
    rates = read_rates(file(EURO_BASED), "EUR")
    assert rates.on(date(2026, 7, 29)).day == date(2026, 7, 28)
    assert rates.on(date(2026, 8, 2)).day == date(2026, 7, 31)


def test_a_cell_without_a_rate_is_none(file):
    assert read_rates(file(EURO_BASED), "JPY").on(date(2026, 7, 30)).day == date(2026, 7, 30)
    with pytest.raises(MissingRateError, match="no JPY rate for 2026-07-28"):
        read_rates(file(EURO_BASED), "JPY").on(date(2026, 7, 28))
    with pytest.raises(UsageError, match="no rate of CYP"):
        read_rates(file(EURO_BASED), "CYP")


def test_the_first_missing_day_is_named(file):
    rates = read_rates(file(PLAIN), "EUR")
    with pytest.raises(MissingRateError, match="for 2026-07-20 or any day before; its first is of 2026-07-28"):
        rates.require([date(2026, 7, 30), date(2026, 7, 20), date(2026, 7, 21)])
    rates.require([date(2026, 7, 28)])


def test_conversion_is_exact(file):
    """Broken once by dividing decimals, which ends after 28 digits."""
    rates = read_rates(file(EURO_BASED), "EUR")
    amount = Decimal("1234567890123.000000000000000000000001")
    assert rates.convert(amount, date(2026, 7, 31)) * Fraction("1.1446") == Fraction(amount)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("date,currency,rate\n2026-07-28,EUR,0\n", "line 2: '0' is no rate"),
        ("date,currency,rate\n2026-07-28,EUR,-1\n", "line 2: '-1' is no rate"),
        ("date,currency,rate\n2026-07-28,EUR,NaN\n", "line 2: 'NaN' is no rate"),
        ("date,currency,rate\n\n28.07.2026,EUR,0.8\n", "line 3: '28.07.2026' is no date"),
        ("date,currency,rate\n2026-07-28,EUR,0.8\n2026-07-28,EUR,0.9\n", "line 3: another rate for 2026-07-28"),
        ("a,b\n1,2\n", "is no file of rates"),
        ("", "is no file of rates"),
        (b"date,currency,rate\n2026-07-28,\xff,1\n", "no CSV file in UTF-8"),
        ("date,currency,rate\n2026-07-28,CHF,0.8\n", "no rate of EUR"),
    ],
)
def test_a_file_that_cannot_be_trusted_is_refused(file, text, sentence):
    with pytest.raises(CatalogueError, match=sentence):
        read_rates(file(text), "EUR")


def test_a_file_that_is_not_there_and_a_code_that_is_none(file, tmp_path):
    with pytest.raises(CatalogueError, match="cannot be read"):
        read_rates(tmp_path / "nothing.csv", "EUR")
    with pytest.raises(UsageError, match="three letters"):
        read_rates(file(PLAIN), "euro")

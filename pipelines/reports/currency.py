"""Amounts in other currencies, by dated exchange rates from a file.

Belongs here: reading files of rates, the rate of a day, converting exactly. Does not belong here: any rate of our own,
and rounding, which is the presentation's.

Two kinds of files are read. The European Central Bank's history (``eurofxref-hist.csv``) has a column for each
currency and says what **one euro** buys; ``N/A`` and empty cells are no rates. A plain file has the columns ``date``,
``currency`` and ``rate`` and says what **one US dollar** buys. Days are ISO 8601 dates, in any order.
"""

from __future__ import annotations

import csv
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

from pipelines.errors import CatalogueError, UsageError

_RATE = re.compile(r"[0-9]{1,20}(?:\.[0-9]{1,20})?")
_NO_RATE = frozenset({"", "N/A"})
_PLAIN = ("date", "currency", "rate")


class MissingRateError(CatalogueError):
    """A day has no rate, and neither has any day before it."""


@dataclass(frozen=True)
class Rate:
    """What one US dollar buys: ``per_usd`` units of a currency, exact, as published for ``day``."""

    day: date
    per_usd: Fraction


class Rates:
    """The rates of one currency by day."""

    def __init__(self, currency: str, per_usd: Mapping[date, Fraction], origin: str) -> None:
        self.currency = currency
        self.origin = origin
        """The file's name, for people."""
        self._per_usd = dict(sorted(per_usd.items()))
        self._days = list(self._per_usd)

    def on(self, day: date) -> Rate:
        """The rate of ``day``, or the last before it. Raises :class:`MissingRateError` if there is none."""
        place = bisect_right(self._days, day)
        if not place:
            first = f"; its first is of {self._days[0]}" if self._days else ""
            raise MissingRateError(f"{self.origin} has no {self.currency} rate for {day} or any day before{first}")
        found = self._days[place - 1]
        return Rate(found, self._per_usd[found])

    def require(self, days: Iterable[date]) -> None:
        """Raise :class:`MissingRateError`, naming the first of ``days`` that has no rate."""
        first = min(days, default=None)
        if first is not None:
            self.on(first)

    def convert(self, usd: Decimal, day: date) -> Fraction:
        """``usd`` in the currency at the rate of ``day``, exact."""
        return Fraction(usd) * self.on(day).per_usd


def read_rates(path: Path, currency: str) -> Rates:
    """The rates of ``currency`` (ISO 4217, such as ``EUR``) in the file at ``path``.

    Raises :class:`UsageError` for a file that is neither of the two kinds or does not know the currency, and
    :class:`CatalogueError`, naming the line, for one with a date or rate that cannot be read.
    """
    currency = currency.strip().upper()
    if not re.fullmatch("[A-Z]{3}", currency):
        raise UsageError(f"{currency!r} is no currency: codes have three letters, such as EUR")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.reader(file)
            header = [name.strip() for name in next(lines, [])]
            columns = {name.lower(): place for place, name in enumerate(header) if name}
            if set(_PLAIN) <= columns.keys():
                told = _plain(path, currency, columns, lines)
            elif header and header[0].lower() == "date" and "usd" in columns:
                told = _euro_based(path, currency, columns, lines)
            else:
                raise UsageError(
                    f"{path} is no file of rates: it begins neither with date,currency,rate nor, as the European "
                    "Central Bank's history does, with Date,USD,…"
                )
            rates = _by_day(path, told)
    except OSError as problem:
        raise CatalogueError(f"{path} cannot be read: {problem.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as problem:
        raise CatalogueError(f"{path} is no CSV file in UTF-8: {problem}") from None
    if not rates:
        raise UsageError(f"{path} has no rate of {currency}")
    return Rates(currency, rates, path.name)


_Told = Iterator[tuple[int, date, Fraction]]
"""Lines, their days and what a dollar buys."""


def _by_day(path: Path, told: _Told) -> dict[date, Fraction]:
    rates: dict[date, Fraction] = {}
    for line, day, per_usd in told:
        if rates.setdefault(day, per_usd) != per_usd:
            raise CatalogueError(f"{path}, line {line}: another rate for {day} stands above")
    return rates


def _plain(path: Path, currency: str, columns: Mapping[str, int], lines: Iterable[list[str]]) -> _Told:
    for number, cells in enumerate(lines, start=2):
        if not any(cells):
            continue
        day, code, rate = (_cell(cells, columns[name]) for name in _PLAIN)
        if code.upper() == currency and rate not in _NO_RATE:
            yield number, _day(path, number, day), _rate(path, number, rate)


def _euro_based(path: Path, currency: str, columns: Mapping[str, int], lines: Iterable[list[str]]) -> _Told:
    """A dollar buys as much as its price in euros does: a euro's worth of the currency by a euro's worth of dollars."""
    if currency != "EUR" and currency.lower() not in columns:
        raise UsageError(f"{path} has no column {currency}")
    for number, cells in enumerate(lines, start=2):
        if not any(cells):
            continue
        usd = _cell(cells, columns["usd"])
        other = "1" if currency == "EUR" else _cell(cells, columns[currency.lower()])
        if usd not in _NO_RATE and other not in _NO_RATE:
            per_usd = _rate(path, number, other) / _rate(path, number, usd)
            yield number, _day(path, number, _cell(cells, 0)), per_usd


def _cell(cells: list[str], place: int) -> str:
    return cells[place].strip() if place < len(cells) else ""


def _day(path: Path, line: int, text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise CatalogueError(f"{path}, line {line}: {text[:40]!r} is no date such as 2026-08-01") from None


def _rate(path: Path, line: int, text: str) -> Fraction:
    rate = Fraction(text) if _RATE.fullmatch(text) else Fraction(0)
    if not rate:
        raise CatalogueError(f"{path}, line {line}: {text[:40]!r} is no rate above zero such as 1.0842")
    return rate

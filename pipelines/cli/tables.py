"""How answers look: tables for people, CSV and JSON for programs.

Belongs here: formats, money, and making the catalogue's texts harmless to a terminal.
Does not belong here: what is asked.
"""

from __future__ import annotations

import csv
import json
import math
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, TextIO

from pipelines.errors import UsageError

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_UNFOLDED = 1000
"""Columns of a pipe: wide enough that no cell is folded."""

_PER_MILLION = frozenset({"token", "audio token", "image token"})


def print_table(title: str, headers: Sequence[str], rows: Iterable[Sequence[str]], *, footer: str = "") -> None:
    """A table on stdout. A header that begins with ``>`` is of a column of numbers, set right.

    Cells are shown as they are: no markup is read in them, and control characters are made visible.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _UNFOLDED
    table = Table(header_style="dim", box=None, pad_edge=False, show_header=any(headers))
    for header in headers:
        table.add_column(header.lstrip(">"), justify="right" if header.startswith(">") else "left", overflow="fold")
    count = 0
    for row in rows:
        table.add_row(*(Text(harmless(cell)) for cell in row))
        count += 1
    with console.capture() as shown:
        console.print(Text(harmless(title) if count else f"{harmless(title)}: none", style="bold"), soft_wrap=True)
        if count:
            console.print(table)
        if footer:
            console.print(Text(footer, style="dim"), soft_wrap=True)
    with _reader():
        sys.stdout.write(shown.get())
        sys.stdout.flush()


class ReaderGoneError(Exception):
    """Whoever read our output has seen enough, such as ``head``."""


@contextmanager
def _reader() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise ReaderGoneError from None


def print_records(
    format_: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], out: TextIO | None = None
) -> None:
    """Rows as ``csv`` or ``json`` (a list of objects), exact: decimals are texts in JSON and plain in CSV."""
    with _reader():
        _write_records(format_, columns, rows, out or sys.stdout)


def _write_records(format_: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], out: TextIO) -> None:
    if format_ == "csv":
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([_csv_cell(value) for value in row] for row in rows)
    else:
        if len(set(columns)) < len(columns):
            raise UsageError("JSON needs another name for each column: tell equal ones apart with AS")
        records = [dict(zip(columns, map(_json_value, row), strict=True)) for row in rows]
        json.dump(records, out, ensure_ascii=False, indent=1)
        out.write("\n")
    out.flush()


def count(number: int, thing: str) -> str:
    """``number`` and its ``thing`` in the singular or plural."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def cell(value: Any) -> str:
    """A value as a table for people shows it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, datetime):
        return minute(value)
    if isinstance(value, list | tuple | dict):
        return json.dumps(_json_value(value), ensure_ascii=False)
    return str(value)


def minute(moment: datetime | None) -> str:
    """A moment in UTC to the minute."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M") if moment else ""


def day(moment: datetime | date | None) -> str:
    """The UTC day of a moment."""
    if isinstance(moment, datetime):
        moment = moment.astimezone(UTC).date()
    return str(moment) if moment else ""


def plain(value: Decimal) -> str:
    """Every digit, without an exponent and without zeros that say nothing."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def money(usd: Decimal | None, status: str, unit: str) -> str:
    """A price as people compare it: $ per million of whatever is a token, else $ per unit; exact."""
    if status in ("dynamic", "unreadable", "unlisted"):
        return status
    if usd is None:
        return "-"
    amount, per = (usd * 1_000_000, "M") if unit in _PER_MILLION else (usd, unit)
    text = plain(amount)
    return f"${text}{'0' if text[-2:-1] == '.' else ''} /{per}"


def harmless(text: str) -> str:
    """``text`` without the characters that a terminal would obey."""
    return _CONTROL.sub("\ufffd", text)


def _csv_cell(value: Any) -> Any:
    if isinstance(value, list | tuple | dict):
        return json.dumps(_json_value(value), ensure_ascii=False)
    value = _json_value(value)
    return str(value).lower() if isinstance(value, bool) else value


def _json_value(value: Any) -> Any:
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, datetime):
        if value.tzinfo is None:
            return value.isoformat()
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, dict):
        return {str(key): _json_value(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_json_value(one) for one in value]
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)

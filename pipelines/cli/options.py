"""Options that several commands share, and how their values are read.

Belongs here: declarations and parsing. Does not belong here: what a command does with them.
"""

from __future__ import annotations

import gc
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import click

_Command = TypeVar("_Command", bound=Callable[..., Any])

_SPANS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


def warehouse_option(command: _Command) -> _Command:
    """``--warehouse DIR``."""
    return click.option(
        "--warehouse",
        envvar="CATALOGUE_WAREHOUSE",
        default="warehouse",
        show_default=True,
        show_envvar=True,
        type=click.Path(path_type=Path, file_okay=False),
        help="The warehouse's folder.",
    )(command)


def format_option(*formats: str) -> Callable[[_Command], _Command]:
    """``--format`` with the given choices, of which the first is the default."""
    return click.option(
        "--format", "format_", default=formats[0], show_default=True, type=click.Choice(formats), help="How to print."
    )


def since_option(default: str) -> Callable[[_Command], _Command]:
    """``--since``: see :class:`Since`."""
    return click.option(
        "--since",
        default=default,
        show_default=True,
        type=Since(),
        help="From when on: a date, a time, or a span such as 24h, 7d or 2w before the last snapshot.",
    )


@contextmanager
def imports_that_stay() -> Iterator[None]:
    """While it lasts nothing is collected, and what was made meanwhile is never looked at again.

    Importing Dagster makes some hundred thousand objects that live as long as the process; to look through them again
    and again for what could be freed takes an eighth of the import.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


class Moment(click.ParamType[Any]):
    """A date or time in ISO 8601; without an offset it is UTC."""

    name = "time"
    examples = "2026-08-01, 2026-08-01T12:00:00Z and the like"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The moment that ``value`` spells."""
        if not isinstance(value, str):
            return value
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is none of {self.examples}", param, ctx)
        try:
            return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        except OverflowError:
            self.fail(f"{value!r} lies beyond the calendar", param, ctx)


class Since(Moment):
    """A moment, or a span before the last snapshot."""

    name = "time or span"
    examples = "24h, 7d, 2w, 2026-08-01, 2026-08-01T12:00:00Z and the like"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """A datetime or a timedelta."""
        span = re.fullmatch(r"(\d{1,4})([hdw])", value) if isinstance(value, str) else None
        return int(span[1]) * _SPANS[span[2]] if span else super().convert(value, param, ctx)

"""What one installation captures and when, as a person wrote it: `catalogue.toml`.

Belongs here: finding the file, reading it whole or refusing it with the line and the reason.
Does not belong here: the environment's settings, which win over the file (`settings`), what a schedule does (`defs`).

The file holds no secret: it names the environment variables in which secrets are.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn
from zoneinfo import ZoneInfo

from pipelines.errors import CatalogueError, UsageError
from pipelines.scopes import ALL_MODELS, GATEWAY, Scope, gateway_scope
from pipelines.sources.gateway import TOKEN_VARIABLE, checked_gateway_url
from pipelines.sources.http_failures import clean
from pipelines.sources.openrouter import KEY_VARIABLE, listing_scope

FILE = "catalogue.toml"
FILE_VARIABLE = "CATALOGUE_CONFIG"

CATALOGUE = "catalogue"
"""What the list of all models is called beside the names of scopes."""

AFTER_THE_CATALOGUE = "35 0 * * *"
"""When a scope or a gateway is captured that says nothing else: half an hour after the catalogue's own default."""

_MOST_BYTES = 64 * 1024
_MOST_CHARACTERS = 1000
_MOST_LINES = 100
"""Of a line and of a statement: reading takes the square of either."""

_DEEPEST = 10
"""Keys that lead to anything; what is meant has three."""

Place = tuple[str, ...]
"""The keys that lead to a value."""


@dataclass(frozen=True)
class Timing:
    """When: a cron expression of five fields, read in ``time_zone``; None is the installation's."""

    cron: str
    time_zone: str | None = None


@dataclass(frozen=True)
class NamedScope:
    """A list of models that is to be captured."""

    name: str
    scope: Scope
    timing: Timing


@dataclass(frozen=True)
class NamedGateway:
    """A gateway that is to be captured; the environment has its token under ``token_variable``."""

    name: str
    url: str
    token_variable: str
    timing: Timing


@dataclass(frozen=True)
class Configuration:
    """What a file says, or no file: then ``path`` is None, and the catalogue alone is captured.

    ``schedule`` is the catalogue's. ``offers`` and ``feed`` are None where nothing is to ask for them by itself.
    """

    path: Path | None = None
    time_zone: str | None = None
    schedule: str | None = None
    offers: Timing | None = None
    feed: Timing | None = None
    scopes: tuple[NamedScope, ...] = ()
    gateways: tuple[NamedGateway, ...] = ()


NO_FILE = Configuration()


def find(environment: Mapping[str, str] = os.environ) -> Configuration:
    """What the file says that ``CATALOGUE_CONFIG`` names, else `catalogue.toml` in the working directory, if any.

    Raises as :func:`read`, and :class:`UsageError` where a file that is named is not there.
    """
    named = environment.get(FILE_VARIABLE, "").strip()
    if named:
        if not _is_file(Path(named)):
            raise UsageError(f"{FILE_VARIABLE} is {clean(named)!r}, and there is no such file")
        return read(Path(named))
    path = Path(FILE)
    return read(path) if _is_file(path) else NO_FILE


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # such as a name that is too long, or a folder that may not be entered
        return False


def read(path: Path) -> Configuration:
    """What the file at ``path`` says.

    Raises :class:`UsageError`, one sentence with the line and the reason, if any of it cannot be meant, and
    :class:`CatalogueError` if it cannot be read.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except OSError as problem:
        raise CatalogueError(f"{path} cannot be read: {problem.strerror}") from None
    text = ""
    try:
        if len(data) > _MOST_BYTES:
            raise _RefusedError(1, f"the file is larger than {_MOST_BYTES // 1024} KiB")
        text = _decoded(data)
        return _configuration(path, _parsed(text))
    except _RefusedError as refused:
        line = refused.where if isinstance(refused.where, int) else _line_of(text, refused.where)
        raise UsageError(f"{path}, line {line}: {refused.reason}") from None


class _RefusedError(Exception):
    """Something that cannot be meant, ``where``: in a line, or at a place of the document."""

    def __init__(self, where: int | Place, reason: str) -> None:
        super().__init__(reason)
        self.where = where
        self.reason = reason


# --- the text, and where in it things stand ---


def _decoded(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        raise _RefusedError(data.count(b"\n", 0, problem.start) + 1, "this is not written in UTF-8") from None


def _parsed(text: str) -> dict[str, Any]:
    long = next((number for number, line in enumerate(text.split("\n"), 1) if len(line) > _MOST_CHARACTERS), None)
    if long is not None:
        raise _RefusedError(long, f"the line is longer than {_MOST_CHARACTERS} characters")
    try:
        return tomllib.loads(f"{text}\n")
    except RecursionError:
        raise _RefusedError(_unfinished(text), "this is nested too deeply") from None
    except ValueError as problem:
        told = re.fullmatch(r"(.*?) \(at (?:line (\d+), column \d+|end of document)\)", str(problem), re.DOTALL)
        what, line = (told[1], told[2]) if told else ("a value cannot be read", None)
        if re.match(r"Cannot (declare|overwrite|mutate)", what):
            what = "this was given before: a name may stand there once"
        else:
            what = f"this is no TOML: {what[:1].lower()}{what[1:]}"
        raise _RefusedError(int(line) if line else _unfinished(text), what) from None


def _statements(text: str) -> Iterator[tuple[int, str, dict[str, Any] | None]]:
    """The statements of ``text``, each with the number of its first line and what it says alone.

    A statement ends with the first line with which it is whole. One that never is, or not within a hundred lines, says
    None, and is the last.
    """
    statement, begins = "", 1
    for number, line in enumerate(text.split("\n"), 1):
        if not statement:
            begins = number
        statement += f"{line}\n"
        try:
            said = tomllib.loads(statement)
        except (ValueError, RecursionError):
            if number - begins < _MOST_LINES:
                continue
            break
        yield begins, statement, said
        statement = ""
    if statement:
        yield begins, statement, None


def _unfinished(text: str) -> int:
    """The line in which the statement begins that is never whole."""
    return next((line for line, _, said in _statements(text) if said is None), text.count("\n") + 1)


def _line_of(text: str, place: Place) -> int:
    """The first line that has to do with what stands at ``place``."""
    table: Place = ()
    line = 1
    for line, statement, said in _statements(text):
        if said is None:
            break
        found = list(_places(said))
        if statement.lstrip().startswith("["):
            table = found[-1]
        else:
            found = [(*table, *one) for one in found]
        if any(one[: len(place)] == place for one in found):
            return line
    return line


def _places(said: Mapping[str, Any], above: Place = ()) -> Iterator[Place]:
    """Where something stands, what is within others after them."""
    for key, value in said.items():
        yield (*above, key)
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, dict):
                yield from _places(one, (*above, key))


# --- what it means ---


def _configuration(path: Path, document: dict[str, Any]) -> Configuration:
    _refuse_secrets(document)
    top = _Table(document, ())
    time_zone = top.time_zone()
    catalogue = top.table(CATALOGUE)
    offers, feed = top.table("offers"), top.table("feed")
    scopes = [_scope(one) for one in top.tables("scopes")]
    gateways = [_gateway(one) for one in top.tables("gateways")]
    configuration = Configuration(
        path=path,
        time_zone=time_zone,
        schedule=catalogue.cron() if catalogue else None,
        offers=offers.timing(None) if offers else None,
        feed=feed.timing(None) if feed else None,
        scopes=tuple(scopes),
        gateways=tuple(gateways),
    )
    for one in (top, catalogue, offers, feed):
        if one:
            one.end()
    _refuse_doubles(configuration)
    return configuration


def _scope(table: _Table) -> NamedScope:
    name = table.name()
    question = table.text("ask")
    if question is None:
        table.refuse((), f'the scope {name} does not say what it asks, such as ask = "models?zdr=true"')
    try:
        scope = listing_scope(question)
    except UsageError as problem:
        table.refuse(("ask",), str(problem))
    if scope == ALL_MODELS:
        table.refuse(("ask",), f"this is the catalogue itself: its schedule stands under [{CATALOGUE}]")
    named = NamedScope(name, scope, table.timing(AFTER_THE_CATALOGUE))
    table.end()
    return named


def _gateway(table: _Table) -> NamedGateway:
    name, url = table.name(), table.text("url")
    try:
        gateway_scope(name)
    except UsageError as problem:
        table.refuse((), str(problem))
    if url is None:
        table.refuse((), f'the gateway {name} does not say where it is, such as url = "https://gateway.example.com"')
    try:
        checked_gateway_url(url)
    except UsageError as problem:
        table.refuse(("url",), str(problem))
    variable = table.text("token_variable") or (TOKEN_VARIABLE if name == GATEWAY else None)
    if variable is None:
        table.refuse((), f'the gateway {name} does not say where its token is, such as token_variable = "OFFICE_TOKEN"')
    if not re.fullmatch(r"[A-Z_][A-Z0-9_]{0,63}", variable):
        # What stands there may be the token itself, so it is not repeated.
        table.refuse(
            ("token_variable",), "this must be the name of an environment variable, in capitals, and not the token"
        )
    named = NamedGateway(name, url, variable, table.timing(AFTER_THE_CATALOGUE))
    table.end()
    return named


def _refuse_doubles(configuration: Configuration) -> None:
    """No two ask the same, and no two names are one to a person or to Dagster, which knows no hyphen."""
    asked: dict[Scope, str] = {}
    for one in configuration.scopes:
        if one.scope in asked:
            raise _RefusedError(("scopes", one.name, "ask"), f"the scope {asked[one.scope]} asks the same")
        asked[one.scope] = one.name
    names: dict[str, str] = {}
    named = [("scopes", one.name) for one in configuration.scopes]
    named += [("gateways", one.name) for one in configuration.gateways]
    for kind, name in named:
        plain = name.replace("-", "_")
        if plain in names:
            raise _RefusedError((kind, name), f"the name {name} is too much like the name {names[plain]} above")
        names[plain] = name


_SECRET = re.compile(r"token|key|passw|secret|credential|authorization|bearer", re.IGNORECASE)
_SECRET_VALUE = re.compile(r"\bsk-[\w-]{8}|^\s*bearer\s|//[^/@\s]*@", re.IGNORECASE)


def _refuse_secrets(document: Mapping[str, Any], above: Place = ()) -> None:
    for key, value in document.items():
        place = (*above, key)
        if len(place) > _DEEPEST:
            raise _RefusedError(place, "this is nested too deeply")
        if _SECRET_VALUE.search(key):
            _refuse_secret(place)
        is_name = len(above) == 1 and isinstance(value, dict)
        if _SECRET.search(key) and key != "token_variable" and not is_name:
            raise _RefusedError(
                place, f"{clean(key)} looks like a secret, and no secret may stand here: {_hint(above)}"
            )
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, dict):
                _refuse_secrets(one, place)
            elif isinstance(one, str) and _SECRET_VALUE.search(one):
                _refuse_secret(place)


def _refuse_secret(place: Place) -> NoReturn:
    raise _RefusedError(place, f"this looks like a secret, and no secret may stand here: {_hint(place[:-1])}")


def _hint(above: Place) -> str:
    if above[:1] == ("gateways",):
        return f"set {TOKEN_VARIABLE}, or the variable that token_variable names, in the environment"
    return f"set {KEY_VARIABLE} in the environment"


class _Table:
    """A table of the document, from which what is known is taken; :meth:`end` refuses what is left."""

    def __init__(self, value: Mapping[str, Any], place: Place) -> None:
        self._left = dict(value)
        self._known: list[str] = []
        self._place = place

    def refuse(self, below: Place, reason: str) -> NoReturn:
        raise _RefusedError((*self._place, *below), reason)

    def name(self) -> str:
        """What the table is called."""
        name = self._place[-1]
        if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,62}", name):
            self.refuse((), f"{clean(name)!r} is no name: it may have small letters, digits, - and _")
        if name == CATALOGUE:
            self.refuse((), f"{name} is what the list of all models is called: choose another name")
        return name

    def text(self, key: str) -> str | None:
        value = self._take(key)
        if value is None:
            return None
        if not isinstance(value, str) or not value.strip() or not value.isprintable():
            self.refuse((key,), f"{key} must be text in quotes, on one line and not empty")
        return value.strip()

    def cron(self) -> str | None:
        cron = self.text("schedule")
        if cron is not None and not is_cron(cron):
            self.refuse(
                ("schedule",), f"{clean(cron)!r} is no cron expression that ever comes true, such as '5 0 * * *'"
            )
        return cron

    def time_zone(self) -> str | None:
        name = self.text("time_zone")
        if name is not None and not is_time_zone(name):
            self.refuse(("time_zone",), f"{clean(name)!r} is no time zone, such as UTC or Europe/Berlin")
        return name

    def timing(self, default: str | None) -> Timing:
        cron = self.cron() or default
        if cron is None:
            self.refuse((), 'this does not say when, such as schedule = "0 3 * * *"')
        return Timing(cron, self.time_zone())

    def table(self, key: str) -> _Table | None:
        value = self._take(key)
        if value is None:
            return None
        if not isinstance(value, dict):
            self.refuse((key,), f"{clean(key)} must be a table, that is [{'.'.join((*self._place, key))}]")
        return _Table(value, (*self._place, key))

    def tables(self, key: str) -> list[_Table]:
        """The tables in the table ``key``, each of which has a name."""
        named = self.table(key)
        if named is None:
            return []
        if any(not isinstance(value, dict) for value in named._left.values()):
            wrong = next(name for name, value in named._left.items() if not isinstance(value, dict))
            named.refuse((wrong,), f"under {key} each has a table of its own, such as [{key}.office]")
        return [_Table(value, (key, name)) for name, value in named._left.items()]

    def end(self) -> None:
        for key in self._left:
            what = "table" if isinstance(self._left[key], dict) else "key"
            self.refuse((key,), f"there is no such {what} as {clean(key)!r} here; known are {', '.join(self._known)}")

    def _take(self, key: str) -> Any:
        self._known.append(key)
        return self._left.pop(key, None)


# --- times ---


def is_time_zone(name: str) -> bool:
    """Whether the system knows a time zone of that name."""
    try:
        ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        return False
    return True


_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS: tuple[tuple[int, int, tuple[str, ...]], ...] = (
    *((0, 59, ()), (0, 23, ()), (1, 31, ())),
    *((1, 12, _MONTHS), (0, 7, _DAYS)),
)
"""Least, most and names of the values of a cron expression's fields."""

_MOST_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def is_cron(text: str) -> bool:
    """Whether ``text`` is a cron expression of five fields that comes true on some day."""
    parts = text.split()
    if len(parts) != len(_FIELDS):
        return False
    values = [_values(part, *field) for part, field in zip(parts, _FIELDS, strict=True)]
    if not all(values):
        return False
    _, _, days, months, _ = values
    return any(min(days) <= _MOST_DAYS[month - 1] for month in months)


def _values(part: str, least: int, most: int, names: tuple[str, ...]) -> set[int]:
    """The values that one field stands for; none if any of it cannot be read."""
    found: set[int] = set()
    for one in part.lower().split(","):
        told = re.fullmatch(r"(?:\*|(\w{1,3})(?:-(\w{1,3}))?)(?:/(\d{1,3}))?", one, re.ASCII)
        if told is None or (told[1] and told[3] and not told[2]):
            return set()
        first = _number(told[1], least, names) if told[1] else least
        last = _number(told[2] or told[1], least, names) if told[1] else most
        step = int(told[3] or 1)
        if first is None or last is None or not least <= first <= last <= most or step == 0:
            return set()
        found |= set(range(first, last + 1, step))
    return found


def _number(text: str, least: int, names: tuple[str, ...]) -> int | None:
    if text in names:
        return names.index(text) + least
    return int(text) if text.isdigit() else None

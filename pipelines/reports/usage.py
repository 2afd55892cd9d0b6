"""Usage logs: which columns they have, what these mean, and which rows cannot be what they say.

Belongs here: recognising files and columns, reading them exactly, the reasons against a row.
Does not belong here: prices.

A log is a CSV, Parquet or JSON lines file, or a Polars frame, with a row for each request. Read, it is the relation
``usage``: ``row_no`` (from 1), ``time``, ``model``, the counts by the names below (0 where nothing is said),
``billed_usd``, ``tag``, ``request_id``, ``is_naive``, and ``reason``: what is wrong with the row, null if nothing is.
"""

from __future__ import annotations

import csv
import difflib
import gzip
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from pipelines.errors import CatalogueError, UsageError
from pipelines.ledger.connect import literal

if TYPE_CHECKING:
    import polars as pl

    from pipelines.ledger.published import Published

COUNTS: Mapping[str, str] = {
    "prompt_tokens": "prompt",
    "completion_tokens": "completion",
    "reasoning_tokens": "internal_reasoning",
    "cache_read_tokens": "input_cache_read",
    "cache_write_5m_tokens": "input_cache_write",
    "cache_write_1h_tokens": "input_cache_write_1h",
    "audio_tokens": "audio",
    "audio_output_tokens": "audio_output",
    "audio_cache_tokens": "input_audio_cache",
    "image_tokens": "image_token",
    "images": "image",
    "output_images": "image_output",
    "requests": "request",
    "web_searches": "web_search",
}
"""What a request may use, by its column, and the price kind that is paid for it."""

CACHED = ("cache_read_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens")

MOST = 10**18 - 1
"""No count is larger."""

_OTHER_NAMES: Mapping[str, tuple[str, ...]] = {
    "time": ("timestamp", "ts", "datetime", "created_at", "created", "date", "requested_at", "request_time", "at"),
    "model": ("model_id", "model_name", "model_slug", "model_permaslug"),
    "request_id": ("id", "generation_id", "requestid"),
    "billed_usd": ("billed", "billed_amount", "cost", "cost_usd", "cost_total", "amount_usd", "total_cost"),
    "tag": ("tags", "team", "project", "label", "cost_center", "app"),
    "prompt_tokens": ("input_tokens", "tokens_prompt", "native_tokens_prompt", "prompt"),
    "completion_tokens": ("output_tokens", "tokens_completion", "native_tokens_completion", "completion"),
    "reasoning_tokens": ("internal_reasoning_tokens", "tokens_reasoning", "native_tokens_reasoning", "reasoning"),
    "cache_read_tokens": (
        "cached_tokens",
        "cache_read_input_tokens",
        "input_cache_read_tokens",
        "tokens_cached",
        "native_tokens_cached",
        "cache_read",
    ),
    "cache_write_5m_tokens": (
        "cache_write_tokens",
        "cache_creation_input_tokens",
        "input_cache_write_tokens",
        "cache_creation_tokens",
        "cache_write_5m",
        "cache_write",
    ),
    "cache_write_1h_tokens": ("input_cache_write_1h_tokens", "cache_write_1h"),
    "audio_tokens": ("input_audio_tokens", "audio_input_tokens", "audio"),
    "audio_output_tokens": ("output_audio_tokens",),
    "audio_cache_tokens": ("input_audio_cache_tokens", "cached_audio_tokens"),
    "image_tokens": ("input_image_tokens",),
    "images": ("image_count", "num_images", "num_media_prompt", "input_images"),
    "output_images": ("images_output", "generated_images", "num_media_completion"),
    "requests": ("request_count", "num_requests"),
    "web_searches": ("web_search", "web_search_requests", "searches", "num_search_results"),
}
"""Every field of a log and the other names under which it is recognised."""

FIELDS = tuple(_OTHER_NAMES)


@dataclass(frozen=True)
class BadRow:
    """A row that was not priced: its number from 1, and why."""

    row_no: int
    reason: str


@dataclass
class Usage:
    """A log that stands ready as the relation ``usage``."""

    columns: Mapping[str, str]
    """The columns of the log by field."""
    ignored: Sequence[tuple[str, tuple[str, ...]]]
    """Columns that mean nothing here, each with the names that it is near to."""
    time_zone: str | None
    broken: list[BadRow] = field(default_factory=list)
    """Lines that are no rows at all."""

    @property
    def counts(self) -> tuple[str, ...]:
        """The counts that the log has."""
        return tuple(name for name in COUNTS if name in self.columns)

    def has(self, name: str) -> bool:
        """Whether the log has a column for the field ``name``."""
        return name in self.columns


def read_mapping(text: str) -> dict[str, str]:
    """``time=ts,model=model_name`` as columns by field. Raises :class:`UsageError` for a field that there is not."""
    mapping: dict[str, str] = {}
    for part in filter(None, (one.strip() for one in text.split(","))):
        name, equals, column = (one.strip() for one in part.partition("="))
        if not equals or not column:
            raise UsageError(f"--columns takes FIELD=COLUMN, such as time=ts, and not {part!r}")
        if name not in FIELDS:
            raise UsageError(f"there is no field {name!r}{_or_rather(name, FIELDS)}; there are {', '.join(FIELDS)}")
        if name in mapping:
            raise UsageError(f"--columns names {name} twice")
        mapping[name] = column
    return mapping


def recognise(names: Sequence[str], mapping: Mapping[str, str]) -> dict[str, str]:
    """The columns by field: those of ``mapping``, and of the rest those whose names say it.

    Raises :class:`UsageError` if a column of the mapping is not there, if two columns could be one field, and without
    a time or a model.
    """
    for name, column in mapping.items():
        if column not in names:
            raise UsageError(f"the log has no column {column!r} for {name}{_or_rather(column, names)}")
    taken = dict(mapping)
    for name, others in _OTHER_NAMES.items():
        if name in taken:
            continue
        free = {_plain(column): column for column in names if column not in taken.values()}
        found = [free[one] for one in (name, *others) if one in free]
        if len(found) > 1 and _plain(found[0]) != name:
            raise UsageError(f"{' and '.join(found)} could both be {name}: say which with --columns {name}={found[0]}")
        if found:
            taken[name] = found[0]
    for name in ("time", "model"):
        if name not in taken:
            raise UsageError(
                f"the log has no column that is its {name}: say which with --columns {name}=COLUMN; "
                f"it has {', '.join(map(repr, names[:20])) or 'none'}"
            )
    if not any(name in taken for name in COUNTS):
        raise UsageError("the log has no column that counts anything: say which with --columns prompt_tokens=COLUMN")
    return {name: taken[name] for name in FIELDS if name in taken}


def _ignored(names: Sequence[str], columns: Mapping[str, str]) -> list[tuple[str, tuple[str, ...]]]:
    missing = [name for name in FIELDS if name not in columns]
    left = [name for name in names if name not in columns.values()]
    return [(name, tuple(difflib.get_close_matches(_plain(name), missing, n=2, cutoff=0.6))) for name in left]


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.strip().lower()).strip("_")


def _or_rather(given: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(given, known, n=3, cutoff=0.5)
    return f"; did you mean {' or '.join(near)}?" if near else ""


# --- reading --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Reading:
    """How a log is to be read. ``beyond`` are sums that may not exceed a count: (parts, whole)."""

    mapping: Mapping[str, str] = field(default_factory=dict)
    time_zone: str | None = None
    encoding: str = "utf-8"
    beyond: Sequence[tuple[tuple[str, ...], str]] = ()


def open_frame(published: Published, frame: pl.DataFrame, reading: Reading) -> Usage:
    """Make ``frame`` the relation ``usage``."""
    published.register("usage_frame", frame.with_row_index("\u2116", offset=1))
    return _typed_view(published, "usage_frame", '"\u2116"', reading)


def open_file(published: Published, path: Path, reading: Reading, workplace: Path) -> Usage:
    """Make the log at ``path`` the relation ``usage``; text is read once, into ``workplace``.

    Raises :class:`UsageError` for a file that is no log, :class:`CatalogueError` for one that cannot be read.
    """
    if not path.is_file():
        raise UsageError(f"there is no file {path}")
    kind = _kind(path)
    if kind == "parquet":
        source = f"read_parquet({literal(str(path))}, file_row_number = true)"
        return _typed_view(published, source, "file_row_number + 1", reading)
    if kind == "csv":
        if _has_mixed_line_ends(path):
            path = _with_one_line_end(path, workplace / "usage.csv")
        return _staged(published, *_csv_source(path, reading.encoding), reading, workplace)
    return _staged(published, *_json_source(published, path, reading.encoding), reading, workplace)


def _has_mixed_line_ends(path: Path) -> bool:
    """Whether some lines end in CR LF and others in LF, which DuckDB's reader takes for an error of the whole file."""
    with_return = without = False
    last = b""
    with _opened(path) as file:
        while block := file.read(_BLOCK):
            ends = block.count(b"\n")
            returns = block.count(b"\r\n") + (last == b"\r" and block[:1] == b"\n")
            with_return, without = with_return or returns > 0, without or ends > returns
            last = block[-1:]
            if with_return and without:
                return True
    return False


def _with_one_line_end(path: Path, copy: Path) -> Path:
    with _opened(path) as file, copy.open("wb") as out:
        for line in file:
            out.write(line.removesuffix(b"\n").removesuffix(b"\r") + b"\n")
    return copy


_BLOCK = 1 << 24
"""Bytes."""


def _opened(path: Path) -> IO[bytes]:
    return cast("IO[bytes]", gzip.open(path, "rb") if path.name.lower().endswith(".gz") else path.open("rb"))


def _kind(path: Path) -> str:
    name = path.name.lower()
    for ending in (".gz", ".zst"):
        name = name.removesuffix(ending)
    for kind, endings in (
        ("parquet", (".parquet", ".pq")),
        ("csv", (".csv", ".tsv", ".txt")),
        ("json", (".jsonl", ".ndjson", ".json")),
    ):
        if name.endswith(endings):
            return kind
    raise UsageError(f"{path} is no log by its name: .csv, .tsv, .parquet, .jsonl and .ndjson are read (also .gz)")


def _typed_view(published: Published, source: str, row_no: str, reading: Reading) -> Usage:
    described = published.ask(f"DESCRIBE SELECT * FROM {source}").rows
    types = {str(name): str(type_) for name, type_, *_ in described if name not in ("file_row_number", "\u2116")}
    columns = recognise(list(types), reading.mapping)
    published.run(f"CREATE TEMP VIEW usage AS {typed(columns, types, source, row_no, reading)}")
    return Usage(columns, _ignored(list(types), columns), reading.time_zone)


def _staged(published: Published, source: str, names: Sequence[str], reading: Reading, workplace: Path) -> Usage:
    """Read text into a Parquet file of ``usage``, in order, and find the lines that are no rows."""
    columns = recognise(names, reading.mapping)
    place = workplace / "usage.parquet"
    published.write_parquet(typed(columns, dict.fromkeys(names, "VARCHAR"), source, "0", reading), place)
    broken = _broken_lines(published)
    # A row's number counts the broken lines before it too, so that it leads to the line in the file.
    published.run("CREATE TEMP TABLE broken_lines (good_before BIGINT, broken BIGINT)")
    for place_no, one in enumerate(broken):
        published.run("INSERT INTO broken_lines VALUES (?, ?)", [one.row_no - 1 - place_no, place_no + 1])
    scan = f"SELECT s.* FROM read_parquet({literal(str(place))}, file_row_number = true) AS s"
    numbered = "EXCLUDE (file_row_number) REPLACE (s.file_row_number + 1 AS row_no)"
    if broken:
        shifted = numbered.replace("+ 1 AS", "+ 1 + coalesce(b.broken, 0) AS")
        joined = f"{scan} ASOF LEFT JOIN broken_lines AS b ON s.file_row_number >= b.good_before"
        place = workplace / "numbered.parquet"
        published.write_parquet(joined.replace("s.*", f"s.* {shifted}", 1), place)
        published.run(f"CREATE TEMP VIEW usage AS SELECT * FROM read_parquet({literal(str(place))})")
    else:
        published.run(f"CREATE TEMP VIEW usage AS {scan.replace('s.*', f's.* {numbered}', 1)}")
    return Usage(columns, _ignored(names, columns), reading.time_zone, broken)


def _broken_lines(published: Published) -> list[BadRow]:
    """Lines that are no rows. The header is no row, and a line break within quotes ends no line."""
    found = published.ask(
        """
        SELECT e.line - max(CASE WHEN s.has_header THEN 1 ELSE 0 END), min(e.error_type || ': ' || e.error_message)
        FROM reject_errors AS e
        JOIN reject_scans AS s ON s.scan_id = e.scan_id AND s.file_id = e.file_id
        GROUP BY e.line ORDER BY e.line
        """
    ).rows
    return [BadRow(row_no, _line_trouble(reason)) for row_no, reason in found]


def _line_trouble(reason: str) -> str:
    kind, _, detail = reason.partition(": ")
    words = {"INVALID ENCODING": "is not in the file's encoding", "UNQUOTED VALUE": "has a quote that is not closed"}
    if found := re.search(r"Expected Number of Columns: (\d+) Found: (\d+)", detail):
        return f"has {found[2]} cells and not {found[1]}"
    return words.get(kind, detail.splitlines()[0] if detail else kind.lower())


def _csv_source(path: Path, encoding: str) -> tuple[str, list[str]]:
    """A CSV file as a relation of texts, and the names of its columns."""
    header = _first_line(path, encoding)
    delimiter = max(",;\t|", key=header.count)
    names = next(csv.reader([header], delimiter=delimiter), [])
    names = [name.strip() for name in names]
    if len(set(names)) < len(names) or not all(names):
        twice = sorted({name for name in names if names.count(name) > 1 or not name})
        raise UsageError(f"{path} has a header in which each column must have a name of its own: {twice}")
    columns = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in names)
    return (
        f"read_csv({literal(str(path))}, auto_detect = false, header = true, delim = {literal(delimiter)}, "
        f"quote = '\"', escape = '\"', columns = {{{columns}}}, store_rejects = true, rejects_limit = 0, "
        f"encoding = {literal(encoding)})"
    ), names


def _json_source(published: Published, path: Path, encoding: str) -> tuple[str, list[str]]:
    """JSON lines as a relation of texts, and all keys that any line has; a line that is no object has no keys."""
    lines = (
        f"read_csv({literal(str(path))}, auto_detect = false, header = false, delim = '\x1f', quote = '', "
        f"escape = '', columns = {{'line': 'VARCHAR'}}, store_rejects = true, rejects_limit = 0, "
        f"encoding = {literal(encoding)})"
    )
    is_object = "line IS NOT NULL AND json_valid(line) AND json_type(line) = 'OBJECT'"
    keys = published.ask(
        f"""
        SELECT DISTINCT unnest(json_keys(CASE WHEN {is_object} THEN line ELSE '{{}}' END)) AS name
        FROM {lines} ORDER BY name
        """
    ).rows
    names = [str(name) for (name,) in keys]
    if not names:
        raise UsageError(f"{path} has no line that is a JSON object")
    paths = {name: json_pointer(name) for name in names}
    cells = ", ".join(f"json_extract_string(object, {literal(paths[name])}) AS {quoted(name)}" for name in names)
    objects = f"SELECT CASE WHEN {is_object} THEN line END AS object FROM {lines}"
    return f"(SELECT {cells}, object IS NULL AS is_no_object FROM ({objects}))", names


def json_pointer(key: str) -> str:
    """The RFC 6901 pointer to ``key`` of an object."""
    return "/" + key.replace("~", "~0").replace("/", "~1")


def _first_line(path: Path, encoding: str) -> str:
    try:
        with _opened(path) as file:
            line = io.TextIOWrapper(file, encoding, newline="").readline() if encoding == "utf-16" else ""
            line = line or file.readline().decode(encoding)
    except (UnicodeError, OSError, EOFError) as problem:
        raise CatalogueError(f"{path} cannot be read as text in {encoding}: {problem}") from None
    return line.lstrip("\ufeff").rstrip("\r\n")


# --- what the cells mean --------------------------------------------------------------------------------------------


def typed(columns: Mapping[str, str], types: Mapping[str, str], source: str, row_no: str, reading: Reading) -> str:
    """The query that reads ``source`` as ``usage``: see the module."""
    raw = {name: f"raw_{name}" for name in columns}
    is_json = "is_no_object" in source
    cells = [f"{row_no} AS row_no", *(f"{quoted(columns[name])} AS {raw[name]}" for name in columns)]
    time = _time(raw["time"], types[columns["time"]], reading.time_zone)
    values = {"row_no": "row_no", "time": time.value, "model": f"nullif(trim(CAST({raw['model']} AS VARCHAR)), '')"}
    values |= {name: f"CAST({raw[name]} AS VARCHAR)" for name in ("request_id", "tag") if name in columns}
    values |= {name: _count(raw[name], types[columns[name]]) for name in COUNTS if name in columns}
    wrong = [("is_no_object", "'is no JSON object'")] if is_json else []
    wrong += [
        (time.is_naive, f"'has the time ' || {_shown(raw['time'])} || ' without an offset'"),
        (
            "time IS NULL OR NOT isfinite(time) OR time < TIMESTAMPTZ '1970-01-01 00:00:00+00'",
            f"'has no time that can be read: ' || coalesce({_shown(raw['time'])}, 'none')",
        ),
        ("model IS NULL", "'names no model'"),
        *((f"{name} IS NULL", _count_trouble(name, raw[name])) for name in COUNTS if name in columns),
    ]
    if "billed_usd" in columns:
        cell = f"nullif(trim(CAST({raw['billed_usd']} AS VARCHAR)), '')"
        values["billed_usd"] = _amount(cell)
        wrong.append((f"billed_usd IS NULL AND {cell} IS NOT NULL", f"'has the billed amount ' || {_shown(cell)}"))
    for parts, whole in reading.beyond:
        here = [name for name in parts if name in columns]
        if here:
            total = whole if whole in columns else "0"
            words = " and ".join(map(_words, here))
            wrong.append((f"{' + '.join(here)} > {total}", f"'has more {words} than {_words(whole)}'"))
    cases = " ".join(f"WHEN {condition} THEN {reason}" for condition, reason in wrong)
    return f"""
        SELECT {", ".join(values)}, {time.is_naive} AS is_naive, CASE {cases} END AS reason
        FROM (
            SELECT * EXCLUDE (row_no), {", ".join(f"{value} AS {name}" for name, value in values.items())}
            FROM (SELECT {", ".join(cells)}{", is_no_object" if is_json else ""} FROM {source})
        )"""


@dataclass(frozen=True)
class _Time:
    value: str
    is_naive: str


_OFFSET = r"(?i):[0-9]{2}(\.[0-9]+)?\s*(z|utc|[+-][0-9]{2}(:?[0-9]{2})?)$"


def _time(cell: str, type_: str, time_zone: str | None) -> _Time:
    zone = literal(time_zone or "UTC")
    is_naive = "FALSE" if time_zone else "TRUE"
    if type_ == "TIMESTAMP WITH TIME ZONE":
        return _Time(cell, "FALSE")
    if type_.startswith("TIMESTAMP") or type_ == "DATE":
        return _Time(_local(f"CAST({cell} AS TIMESTAMP)", zone), f"({cell} IS NOT NULL AND {is_naive})")
    if type_ in _INTEGERS:
        return _Time(_epoch(f"TRY_CAST({cell} AS BIGINT)"), "FALSE")
    text = f"trim(CAST({cell} AS VARCHAR))"
    has_offset = f"regexp_matches({text}, {literal(_OFFSET)})"
    is_epoch = f"regexp_full_match({text}, '[0-9]{{9,16}}')"
    local = f"TRY_CAST({text} AS TIMESTAMP)"
    return _Time(
        f"CASE WHEN {is_epoch} THEN {_epoch(f'TRY_CAST({text} AS BIGINT)')} "
        f"WHEN {has_offset} THEN TRY_CAST(upper({text}) AS TIMESTAMPTZ) "
        f"ELSE {_local(local, zone)} END",
        f"({is_naive} AND NOT {is_epoch} AND NOT {has_offset} AND {local} IS NOT NULL)",
    )


def _local(local: str, zone: str) -> str:
    """A local time as an instant; one that the clocks skip is none, and of two that they repeat it is the later."""
    return f"CASE WHEN timezone({zone}, timezone({zone}, {local})) = {local} THEN timezone({zone}, {local}) END"


def _epoch(number: str) -> str:
    """Seconds, milliseconds or microseconds since 1970, told apart by their size."""
    return f"""make_timestamptz(CASE
        WHEN {number} < 100000000000 THEN {number} * 1000000
        WHEN {number} < 100000000000000 THEN {number} * 1000
        ELSE {number} END)"""


_INTEGERS = frozenset({"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"})


def _count(cell: str, type_: str) -> str:
    """A whole number from 0 to :data:`MOST`; 0 where nothing is said, null where it says anything else."""
    if type_ in _INTEGERS:
        number = f"CAST({cell} AS BIGINT)"
        return f"CASE WHEN {cell} IS NULL THEN 0 WHEN {number} BETWEEN 0 AND {MOST} THEN {number} END"
    text = f"trim(CAST({cell} AS VARCHAR))"
    if type_ in ("DOUBLE", "FLOAT"):
        whole = f"CASE WHEN isfinite({cell}) AND {cell} = trunc({cell}) AND {cell} BETWEEN 0 AND 9007199254740992 THEN"
        return f"CASE WHEN {cell} IS NULL THEN 0 ELSE {whole} CAST({cell} AS BIGINT) END END"
    return (
        f"CASE WHEN {text} IS NULL OR {text} = '' THEN 0 "
        f"WHEN regexp_full_match({text}, '[0-9]{{1,18}}([.]0*)?') THEN CAST(split_part({text}, '.', 1) AS BIGINT) END"
    )


_AMOUNT = "[+-]?([0-9]{1,14}([.][0-9]{0,24})?|[.][0-9]{1,24})([eE][+-]?[0-9]{1,2})?"


def _amount(cell: str) -> str:
    """US dollars, exact; null where the text is no amount that the type holds. A DOUBLE counts as it is spelt."""
    return f"CASE WHEN regexp_full_match({cell}, '{_AMOUNT}') THEN TRY_CAST({cell} AS DECIMAL(38, 24)) END"


def _count_trouble(name: str, cell: str) -> str:
    text = f"trim(CAST({cell} AS VARCHAR))"
    return f"""'has {_words(name)} ' || {_shown(cell)} || CASE
        WHEN regexp_full_match({text}, '-[0-9.]+([eE][0-9+-]+)?') THEN ', which is negative'
        WHEN regexp_full_match({text}, '[0-9]*[.][0-9]+') THEN ', which is a fraction'
        WHEN regexp_full_match({text}, '[0-9]+') THEN ', which is too large'
        ELSE ', which is no whole number' END"""


def _words(name: str) -> str:
    return name.replace("_", " ")


def _shown(cell: str) -> str:
    return f"left(CAST({cell} AS VARCHAR), 40)"


_FORMULA = r"^[=+@\t\r\n-]"
"""How a text begins that a spreadsheet would take for a formula."""


def harmless_cell(text: str) -> str:
    """``text`` as a CSV file for people holds it: with an apostrophe before what a spreadsheet would compute."""
    return f"'{text}" if re.match(_FORMULA, text) else text


def harmless_sql(column: str) -> str:
    """:func:`harmless_cell` of a column."""
    return f"CASE WHEN regexp_matches({column}, {literal(_FORMULA)}) THEN chr(39) || {column} ELSE {column} END"


def check_time_zone(name: str) -> None:
    """Raise :class:`UsageError` unless ``name`` is a time zone, such as ``Europe/Berlin``."""
    from zoneinfo import ZoneInfo

    try:
        ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        raise UsageError(f"there is no time zone {name!r}: names are such as UTC or Europe/Berlin") from None


def quoted(name: str) -> str:
    """``name`` as SQL spells an identifier."""
    return '"' + name.replace('"', '""') + '"'

"""What requests cost under the price lists in force: a usage log joined to the catalogue's history, set by set.

Belongs here: the join, its conventions and assumptions, and how sure each row is. Does not belong here: reading logs
(`usage`), comparing periods (`impact`), currencies, the terminal.

Every amount is DECIMAL(38, 24), computed without rounding; an amount that this type cannot hold is an error of its row
or of its total alone.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal

from pipelines.errors import CatalogueError, UsageError
from pipelines.ledger.connect import literal
from pipelines.ledger.published import Published
from pipelines.ledger.schema import SQL_DIR, read_object
from pipelines.reports.usage import CACHED, COUNTS, BadRow, Reading, Usage, harmless_sql, open_file, open_frame

if TYPE_CHECKING:
    import polars as pl

ASSUMPTIONS: Mapping[str, str] = {
    "cache_read_as_prompt": "cache reads that the list does not price cost what prompt tokens cost",
    "cache_write_as_prompt": "cache writes that the list does not price cost what prompt tokens cost",
    "cache_write_1h_as_prompt": "cache writes for an hour that the list does not price cost what prompt tokens cost",
    "reasoning_as_completion": "reasoning tokens that the list does not price cost what completion tokens cost",
    "zero_reasoning_as_completion": "a listed price of zero for reasoning tokens means that none is set apart",
    "images_in_prompt": "images of a list that prices them per token are in the prompt tokens",
    "one_request": "a row of a log that does not count requests is one, and pays the fee if one is listed",
}
"""What is taken for granted where a list or a log is silent; each can be switched off."""

NOT_UNDERSTOOD = "rule_not_understood"
"""Shown beside the assumptions: a rule of the list was not applied because nobody knows its conditions."""

CONFIDENCE: Mapping[str, str] = {
    "exact": "between two snapshots that agree on all prices used",
    "changed_within_gap": "between two snapshots that do not: lower_usd and upper_usd bound what it cost",
    "after_last_observation": "after the last snapshot that lists the model, by its prices",
    "before_first_observation": "before the first snapshot that lists the model, and after the last that lacks it",
    "not_listed_then": "where snapshots lack the model",
    "unlisted_price": "something was used that the list does not price",
    "unreadable_price": "something was used whose price is no number",
    "dynamic": "something was used whose price depends on the request",
    "beyond_decimal": "an amount larger than DECIMAL(38, 24) holds",
    "unknown_model": "no model of this name was ever listed",
}
"""How sure the cost of a row is, and what that means. From `before_first_observation` on a row has no cost."""

PRICED = ("exact", "changed_within_gap", "after_last_observation")

LIMIT = Decimal(10) ** 14
"""Amounts lie below: DECIMAL(38, 24) has 14 digits before the point."""


@dataclass(frozen=True)
class Conventions:
    """How the counts of a log are meant, and what is assumed where lists are silent.

    ``cached``: whether prompt tokens include those read from and written to the cache (``inclusive``, as OpenRouter and
    OpenAI count) or stand beside them (``exclusive``, as Anthropic does). ``reasoning``: whether completion tokens
    include reasoning tokens. ``assumptions``: those of :data:`ASSUMPTIONS` that are made.
    """

    cached: Literal["inclusive", "exclusive"] = "inclusive"
    reasoning: Literal["inclusive", "exclusive"] = "inclusive"
    assumptions: frozenset[str] = frozenset(ASSUMPTIONS)

    def beyond(self) -> list[tuple[tuple[str, ...], str]]:
        """Sums of counts that cannot be larger than another count."""
        found: list[tuple[tuple[str, ...], str]] = []
        if self.cached == "inclusive":
            found.append((CACHED, "prompt_tokens"))
        if self.reasoning == "inclusive":
            found.append((("reasoning_tokens",), "completion_tokens"))
        return found


@dataclass(frozen=True)
class Question:
    """What is asked of a log. ``what_if`` maps names in the log to the models they are priced as."""

    mapping: Mapping[str, str] = field(default_factory=dict)
    conventions: Conventions = Conventions()
    known_at: datetime | None = None
    what_if: Mapping[str, str] = field(default_factory=dict)
    time_zone: str | None = None
    encoding: str = "utf-8"
    source: str = "openrouter"
    prices_of: datetime | None = None
    """The instant whose prices all requests pay, at their own hours and sizes; None: each pays those of its own."""

    def reading(self) -> Reading:
        """How the log is to be read for it."""
        return Reading(self.mapping, self.time_zone, self.encoding, self.conventions.beyond())


@dataclass
class Repriced:
    """A log as the relation ``repriced``, whose rows are those that could be read. See :func:`repricing`.

    Its texts are codes (ENUM), which files hold as texts; a frame wants them cast: :meth:`texts`.
    """

    published: Published
    usage: Usage
    question: Question
    known_at: datetime
    row_count: int
    bad_count: int
    bad_rows: list[BadRow]
    """The first of the rows that could not be read, by their numbers."""
    unknown_models: Mapping[str, tuple[str, ...]]
    """Names that stand for no model, each of the first :data:`MOST_NEAREST` with the ids nearest to it."""

    def columns(self) -> list[str]:
        """The columns of ``repriced``."""
        return [str(name) for name, *_ in self.published.ask("DESCRIBE repriced").rows]

    def texts(self) -> str:
        """The query for its rows with texts as such, in the log's order."""
        coded = ", ".join(f"CAST({name} AS VARCHAR) AS {name}" for name in _CODED)
        return f"SELECT * REPLACE ({coded}) FROM repriced ORDER BY row_no"


def spreadsheet_query(repriced: Repriced) -> str:
    """The rows as a CSV file holds them: names and tags cannot be taken for formulas."""
    columns = repriced.columns()
    texts = [name for name in ("model", "model_id", "request_id", "tag", "nearest_ids") if name in columns]
    harmless = ", ".join(f"{harmless_sql(name)} AS {name}" for name in texts)
    return f"SELECT * REPLACE ({harmless}) FROM repriced ORDER BY row_no"


def written(path: Path) -> str:
    """The relation that reads rows again that were written to a Parquet file."""
    return f"read_parquet({literal(str(path))})"


SHOWN_BAD_ROWS = 20

MEMORY_GIB = 4
"""What a log is priced in, however large it is: what does not fit goes to a temporary file."""

_CODED = ("model", "model_id", "confidence", "assumptions", "nearest_ids")

MOST_NEAREST = 100
"""To so many unknown names the nearest ids are told; each takes ten milliseconds."""

MOST_CODED = 20_000
"""Of so many names codes are made; of more they stay texts, as each part of a Parquet file holds all codes."""


@contextmanager
def repricing(warehouse: Path, log: Path | pl.DataFrame, question: Question = Question()) -> Iterator[Repriced]:
    """The log repriced, as the relation ``repriced`` of an open published file.

    Raises :class:`UsageError` for a log that is none, for times without an offset and no time zone, and for a
    ``known_at`` later than all that is known; :class:`CatalogueError` for a log that cannot be read.
    """
    with Published(warehouse) as published, repriced_by(published, log, question) as repriced:
        yield repriced


@contextmanager
def repriced_by(published: Published, log: Path | pl.DataFrame, question: Question = Question()) -> Iterator[Repriced]:
    """:func:`repricing` by a published file that is open already."""
    with TemporaryDirectory(prefix="catalogue-") as folder:
        published.run(f"SET temp_directory = {literal(folder)}")
        _keep_to(published, MEMORY_GIB)
        if isinstance(log, Path):
            usage = open_file(published, log, question.reading(), Path(folder))
        else:
            usage = open_frame(published, log, question.reading())
        yield _reprice(published, usage, question)


def _keep_to(published: Published, gib: int) -> None:
    """Let DuckDB take no more than so much memory, and what it takes by itself if that is less."""
    number, unit = str(published.ask("SELECT current_setting('memory_limit')").rows[0][0]).split()
    if unit == "TiB" or (unit == "GiB" and float(number) > gib):
        published.run(f"SET memory_limit = '{gib}GiB'")


def reprice(usage: pl.DataFrame, warehouse: Path, question: Question = Question()) -> pl.DataFrame:
    """What each row of ``usage`` cost: the rows that ``catalogue reprice --output`` writes, in their order.

    ``usage`` has a row for each request and the columns of a log, see :mod:`pipelines.reports.usage`; ``warehouse`` is
    the folder of the published file. Amounts are ``Decimal(38, 24)`` in US dollars. Raises as :func:`repricing` does,
    and :class:`CatalogueError` for a row that cannot be read, which a program wants to know.
    """
    with repricing(warehouse, usage, question) as repriced:
        if repriced.bad_count:
            first = repriced.bad_rows[0]
            raise CatalogueError(f"row {first.row_no} {first.reason} ({repriced.bad_count} such rows)")
        return repriced.published.frame(repriced.texts())


def price_again(repriced: Repriced, question: Question) -> Repriced:
    """The same log under another question: ``repriced`` has its rows from now on."""
    return _reprice(repriced.published, repriced.usage, question)


def _reprice(published: Published, usage: Usage, question: Question) -> Repriced:
    clocks = published.ask("SELECT known_at FROM core.clocks(NULL, $known_at)", {"known_at": question.known_at})
    known_at = clocks.rows[0][0]
    names, row_count, bad_count = _survey(published, usage)
    unknown = _prepare(published, names, question, known_at)
    query = _row_query(usage, question.conventions, has_bad_rows=bad_count > 0)
    published.run(f"CREATE OR REPLACE TEMP VIEW repriced AS {query}")
    bad_rows = list(usage.broken)
    if bad_count:
        query = f"SELECT row_no, reason FROM usage WHERE reason IS NOT NULL ORDER BY row_no LIMIT {SHOWN_BAD_ROWS}"
        bad_rows += [BadRow(*row) for row in published.ask(query).rows]
    bad_rows = sorted(bad_rows, key=lambda one: one.row_no)[:SHOWN_BAD_ROWS]
    broken = len(usage.broken)
    return Repriced(published, usage, question, known_at, row_count + broken, bad_count + broken, bad_rows, unknown)


def _survey(published: Published, usage: Usage) -> tuple[list[tuple[str, int, int]], int, int]:
    """The names in the log with their first and last day, the number of its rows, and of those with a defect."""
    rows = published.ask(
        """
        SELECT
            model, count(*), count(reason), count(*) FILTER (is_naive),
            min(CASE WHEN reason IS NULL THEN epoch_us(time) END), max(CASE WHEN reason IS NULL THEN epoch_us(time) END)
        FROM usage GROUP BY model
        """
    ).rows
    if any(naive for _, _, _, naive, _, _ in rows):
        row_no, reason = published.ask(_FIRST_NAIVE).rows[0]
        raise UsageError(f"row {row_no} {reason}: say with --time-zone in which zone such times are, such as UTC")
    names = [(row[0], row[4] // _DAY, row[5] // _DAY) for row in rows if row[0] is not None and row[4] is not None]
    return names, sum(row[1] for row in rows), sum(row[2] for row in rows)


_FIRST_NAIVE = "SELECT row_no, reason FROM usage WHERE is_naive ORDER BY row_no LIMIT 1"

_DAY = 86_400_000_000
"""Microseconds."""


def _prepare(
    published: Published, names: Sequence[tuple[str, int, int]], question: Question, known_at: datetime
) -> dict[str, tuple[str, ...]]:
    """Make the calendar of prices that the log's rows are joined to; the names that stand for no model."""
    given = sorted(name for name, _, _ in names)
    clocks = {"source": question.source, "known_at": known_at}
    known = {one for (one,) in published.ask(_KNOWN_IDS, clocks).rows}
    _check_what_if(question.what_if, given, known)
    _make_types(published, {*given, *known})
    priced_as = [question.what_if.get(name, name) for name in given]
    _make_table(published, "usage_names", {"name_no": range(len(given)), "model": given, "priced_as": priced_as})
    bits = [1 << place for place in range(len(COUNTS))]
    _make_table(published, "counted_kinds", {"price_kind": list(COUNTS.values()), "bit": bits})
    days = {
        "first_day": min((first for _, first, _ in names), default=0),
        "last_day": max((last for _, _, last in names), default=-1),
    }
    assumptions = {name: name in question.conventions.assumptions for name in ASSUMPTIONS}
    for name, parameters in (
        ("usage_models", clocks),
        ("usage_routes", clocks),
        ("model_prices", clocks),
        ("usage_stretches", clocks),
        ("usage_calendar", days),
        ("unit_prices", assumptions),
        ("payments", {}),
        ("calendar", {}),
    ):
        published.run(f"CREATE OR REPLACE TEMP TABLE {name} AS {_query(name)}", parameters)
        if name == "usage_stretches" and question.prices_of is not None:
            published.run(_PRICES_OF, {"instant": question.prices_of})
    lost = published.ask(_LOST).rows
    unknown = {
        model: _nearest(priced_as, known) if place < MOST_NEAREST else ()
        for place, (model, priced_as) in enumerate(lost)
    }
    near = [", ".join(ids) or None for ids in unknown.values()]
    _make_table(published, "nearest", {"model": list(unknown), "nearest_ids": near})
    near_texts = "SELECT DISTINCT nearest_ids FROM nearest WHERE nearest_ids IS NOT NULL ORDER BY nearest_ids"
    _make_type(published, "nearest_text", near_texts, len(near))
    published.run(f"CREATE OR REPLACE TEMP TABLE names AS {_NAMES}")
    return unknown


def _make_types(published: Published, names: Collection[str]) -> None:
    """The types of the texts of ``repriced``: codes, which are written to files without comparing a text."""
    _make_table(published, "named", {"name": sorted(names)})
    _make_type(published, "name_text", "SELECT name FROM named ORDER BY name", len(names))
    for name, texts in (("confidence_text", CONFIDENCE), ("assumptions_text", _ASSUMPTION_TEXTS)):
        published.run(f"CREATE OR REPLACE TEMP TYPE {name} AS ENUM ({', '.join(map(literal, texts))})")


def _make_type(published: Published, name: str, texts: str, count: int) -> None:
    """The type of the column ``texts``: codes, unless there are too many of them."""
    values = f"ENUM ({texts})" if count <= MOST_CODED else "VARCHAR"
    published.run(f"CREATE OR REPLACE TEMP TYPE {name} AS {values}")


def _make_table(published: Published, name: str, columns: Mapping[str, Sequence[Any]]) -> None:
    import polars as pl

    types = {key: pl.Int32 if key in ("name_no", "bit") else pl.String for key in columns}
    frame = pl.DataFrame({key: list(values) for key, values in columns.items()}, schema=types)
    published.register(f"{name}_frame", frame)
    published.run(f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT * FROM {name}_frame")


_PRICES_OF = """
CREATE OR REPLACE TEMP TABLE usage_stretches AS
SELECT
    name_no, model_id, since, CAST(NULL AS VARCHAR) AS next_model_id, CAST(NULL AS BIGINT) AS next_since,
    CAST(-9223372036854775807 AS BIGINT) AS time_from, CAST(9223372036854775807 AS BIGINT) AS time_to,
    CASE WHEN since IS NULL THEN confidence ELSE 'exact' END AS confidence
FROM usage_stretches
WHERE time_from <= epoch_us(CAST($instant AS TIMESTAMPTZ)) AND time_to > epoch_us(CAST($instant AS TIMESTAMPTZ))
"""

_LOST = """
SELECT model, priced_as FROM usage_names WHERE name_no NOT IN (SELECT name_no FROM usage_models) ORDER BY model
"""

_NAMES = """
SELECT
    n.name_no, n.model, CAST(n.model AS name_text) AS name, CAST(g.nearest_ids AS nearest_text) AS nearest_ids
FROM usage_names AS n
LEFT JOIN nearest AS g ON g.model = n.model
"""


@cache
def _query(name: str) -> str:
    return read_object(SQL_DIR / "reports" / f"{name}.sql").body


_KNOWN_IDS = """
SELECT DISTINCT m.model_id
FROM core.runs AS r
JOIN core.model_ids AS m ON m.model_no = r.model_no
WHERE r.source = $source AND r.known_from <= $known_at AND (r.known_to IS NULL OR r.known_to > $known_at)
"""


def _check_what_if(what_if: Mapping[str, str], given: Sequence[str], known: Iterable[str]) -> None:
    for name, other in what_if.items():
        if name not in given:
            raise UsageError(f"--what-if names {name!r}, which the log does not use{_or_rather(_nearest(name, given))}")
        if other not in known:
            near = _or_rather(_nearest(other, known))
            raise UsageError(f"--what-if prices {name!r} as {other!r}, which was never listed{near}")


def _or_rather(near: Sequence[str]) -> str:
    return f"; did you mean {' or '.join(near)}?" if near else ""


_NEAREST = 3

_NEAR = 0.5


def _nearest(name: str, known: Iterable[str]) -> tuple[str, ...]:
    """What `difflib.get_close_matches` finds, in a quarter of its time: those that may be nearest are tried first."""
    matcher = difflib.SequenceMatcher(b=name.lower())
    bounds: list[tuple[float, str]] = []
    for one in known:
        matcher.set_seq1(one)
        if matcher.real_quick_ratio() >= _NEAR and (bound := matcher.quick_ratio()) >= _NEAR:
            bounds.append((bound, one))
    best: list[tuple[float, str]] = []
    for bound, one in sorted(bounds, reverse=True):
        if len(best) == _NEAREST and bound < best[-1][0]:
            break
        matcher.set_seq1(one)
        if (ratio := matcher.ratio()) >= _NEAR:
            best = sorted([*best, (ratio, one)], reverse=True)[:_NEAREST]
    return tuple(one for _, one in best)


# --- the join -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Amount:
    """How many of a price kind a row pays for, and the columns of ``payments`` that say what one costs."""

    count: str
    unit: str

    @property
    def next_unit(self) -> str:
        return f"next_{self.unit}"


def _amounts(usage: Usage, conventions: Conventions) -> dict[str, _Amount]:
    """What is paid for, by price kind: of inclusive counts what the others leave."""
    counts = {name: f"u.{name}" for name in usage.counts}
    if conventions.cached == "inclusive" and "prompt_tokens" in counts:
        cached = [counts[name] for name in CACHED if name in counts]
        counts["prompt_tokens"] = " - ".join([counts["prompt_tokens"], *cached])
    if conventions.reasoning == "inclusive" and {"completion_tokens", "reasoning_tokens"} <= counts.keys():
        counts["completion_tokens"] += f" - {counts['reasoning_tokens']}"
    amounts = {COUNTS[name]: _Amount(count, f"{COUNTS[name]}_usd") for name, count in counts.items()}
    if "requests" not in counts:
        amounts["request"] = _Amount("CAST(1 AS BIGINT)", "one_request_usd")
    return amounts


def _prompt_size(usage: Usage, conventions: Conventions) -> str:
    """The prompt tokens of a request, which rules ask about: those of the cache are among them."""
    names = ["prompt_tokens", *(CACHED if conventions.cached == "exclusive" else ())]
    return " + ".join(f"u.{name}" for name in names if usage.has(name)) or "CAST(0 AS BIGINT)"


def _row_query(usage: Usage, conventions: Conventions, *, has_bad_rows: bool) -> str:
    """The rows of the log that could be read, each with its cost: the relation ``repriced``."""
    amounts = _amounts(usage, conventions)
    told = [name for name in ("request_id", "tag", "billed_usd") if usage.has(name)]
    given = ["row_no", "time", "model", *told]
    flags = ["model_id", "nearest_ids", "known", "is_unsure", "is_priced", "assumed", "dynamic", "unreadable"]
    counts = [f"{kind}_count" for kind in amounts]
    units = [f"{kind}_unit" for kind in amounts]
    costs = [f"{kind}_usd" for kind in amounts]
    next_costs = [f"CASE WHEN is_unsure THEN {_product(kind, 'next_unit')} END AS {kind}_next_usd" for kind in amounts]
    joined = f"""
        SELECT
            {", ".join(f"u.{name}" for name in given if name != "model")}, n.name AS model, n.nearest_ids, p.model_id,
            p.confidence AS known, p.is_unsure, p.is_priced, p.assumed, p.dynamic, p.unreadable,
            {", ".join(f"{one.count} AS {kind}_count" for kind, one in amounts.items())},
            {", ".join(f"p.{one.unit} AS {kind}_unit" for kind, one in amounts.items())},
            {", ".join(f"p.{one.next_unit} AS {kind}_next_unit" for kind, one in amounts.items())}
        FROM usage AS u
        JOIN names AS n ON n.model = u.model
        LEFT JOIN calendar AS c
            ON c.name_no = n.name_no AND c.day = epoch_us(u.time) // {_DAY}
            AND epoch_us(u.time) >= c.time_from AND epoch_us(u.time) < c.time_to
            AND {_prompt_size(usage, conventions)} >= c.least_tokens
            AND {_prompt_size(usage, conventions)} < c.below_tokens
        JOIN payments AS p ON p.payment_no = coalesce(c.payment_no, 0)
        {"WHERE u.reason IS NULL" if has_bad_rows else ""}"""
    multiplied = f"""
        SELECT
            {", ".join([*given, *flags, *counts, *units])},
            {", ".join(f"{_product(kind, 'unit')} AS {kind}_usd" for kind in amounts)},
            {", ".join(next_costs)}
        FROM ({joined})"""
    bounds = [
        f"CASE WHEN is_unsure AND {_all_known(amounts)} THEN TRY({sum_}) END AS {bound}_usd"
        for bound, sum_ in (
            ("lower", " + ".join(f"least({kind}_usd, {kind}_next_usd)" for kind in amounts)),
            ("upper", " + ".join(f"greatest({kind}_usd, {kind}_next_usd)" for kind in amounts)),
        )
    ]
    added = f"""
        SELECT
            *, TRY({" + ".join(costs)}) AS cost_usd,
            {", ".join(bounds)}
        FROM ({multiplied})"""
    variance = "TRY(billed_usd - cost_usd) AS variance_usd," if "billed_usd" in told else ""
    return f"""
        SELECT
            {", ".join(["row_no", "time", "model", "model_id", *told])},
            {_confidence(amounts)} AS confidence,
            {_assumption_texts(amounts)} AS assumptions,
            {", ".join(costs)},
            cost_usd,
            CASE WHEN lower_usd <> upper_usd THEN lower_usd END AS lower_usd,
            CASE WHEN lower_usd <> upper_usd THEN upper_usd END AS upper_usd,
            {variance}
            nearest_ids
        FROM ({added})"""


def _product(kind: str, unit: str) -> str:
    """Exact: the product of a whole number and a DECIMAL(38, 24) is one, or does not fit and so is null."""
    product = f"TRY(CAST({kind}_count AS DECIMAL(18, 0)) * {kind}_{unit})"
    return f"CASE WHEN {kind}_count > 0 THEN {product} WHEN is_priced THEN CAST(0 AS DECIMAL(38, 24)) END"


def _all_known(kinds: Iterable[str]) -> str:
    return " AND ".join(f"{kind}_usd IS NOT NULL AND {kind}_next_usd IS NOT NULL" for kind in kinds)


def _confidence(amounts: Mapping[str, _Amount]) -> str:
    places = {kind: place for place, kind in enumerate(COUNTS.values())}
    used = " | ".join(f"CASE WHEN {kind}_count > 0 THEN {1 << places[kind]} ELSE 0 END" for kind in amounts)
    unlisted = " OR ".join(f"({kind}_count > 0 AND {kind}_unit IS NULL)" for kind in amounts)
    code = {name: f"CAST({literal(name)} AS confidence_text)" for name in CONFIDENCE}
    return f"""CASE
        WHEN cost_usd IS NOT NULL THEN
            CASE WHEN is_unsure AND lower_usd = upper_usd THEN {code["exact"]} ELSE known END
        WHEN NOT is_priced THEN known
        WHEN ({used}) & dynamic <> 0 THEN {code["dynamic"]}
        WHEN ({used}) & unreadable <> 0 THEN {code["unreadable_price"]}
        WHEN {unlisted} THEN {code["unlisted_price"]}
        ELSE {code["beyond_decimal"]}
    END"""


_ASSUMED_FOR = {"input_cache_read": 1, "input_cache_write": 2, "input_cache_write_1h": 4, "internal_reasoning": 8 | 16}
_ASSUMED_FOR |= {"image": 32, "request": 64}
"""The bits of ``assumed`` that matter where a kind is used, in the order of :data:`ASSUMPTIONS`."""

_ALWAYS_ASSUMED = 128


_ASSUMPTION_TEXTS = [
    ", ".join(name for place, name in enumerate([*ASSUMPTIONS, NOT_UNDERSTOOD]) if bits >> place & 1)
    for bits in range(1, 2 * _ALWAYS_ASSUMED)
]


def _assumption_texts(amounts: Mapping[str, _Amount]) -> str:
    """The names of the assumptions that gave a row's cost, looked up by their bits; null where there are none."""
    kinds = [kind for kind in _ASSUMED_FOR if kind in amounts and amounts[kind].unit != "request_usd"]
    used = [f"CASE WHEN {kind}_count > 0 THEN {_ASSUMED_FOR[kind]} ELSE 0 END" for kind in kinds]
    found = f"assumed & ({' | '.join([str(_ALWAYS_ASSUMED), *used])})"
    texts = "enum_range(CAST(NULL AS assumptions_text))"
    return f"CASE WHEN assumed <> 0 AND {found} <> 0 THEN {texts}[{found}] END"

"""What a price report holds: tables and charts of a period, as a warehouse knew it at a moment.

Belongs here: which rows, which figures, what is said of them. Does not belong here: how a report is written
(`workbook`, `page`, `tables`).

Everything is read from the marts of a file opened as of `known_at`, so that a report of a closed month made again at
the same `known_at` is the same, whatever was captured since. No clock is looked at and all rows have an order.
"""

from __future__ import annotations

import difflib
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fnmatch import fnmatchcase
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl

from pipelines.errors import CatalogueError, UsageError
from pipelines.ledger.published import Published

CHARTED = 10
"""Lines in a chart: as many as can be told apart."""

PER_MILLION = frozenset({"token", "audio token", "image token"})
"""Units whose prices people compare by the million."""

Point = tuple[datetime, Decimal | None]


@dataclass(frozen=True)
class Request:
    """What is asked for: the half-open period [``start``, ``end``), and of which models, authors and price kinds.

    ``models`` are ids or patterns such as ``openai/*``. Empty means all. ``known_at`` None means all that is known.
    """

    start: datetime
    end: datetime
    models: tuple[str, ...] = ()
    authors: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    known_at: datetime | None = None


@dataclass(frozen=True)
class Table:
    """A table of a report. Prices are Decimal columns, moments UTC datetimes; ``meaning`` says what a row is."""

    name: str
    title: str
    meaning: str
    frame: pl.DataFrame


@dataclass(frozen=True)
class Line:
    """A price over time as steps: each point holds until the next, and none where there is no value."""

    name: str
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Chart:
    """Prices over time; ``unit`` says what a value counts, such as ``$ per million tokens``."""

    name: str
    title: str
    unit: str
    lines: tuple[Line, ...]

    @property
    def is_logarithmic(self) -> bool:
        """Whether the prices lie so far apart that a linear scale would hide the small ones."""
        values = [value for line in self.lines for _, value in line.points if value is not None]
        return bool(values) and min(values) > 0 and max(values) > 20 * min(values)


@dataclass(frozen=True)
class Report:
    """A report: :attr:`known_at` is the last commit that it knows of, :attr:`until` where its captures end."""

    request: Request
    known_at: datetime
    until: datetime
    tables: tuple[Table, ...]
    charts: tuple[Chart, ...]
    gaps: tuple[tuple[datetime, datetime], ...] = field(default=())

    @property
    def title(self) -> str:
        """What the report is called."""
        return f"Prices of the model catalogue, {_minute(self.request.start)} to {_minute(self.request.end)} UTC"

    def table(self, name: str) -> pl.DataFrame:
        """The rows of the table ``name``."""
        return next(one.frame for one in self.tables if one.name == name)


def report(warehouse: Path, request: Request) -> Report:
    """The report that ``request`` asks of the published file of ``warehouse``.

    Raises :class:`UsageError` for a period that is none and for unknown models, authors or kinds (naming the nearest),
    :class:`CatalogueError` for one without captures.
    """
    if request.start >= request.end:
        raise UsageError(f"the period is empty: it ends at {_minute(request.end)}, and it does not begin before")
    with Published(warehouse) as published:
        known_at = request.known_at or published.known_at
    with Published(warehouse, known_at) as published:
        return _Maker(published, request).make()


@dataclass(frozen=True)
class CapabilityClass:
    """What a buyer may need; a standard question to `marts.cheapest_by_capability`."""

    name: str
    min_context_length: int
    input_modalities: tuple[str, ...] = ("text",)
    needs_tools: bool = False


CLASSES = (
    CapabilityClass("text", 0),
    CapabilityClass("text, 128,000 context, tools", 128_000, needs_tools=True),
    CapabilityClass("text, 1,000,000 context, tools", 1_000_000, needs_tools=True),
    CapabilityClass("images, 128,000 context", 128_000, ("text", "image")),
)


class _Maker:
    """One report in the making."""

    def __init__(self, published: Published, request: Request) -> None:
        self._published = published
        self._request = request
        self._snapshots = published.frame(_SNAPSHOTS, self._period)
        self._moments: list[datetime] = self._snapshots["observed_at"].unique().sort().to_list()
        if not any(moment < request.end for moment in self._moments):
            raise CatalogueError(f"nothing was captured before {_minute(request.end)} UTC{self._reach()}")
        if self._moments[-1] < request.start:
            raise CatalogueError(f"nothing was captured from {_minute(request.start)} UTC on{self._reach()}")
        self._gap_hours = _gap_hours(self._moments)
        self._until = min(request.end, self._moments[-1])
        self._gaps = tuple(_gaps(self._moments, self._gap_hours, request.start, self._until))
        self._models = self._chosen_models()

    @property
    def _period(self) -> dict[str, Any]:
        return {"from": self._request.start, "to": self._request.end}

    def _reach(self) -> str:
        if not self._moments:
            return ", and nothing else either"
        return f"; captures reach from {_minute(self._moments[0])} to {_minute(self._moments[-1])} UTC"

    def make(self) -> Report:
        history = self._read(_PRICE_HISTORY, {"until": self._until})
        changes = self._read(_PRICE_CHANGES, {"gap_hours": self._gap_hours})
        rules = self._read(_RULE_CHANGES)
        events = self._read(_EVENTS)
        expirations = self._read(_EXPIRATIONS)
        cheapest = self._cheapest()
        repricings = changes.filter("is_repricing")
        flips = changes.filter("is_schedule_flip")
        others = changes.filter(~pl.col("is_repricing") & ~pl.col("is_schedule_flip"))
        tables = [
            Table("repricings", "Repricings", _REPRICINGS_MEAN, repricings),
            Table("rule_changes", "Changes of rules", _RULE_CHANGES_MEAN, rules),
            Table("schedule_flips", "Schedule flips", _FLIPS_MEAN, flips),
            Table("other_price_changes", "Other changes of prices", _OTHERS_MEAN, others),
            Table("models", "New, removed and returned models", _EVENTS_MEAN, events),
            Table("expirations", "Expirations", _EXPIRATIONS_MEAN, expirations),
            Table("cheapest", "Cheapest by capability", _CHEAPEST_MEAN, _runs_of_days(cheapest)),
            Table("price_history", "Price history", _HISTORY_MEAN, history),
            Table(
                "rule_prices", "Prices of rules", _RULE_PRICES_MEAN, self._read(_RULE_PRICES, {"until": self._until})
            ),
            Table("method", "Method", "How this report was made, and from what.", self._method()),
            Table(
                "words", "Words", "What the words in the columns mean.", pl.DataFrame(_WORDS, orient="row", schema=_W)
            ),
            Table("snapshots", "Snapshots", _SNAPSHOTS_MEAN, self._used_snapshots()),
            Table("capture_gaps", "Gaps in capture", _GAPS_MEAN, self._gap_table()),
        ]
        summary = Table("summary", "Summary", "The figures of the period.", self._summary(tables))
        known_at = self._published.known_at
        charts = (*self._price_charts(history, repricings), *self._cheapest_chart(cheapest))
        return Report(self._request, known_at, self._until, (summary, *tables), charts, self._gaps)

    # --- what is asked about ---

    def _chosen_models(self) -> pl.Series | None:
        """The ids that the request is about; None means all."""
        known = self._published.frame("SELECT DISTINCT model_id FROM marts.model_spells ORDER BY model_id")["model_id"]
        kinds = {one for (one,) in self._published.ask(_KINDS).rows}
        for kind in self._request.kinds:
            if kind not in kinds:
                raise UsageError(f"no price kind {kind!r} was ever listed; there are {', '.join(sorted(kinds))}")
        authors = {one.partition("/")[0].removeprefix("~") for one in known}
        for author in self._request.authors:
            if author not in authors:
                raise UsageError(f"no author {author!r} ever had a model{_nearest(author, authors)}")
        if not self._request.models and not self._request.authors:
            return None
        chosen = set(known)
        if self._request.authors:
            chosen = {one for one in chosen if one.partition("/")[0].removeprefix("~") in self._request.authors}
        if self._request.models:
            chosen &= set().union(*(_matching(pattern, known.to_list()) for pattern in self._request.models))
        return pl.Series("model_id", sorted(chosen), dtype=pl.String)

    def _read(self, query: str, more: dict[str, Any] | None = None) -> pl.DataFrame:
        """The rows of ``query`` that the request is about."""
        frame = self._published.frame(query, {**self._period, **(more or {})})
        if self._models is not None:
            frame = frame.filter(pl.col("model_id").is_in(self._models.implode()))
        if self._request.kinds and "price_kind" in frame.columns:
            frame = frame.filter(pl.col("price_kind").is_in(self._request.kinds))
        return frame

    # --- where it comes from ---

    def _used_snapshots(self) -> pl.DataFrame:
        """Those of the period, the last before it and the first after it: these say what held at its ends."""
        moments = self._moments
        first = max((one for one in moments if one <= self._request.start), default=moments[0])
        last = min((one for one in moments if one >= self._request.end), default=moments[-1])
        return self._snapshots.filter(pl.col("observed_at").is_between(first, last))

    def _gap_table(self) -> pl.DataFrame:
        rows = [("between", start, end) for start, end in self._gaps]
        if self._moments[0] > self._request.start:
            rows.insert(0, ("before_first", self._request.start, min(self._moments[0], self._request.end)))
        if self._until < self._request.end:
            rows.append(("after_last", self._until, self._request.end))
        return pl.DataFrame(
            [(*row, (row[2] - row[1]) / timedelta(hours=1)) for row in rows],
            schema={"gap": pl.String, "last_before": _MOMENT, "first_after": _MOMENT, "hours": pl.Float64},
            orient="row",
        )

    def _method(self) -> pl.DataFrame:
        request, published = self._request, self._published
        schema, views = published.ask("SELECT version, views FROM main.schema_version").rows[0]
        rows = [
            ("period", f"{_minute(request.start)} to {_minute(request.end)} UTC, the end not included"),
            ("known at", f"{published.known_at.astimezone(UTC).isoformat()}: nothing that was learnt later is in it"),
            ("models", ", ".join(request.models) or "all"),
            ("authors", ", ".join(request.authors) or "all"),
            ("price kinds", ", ".join(request.kinds) or "all"),
            ("captures end", f"{_minute(self._moments[-1])} UTC"),
            ("gap", f"more than {self._gap_hours:g} hours without a snapshot: at least 48, and three times the median"),
            ("program", f"openrouter-catalogue {version('openrouter-catalogue')}, DuckDB {version('duckdb')}"),
            ("schema", f"{schema}, views {views[:16]}"),
            *_METHOD,
        ]
        return pl.DataFrame(rows, schema={"what": pl.String, "how": pl.String}, orient="row")

    # --- figures ---

    def _summary(self, tables: Sequence[Table]) -> pl.DataFrame:
        of = {one.name: one.frame for one in tables}
        repricings = of["repricings"].filter(~pl.col("is_alias"))
        events = of["models"].filter(~pl.col("model_id").str.starts_with("~"))
        by_kind = dict(repricings.group_by("change_kind").len().iter_rows())
        by_event = dict(events.group_by("event").len().iter_rows())
        expirations = of["expirations"].filter(~pl.col("is_placeholder"))
        rows: list[tuple[str, int, str]] = [
            ("models listed at the start", self._listed(self._request.start), "aliases left out"),
            ("models listed at the end", self._listed(self._until, at_end=True), "aliases left out"),
            *((f"models {event}", by_event.get(event, 0), "") for event in ("added", "removed", "returned")),
            ("repricings", repricings.height, f"of {repricings['model_id'].n_unique()} models, aliases left out"),
            ("increases", by_kind.get("increase", 0), _extreme(repricings, "increase")),
            ("decreases", by_kind.get("decrease", 0), _extreme(repricings, "decrease")),
            ("became free", by_kind.get("became_free", 0), ""),
            ("became paid", by_kind.get("became_paid", 0), ""),
            ("taken back", repricings["reverted_at"].count(), "the next change restored the old price: may be routing"),
            (
                "changes of rules",
                of["rule_changes"].filter("is_repricing").height,
                "after which a request pays otherwise",
            ),
            ("schedule flips", of["schedule_flips"].height, "the clock moved the price, nobody did"),
            ("expirations standing", expirations.height, "announced dates that stood in the period"),
            ("snapshots", of["snapshots"].height, "those at both ends of the period included"),
            ("gaps in capture", of["capture_gaps"].height, f"longer than {self._gap_hours:g} hours, or at an end"),
            ("altered intervals", self._altered(), "were told otherwise before a late capture or a decision"),
        ]
        return pl.DataFrame(rows, schema={"figure": pl.String, "number": pl.Int64, "note": pl.String}, orient="row")

    def _listed(self, moment: datetime, *, at_end: bool = False) -> int:
        """How many models were listed at a moment, or just before it."""
        ends = "listed_from < $at AND (listed_to IS NULL OR listed_to >= $at)"
        inside = "listed_from <= $at AND (listed_to IS NULL OR listed_to > $at)"
        is_cut = at_end and self._until == self._request.end
        frame = self._published.frame(
            f"SELECT model_id FROM marts.model_spells WHERE {ends if is_cut else inside} AND model_id NOT LIKE '~%'",
            {"at": moment},
        )
        return (
            frame if self._models is None else frame.filter(pl.col("model_id").is_in(self._models.implode()))
        ).height

    def _altered(self) -> int:
        frame = self._read(_ALTERED)
        return frame.height

    # --- charts ---

    def _price_charts(self, history: pl.DataFrame, repricings: pl.DataFrame) -> Iterator[Chart]:
        kinds = [one for one in ("prompt", "completion") if not self._request.kinds or one in self._request.kinds]
        for kind in kinds or list(self._request.kinds[:2]):
            told = history.filter((pl.col("price_kind") == kind) & pl.col("price_usd").is_not_null())
            chosen = _most_moved(told, repricings.filter(pl.col("price_kind") == kind))
            lines = tuple(self._line(model, told.filter(pl.col("model_id") == model)) for model in chosen)
            if lines:
                unit = told["unit"][0]
                per = f"million {unit}s" if unit in PER_MILLION else str(unit)
                yield Chart(kind, f"Price of {kind.replace('_', ' ')}", f"$ per {per}", lines)

    def _line(self, model: str, told: pl.DataFrame) -> Line:
        points: list[Point] = []
        # of several sources the first: their prices are no single line
        told = told.filter(pl.col("source") == told["source"].min())
        for row in told.sort("valid_from").iter_rows(named=True):
            value = row["usd_per_million"] if row["unit"] in PER_MILLION else row["price_usd"]
            for start, end in _without(self._gaps, row["in_force_from"], row["in_force_to"]):
                if points and points[-1][0] != start:
                    points.append((points[-1][0], None))
                points += [(start, value), (end, value)]
        return Line(model, tuple(points))

    def _cheapest(self) -> pl.DataFrame:
        """Day by day, for each standard class."""
        frames = [
            self._published.frame(
                _CHEAPEST,
                {
                    **self._period,
                    "class": one.name,
                    "context": one.min_context_length,
                    "inputs": list(one.input_modalities),
                    "tools": one.needs_tools,
                },
            )
            for one in CLASSES
        ]
        return pl.concat(frames)

    def _cheapest_chart(self, cheapest: pl.DataFrame) -> Iterator[Chart]:
        blend = cheapest.filter(pl.col("bought") == "blend")
        lines = []
        for one in CLASSES:
            points: list[Point] = []
            for row in blend.filter(pl.col("capability") == one.name).sort("source", "day").iter_rows(named=True):
                start = datetime.combine(row["day"], datetime.min.time(), UTC)
                is_seen = row["last_seen_at"] >= start - timedelta(hours=self._gap_hours)
                if points and (points[-1][0] != start or not is_seen):
                    points.append((points[-1][0], None))
                if is_seen:
                    points += [(start, row["usd_per_million"]), (start + timedelta(days=1), row["usd_per_million"])]
            if points:
                lines.append(Line(one.name, tuple(points)))
        if lines:
            title = "The cheapest million tokens (three prompt tokens for each completion token)"
            yield Chart("cheapest", title, "$ per million tokens", tuple(lines))


def _matching(pattern: str, known: Sequence[str]) -> set[str]:
    if pattern in known:
        return {pattern}
    found = {one for one in known if fnmatchcase(one, pattern)}
    if not found:
        raise UsageError(f"no model {pattern!r} was ever listed{_nearest(pattern, known)}")
    return found


def _nearest(given: str, known: Sequence[str] | set[str]) -> str:
    near = difflib.get_close_matches(given.lower(), sorted(known), n=3, cutoff=0.5)
    return f"; did you mean {' or '.join(near)}?" if near else ""


def _gap_hours(moments: Sequence[datetime]) -> float:
    """From how many hours without a snapshot on it is a gap: 48, or three times the median if that is more."""
    between = [(end - start) / timedelta(hours=1) for start, end in pairwise(moments)]
    return max(48.0, round(3 * statistics.median(between), 2)) if between else 48.0


def _gaps(
    moments: Sequence[datetime], hours: float, start: datetime, until: datetime
) -> Iterator[tuple[datetime, datetime]]:
    for before, after in pairwise(moments):
        if after - before > timedelta(hours=hours) and before < until and after > start:
            yield before, after


def _without(
    gaps: Sequence[tuple[datetime, datetime]], start: datetime, end: datetime
) -> Iterator[tuple[datetime, datetime]]:
    """The pieces of [start, end] that lie in no gap."""
    for before, after in gaps:
        if before < end and after > start:
            if start < before:
                yield start, before
            start = after
    if start <= end:
        yield start, end


def _most_moved(told: pl.DataFrame, repricings: pl.DataFrame) -> list[str]:
    """The models to draw: all of few, else those whose prices moved most, doubling and halving being alike."""
    models = told.filter(~pl.col("model_id").str.starts_with("~"))["model_id"].unique().sort().to_list()
    if len(models) <= CHARTED:
        return models
    moved = (
        repricings.filter(pl.col("model_id").is_in(models) & pl.col("change_ratio").is_not_null())
        .with_columns((pl.col("change_ratio") + 1).log().abs().alias("size"))
        .group_by("model_id")
        .agg(pl.col("size").max())
        .sort("size", "model_id", descending=[True, False])
    )
    return sorted(moved["model_id"].head(CHARTED).to_list() or models[:CHARTED])


def _extreme(repricings: pl.DataFrame, kind: str) -> str:
    """The largest change of a kind in words."""
    found = repricings.filter((pl.col("change_kind") == kind) & pl.col("change_ratio").is_not_null())
    if found.is_empty():
        return ""
    found = found.sort(
        "change_ratio", "model_id", "price_kind", "changed_at", descending=[kind == "increase", *[False] * 3]
    )
    row = found.row(0, named=True)
    return f"at most {row['change_ratio']:+.1%}: {row['price_kind']} of {row['model_id']}"


def _runs_of_days(cheapest: pl.DataFrame) -> pl.DataFrame:
    """Successive days with one answer as one row."""
    same = [
        "source",
        "capability",
        "bought",
        "usd_per_million",
        "model_id",
        "equally_cheap",
        "prompt_usd",
        "completion_usd",
    ]
    is_new = pl.struct(same) != pl.struct(same).shift(1)
    has_gap = pl.col("day") != pl.col("day").shift(1) + timedelta(days=1)
    return (
        cheapest.with_columns((is_new | has_gap).fill_null(True).cum_sum().alias("run"))
        .group_by("run", *same, maintain_order=True)
        .agg(
            pl.col("day").min().alias("first_day"),
            pl.col("day").max().alias("last_day"),
            pl.col("qualifying").min().alias("least_qualifying"),
            pl.col("qualifying").max().alias("most_qualifying"),
        )
        .drop("run")
        .select(
            "source", "capability", "bought", "first_day", "last_day", *same[3:], "least_qualifying", "most_qualifying"
        )
    )


def _minute(moment: datetime | date) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M") if isinstance(moment, datetime) else str(moment)


# --- questions ---

_MOMENT = pl.Datetime("us", "UTC")

_KINDS = """
SELECT price_kind FROM marts.price_history UNION SELECT price_kind FROM marts.price_rule_history
"""

_SNAPSHOTS = """
SELECT
    observed_at, recorded_at, source, scope, model_count, sha256, snapshot_id,
    CASE WHEN observed_at < $from THEN 'before' WHEN observed_at >= $to THEN 'after' ELSE 'within' END AS place
FROM marts.snapshots WHERE scope_kind = 'catalogue' ORDER BY observed_at, source, scope, sha256
"""

_MILLION = """CASE
        WHEN {unit} IN ('token', 'audio token', 'image token') AND {usd} < 100000000
            THEN CAST({usd} * 1000000 AS DECIMAL(38, 24))
    END"""

_PRICE_HISTORY = f"""
SELECT
    source, model_id, price_kind, unit, price_text, price_usd,
    {_MILLION.format(unit="unit", usd="price_usd")} AS usd_per_million,
    price_status, greatest(valid_from, $from) AS in_force_from,
    least(coalesce(valid_to, $until), $until) AS in_force_to,
    valid_from, valid_to, last_seen_at
FROM marts.price_history
WHERE valid_from < $to AND valid_from <= $until AND (valid_to IS NULL OR valid_to > $from)
ORDER BY model_id, price_kind, valid_from, source
"""

_RULE_PRICES = f"""
SELECT
    source, model_id, rule_no, min_prompt_tokens, utc_start, utc_end, array_to_string(utc_days, ', ') AS utc_days,
    CAST(unknown_conditions AS VARCHAR) AS unknown_conditions, price_kind, unit, price_text, price_usd,
    {_MILLION.format(unit="unit", usd="price_usd")} AS usd_per_million,
    price_status, greatest(valid_from, $from) AS in_force_from,
    least(coalesce(valid_to, $until), $until) AS in_force_to,
    valid_from, valid_to, last_seen_at
FROM marts.price_rule_history
WHERE valid_from < $to AND valid_from <= $until AND (valid_to IS NULL OR valid_to > $from)
ORDER BY model_id, valid_from, rule_no, price_kind, source
"""

_PRICE_CHANGES = f"""
WITH intervals AS (
    SELECT
        i.source, m.model_id, i.price_kind, i.valid_from, coalesce(i.unit, lag(i.unit) OVER w) AS unit,
        lag(i.valid_from) OVER w AS old_since
    FROM core.price_intervals AS i
    JOIN core.model_ids AS m ON m.model_no = i.model_no
    WHERE i.known_to IS NULL
    WINDOW w AS (PARTITION BY i.source, i.model_no, i.price_kind ORDER BY i.valid_from)
),

changes AS (
    SELECT
        c.*, i.unit, CASE WHEN c.old_price_text IS NOT NULL THEN i.old_since END AS old_since,
        CAST(epoch_us(c.changed_at) - epoch_us(c.last_seen_at) AS DOUBLE) / 3600000000 AS unseen_hours
    FROM marts.price_changes AS c
    LEFT JOIN intervals AS i
        ON i.source = c.source AND i.model_id = c.model_id AND i.price_kind = c.price_kind
        AND i.valid_from = c.changed_at
    WHERE c.changed_at >= $from AND c.changed_at < $to
)

SELECT
    changed_at, source, model_id, price_kind, unit, change_kind, old_price_text, new_price_text, old_price_usd,
    new_price_usd, {_MILLION.format(unit="unit", usd="old_price_usd")} AS old_usd_per_million,
    {_MILLION.format(unit="unit", usd="new_price_usd")} AS new_usd_per_million, change_ratio,
    old_since, CAST(epoch_us(changed_at) - epoch_us(old_since) AS DOUBLE) / 86400000000 AS old_held_days,
    reverted_at, last_seen_at,
    CASE
        WHEN after_absence THEN 'after_absence' WHEN unseen_hours > $gap_hours THEN 'changed_within_gap'
        ELSE 'bracketed'
    END AS confidence,
    has_rule_change, is_alias, is_repricing, is_schedule_flip
FROM changes
ORDER BY changed_at, model_id, price_kind, source
"""

_RULE_CHANGES = """
SELECT
    c.changed_at, c.source, c.model_id, c.price_kind, h.unit, c.min_prompt_tokens, c.old_low_usd, c.old_high_usd,
    c.new_low_usd, c.new_high_usd, c.week_ratio AS change_ratio, c.changed_minutes, c.unknown_minutes, c.is_alias,
    c.is_repricing, c.after_absence, c.last_seen_at
FROM marts.price_rule_changes AS c
LEFT JOIN (
    SELECT source, model_id, price_kind, max_by(unit, valid_from) AS unit
    FROM marts.price_rule_history GROUP BY source, model_id, price_kind
) AS h ON h.source = c.source AND h.model_id = c.model_id AND h.price_kind = c.price_kind
WHERE c.changed_at >= $from AND c.changed_at < $to
ORDER BY c.changed_at, c.model_id, c.price_kind, c.min_prompt_tokens NULLS FIRST, c.source
"""

_EVENTS = """
WITH spells AS (
    SELECT *, lag(listed_to) OVER (PARTITION BY source, model_id ORDER BY spell_no) AS gone_since
    FROM marts.model_spells
)

SELECT
    e.happened_at, e.event, e.source, e.model_id, n.name, n.author, t.context_length,
    p.price_text AS prompt_text, c.price_text AS completion_text,
    CASE WHEN e.event = 'removed' THEN s.listed_from ELSE s.gone_since END AS since,
    CAST(
        epoch_us(e.happened_at) - epoch_us(CASE WHEN e.event = 'removed' THEN s.listed_from ELSE s.gone_since END)
        AS DOUBLE
    ) / 86400000000 AS days
FROM marts.model_events AS e
JOIN spells AS s
    ON s.source = e.source AND s.model_id = e.model_id
    AND CASE WHEN e.event = 'removed' THEN s.listed_to ELSE s.listed_from END = e.happened_at
LEFT JOIN marts.model_history AS t
    ON t.source = e.source AND t.model_id = e.model_id
    AND CASE WHEN e.event = 'removed' THEN t.valid_to ELSE t.valid_from END = e.happened_at
LEFT JOIN core.model_summaries AS n ON n.source = e.source AND n.model_id = e.model_id
LEFT JOIN marts.price_history AS p
    ON p.source = e.source AND p.model_id = e.model_id AND p.price_kind = 'prompt'
    AND CASE WHEN e.event = 'removed' THEN p.valid_to ELSE p.valid_from END = e.happened_at
LEFT JOIN marts.price_history AS c
    ON c.source = e.source AND c.model_id = e.model_id AND c.price_kind = 'completion'
    AND CASE WHEN e.event = 'removed' THEN c.valid_to ELSE c.valid_from END = e.happened_at
WHERE e.happened_at >= $from AND e.happened_at < $to
ORDER BY e.happened_at, e.event, e.model_id, e.source
"""

_EXPIRATIONS = """
SELECT
    expiration_date, source, model_id, author, status, announced_at, notice_days, previous_expiration_date, days_left,
    removed_at, removal, ended_at, outlived_days, is_placeholder, last_seen_at
FROM marts.expirations
WHERE announced_at < $to AND (ended_at IS NULL OR ended_at >= $from)
ORDER BY expiration_date, model_id, announced_at, source
"""

_CHEAPEST = """
SELECT $class AS capability, *
FROM marts.cheapest_by_capability(
    $from, to_at := $to, min_context_length := $context, input_modalities := $inputs, needs_tools := $tools
)
ORDER BY source, bought, day
"""

_ALTERED = """
SELECT DISTINCT source, model_id, what, price_kind, rule_no, valid_from
FROM marts.alterations
WHERE
    alteration <> 'narrowed' AND valid_from < $to
    AND (coalesce(valid_to, former_valid_to) IS NULL OR greatest(valid_to, former_valid_to) > $from)
"""

# --- what is said ---

_REPRICINGS_MEAN = (
    "A change of one headline price to another number: increases, decreases, became free, became paid. The ratio is "
    "new / old - 1. The old price had held since old_since; reverted_at is when it came back."
)
_RULE_CHANGES_MEAN = (
    "A change of the rules of a price list, by price kind and tier of prompt tokens: the least and the most that a "
    "unit costs at any time of a week before and after; the ratio is that of the week's means."
)
_FLIPS_MEAN = "The price list is unchanged; the clock moved the headline from one value of its schedule to another."
_OTHERS_MEAN = "Prices that were listed, unlisted, or changed to or from dynamic or unreadable ones: no repricings."
_EVENTS_MEAN = (
    "Models that came, went and came back, with the prices of that moment. Days: how long a removed model had been "
    "listed, or a returned one away."
)
_EXPIRATIONS_MEAN = (
    "Announced ends that stood at any time of the period; notice_days run from the announcement to the date. What "
    "became of them is as known at `known at`, days_left counts from the last snapshot."
)
_CHEAPEST_MEAN = (
    "The lowest headline price of a million tokens at the end of each UTC day among models that can do as much, free, "
    "dynamic and alias models left out; of all models, whichever the report is about. blend: three prompt tokens for "
    "each completion token. Successive days with one answer are one row."
)
_HISTORY_MEAN = (
    "Every headline price in force in the period. in_force_from and in_force_to are clipped to the period and to the "
    "last snapshot; valid_from and valid_to are not. Absent is not free: a price that was not listed has no row."
)
_RULE_PRICES_MEAN = (
    "The prices that rules give instead of the headline where all their conditions hold; a later rule wins."
)
_SNAPSHOTS_MEAN = (
    "The snapshots of the period, the last before it and the first after it, each with the SHA-256 of the bytes as "
    "received. Earlier ones bear on it only through since when a price had held."
)
_GAPS_MEAN = "Times without snapshots. What happened within one is known to have happened by its end, and not when."

_METHOD = (
    ("times", "UTC; intervals include their start and not their end"),
    ("prices", "exact decimals of US dollars, never rounded; the text is what the source wrote"),
    ("numbers in a workbook", "Excel keeps 15 digits; the text beside them is exact"),
    ("headline prices", "those of the top provider: one that goes and comes back may be routing"),
    ("rules", "tiers and schedules are told apart from headline prices and are not applied to them"),
)

_W = {"word": pl.String, "meaning": pl.String}
_WORDS = (
    ("bracketed", "two snapshots close to each other show the old and the new price: it changed between them"),
    ("changed_within_gap", "a gap in capture lies between the old and the new price: it changed at any time within it"),
    ("after_absence", "the model was not listed in between: when the price changed is not known"),
    ("listed", "a price status: a number above zero. As a change: the price was absent before"),
    ("unlisted", "the price is absent now, which is not free"),
    ("free", "zero"),
    ("dynamic", "-1: what is paid depends on the request"),
    ("unreadable", "the text is no number, or does not fit; it is kept as it is"),
    ("announced", "a date of expiration that stands and lies ahead"),
    ("moved", "a date that was replaced by another"),
    ("withdrawn", "a date that was taken back"),
    ("passed_still_listed", "the day is over and the model is still listed"),
    ("removed", "the model went away"),
    ("added", "a model that an earlier snapshot would have listed, and did not"),
    ("returned", "a model that had been removed and is listed again"),
)

"""A report as one HTML file that asks nobody for anything: tables to filter, charts to look into, fit to print.

Belongs here: how a report looks in a browser. Does not belong here: what it holds (`report`).

Whatever comes from the catalogue is escaped: in HTML, within the JSON of script elements, and in the texts of charts,
which know some HTML of their own. A policy within the page lets only the scripts of this file run and nothing be
fetched. The first rows of a long table are in the page as such; the others follow as data, which a script turns into
rows when asked to, so that two years open on a phone.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any

import polars as pl

from pipelines.reports.report import Chart, Report, Table

SHOWN = 200
"""Rows of a table that the page shows before it is asked for more."""

COLOURS = (
    "#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf", "#8c564b", "#e377c2", "#7f7f7f", "#bcbd22",
)  # fmt: skip

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

_LEFT_OUT = re.compile(r"(price|old_price|new_price)_usd|is_repricing|is_schedule_flip|snapshot_id")
"""Columns that a person does not need: the text beside says the same, or the table itself does."""


def write_page(report: Report, path: Path) -> None:
    """Write ``report`` to ``path``."""
    path.write_text(page(report), encoding="utf-8", newline="\n")


def page(report: Report) -> str:
    """The whole text of the file."""
    library = resources.files("plotly").joinpath("package_data/plotly.min.js").read_text(encoding="utf-8")
    assets = resources.files("pipelines.reports")
    style, script = (assets.joinpath(name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    summary, *tables = report.tables
    contents = [("charts", "Charts")] * bool(report.charts) + [(one.name, one.title) for one in tables]
    figures = [_figure(report, one) for one in report.charts]
    known = report.known_at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
    parts = [
        "<!doctype html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{_policy([library, script])}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="color-scheme" content="light dark">',
        '<link rel="icon" href="data:,">',
        f"<title>{_safe(report.title)}</title>",
        f"<style>{style}</style>",
        "</head>",
        "<body>",
        "<header>",
        f"<h1>{_safe(report.title)}</h1>",
        f"<p>As known at {known} UTC. Times are UTC, prices US dollars.</p>",
        "</header>",
        "<nav><ul>",
        *(f'<li><a href="#{name}">{_safe(title)}</a></li>' for name, title in contents),
        "</ul></nav>",
        "<main>",
        _summary(summary),
        _charts(report),
        *map(_section, tables),
        "</main>",
        f'<script type="application/json" id="figures">{_json(figures)}</script>',
        f"<script>{library}</script>",
        f"<script>{script}</script>",
        "</body>",
        "</html>",
        "",
    ]
    return "\n".join(part for part in parts if part is not None)


def _policy(scripts: Sequence[str]) -> str:
    hashes = (base64.b64encode(hashlib.sha256(one.encode()).digest()).decode() for one in scripts)
    allowed = " ".join(f"'sha256-{one}'" for one in hashes)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def _safe(text: str) -> str:
    return escape(_CONTROL.sub("\ufffd", text))


def _json(value: Any) -> str:
    """JSON that ends no script element."""
    text = json.dumps(value, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


# --- summary and tables ---


def _summary(table: Table) -> str:
    figures = "".join(
        f"<div><dt>{_safe(figure)}</dt><dd><b>{number:,}</b><span>{_safe(note)}</span></dd></div>"
        for figure, number, note in table.frame.iter_rows()
    )
    return f'<section id="summary"><h2>{_safe(table.title)}</h2><dl>{figures}</dl></section>'


def _section(table: Table) -> str:
    frame = table.frame.select(name for name in table.frame.columns if not _is_left_out(table.frame, name))
    head = f'<section id="{table.name}"><h2>{_safe(table.title)}</h2><p>{_safe(table.meaning)}</p>'
    if frame.is_empty():
        return f"{head}<p><b>None.</b></p></section>"
    kinds = [_kind(name, dtype) for name, dtype in frame.schema.items()]
    rows = list(
        zip(*(map(_shown_as(kind), frame[name]) for name, kind in zip(frame.columns, kinds, strict=True)), strict=True)
    )
    headers = "".join(
        f'<th class="{kind}" scope="col">{_safe(_header(name))}</th>'
        for name, kind in zip(frame.columns, kinds, strict=True)
    )
    body = "".join(
        "<tr>"
        + "".join(f'<td class="{kind}">{_safe(cell)}</td>' for kind, cell in zip(kinds, row, strict=True))
        + "</tr>"
        for row in rows[:SHOWN]
    )
    shown = min(SHOWN, len(rows))
    more = (
        f'<button type="button" class="more" hidden>Show all {len(rows):,} rows</button>' if shown < len(rows) else ""
    )
    rest = f'<script type="application/json" class="rest">{_json(rows[SHOWN:])}</script>' if more else ""
    return (
        f'{head}<div class="tools"><label>Filter <input type="search" autocomplete="off" hidden></label>'
        f'<span class="count">{shown:,} of {len(rows):,} rows</span>{more}</div>'
        f'<div class="scroll" tabindex="0"><table><thead><tr>{headers}</tr></thead><tbody>{body}</tbody></table></div>'
        f"{rest}</section>"
    )


def _is_left_out(frame: pl.DataFrame, name: str) -> bool:
    """Whether a person needs no such column; one source need not be named in every row."""
    return bool(_LEFT_OUT.fullmatch(name)) or (name == "source" and frame[name].n_unique() == 1)


def _header(name: str) -> str:
    return {"usd_per_million": "$ per million"}.get(
        name, name.replace("usd_per_million", "$ per million").replace("_", " ")
    )


def _kind(name: str, dtype: pl.DataType) -> str:
    if isinstance(dtype, pl.Decimal):
        return "money"
    if dtype.is_float():
        return "ratio" if name.endswith("ratio") else "number"
    if dtype.is_integer():
        return "number"
    if isinstance(dtype, pl.Datetime | pl.Date):
        return "time"
    return "prose" if name in ("how", "meaning") else "hash" if name == "sha256" else "text"


def _shown_as(kind: str) -> Any:
    def shown(value: Any) -> str:
        if value is None:
            return ""
        if isinstance(value, bool):
            return "yes" if value else "no"
        if isinstance(value, Decimal):
            return _money(value)
        if isinstance(value, float):
            return f"{value:+.1%}" if kind == "ratio" else f"{value:,.1f}"
        if isinstance(value, int):
            return f"{value:,}"
        if isinstance(value, datetime):
            return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M")
        return _CONTROL.sub("\ufffd", str(value))

    return shown


def _money(value: Decimal) -> str:
    """Every digit, and cents at least."""
    whole, _, fraction = f"{value:,f}".partition(".")
    return f"${whole}.{fraction.rstrip('0'):0<2}"


# --- charts ---


def _charts(report: Report) -> str:
    if not report.charts:
        return ""
    shades = " Grey stretches are gaps in capture." if report.gaps else ""
    drawn = "".join(
        f"<figure><figcaption>{_safe(one.title)}, {_safe(one.unit)}"
        '<button type="button" class="scale" hidden>Logarithmic or linear</button></figcaption>'
        f'<div class="chart" id="chart-{_safe(one.name)}"></div></figure>'
        for one in report.charts
    )
    return (
        '<section id="charts"><h2>Charts</h2><p>A price holds until the next step. A line breaks where the model was '
        f"not listed or nothing was captured.{shades} The models are those whose prices moved most, or all of few.</p>"
        "<noscript><p>Charts need JavaScript; the tables hold all that they show.</p></noscript>"
        f"{drawn}</section>"
    )


def _figure(report: Report, chart: Chart) -> dict[str, Any]:
    """What the drawing library is told. Positions are floats, the exact price is the text beside."""
    return {
        "id": f"chart-{chart.name}",
        "data": [
            {
                "type": "scatter",
                "mode": "lines",
                "name": _drawn(line.name),
                "x": [_instant(moment) for moment, _ in line.points],
                "y": [None if value is None else float(value) for _, value in line.points],
                "text": ["" if value is None else _money(value) for _, value in line.points],
                "hovertemplate": "%{x|%Y-%m-%d %H:%M}: %{text}<extra>%{fullData.name}</extra>",
                # of two lines at one price the lower one shows beside the upper one
                "line": {
                    "shape": "hv",
                    "width": 3.5 if number % 2 == 0 else 1.75,
                    "color": COLOURS[number % len(COLOURS)],
                },
                "connectgaps": False,
            }
            for number, line in enumerate(chart.lines)
        ],
        "layout": {
            "xaxis": {
                "type": "date",
                "range": [_instant(report.request.start), _instant(max(report.until, report.request.start))],
            },
            "yaxis": {"type": "log" if chart.is_logarithmic else "linear", "rangemode": "tozero", "tickprefix": "$"},
            "logticks": _log_ticks(chart),
            "shapes": [
                {
                    "type": "rect",
                    "xref": "x",
                    "yref": "paper",
                    "x0": _instant(start),
                    "x1": _instant(end),
                    "y0": 0,
                    "y1": 1,
                    "line": {"width": 0},
                    "fillcolor": "#888888",
                    "opacity": 0.2,
                    "layer": "below",
                }
                for start, end in report.gaps
            ],
        },
    }


def _log_ticks(chart: Chart) -> list[tuple[float, str]]:
    """Where a logarithmic scale has marks: 1, 2 and 5 of each power of ten among the prices."""
    values = [value for line in chart.lines for _, value in line.points if value]
    if not values:
        return []
    powers = range(min(values).adjusted(), max(values).adjusted() + 1)
    marks = (Decimal(digit).scaleb(power) for power in powers for digit in (1, 2, 5))
    return [(float(mark), f"${mark:f}") for mark in marks]


def _drawn(name: str) -> str:
    """A name in a chart, whose texts are read as HTML of a kind."""
    return _safe(name)


def _instant(moment: datetime | date) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S") if isinstance(moment, datetime) else str(moment)

"""A report as a workbook: a sheet for each table, and its charts.

Belongs here: how cells, numbers and charts look in a spreadsheet. Does not belong here: what a report holds (`report`).

Texts from the catalogue are hostile: every one is written as a text, never as a formula, number or link. Spreadsheets
keep 15 digits of a number, so the exact text stands beside each price. No spreadsheet draws steps, so the points of
the charts are those of the steps. The same report gives the same bytes: its time of creation is when it was known.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import xlsxwriter
from xlsxwriter.format import Format
from xlsxwriter.workbook import Workbook
from xlsxwriter.worksheet import Worksheet

from pipelines.reports.report import Chart, Report, Table

ROWS = 1_048_575
"""Rows below a header that a sheet holds."""

TEXT = 32_767
"""Characters that a cell holds."""

_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")
_ESCAPE = re.compile("_x[0-9A-Fa-f]{4}_")
_CUT = " … (cut)"

_FORMATS: dict[str, dict[str, Any]] = {
    "title": {"bold": True, "font_size": 16},
    "note": {"italic": True, "font_color": "#555555", "text_wrap": True, "valign": "top"},
    "header": {"bold": True, "bg_color": "#1F3A5F", "font_color": "#FFFFFF", "text_wrap": True, "valign": "vcenter"},
    "text": {},
    "aside": {"indent": 1, "font_color": "#555555"},
    "wrapped": {"text_wrap": True, "valign": "top"},
    "moment": {"num_format": "yyyy-mm-dd hh:mm"},
    "day": {"num_format": "yyyy-mm-dd"},
    "per_million": {"num_format": '"$"#,##0.00######" /M"'},
    "usd": {"num_format": '"$"0.00####################'},
    "ratio": {"num_format": "+0.0%;-0.0%;0.0%"},
    "days": {"num_format": "#,##0.0"},
    "count": {"num_format": "#,##0"},
}

_WIDTHS = {"moment": 16, "day": 11, "per_million": 16, "usd": 18, "ratio": 9, "days": 10, "count": 11}


def write_workbook(report: Report, path: Path, *, rows: int = ROWS) -> None:
    """Write ``report`` to ``path``. A table of more than ``rows`` rows goes on in further sheets."""
    options = {
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
        "nan_inf_to_errors": True,
        "in_memory": True,
    }
    with xlsxwriter.Workbook(str(path), options) as book:
        book.set_properties(
            {
                "title": report.title,
                "created": report.known_at.astimezone(UTC).replace(tzinfo=None, microsecond=0),
                "comments": f"As known at {report.known_at.astimezone(UTC).isoformat()}",
            }
        )
        formats = {name: book.add_format(look) for name, look in _FORMATS.items()}
        first, *others = report.tables
        _write_summary(book, formats, report, first)
        charts = book.add_worksheet("Charts") if report.charts else None
        for table in others:
            _write_table(book, formats, table, rows)
        if charts is not None:
            _write_charts(book, charts, formats, report, rows)


def _write_summary(book: Workbook, formats: dict[str, Format], report: Report, table: Table) -> None:
    sheet = book.add_worksheet(table.title)
    sheet.hide_gridlines(2)
    sheet.set_column(0, 0, 34)
    sheet.set_column(1, 1, 12)
    sheet.set_column(2, 2, 78)
    sheet.write_string(0, 0, clean(report.title), formats["title"])
    known = report.known_at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
    sheet.write_string(1, 0, f"As known at {known} UTC. Times are UTC, prices US dollars.")
    for column, header in enumerate(table.frame.columns):
        sheet.write_string(3, column, header, formats["header"])
    for number, row in enumerate(table.frame.iter_rows(), start=4):
        sheet.write_string(number, 0, clean(row[0]))
        sheet.write_number(number, 1, row[1], formats["count"])
        sheet.write_string(number, 2, clean(row[2]), formats["aside"])
    sheet.freeze_panes(4, 0)
    sheet.set_landscape()
    sheet.fit_to_pages(1, 0)


def _write_table(book: Workbook, formats: dict[str, Format], table: Table, rows: int) -> None:
    """A sheet, or as many as the rows need: a header that stays, filters, and the meaning above it."""
    parts = max(1, -(-table.frame.height // rows))
    for part in range(parts):
        name = table.title if parts == 1 else f"{table.title[:24]} ({part + 1})"
        _write_part(book.add_worksheet(name[:31]), formats, table, table.frame.slice(part * rows, rows))


def _write_part(sheet: Worksheet, formats: dict[str, Format], table: Table, frame: pl.DataFrame) -> None:
    widths = 0
    for column, (name, dtype) in enumerate(frame.schema.items()):
        kind = _kind(name, dtype)
        sheet.write_string(0, column, name.replace("_", " "), formats["header"])
        write = _writer(sheet, column, kind, formats[kind])
        values = frame[name].to_list()
        for row, value in enumerate(values, start=1):
            if value is not None:
                write(row, value)
        width = _WIDTHS.get(kind) or _width(name, values)
        sheet.set_column(column, column, width)
        widths += width
    sheet.write_comment(0, 0, clean(table.meaning), {"x_scale": 3, "y_scale": 1.5, "author": ""})
    sheet.set_row(0, 32)
    sheet.freeze_panes(1, 0)
    sheet.autofilter(0, 0, max(1, frame.height), max(0, frame.width - 1))
    sheet.set_landscape()
    sheet.repeat_rows(0)
    sheet.fit_to_pages(-(-widths // _PAGE), 0)
    if widths > _PAGE and "model_id" in frame.columns:
        sheet.repeat_columns(0, frame.columns.index("model_id"))


_PAGE = 300
"""Characters that a printed page is wide and still to be read; a wider table goes on beside it, models repeated."""


def _kind(name: str, dtype: pl.DataType) -> str:
    if isinstance(dtype, pl.Datetime):
        return "moment"
    if dtype == pl.Date:
        return "day"
    if isinstance(dtype, pl.Decimal):
        return "per_million" if "per_million" in name else "usd"
    if dtype.is_float():
        return "ratio" if name.endswith("ratio") else "days"
    if dtype.is_integer():
        return "count"
    return "wrapped" if name in ("how", "meaning") else "text"


def _writer(sheet: Worksheet, column: int, kind: str, look: Format) -> Callable[[int, Any], object]:
    """How a value of the column is written into a row."""
    if kind == "moment":
        return lambda row, value: sheet.write_datetime(row, column, _naive(value), look)
    if kind == "day":
        return lambda row, value: sheet.write_datetime(row, column, value, look)
    if kind in ("text", "wrapped"):
        return lambda row, value: sheet.write_string(row, column, clean(_worded(value)), look)
    return lambda row, value: sheet.write_number(row, column, value, look)


def _worded(value: Any) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def _naive(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)


def _width(name: str, values: list[Any]) -> int:
    longest = max((len(_worded(value)) for value in values[:2000] if value is not None), default=0)
    return min(max(longest + 2, min(len(name), 14) + 3), 90 if name in ("how", "meaning", "sha256") else 48)


def clean(text: str) -> str:
    """``text`` as a cell can hold it: without characters that XML forbids, and not too long; a cut is said.

    What looks like an escape of the format, such as ``_x0041_``, is kept from being read as one.
    """
    text = _FORBIDDEN.sub("\ufffd", text)
    text = _ESCAPE.sub(lambda found: f"_x005F{found[0]}", text)
    return text if len(text) <= TEXT else text[: TEXT - len(_CUT)] + _CUT


# --- charts ---


def _write_charts(book: Workbook, sheet: Worksheet, formats: dict[str, Format], report: Report, rows: int) -> None:
    """The charts one below the other, from points on a sheet of their own, an empty cell wherever a gap is."""
    data = book.add_worksheet("Chart data")
    sheet.hide_gridlines(2)
    sheet.fit_to_pages(1, 1)  # upright, three charts are a page
    sheet.print_area(0, 0, 2 + 26 * len(report.charts), 17)
    sheet.write_string(0, 0, "Each price holds until the next point; a gap is a time without captures or listing.")
    sheet.set_column(0, 0, 20)
    column = 0
    for number, chart in enumerate(report.charts):
        drawn = book.add_chart({"type": "scatter", "subtype": "straight"})
        for line in chart.lines:
            points = line.points[:rows]
            data.write_string(0, column, "time (UTC)", formats["header"])
            data.write_string(0, column + 1, clean(line.name), formats["header"])
            data.set_column(column, column, 16)
            data.set_column(column + 1, column + 1, 24)
            for row, (moment, value) in enumerate(points, start=1):
                data.write_datetime(row, column, _naive(moment), formats["moment"])
                if value is not None:
                    data.write_number(row, column + 1, value, formats["usd"])
            drawn.add_series(
                {
                    "name": ["Chart data", 0, column + 1],
                    "categories": ["Chart data", 1, column, len(points), column],
                    "values": ["Chart data", 1, column + 1, len(points), column + 1],
                    "line": {
                        "width": 3 if len(drawn.series) % 2 == 0 else 1.5,
                        "color": COLOURS[len(drawn.series) % len(COLOURS)],
                    },
                }
            )
            column += 2
        _lay_out(drawn, report, chart)
        sheet.insert_chart(2 + number * 26, 0, drawn)
    data.freeze_panes(1, 0)
    data.set_landscape()
    data.fit_to_pages(1, 0)
    data.repeat_rows(0)


COLOURS = (
    "#1F77B4", "#D62728", "#2CA02C", "#9467BD", "#FF7F0E", "#17BECF", "#8C564B", "#E377C2", "#7F7F7F", "#BCBD22",
)  # fmt: skip
"""Of the lines of a chart, in their order; told apart on white and on black."""


def _lay_out(drawn: Any, report: Report, chart: Chart) -> None:
    start, end = report.request.start, max(report.until, report.request.start)
    days = max((end - start).total_seconds() / 86400, 1)
    drawn.set_title({"name": chart.title, "name_font": {"size": 12}})
    drawn.set_x_axis(
        {
            "num_format": "yyyy-mm-dd",
            "min": _serial(start),
            "max": max(_serial(end), _serial(start) + 1),
            "major_unit": max(1, round(days / 8)),
            "major_gridlines": {"visible": True, "line": {"color": "#E0E0E0"}},
            "crossing": "min",
        }
    )
    y_axis: dict[str, Any] = {
        "name": chart.unit,
        "num_format": "#,##0.00####" if not chart.is_logarithmic else "General",
        "major_gridlines": {"visible": True, "line": {"color": "#E0E0E0"}},
        "crossing": "min",
    }
    if chart.is_logarithmic:
        y_axis["log_base"] = 10
    else:
        y_axis["min"] = 0
    drawn.set_y_axis(y_axis)
    drawn.show_blanks_as("gap")
    drawn.set_legend({"position": "bottom"})
    drawn.set_size({"width": 1100, "height": 500})


def _serial(moment: datetime) -> float:
    """A moment as spreadsheets count: days since their epoch."""
    return (_naive(moment) - datetime(1899, 12, 30)) / timedelta(days=1)

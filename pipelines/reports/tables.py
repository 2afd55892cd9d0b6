"""A report as files for programs: one CSV or Parquet file a table, in a folder or in a zip.

Belongs here: the formats and where the files go. Does not belong here: what a report holds (`report`).

The names of the files are those of the tables, which are this program's, so none can lie outside the folder. CSV has
every digit of a price, moments in ISO 8601, and an apostrophe before a text that a spreadsheet would take for a
formula; Parquet has everything as it is.
"""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from pipelines.reports.report import Report

_NUMBER = r"^[+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?$"
_FORMULA = r"^[=+\-@\t\r]"
_EARLIEST = (1980, 1, 1, 0, 0, 0)


def write_tables(report: Report, path: Path, format_: str) -> None:
    """Write every table of ``report`` as ``csv`` or ``parquet``: into the zip ``path`` if it ends so, else a folder.

    Files of the same names in the folder are replaced, others left alone.
    """
    if path.suffix.lower() == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in _files(report, format_):
                entry = zipfile.ZipInfo(name, _EARLIEST)
                entry.external_attr = 0o644 << 16
                archive.writestr(entry, content, zipfile.ZIP_DEFLATED)
        return
    path.mkdir(parents=True, exist_ok=True)
    for name, content in _files(report, format_):
        fresh = path / f".{name}.part"
        fresh.write_bytes(content)
        os.replace(fresh, path / name)


def _files(report: Report, format_: str) -> Iterator[tuple[str, bytes]]:
    for table in report.tables:
        content = io.BytesIO()
        if format_ == "csv":
            _spelt(table.frame).write_csv(content, line_terminator="\n")
        else:
            table.frame.write_parquet(content, compression="zstd", statistics=True)
        yield f"{table.name}.{format_}", content.getvalue()


def _spelt(frame: pl.DataFrame) -> pl.DataFrame:
    """``frame`` with every value as CSV spells it."""
    columns = []
    for name, dtype in frame.schema.items():
        column = pl.col(name)
        if isinstance(dtype, pl.Decimal):
            columns.append(column.cast(pl.String).str.strip_chars_end("0").str.strip_chars_end("."))
        elif isinstance(dtype, pl.Datetime):
            columns.append(column.dt.strftime("%Y-%m-%dT%H:%M:%S%.fZ"))
        elif dtype == pl.String:
            is_formula = column.str.contains(_FORMULA) & ~column.str.contains(_NUMBER)
            columns.append(pl.when(is_formula).then(pl.concat_str(pl.lit("'"), column)).otherwise(column).alias(name))
    return frame.with_columns(columns)

"""Commands that report on the catalogue's history: `report`, and what the cheapest tokens cost over time.

Belongs here: their options and how answers are shown. Does not belong here: what a report holds (`reports`).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from pipelines.cli.options import Moment, format_option, warehouse_option
from pipelines.cli.tables import count, money, print_records, print_table
from pipelines.errors import CatalogueError, UsageError

_FORMATS = ("xlsx", "html", "csv", "parquet")


def _listed(_: click.Context, __: click.Parameter, values: Sequence[str]) -> tuple[str, ...]:
    """Values that may be given one by one or with commas."""
    return tuple(sorted({one.strip() for value in values for one in value.split(",") if one.strip()}))


@click.command()
@warehouse_option
@click.option("--from", "start", type=Moment(), required=True, metavar="TIME", help="Where the period begins.")
@click.option("--to", "end", type=Moment(), required=True, metavar="TIME", help="Where it ends; not included.")
@click.option("--models", multiple=True, callback=_listed, help="Only these ids or patterns such as 'openai/*'.")
@click.option("--authors", multiple=True, callback=_listed, help="Only models of these authors.")
@click.option("--kinds", multiple=True, callback=_listed, help="Only these price kinds, such as prompt,completion.")
@click.option("--known-at", type=Moment(), metavar="TIME", help="As this warehouse knew it at that time.")
@click.option("--format", "format_", type=click.Choice(_FORMATS), help="By default what the output's name ends in.")
@click.option(
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    help="The file; for csv and parquet a folder, or a .zip, with a file for each table.",
)
def report(
    warehouse: Path,
    start: datetime,
    end: datetime,
    models: tuple[str, ...],
    authors: tuple[str, ...],
    kinds: tuple[str, ...],
    known_at: datetime | None,
    format_: str | None,
    output: Path,
) -> None:
    """Report on prices and models of a period.

    The same warehouse and arguments give the same bytes; with --known-at also after later captures came.

    \b
    Examples:
      catalogue report --from 2026-07-01 --to 2026-08-01 --output july.xlsx
      catalogue report --from 2026-07-01 --to 2026-08-01 --authors openai,anthropic --output july.html
      catalogue report --from 2026-07-01 --to 2026-08-01 --models 'qwen/*' --kinds prompt --format csv --output july/
      catalogue report --from 2026-07-01 --to 2026-08-01 --known-at 2026-08-03 --format parquet --output july.zip
    """
    chosen = format_ or _ending(output)
    _check_place(output, chosen)
    from pipelines.reports.report import Request
    from pipelines.reports.report import report as make

    told = make(warehouse, Request(start, end, models, authors, kinds, known_at))
    try:
        _write(told, chosen, output)
    except OSError as problem:
        raise CatalogueError(f"{output} cannot be written: {problem.strerror or problem}") from None
    figures = {figure: number for figure, number, _ in told.table("summary").iter_rows()}
    click.echo(
        f"{output}: {count(figures['repricings'], 'repricing')}, {figures['models added']} models added, "
        f"{figures['models removed']} removed, from {count(figures['snapshots'], 'snapshot')}, "
        f"as known at {told.known_at.isoformat()}"
    )
    if output.is_file():
        click.echo(f"SHA-256 {hashlib.sha256(output.read_bytes()).hexdigest()}")


def _ending(output: Path) -> str:
    ending = output.suffix.lower().lstrip(".")
    if ending in ("xlsx", "html"):
        return ending
    raise UsageError(f"{output} does not say how to write it: choose --format {', '.join(_FORMATS)}")


def _check_place(output: Path, format_: str) -> None:
    """Refuse what cannot be written before the work is done."""
    if format_ in ("xlsx", "html") and output.is_dir():
        raise UsageError(f"{output} is a folder, and {format_} is one file")
    if format_ in ("csv", "parquet") and output.suffix.lower() != ".zip" and output.exists() and not output.is_dir():
        raise UsageError(f"{output} is a file; {format_} goes into a folder or a .zip, a file for each table")
    parent = output.parent
    if not parent.is_dir() and (format_ in ("xlsx", "html") or output.suffix.lower() == ".zip"):
        raise CatalogueError(f"{output} cannot be written: there is no folder {parent}")


def _write(told: Any, format_: str, output: Path) -> None:
    from pipelines.reports.page import write_page
    from pipelines.reports.tables import write_tables
    from pipelines.reports.workbook import write_workbook

    if format_ in ("csv", "parquet") and output.suffix.lower() != ".zip":
        write_tables(told, output, format_)
        return
    # A reader never sees half a file, and a failure leaves the former one.
    fresh = output.with_name(f".{output.stem}.part{output.suffix}")
    try:
        if format_ == "xlsx":
            write_workbook(told, fresh)
        elif format_ == "html":
            write_page(told, fresh)
        else:
            write_tables(told, fresh, format_)
        os.replace(fresh, output)
    finally:
        fresh.unlink(missing_ok=True)


@click.command()
@warehouse_option
@click.option("--from", "start", type=Moment(), metavar="TIME", help="By default ninety days before the last snapshot.")
@click.option("--to", "end", type=Moment(), metavar="TIME", help="Not included; by default after the last snapshot.")
@click.option("--context", type=click.IntRange(min=0), default=0, help="At least so many tokens of context.")
@click.option("--input", "inputs", multiple=True, callback=_listed, help="What it must take, such as image.")
@click.option("--output-modality", "outputs", multiple=True, callback=_listed, help="What it must give, such as image.")
@click.option("--tools", is_flag=True, help="It must take the request parameter `tools`.")
@click.option("--free", is_flag=True, help="Free models too, which are left out otherwise.")
@click.option("--known-at", type=Moment(), metavar="TIME", help="As this warehouse knew it at that time.")
@format_option("table", "csv", "json")
def cheapest(
    warehouse: Path,
    start: datetime | None,
    end: datetime | None,
    context: int,
    inputs: tuple[str, ...],
    outputs: tuple[str, ...],
    tools: bool,
    free: bool,
    known_at: datetime | None,
    format_: str,
) -> None:
    """What the cheapest million tokens cost, day by day.

    Headline prices at the end of each UTC day, of models that can do what is asked. A blend is three prompt tokens for
    each completion token. The table shows days of one answer as one row; csv and json show every day.

    \b
    Examples:
      catalogue cheapest
      catalogue cheapest --context 128000 --input image --tools
      catalogue cheapest --from 2025-01-01 --context 1000000 --format csv
    """
    from pipelines.ledger.published import Published

    with Published(warehouse) as published:
        answer = published.ask(
            _CHEAPEST,
            {
                "from": start,
                "to": end,
                "context": context,
                "inputs": list(inputs) or ["text"],
                "outputs": list(outputs) or ["text"],
                "tools": tools,
                "free": free,
                "known_at": known_at,
            },
        )
    if format_ != "table":
        print_records(format_, answer.columns, answer.rows)
        return
    asked = [f"{context:,} tokens of context"] * bool(context) + [f"{one} input" for one in inputs]
    asked += [f"{one} output" for one in outputs] + ["tools"] * tools + ["free models too"] * free
    print_table(
        f"The cheapest million tokens{': ' if asked else ''}{', '.join(asked)}",
        ("bought", "from", "until", ">costs", "model", ">of"),
        [
            (
                first["bought"],
                str(first["day"]),
                str(last["day"]),
                money(first["usd_per_million"] / 1_000_000, "listed", "token"),
                first["model_id"] + (f" and {first['equally_cheap'] - 1} more" if first["equally_cheap"] > 1 else ""),
                f"{last['qualifying']}",
            )
            for first, last in _runs(answer.records())
        ],
        footer="A blend is three prompt tokens for each completion token. Of: models that could be chosen.",
    )


_CHEAPEST = """
SELECT *
FROM marts.cheapest_by_capability(
    coalesce($from, (SELECT max(observed_at) FROM marts.snapshots) - INTERVAL 90 DAY),
    to_at := $to, min_context_length := $context, input_modalities := $inputs, output_modalities := $outputs,
    needs_tools := $tools, include_free := $free, known_at := $known_at
)
ORDER BY source, CASE bought WHEN 'blend' THEN 1 WHEN 'prompt' THEN 2 ELSE 3 END, day
"""


def _runs(records: Sequence[dict[str, Any]]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """The first and the last day of each stretch of days with one answer."""
    same = ("source", "bought", "usd_per_million", "model_id", "equally_cheap")
    found: list[tuple[dict[str, Any], dict[str, Any]]] = []
    for one in records:
        if found and all(found[-1][1][name] == one[name] for name in same):
            is_next_day = (one["day"] - found[-1][1]["day"]).days == 1
            if is_next_day:
                found[-1] = found[-1][0], one
                continue
        found.append((one, one))
    return found

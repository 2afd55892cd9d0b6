"""Commands of finance: what a usage log cost under the catalogue's history, and what price changes did to it.

Belongs here: `reprice` and `impact`: their options, what they print and exit with.
Does not belong here: pricing and adding up (`reports`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

import click

from pipelines.cli.options import Moment, format_option, warehouse_option
from pipelines.cli.tables import cell, count, harmless, minute, print_records, print_table
from pipelines.errors import CatalogueError, UsageError

if TYPE_CHECKING:
    from pipelines.ledger.published import Published
    from pipelines.reports.currency import Rates
    from pipelines.reports.impact import Effects, Impact
    from pipelines.reports.repricing import Question, Repriced
    from pipelines.reports.summaries import Summary, Total

_ASSUMPTIONS = (
    "cache_read_as_prompt",
    "cache_write_as_prompt",
    "cache_write_1h_as_prompt",
    "reasoning_as_completion",
    "zero_reasoning_as_completion",
    "images_in_prompt",
    "one_request",
)
"""Those of `pipelines.reports.repricing.ASSUMPTIONS`, which a test compares: `--help` waits for no library."""


def _log_options(command: Any) -> Any:
    """The options that say how a log is to be read and what its counts mean."""
    for option in reversed(
        (
            click.option(
                "--columns", metavar="FIELD=COLUMN,…", default="", help="Which column is what: time=ts,model=name."
            ),
            click.option("--time-zone", metavar="ZONE", help="Of times without an offset, such as Europe/Berlin."),
            click.option(
                "--encoding", default="utf-8", show_default=True, type=click.Choice(["utf-8", "utf-16", "latin-1"])
            ),
            click.option(
                "--cached",
                default="inclusive",
                show_default=True,
                type=click.Choice(["inclusive", "exclusive"]),
                help="Whether prompt tokens include cached ones (OpenRouter, OpenAI) or not (Anthropic).",
            ),
            click.option(
                "--reasoning",
                default="inclusive",
                show_default=True,
                type=click.Choice(["inclusive", "exclusive"]),
                help="Whether completion tokens include reasoning tokens.",
            ),
            click.option(
                "--assume-not",
                multiple=True,
                type=click.Choice(_ASSUMPTIONS),
                help="Do without an assumption; what no list prices then has no cost.",
            ),
            click.option(
                "--known-at", type=Moment(), metavar="TIME", help="As this warehouse knew prices at that time."
            ),
            click.option("--source", default="openrouter", show_default=True, help="Whose prices."),
        )
    ):
        command = option(command)
    return command


def _rounding_options(command: Any) -> Any:
    for option in reversed(
        (
            click.option("--round", "digits", type=click.IntRange(0, 24), metavar="N", help="Digits after the point."),
            click.option(
                "--rounding", default="half-even", show_default=True, type=click.Choice(["half-even", "half-up"])
            ),
        )
    ):
        command = option(command)
    return command


@click.command()
@click.argument("usage", type=click.Path(path_type=Path, dir_okay=False))
@warehouse_option
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="Every row: .parquet or .csv.")
@click.option("--summary", type=click.Path(path_type=Path, dir_okay=False), help="The totals, exact: .csv or .json.")
@_log_options
@click.option("--what-if", multiple=True, metavar="MODEL=OTHER", help="Price one model as another.")
@click.option("--compare-billed", is_flag=True, help="Show what was billed beside what it cost.")
@click.option("--currency", metavar="CODE", help="Also in this currency, such as EUR; needs --rates.")
@click.option("--rates", type=click.Path(path_type=Path, dir_okay=False), help="Exchange rates by day: a file.")
@_rounding_options
@click.option("--strict", is_flag=True, help="Exit 1 if a row has no cost, and write nothing if one cannot be read.")
@format_option("table", "csv", "json")
def reprice(usage: Path, warehouse: Path, format_: str, **options: Any) -> int:
    """What a usage log cost, request by request, at the prices in force.

    USAGE is a CSV, Parquet or JSON lines file with a row for each request.

    \b
    Examples:
      catalogue reprice usage.parquet
      catalogue reprice usage.csv --output priced.csv --time-zone Europe/Berlin
      catalogue reprice usage.jsonl --columns time=ts,model=name --cached exclusive
      catalogue reprice july.csv --compare-billed --known-at 2026-08-03 --strict
      catalogue reprice usage.csv --what-if openai/gpt-4o=openai/gpt-4o-mini
      catalogue reprice usage.csv --currency EUR --rates eurofxref-hist.csv --round 2
    """
    from pipelines.reports.repricing import repricing
    from pipelines.reports.summaries import summarise

    output, strict = options["output"], options["strict"]
    _check_ending(output, (".parquet", ".csv"), "--output")
    _check_ending(options["summary"], (".csv", ".json"), "--summary")
    question, rates = _question(options), _rates(options)
    with repricing(warehouse, usage, question) as repriced:
        if options["compare_billed"] and not repriced.usage.has("billed_usd"):
            raise UsageError("--compare-billed needs a billed amount: say which with --columns billed_usd=COLUMN")
        _tell_reading(repriced)
        if strict and repriced.bad_count:
            raise CatalogueError(f"{count(repriced.bad_count, 'row')} cannot be read, and --strict was asked for")
        with _progress(repriced.published, "pricing"):
            relation = _write_rows(repriced, output) if output else "repriced"
            summary = summarise(repriced, rates, relation)
    as_it_was = _as_it_was(warehouse, usage, question) if question.what_if else None
    _write_summary(summary, options["summary"], options)
    if format_ == "table":
        _show_summary(repriced, summary, as_it_was, options, rates)
    else:
        print_records(format_, *_records(summary, options))
    return _verdict(summary, strict)


def _question(options: dict[str, Any]) -> Question:
    from pipelines.reports.repricing import ASSUMPTIONS, Conventions, Question
    from pipelines.reports.usage import check_time_zone, read_mapping

    what_if: dict[str, str] = {}
    for text in options.get("what_if", ()):
        model, equals, other = text.partition("=")
        if not (model and equals and other) or model in what_if:
            raise UsageError(f"--what-if takes MODEL=OTHER, each model once, and not {text!r}")
        what_if[model] = other
    if options["time_zone"]:
        check_time_zone(options["time_zone"])
    conventions = Conventions(
        options["cached"], options["reasoning"], frozenset(ASSUMPTIONS) - frozenset(options["assume_not"])
    )
    return Question(
        read_mapping(options["columns"]),
        conventions,
        options["known_at"],
        what_if,
        options["time_zone"],
        options["encoding"],
        options["source"],
    )


def _rates(options: dict[str, Any]) -> Rates | None:
    from pipelines.reports.currency import read_rates

    if bool(options["currency"]) != bool(options["rates"]):
        raise UsageError("--currency and --rates go together: no exchange rate is built in")
    return read_rates(options["rates"], options["currency"]) if options["rates"] else None


def _check_ending(path: Path | None, endings: Sequence[str], option: str) -> None:
    if path is not None and path.suffix.lower() not in endings:
        raise UsageError(f"{option} takes a file that ends in {' or '.join(endings)}, and not {path.name}")


def _tell_reading(repriced: Repriced) -> None:
    """On stderr: columns that mean nothing here, and rows that cannot be read."""
    from pipelines.reports.repricing import SHOWN_BAD_ROWS

    for name, near in repriced.usage.ignored:
        hint = f" (did you mean {' or '.join(near)}? --columns {near[0]}={name})" if near else ""
        click.echo(
            f"catalogue: the column {harmless(name)!r} means nothing here and is left out{harmless(hint)}", err=True
        )
    if repriced.bad_count:
        click.echo(f"catalogue: {count(repriced.bad_count, 'row')} of {repriced.row_count} cannot be read:", err=True)
        for one in repriced.bad_rows:
            click.echo(f"  row {one.row_no} {harmless(one.reason)}", err=True)
        if repriced.bad_count > SHOWN_BAD_ROWS:
            click.echo(f"  and {repriced.bad_count - SHOWN_BAD_ROWS} more", err=True)


def _write_rows(repriced: Repriced, output: Path) -> str:
    """Write every row to ``output``, all or nothing; the relation that reads them again."""
    from pipelines.reports.repricing import spreadsheet_query, written

    part = output.with_name(f".{output.name}.part")
    try:
        part.touch()
        if output.suffix.lower() == ".csv":
            repriced.published.write_csv(spreadsheet_query(repriced), part)
            relation = "repriced"
        else:
            repriced.published.write_parquet("SELECT * FROM repriced", part)
            relation = ""
        os.replace(part, output)
    except OSError as problem:
        raise CatalogueError(f"{output} cannot be written: {problem.strerror}") from None
    finally:
        part.unlink(missing_ok=True)
    return relation or written(output)


def _as_it_was(warehouse: Path, usage: Path, question: Question) -> Total:
    """What the log cost without the substitution."""
    from dataclasses import replace

    from pipelines.reports.repricing import repricing
    from pipelines.reports.summaries import summarise

    with repricing(warehouse, usage, replace(question, what_if={})) as repriced:
        return summarise(repriced).of("total")[0]


def _verdict(summary: Summary, strict: bool) -> int:
    """Exit 1 for totals that the type does not hold, and if asked for rows without a cost; each is said on stderr."""
    code = 0
    for total in summary.totals:
        if not total.fits:
            name = f"{total.dimension} {harmless(total.value)}".strip()
            click.echo(f"catalogue: {name}: the amount is larger than DECIMAL(38, 24) holds", err=True)
            code = 1
    unpriced = sum(one.unpriced_count for one in summary.of("total"))
    if strict and unpriced:
        click.echo(f"catalogue: {count(unpriced, 'row')} without a cost, and --strict was asked for", err=True)
        code = 1
    return code


@contextmanager
def _progress(published: Published, description: str) -> Iterator[None]:
    """A bar on stderr that follows the running query; none where stderr is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield
        return
    done = Event()
    columns = TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(description, total=100)

        def follow() -> None:
            while not done.wait(0.2):
                bar.update(task, completed=max(published.progress(), 0))

        follower = Thread(target=follow, daemon=True)
        follower.start()
        try:
            yield
        finally:
            done.set()
            follower.join()


# --- what is shown --------------------------------------------------------------------------------------------------

_TITLES = {
    "month": "By month (UTC)",
    "model": "By model",
    "author": "By author",
    "tag": "By tag",
    "confidence": "How sure",
    "assumption": "Assumed",
}

_SHOWN = 25


def _show_summary(
    repriced: Repriced, summary: Summary, as_it_was: Total | None, options: dict[str, Any], rates: Rates | None
) -> None:
    digits = 2 if options["digits"] is None else options["digits"]
    headers, row = _columns(options, digits)
    totals = summary.of("total")
    for dimension, title in _TITLES.items():
        found = [one for one in summary.of(dimension) if dimension not in ("tag", "assumption") or one.value]
        if not found or (dimension == "tag" and not repriced.usage.has("tag")):
            continue
        print_table(title, (dimension, *headers), [(one.value, *row(one)) for one in found[:_SHOWN]])
        _say_more(len(found), "--format csv has all")
        click.echo()
    print_table("All", ("", *headers), [("total", *row(one)) for one in totals])
    if as_it_was is not None and totals:
        _show_what_if(totals[0], as_it_was, options, digits)
    _show_unknown(repriced)
    for line in _footnotes(repriced, summary, options, digits, rates):
        click.echo(line)


def _say_more(number: int, where: str) -> None:
    if number > _SHOWN:
        click.echo(f"and {number - _SHOWN:,} more: {where}")


def _columns(options: dict[str, Any], digits: int) -> tuple[list[str], Any]:
    headers = [">requests", ">no cost", ">cost, $", ">at least, $", ">at most, $"]
    if options["compare_billed"]:
        headers += [">billed, $", ">billed − cost, $"]
    if options["currency"]:
        headers.append(f">cost, {options['currency'].upper()}")

    def row(one: Total) -> list[str]:
        is_bounded = one.lower_usd != one.upper_usd
        amounts: list[Any] = [one.cost_usd, *((one.lower_usd, one.upper_usd) if is_bounded else (None, None))]
        billed: list[Any] = [one.billed_usd, one.variance_usd] if options["compare_billed"] else []
        converted: list[Any] = [one.converted] if options["currency"] else []
        if not one.priced_count:  # the cost is not known, which is another thing than zero
            amounts, billed[1:], converted = [None] * 3, [None] * len(billed[1:]), [None] * len(converted)
        amounts += [*billed, *converted]
        shown = [_amount(amount, digits, options["rounding"]) for amount in amounts]
        if not one.fits:
            shown[0] = "too large for the type"
        return [f"{one.request_count:,}", f"{one.unpriced_count:,}" if one.unpriced_count else "", *shown]

    return headers, row


def _amount(amount: Any, digits: int, rounding: str) -> str:
    from pipelines.reports.summaries import rounded

    return "" if amount is None else f"{rounded(amount, digits, rounding):,f}"


def _show_what_if(total: Total, as_it_was: Total, options: dict[str, Any], digits: int) -> None:
    from pipelines.reports.summaries import less

    was, would = (_amount(one.cost_usd, digits, options["rounding"]) for one in (as_it_was, total))
    difference = _amount(less(total.cost_usd, as_it_was.cost_usd), digits, options["rounding"])
    what = ", ".join(map(harmless, options["what_if"]))
    click.echo(f"What if {what}: ${would} instead of ${was}, a difference of ${difference}")


def _show_unknown(repriced: Repriced) -> None:
    if repriced.unknown_models:
        named = sorted(repriced.unknown_models.items())
        click.echo()
        rows = [(name, ", ".join(near)) for name, near in named[:_SHOWN]]
        print_table("Names that stand for no model", ("name", "nearest"), rows)
        _say_more(len(named), "--output has all")


def _footnotes(
    repriced: Repriced, summary: Summary, options: dict[str, Any], digits: int, rates: Rates | None
) -> Iterator[str]:
    from pipelines.reports.repricing import ASSUMPTIONS

    told = {name for one in summary.of("assumption") for name in one.value.split(", ")}
    for name in (name for name in ASSUMPTIONS if name in told):
        yield f"{name}: {ASSUMPTIONS[name]} (--assume-not {name})"
    conventions = repriced.question.conventions
    yield (
        f"Prompt tokens are taken to {_include(conventions.cached)} cached ones, completion tokens to "
        f"{_include(conventions.reasoning)} reasoning ones."
    )
    known = repriced.known_at.isoformat()
    yield f"Prices as known at {known}; amounts are shown to {digits} digits, rounded {options['rounding']}."
    if options["compare_billed"] and any(_is_partly_compared(one) for one in summary.of("total")):
        yield "Billed less cost is of the rows that have both amounts."
    if repriced.bad_count:
        yield f"{count(repriced.bad_count, 'row')} of {repriced.row_count} could not be read and are in no amount."
    if rates and summary.rate_days:
        oldest = max(day - rate_day for day, rate_day in summary.rate_days.items()).days
        first, last = min(summary.rate_days.values()), max(summary.rate_days.values())
        yield (
            f"{rates.currency} by {harmless(rates.origin)}: for each UTC day its rate or the last before it, at most "
            f"{count(oldest, 'day')} older; rates of {first} to {last}."
        )


def _is_partly_compared(one: Total) -> bool:
    from pipelines.reports.summaries import less

    return one.billed_usd is not None and less(one.billed_usd, one.cost_usd) != one.variance_usd


def _include(convention: str) -> str:
    return "include" if convention == "inclusive" else "leave out"


_RECORD = (
    "dimension",
    "value",
    "requests",
    "no_cost",
    "cost_usd",
    "lower_usd",
    "upper_usd",
    "billed_usd",
    "variance_usd",
)


def _records(summary: Summary, options: dict[str, Any]) -> tuple[list[str], list[list[Any]]]:
    """The totals as records: exact unless ``--round`` was given; another currency always is rounded."""
    from pipelines.reports.summaries import DIMENSIONS, rounded

    digits, rounding = options["digits"], options["rounding"]
    columns = list(_RECORD)
    if options["currency"]:
        columns.append(f"cost_{options['currency'].lower()}")
    rows: list[list[Any]] = []
    for dimension in DIMENSIONS:
        for one in summary.of(dimension):
            amounts = [one.cost_usd, one.lower_usd, one.upper_usd, one.billed_usd, one.variance_usd]
            if not one.fits:
                amounts = [None] * len(amounts)
            if digits is not None:
                amounts = [None if amount is None else rounded(amount, digits, rounding) for amount in amounts]
            if options["currency"]:
                amounts.append(
                    None
                    if one.converted is None
                    else rounded(one.converted, 10 if digits is None else digits, rounding)
                )
            rows.append([dimension, one.value, one.request_count, one.unpriced_count, *amounts])
    return columns, rows


def _write_summary(summary: Summary, path: Path | None, options: dict[str, Any]) -> None:
    from pipelines.reports.usage import harmless_cell

    if path is None:
        return
    columns, rows = _records(summary, options)
    is_csv = path.suffix.lower() == ".csv"
    if is_csv:
        rows = [[row[0], harmless_cell(row[1]), *row[2:]] for row in rows]
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            print_records("csv" if is_csv else "json", columns, rows, file)
    except OSError as problem:
        raise CatalogueError(f"{path} cannot be written: {problem.strerror}") from None


# --- impact ---------------------------------------------------------------------------------------------------------


@click.command()
@click.argument("usage", type=click.Path(path_type=Path, dir_okay=False))
@warehouse_option
@click.option("--from", "start", required=True, type=Moment(), metavar="TIME", help="The period's beginning.")
@click.option("--to", "end", required=True, type=Moment(), metavar="TIME", help="Its end.")
@_log_options
@_rounding_options
@format_option("table", "csv", "json")
def impact(usage: Path, warehouse: Path, start: datetime, end: datetime, format_: str, **options: Any) -> None:
    """What price changes between two dates cost or saved, and will in the month to come.

    The change of spend against the period before, which is as long, is told as price, mix and volume effect.
    Models in use that are to go away are listed with the cheapest that could replace them.

    \b
    Examples:
      catalogue impact usage.parquet --from 2026-07-01 --to 2026-08-01
      catalogue impact usage.csv --from 2026-07-01 --to 2026-08-01 --format csv
    """
    from pipelines.reports import impact as impacts
    from pipelines.reports.repricing import repricing

    with repricing(warehouse, usage, _question(options)) as repriced:
        _tell_reading(repriced)
        with _progress(repriced.published, "pricing thrice"):
            found = impacts.impact(repriced, start, end)
    if format_ == "table":
        _show_impact(found, start, end, options)
    else:
        print_records(format_, *_impact_records(found, options))


_EFFECTS = {
    "former_usd": ">before, $",
    "spend_usd": ">spend, $",
    "change_usd": ">change, $",
    "price_usd": ">price, $",
    "mix_usd": ">mix, $",
    "volume_usd": ">volume, $",
}


def _show_impact(found: Impact, start: datetime, end: datetime, options: dict[str, Any]) -> None:
    digits = 2 if options["digits"] is None else options["digits"]

    def amount(value: Any) -> str:
        return _amount(value, digits, options["rounding"])

    def row(name: str, one: Effects) -> list[str]:
        requests = [f"{one.former_count:,}", f"{one.request_count:,}"]
        return [name, *requests, *(amount(getattr(one, effect)) for effect in _EFFECTS)]

    headers = ("model", ">requests before", ">requests", *_EFFECTS.values())
    shown = [row(one.label, one) for one in found.models[:_SHOWN]]
    print_table(f"From {minute(start)} to {minute(end)} UTC, beside the period before", headers, shown)
    _say_more(len(found.models), "--format csv has all")
    click.echo()
    print_table("All", ("", *headers[1:]), [row("total", found.total)])
    from pipelines.reports.summaries import less

    was, will = found.total.month_at_start_usd, found.total.month_at_end_usd
    click.echo(
        f"The month to come at the usage of the last 30 days: ${amount(will)} by the prices of {minute(end)}, "
        f"${amount(was)} by those of {minute(start)}: {_more(amount(less(will, was)))}"
    )
    if found.expiring:
        click.echo()
        _show_expiring(found, amount)
    click.echo()
    for number, words in (
        (found.unpriced_count, "without a cost, in no amount"),
        (found.without_start_count, f"without a price at {minute(start)}, for which their own stands in"),
        (found.without_end_count, f"without a price at {minute(end)}, for which their own stands in"),
    ):
        if number:
            click.echo(f"{count(number, 'request')} {words}.")
    click.echo(f"Amounts are shown to {digits} digits, rounded {options['rounding']}; the exact ones add up.")


def _more(shown: str) -> str:
    return f"${shown.removeprefix('-')} {'less' if shown.startswith('-') else 'more'}"


def _show_expiring(found: Impact, amount: Any) -> None:
    print_table(
        "Models in use that are to go away",
        (
            "date",
            ">days left",
            "model",
            ">requests",
            ">last 30 days, $",
            "could be replaced by",
            ">tokens there, $",
            ">here, $",
        ),
        [
            (
                cell(one.expiration_date),
                cell(one.days_left),
                one.model_id,
                f"{one.request_count:,}",
                amount(one.month_usd),
                one.replacement or "none of its modalities and context",
                amount(one.replacement_usd),
                amount(one.same_usd),
            )
            for one in found.expiring
        ],
    )


def _impact_records(found: Impact, options: dict[str, Any]) -> tuple[list[str], list[list[Any]]]:
    """The effects as records, the total first with an empty model: exact unless ``--round`` was given."""
    from pipelines.reports.summaries import rounded

    names = ["former_usd", "spend_usd", "change_usd", "price_usd", "mix_usd", "volume_usd"]
    names += ["month_at_start_usd", "month_at_end_usd"]
    rows: list[list[Any]] = []
    for one in (found.total, *found.models):
        amounts = [getattr(one, name) for name in names]
        if options["digits"] is not None:
            amounts = [rounded(amount, options["digits"], options["rounding"]) for amount in amounts]
        rows.append([one.label, one.former_count, one.request_count, *amounts])
    return ["model", "former_requests", "requests", *names], rows

"""Commands that write to the warehouse.

Belongs here: `sweep`, `import`, `quarantine`, `demo` and `serve`: what they take, report and exit with.
Does not belong here: how loading works (`snapshot`, `backfill`, `ledger`, `defs`), commands that only ask (`ask`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipelines.cli.options import format_option, warehouse_option
from pipelines.cli.tables import count, harmless, minute, print_records, print_table
from pipelines.errors import CatalogueError, UsageError

if TYPE_CHECKING:
    from rich.progress import Progress

    from pipelines.backfill import Tally
    from pipelines.ledger.ledger import Ledger, Verdict
    from pipelines.sources.archives import Archive
    from pipelines.sweep import Swept

QUARANTINED = 3
"""Exit code: something was quarantined, and the rest is done."""

_SHOWN = 10


@contextmanager
def _writing(
    warehouse: Path, lock_timeout: float, *, anew: bool = False, must_exist: bool = False, keeps_limits: bool = False
) -> Iterator[Ledger]:
    from pipelines.ledger.ledger import Ledger
    from pipelines.settings import Settings

    if must_exist and not (warehouse / "raw").is_dir():
        raise CatalogueError(f"there is no warehouse at {warehouse}")
    limits = {} if keeps_limits else Settings.from_environment().limits
    with ExitStack() as opened:
        with _packs_progress() as on_pack:
            ledger = Ledger(
                warehouse,
                anew=anew,
                limits=limits,
                lock_timeout=lock_timeout,
                tell=lambda sentence: click.echo(f"catalogue: {sentence}", err=True),
                on_pack=on_pack,
            )
            opened.enter_context(ledger)
        yield ledger


def _lock_option(command: Any) -> Any:
    return click.option(
        "--lock-timeout",
        type=click.FloatRange(min=0),
        default=600,
        show_default=True,
        metavar="SECONDS",
        help="How long to wait for another process that writes to the warehouse.",
    )(command)


@click.command()
@warehouse_option
@click.option(
    "--base-url", envvar="CATALOGUE_BASE_URL", show_envvar=True, help="The API's address, if not OpenRouter's own."
)
@click.option(
    "--connections",
    type=click.IntRange(1, 64),
    default=8,
    show_default=True,
    envvar="CATALOGUE_SWEEP_CONNECTIONS",
    show_envvar=True,
    help="How many models to ask about at a time.",
)
@click.option(
    "--per-second",
    type=click.FloatRange(0.1),
    default=50,
    show_default=True,
    envvar="CATALOGUE_SWEEP_REQUESTS_PER_SECOND",
    show_envvar=True,
    help="How many requests may begin in a second.",
)
@click.option(
    "--fresh-hours",
    type=click.FloatRange(0),
    default=6,
    show_default=True,
    envvar="CATALOGUE_SWEEP_FRESH_HOURS",
    show_envvar=True,
    help="Pass over models whose last answer is younger, so that an interrupted sweep goes on.",
)
@click.option("--again", is_flag=True, help="Ask for everything, however fresh.")
def sweep(
    warehouse: Path, base_url: str | None, connections: int, per_second: float, fresh_hours: float, again: bool
) -> int:
    """Ask who offers every model, and at what price.

    For each model of the last snapshot, many at a time; providers and offers without data retention too.

    Interrupted, it goes on where it stopped.

    A model that could not be asked keeps its offers and is named. Exits with 3 if there was one, or if an answer was
    quarantined, and with 1 if nothing was answered at all.

    \b
    Examples:
      catalogue sweep
      catalogue sweep --connections 4 --per-second 5
      catalogue sweep --again
    """
    from dataclasses import replace

    from pipelines.ledger.ledger import Ledger
    from pipelines.settings import Settings
    from pipelines.sweep import sweep as sweep_offers
    from pipelines.sweep import take_in

    settings = replace(
        Settings.from_environment(),
        warehouse=warehouse,
        sweep_connections=connections,
        sweep_requests_per_second=per_second,
        sweep_fresh_hours=fresh_hours,
    )
    if base_url is not None:
        settings = replace(settings, base_url=base_url)
    if not (warehouse / "raw").is_dir():
        raise CatalogueError(f"there is no warehouse at {warehouse}: run `catalogue snapshot` first")
    with _bar() as progress:
        task = progress.add_task("asking for offers", total=None)
        swept = sweep_offers(
            settings, again=again, on_progress=lambda done, total: progress.update(task, completed=done, total=total)
        )
        progress.update(task, description="taking in")
        with Ledger(warehouse, in_hand=swept.packs, limits=settings.limits) as ledger:
            suspicious = take_in(swept, ledger)
            offers, models = ledger.rows("SELECT count(*), count(DISTINCT model_id) FROM marts.offers")[0]
    return _report_sweep(swept, suspicious, f"{count(offers, 'offer')} of {count(models, 'model')} now")


def _report_sweep(swept: Swept, suspicious: list[Verdict], now: str) -> int:
    parts = [f"{count(swept.answered, 'answer')} to {count(swept.due, 'question')}"]
    if swept.fresh:
        parts.append(f"{swept.fresh} answered a short time ago and not asked again (--again asks them)")
    click.echo(f"{', '.join(parts)}; {now}")
    if swept.failed:
        click.echo(f"{count(len(swept.failed), 'question')} got no answer; what was known of them stays:", err=True)
        for one in swept.failed[:_SHOWN]:
            click.echo(f"  {harmless(one.scope.model_id or one.scope.name)}: {harmless(one.reason)}", err=True)
        _and_more(len(swept.failed))
    if swept.unasked:
        click.echo(f"{swept.unasked} more were not asked, because nothing was answered any more", err=True)
    if suspicious:
        report_quarantined(suspicious)
    return QUARANTINED if swept.failed or swept.unasked or suspicious else 0


class _Source(click.Path):
    """A path that exists, or the word `wayback`, which as a path is written `./wayback`."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return value if value == WAYBACK else super().convert(value, param, ctx)


WAYBACK = "wayback"


@click.command("import")
@click.argument("path", metavar="PATH|wayback", type=_Source(path_type=Path, exists=True))
@warehouse_option
@click.option(
    "--path", "member", metavar="FILE", help="In a git repository or bundle: the file whose versions are captures."
)
@click.option(
    "--scope",
    type=click.Choice(["text", "all"]),
    default="text",
    show_default=True,
    help="What was asked for: models with text output (the API's default) or output_modalities=all.",
)
@click.option(
    "--time-from",
    type=click.Choice(["name", "mtime", "git"]),
    help="Where observation times come from; by default from file names, in git from committer times.",
)
@click.option("--from", "first", metavar="DAY", help="wayback: no captures before this day, month or year.")
@click.option("--to", "last", metavar="DAY", help="wayback: no captures after this day, month or year.")
@click.option("--limit", type=click.IntRange(min=1), help="wayback: at most so many captures, the oldest first.")
@click.option(
    "--pause", type=click.FloatRange(0, 3600), metavar="SECONDS", help="wayback: between two requests.  [default: 3]"
)
@click.option("--url", help="wayback: the archived address, if not that of OpenRouter's models.")
@click.option(
    "--base-url",
    envvar="CATALOGUE_WAYBACK_URL",
    show_envvar=True,
    help="wayback: the archive's address, if not https://web.archive.org.",
)
@_lock_option
def import_(
    path: Path | str,
    warehouse: Path,
    member: str | None,
    scope: str,
    time_from: Any,
    lock_timeout: float,
    base_url: str | None,
    **wanted: Any,
) -> int:
    """Load an archive of captures.

    It may be a folder, a zip or tar of one, a single file, or a git repository or bundle. The word `wayback` stands for
    the web archive, of which the captures of OpenRouter's models are fetched one at a time; a folder of that name is
    `./wayback`.

    Interrupted imports go on where they stopped; what is there already is not loaded again.

    \b
    Examples:
      catalogue import captures/ --scope all
      catalogue import captures.tar.gz --time-from mtime
      catalogue import openrouter-models.bundle --path models.json
      catalogue import wayback --from 2025-01 --limit 100
    """
    if isinstance(path, str):
        if member is not None or time_from is not None:
            raise UsageError("--path and --time-from are not for wayback, whose captures have times of their own")
        return _import_wayback(warehouse, scope, lock_timeout, base_url, **wanted)
    if given := [name for name, value in wanted.items() if value is not None]:
        options = {"first": "from", "last": "to"}
        raise UsageError(f"--{options.get(given[0], given[0])} is only for `catalogue import wayback`")
    from pipelines.backfill import backfill
    from pipelines.scopes import ALL_MODELS, TEXT_MODELS
    from pipelines.sources.archives import open_archive

    asked = ALL_MODELS if scope == "all" else TEXT_MODELS
    with (
        open_archive(path, scope=asked, member=member, time_from=time_from) as archive,
        _something_in(archive),
        _writing(warehouse, lock_timeout) as ledger,
        _progress(archive.description, archive.total) as advance,
    ):
        caught_up = ledger.quarantined_at_opening()
        tally = backfill(archive, ledger, advance)
        tally.suspicious = [*caught_up, *tally.suspicious]
        published = ledger.publish()
    return _report_import(tally, published)


def _import_wayback(
    warehouse: Path,
    scope: str,
    lock_timeout: float,
    base_url: str | None,
    *,
    first: str | None,
    last: str | None,
    limit: int | None,
    pause: float | None,
    url: str | None,
) -> int:
    from pipelines.backfill import backfill_in_turns
    from pipelines.scopes import ALL_MODELS, TEXT_MODELS
    from pipelines.settings import Settings
    from pipelines.sources.archives.wayback import BASE_URL, MODELS_URLS, PAUSE_SECONDS, Wanted, open_wayback

    wanted = Wanted(url or MODELS_URLS[scope], first, last, limit)
    asked = ALL_MODELS if scope == "all" else TEXT_MODELS
    with _writing(warehouse, lock_timeout) as ledger:
        caught_up = ledger.quarantined_at_opening()
        loaded = ledger.origins(asked.name)
        published = ledger.publish()
    with (
        open_wayback(
            wanted,
            scope=asked,
            is_loaded=loaded.__contains__,
            base_url=base_url or BASE_URL,
            pause_seconds=PAUSE_SECONDS if pause is None else pause,
            policy=Settings.from_environment().fetch_policy,
        ) as archive,
        _progress(archive.description, archive.total) as advance,
    ):
        tally = backfill_in_turns(archive, lambda: _writing(warehouse, lock_timeout), advance)
    tally.suspicious = [*caught_up, *tally.suspicious]
    if archive.left:
        click.echo(f"{count(archive.left, 'more capture')} can be loaded: the same command goes on", err=True)
    return _report_import(tally, published)


@contextmanager
def _something_in(archive: Archive) -> Iterator[None]:
    if archive.total == 0:
        other = f", but {count(archive.ignored, 'other file')}" if archive.ignored else ""
        raise CatalogueError(f"{harmless(archive.description)} holds no captures (.json, .json.gz, .json.zst){other}")
    yield


@contextmanager
def _progress(description: str, total: int) -> Iterator[Any]:
    with _bar() as progress:
        task = progress.add_task(_harmless_markup(description), total=total)
        yield lambda items: progress.advance(task, items)


@contextmanager
def _packs_progress() -> Iterator[Any]:
    """Shows nothing until a pack was read."""
    with _bar() as progress:
        task = progress.add_task("reading captures", total=None, visible=False)
        yield lambda done, total: progress.update(task, completed=done, total=total, visible=True)


def _harmless_markup(text: str) -> str:
    from rich.markup import escape

    return escape(harmless(text))


def _bar() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def _report_import(tally: Tally, published: Path) -> int:
    parts = [f"{count(tally.new, 'capture')} loaded", f"{tally.known} known before"]
    if tally.superseded:
        parts.append(f"{tally.superseded} superseded by another of the same instant")
    click.echo(f"{', '.join(parts)}; published {published}")
    if tally.unreadable:
        click.echo(f"{count(len(tally.unreadable), 'file')} could not be taken as captures:", err=True)
        for one in tally.unreadable[:_SHOWN]:
            click.echo(f"  {harmless(one.name)}: {harmless(one.reason)}", err=True)
        _and_more(len(tally.unreadable))
    if tally.suspicious:
        report_quarantined(tally.suspicious)
    if tally.unseated:
        beside = "quarantined now: accepted before, and suspicious beside what is new (was the --scope right?)"
        report_quarantined(tally.unseated, beside)
    return QUARANTINED if tally.suspicious or tally.unseated or tally.unreadable else 0


def report_quarantined(verdicts: list[Verdict], what: str = "quarantined and changed nothing") -> None:
    """Names the captures that a person is to decide on, and why."""
    is_or_are = "is" if len(verdicts) == 1 else "are"
    click.echo(f"{count(len(verdicts), 'capture')} {is_or_are} {what}; see `catalogue quarantine list`:", err=True)
    for one in verdicts[:_SHOWN]:
        click.echo(f"  {one.snapshot_id} {minute(one.observed_at)}: {harmless('; '.join(one.reasons))}", err=True)
    _and_more(len(verdicts))


def _and_more(count: int) -> None:
    if count > _SHOWN:
        click.echo(f"  and {count - _SHOWN} more", err=True)


@click.group()
def quarantine() -> None:
    """Decide on suspicious captures.

    They are kept and have changed nothing; a person accepts or rejects them, or rejects one accepted before.

    \b
    Examples:
      catalogue quarantine list
      catalogue quarantine show 3f0c
      catalogue quarantine accept 3f0c --reason "OpenRouter did drop a third of its models"
      catalogue quarantine reject 3f0c --reason "half a list"
    """


@quarantine.command("list")
@warehouse_option
@format_option("table", "csv", "json")
def list_(warehouse: Path, format_: str) -> None:
    """What is quarantined or was rejected."""
    from pipelines.ledger.published import Published

    with Published(warehouse) as published:
        answer = published.ask("SELECT * FROM raw.quarantine ORDER BY observed_at, snapshot_id")
    if format_ != "table":
        print_records(format_, answer.columns, answer.rows)
        return
    print_table(
        "Quarantine",
        ("observed", "snapshot", "scope", "verdict", "why"),
        [
            (
                minute(one["observed_at"]),
                one["snapshot_id"][:12],
                one["scope"],
                one["verdict"],
                "; ".join([*one["reasons"], *([one["decision_reason"]] if one["decision_reason"] else [])]),
            )
            for one in answer.records()
        ],
    )


@quarantine.command()
@click.argument("snapshot_id")
@warehouse_option
def show(snapshot_id: str, warehouse: Path) -> None:
    """Everything known about one capture, and the beginning of its bytes. A prefix of the id is enough."""
    from pipelines.captures import RawStore
    from pipelines.ledger.beside import BESIDE
    from pipelines.ledger.published import Published

    with Published(warehouse) as published:
        one = _only(published.ask(_CAPTURE, [snapshot_id]).records(), snapshot_id)
        beside = published.ask(BESIDE, [one["snapshot_id"]]).records()
    body = next(
        capture.body
        for capture in RawStore(warehouse / "raw").read(one["pack"])
        if capture.snapshot_id == one["snapshot_id"]
    )
    for name, value in one.items():
        click.echo(f"{name:16} {harmless('; '.join(value) if isinstance(value, list) else str(value))}")
    for change in ("gone", "new"):
        ids = [row["model_id"] for row in beside if row["change"] == change]
        if ids:
            rest = f" and {len(ids) - _SHOWN} more" if len(ids) > _SHOWN else ""
            since = minute(beside[0]["observed_at"])
            click.echo(f"{change:16} since {since}: {harmless(', '.join(ids[:_SHOWN]))}{rest}")
    click.echo(f"{'bytes':16} {harmless(body[:400].decode('utf-8', 'replace'))}{' …' if len(body) > 400 else ''}")


_CAPTURE = """
SELECT
    c.snapshot_id, c.source, c.scope, c.observed_at, v.verdict, v.reasons, v.known_from AS recorded_at, c.sha256,
    c.size_bytes, c.pack
FROM raw.captures AS c
JOIN core.verdicts AS v ON v.capture_no = c.capture_no AND v.known_to IS NULL
WHERE starts_with(c.snapshot_id, ?)
"""


def _only(records: list[dict[str, Any]], snapshot_id: str) -> dict[str, Any]:
    if not records:
        raise UsageError(f"no capture that is judged has an id that begins with {snapshot_id!r}")
    if len(records) > 1:
        raise UsageError(f"{len(records)} captures have ids that begin with {snapshot_id!r}: give more of it")
    return records[0]


def _decision(name: str, help_: str) -> click.Command:
    @click.argument("snapshot_id")
    @click.option("--reason", required=True, help="Why; it is kept for ever.")
    @warehouse_option
    @_lock_option
    def decide(snapshot_id: str, reason: str, warehouse: Path, lock_timeout: float) -> None:
        if not reason.strip():
            raise UsageError("the reason is empty: say why, it is kept with the decision")
        with _writing(warehouse, lock_timeout, must_exist=True) as ledger:
            one = _only(ledger.decidable(snapshot_id), snapshot_id)
            if name == "accept" and one["is_fatal"]:
                raise UsageError(f"{one['snapshot_id']} holds no list, so there is nothing to accept")
            ledger.commit(decisions=[{"snapshot_id": one["snapshot_id"], "decision": name, "reason": reason.strip()}])
            ledger.publish()
            verdict = ledger.verdicts([one["snapshot_id"]])[0]
        click.echo(f"{verdict.snapshot_id} {minute(verdict.observed_at)} UTC is {verdict.verdict} now")

    return click.command(name, help=help_)(decide)


quarantine.add_command(_decision("accept", "Let a capture make history after all. A prefix of the id is enough."))
quarantine.add_command(
    _decision("reject", "Keep a capture out of history, also one accepted before. A prefix of the id is enough.")
)


@click.command()
@warehouse_option
@_lock_option
def verify(warehouse: Path, lock_timeout: float) -> int:
    """Prove that all follows from the captures.

    Builds a second ledger from captures and journal and compares every table.

    \b
    Examples:
      catalogue verify
      catalogue verify --warehouse /data/catalogue
    """
    from pipelines.ledger.verify import verify as verify_ledger

    with _writing(warehouse, lock_timeout, must_exist=True) as ledger, _packs_progress() as on_pack:
        result = verify_ledger(ledger, on_pack)
    for finding in result.findings:
        click.echo(f"{harmless(finding.where)}: {harmless(finding.what)}", err=True)
    if result.findings:
        raise CatalogueError(f"{warehouse} is not what its captures and journal say: {len(result.findings)} findings")
    click.echo(
        f"{result.tables} tables with {result.rows} rows equal a rebuild "
        f"from {result.captures} captures and the journal"
    )
    return 0


@click.command()
@warehouse_option
@_lock_option
def rebuild(warehouse: Path, lock_timeout: float) -> int:
    """Build the ledger anew from its captures.

    Replaces the ledger, whatever its state, by what captures and journal give, and publishes it.

    \b
    Examples:
      catalogue rebuild
    """
    with _writing(warehouse, lock_timeout, anew=True, must_exist=True) as ledger:
        published = ledger.publish()
        captures = ledger.rows("SELECT count(*) FROM catalogue.raw.captures")[0][0]
    click.echo(f"rebuilt from {captures} captures; published {published}")
    return 0


@click.command()
@click.option("--days", type=click.IntRange(min=2, max=3650), default=90, show_default=True, help="Simulated days.")
@click.option(
    "--models", type=click.IntRange(min=1, max=5000), default=120, show_default=True, help="Simulated models."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Another seed is another catalogue.")
@click.option(
    "--warehouse",
    type=click.Path(path_type=Path, file_okay=False),
    default="warehouse/demo",
    show_default=True,
    help="Where to build it; a former demo there is replaced.",
)
def demo(days: int, models: int, seed: int, warehouse: Path) -> int:
    """Show the product on simulated days.

    They go over HTTP through raw store, ledger and marts, the last one as the Dagster job.

    \b
    Examples:
      catalogue demo
      catalogue demo --days 30 --seed 7
    """
    from pipelines.cli.ask import changes, expiring, new
    from pipelines.tour import begin, play

    begin(warehouse)
    with _progress(f"{days} simulated days over HTTP", days) as advance:
        verdict = play(warehouse, days=days, models=models, seed=seed, on_day=lambda: advance(1))
    click.echo(
        f"{days} simulated days are loaded, the last one ({minute(verdict.observed_at)} UTC) by the Dagster job.\n"
    )
    context = click.get_current_context()
    asked = {"warehouse": warehouse, "format_": "table"}
    since = verdict.observed_at.replace(hour=0, minute=0, second=0, microsecond=0)
    from datetime import timedelta

    context.invoke(changes, since=since, model=None, kind=None, everything=True, **asked)
    click.echo()
    context.invoke(new, since=timedelta(days=14), **asked)
    click.echo()
    context.invoke(expiring, within=None, everything=False, **asked)
    click.echo()
    _largest_moves(warehouse)
    click.echo(f"\nPublished file: {warehouse / 'catalogue.duckdb'}")
    click.echo(f'Ask it: catalogue sql "FROM marts.price_changes" --warehouse {warehouse}')
    return 0


_LARGEST_MOVES = """
SELECT * FROM marts.price_changes
WHERE is_repricing AND NOT is_alias AND price_kind IN ('prompt', 'completion') AND change_ratio IS NOT NULL
ORDER BY abs(ln(1 + change_ratio)) DESC, model_id, changed_at LIMIT 8
"""


def _largest_moves(warehouse: Path) -> None:
    from pipelines.cli.tables import money
    from pipelines.ledger.published import Published

    with Published(warehouse) as published:
        moves = published.ask(_LARGEST_MOVES).records()
    print_table(
        "Largest price moves",
        ("changed", "model", "price", ">from", ">to", ">by", "back by"),
        [
            (
                minute(one["changed_at"]),
                one["model_id"],
                one["price_kind"],
                money(one["old_price_usd"], "listed", "token"),
                money(one["new_price_usd"], "listed", "token"),
                f"{one['change_ratio']:+.1%}",
                minute(one["reverted_at"]),
            )
            for one in moves
        ],
    )


@click.command()
@warehouse_option
@click.option("--host", default="127.0.0.1", show_default=True, help="Where the UI listens.")
@click.option("--port", type=click.IntRange(1, 65535), default=3000, show_default=True, help="Where the UI listens.")
def serve(warehouse: Path, host: str, port: int) -> int:
    """Run the Dagster UI and its schedule.

    The daemon takes the daily snapshot. Stop both with Ctrl-C.

    \b
    Examples:
      catalogue serve
      CATALOGUE_SCHEDULE="5 */6 * * *" catalogue serve --port 8080
    """
    from dataclasses import replace

    from pipelines.defs.serve import serve as serve_dagster
    from pipelines.settings import Settings

    return serve_dagster(replace(Settings.of_installation(), warehouse=warehouse), host, port)

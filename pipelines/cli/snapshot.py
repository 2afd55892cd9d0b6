"""The command `catalogue snapshot`: the catalogue, the feed, a gateway, filtered and ranked lists.

Belongs here: what is to be taken, what is reported of it, and the exit code.
Does not belong here: how it is taken (`defs`, `watch`, `rounds`), other commands that write (`load`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipelines.cli.load import QUARANTINED, report_quarantined
from pipelines.cli.options import warehouse_option
from pipelines.cli.tables import count, harmless, minute
from pipelines.errors import CatalogueError, UsageError

if TYPE_CHECKING:
    from pipelines.rounds import Round
    from pipelines.scopes import Scope
    from pipelines.settings import Settings


@click.command()
@warehouse_option
@click.option(
    "--base-url",
    metavar="URL",
    help="The API's address, if not OpenRouter's own, or a gateway's.  "
    "[env var: CATALOGUE_BASE_URL; of the gateway called gateway: CATALOGUE_GATEWAY_URL]",
)
@click.option(
    "--retries",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    envvar="CATALOGUE_FETCH_RETRIES",
    show_envvar=True,
    help="How often to try the whole fetch of the catalogue again after a failure that may pass; each single request "
    "is retried anyway.",
)
@click.option("--feed", "is_feed", is_flag=True, help="Take the feed of new models instead of the list.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    metavar="QUESTION",
    help="Take this list instead, such as models?zdr=true, or models/user with OPENROUTER_API_KEY; repeatable.",
)
@click.option(
    "--source",
    default="openrouter",
    show_default=True,
    metavar="NAME",
    help="OpenRouter, or a gateway by any other name.",
)
@click.option("--token-variable", metavar="VARIABLE", help="A gateway's: where its token is.  [default: GATEWAY_TOKEN]")
def snapshot(
    warehouse: Path,
    base_url: str | None,
    retries: int,
    is_feed: bool,
    scopes: tuple[str, ...],
    source: str,
    token_variable: str | None,
) -> int:
    """Take the live catalogue once.

    The same Dagster assets as the daily schedule are run here and now, and recorded where its runs are.

    With --scope lists that are filtered or ranked are taken, of which one that fails keeps no other from being taken.
    Exits with 1 if one failed, with 3 if one was quarantined.

    \b
    Examples:
      catalogue snapshot
      catalogue snapshot --warehouse /data/catalogue
      catalogue snapshot --feed
      catalogue snapshot --scope 'models?category=programming' --scope models/user
      catalogue snapshot --source gateway --base-url https://gateway.example.com
    """
    if is_feed and scopes:
        raise UsageError("--feed and --scope take different things: give one of them")
    if source != "openrouter":
        if is_feed or scopes:
            raise UsageError(f"--{'feed' if is_feed else 'scope'} is OpenRouter's: a gateway has none")
        return _snapshot_gateway(warehouse, source, base_url, token_variable)
    if token_variable is not None:
        raise UsageError("--token-variable is for gateways: name one with --source")
    from dataclasses import replace

    from pipelines.settings import Settings

    settings = replace(Settings.from_environment(), warehouse=warehouse, fetch_retries=retries)
    if base_url is not None:
        settings = replace(settings, base_url=base_url)
    if is_feed:
        return _snapshot_of_feed(settings)
    if scopes:
        return _snapshot_of_scopes(settings, scopes)
    return _snapshot_of_catalogue(settings)


def _snapshot_of_catalogue(settings: Settings) -> int:
    from pipelines.defs.run import snapshot_once

    result = snapshot_once(settings)
    if result.verdict is None:
        raise CatalogueError(result.error or "the snapshot failed")
    if result.verdict.verdict == "quarantined":
        report_quarantined([result.verdict])
        return QUARANTINED
    if result.error is not None:
        raise CatalogueError(result.error)
    for warning in result.warnings:
        click.echo(f"catalogue: {harmless(warning)}", err=True)
    published = settings.warehouse / "catalogue.duckdb"
    click.echo(f"snapshot {minute(result.verdict.observed_at)} UTC is in {published}")
    return 0


def _snapshot_of_scopes(settings: Settings, questions: tuple[str, ...]) -> int:
    from pipelines.rounds import take_scopes
    from pipelines.scopes import ALL_MODELS
    from pipelines.sources.openrouter import listing_scope

    scopes = dict.fromkeys(map(listing_scope, questions))
    asked = {_spelled(one): one for one in scopes if one != ALL_MODELS}
    steps: list[Callable[[], int]] = []
    if ALL_MODELS in scopes:
        steps.append(lambda: _snapshot_of_catalogue(settings))
    if asked:
        steps.append(lambda: _take_in(settings, take_scopes(asked, settings)))
    return _all_of(steps)


def _spelled(scope: Scope) -> str:
    """A question to OpenRouter as one asks it."""
    return scope.name.removeprefix(f"{scope.source}/")


def _all_of(steps: list[Callable[[], int]]) -> int:
    """Takes each step, whatever becomes of the others; a failure weighs more than a quarantine."""
    codes = []
    for step in steps:
        try:
            codes.append(step())
        except CatalogueError as problem:
            if len(steps) == 1:
                raise
            click.echo(f"catalogue: {problem}", err=True)
            codes.append(1)
    return 1 if 1 in codes else max(codes)


def _take_in(settings: Settings, done: Round) -> int:
    """Takes in what a round took and tells of it, then of what failed."""
    from pipelines.ledger.ledger import Ledger
    from pipelines.rounds import take_in

    if not done.taken and len(done.failed) == 1:
        raise next(iter(done.failed.values()))
    quarantined = []
    if done.taken:
        with Ledger(settings.warehouse, in_hand=done.packs, limits=settings.limits) as ledger:
            outcome = take_in(done, ledger)
        for name, verdict in outcome.verdicts.items():
            if verdict.verdict != "quarantined":
                listed = count(done.taken[name].listed, "model")
                click.echo(f"{harmless(name)}: {listed} at {minute(verdict.observed_at)} UTC")
        quarantined = outcome.quarantined
    if quarantined:
        report_quarantined(quarantined)
    _report_failed(done.failed)
    return 1 if done.failed else QUARANTINED if quarantined else 0


def _report_failed(failed: Mapping[str, CatalogueError]) -> None:
    for name, problem in failed.items():
        click.echo(f"catalogue: {harmless(name)}: {harmless(str(problem))}", err=True)


def _snapshot_of_feed(settings: Settings) -> int:
    from pipelines.watch import take_feed

    taken = take_feed(settings)
    if taken.defect is not None:
        click.echo(f"catalogue: {taken.defect} Its bytes are kept, and changed nothing.", err=True)
        return QUARANTINED
    click.echo(f"feed {minute(taken.observed_at)} UTC: {count(taken.items, 'item')}, {taken.new} not seen before")
    if taken.differences:
        differences = f"{count(taken.differences, 'difference')} between feed and catalogue"
        click.echo(f'catalogue: {differences}: catalogue sql "FROM marts.feed_differences"', err=True)
    return 0


def _snapshot_gateway(warehouse: Path, name: str, base_url: str | None, token_variable: str | None) -> int:
    from pipelines.captures import RawStore
    from pipelines.ledger.ledger import Ledger
    from pipelines.scopes import GATEWAY
    from pipelines.settings import Settings
    from pipelines.snapshot import take_gateway
    from pipelines.sources.gateway import TOKEN_VARIABLE, Gateway

    settings = Settings.from_environment()
    if base_url is None and name == GATEWAY:
        base_url = settings.gateway_url
    if base_url is None:
        variable = " or CATALOGUE_GATEWAY_URL" if name == GATEWAY else ""
        raise UsageError(f"where the gateway {harmless(name)} is cannot be known: give its --base-url{variable}")
    with Gateway(
        base_url, name=name, token_variable=token_variable or TOKEN_VARIABLE, policy=settings.fetch_policy
    ) as gateway:
        taken = take_gateway(gateway, RawStore(warehouse / "raw"))
    with Ledger(warehouse, in_hand=taken.packs, limits=settings.limits) as ledger:
        ledger.commit(taken.packs)
        published = ledger.publish()
        verdicts = ledger.verdicts([taken.snapshot_id])
    if quarantined := [one for one in verdicts if one.verdict == "quarantined"]:
        report_quarantined(quarantined)
        return QUARANTINED
    click.echo(f"{count(taken.listed, 'model')} of {name} at {minute(verdicts[0].observed_at)} UTC are in {published}")
    return 0

"""The command `catalogue snapshot`: the catalogue, the feed, a gateway, filtered and ranked lists.

Belongs here: what is to be taken, what is reported of it, and the exit code.
Does not belong here: how it is taken (`defs`, `watch`, `rounds`), other commands that write (`load`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipelines.cli.load import QUARANTINED, report_quarantined
from pipelines.cli.options import imports_that_stay, warehouse_option
from pipelines.cli.tables import count, harmless, minute
from pipelines.errors import CatalogueError, UsageError

if TYPE_CHECKING:
    from pipelines.configuration import NamedGateway
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
    metavar="NAME|QUESTION",
    help="Take what catalogue.toml calls so, or a list such as models?zdr=true or models/user; repeatable.",
)
@click.option("--all", "is_all", is_flag=True, help="Take the catalogue and whatever catalogue.toml names.")
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
    is_all: bool,
    source: str,
    token_variable: str | None,
) -> int:
    """Take the live catalogue once.

    The same Dagster assets as the daily schedule are run here and now, and recorded where its runs are.

    With --scope or --all several lists are taken, of which one that fails keeps no other from being taken. Exits with 1
    if one failed, with 3 if one was quarantined.

    \b
    Examples:
      catalogue snapshot
      catalogue snapshot --warehouse /data/catalogue
      catalogue snapshot --feed
      catalogue snapshot --scope 'models?category=programming' --scope models/user
      catalogue snapshot --all
      catalogue snapshot --source gateway --base-url https://gateway.example.com
    """
    kinds = {"feed": is_feed, "scope": bool(scopes), "all": is_all}
    chosen = [kind for kind, is_chosen in kinds.items() if is_chosen]
    if len(chosen) > 1:
        raise UsageError(f"--{chosen[0]} and --{chosen[1]} take different things: give one of them")
    from dataclasses import replace

    from pipelines.settings import Settings

    settings = replace(Settings.of_installation(), warehouse=warehouse, fetch_retries=retries)
    if source != "openrouter":
        if chosen:
            raise UsageError(f"--{chosen[0]} and --source take different things: give one of them")
        return _snapshot_gateway(settings, source, base_url, token_variable)
    if token_variable is not None:
        raise UsageError("--token-variable is for gateways: name one with --source")
    if base_url is not None:
        settings = replace(settings, base_url=base_url)
    if is_feed:
        return _snapshot_of_feed(settings)
    if scopes or is_all:
        return _snapshot_of_several(settings, _everything(settings) if is_all else _wanted(settings, scopes))
    return _snapshot_of_catalogue(settings)


def _snapshot_of_catalogue(settings: Settings) -> int:
    with imports_that_stay():
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


@dataclass
class _Wanted:
    """What is to be taken in one go, the lists by name."""

    is_catalogue: bool = False
    lists: dict[str, Scope] = field(default_factory=dict)
    gateways: list[NamedGateway] = field(default_factory=list)


def _everything(settings: Settings) -> _Wanted:
    return _Wanted(True, {one.name: one.scope for one in settings.configuration.scopes}, [*settings.gateways])


def _wanted(settings: Settings, asked: tuple[str, ...]) -> _Wanted:
    """What ``asked`` means: names of the file, or questions; each once."""
    from pipelines.configuration import CATALOGUE, FILE
    from pipelines.scopes import ALL_MODELS
    from pipelines.sources.openrouter import listing_scope

    wanted, names = _Wanted(), {one.name: one.scope for one in settings.configuration.scopes}
    gateways = {one.name: one for one in settings.gateways}
    known = {scope: name for name, scope in names.items()}
    for text in dict.fromkeys(asked):
        if text in gateways:
            wanted.gateways.append(gateways[text])
            continue
        if re.fullmatch(r"[\w-]+", text) and text not in (*names, CATALOGUE, "models"):
            there = ", ".join((CATALOGUE, *names, *gateways))
            raise UsageError(f"nothing is called {text} in {settings.configuration.path or FILE}; there are: {there}")
        scope = ALL_MODELS if text == CATALOGUE else names[text] if text in names else listing_scope(text)
        if scope == ALL_MODELS:
            wanted.is_catalogue = True
        else:
            wanted.lists[known.get(scope, scope.name.removeprefix(f"{scope.source}/"))] = scope
    return wanted


def _snapshot_of_several(settings: Settings, wanted: _Wanted) -> int:
    from pipelines.rounds import take_gateways, take_scopes

    steps: list[Callable[[], int]] = []
    if wanted.is_catalogue:
        steps.append(lambda: _snapshot_of_catalogue(settings))
    if wanted.lists or wanted.gateways:
        steps.append(
            lambda: _take_in(settings, take_scopes(wanted.lists, settings) | take_gateways(wanted.gateways, settings))
        )
    return _all_of(steps)


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


def _snapshot_gateway(settings: Settings, name: str, base_url: str | None, token_variable: str | None) -> int:
    from pipelines.configuration import AFTER_THE_CATALOGUE, NamedGateway, Timing
    from pipelines.ledger.ledger import Ledger
    from pipelines.rounds import take_gateways, take_in
    from pipelines.scopes import GATEWAY
    from pipelines.sources.gateway import TOKEN_VARIABLE

    known = {one.name: one for one in settings.gateways}.get(name)
    url = base_url or (known.url if known else settings.gateway_url if name == GATEWAY else None)
    if url is None:
        variable = " or CATALOGUE_GATEWAY_URL" if name == GATEWAY else ""
        raise UsageError(f"where the gateway {harmless(name)} is cannot be known: give its --base-url{variable}")
    variable = token_variable or (known.token_variable if known else TOKEN_VARIABLE)
    done = take_gateways([NamedGateway(name, url, variable, Timing(AFTER_THE_CATALOGUE))], settings)
    for problem in done.failed.values():
        raise problem
    with Ledger(settings.warehouse, in_hand=done.packs, limits=settings.limits) as ledger:
        outcome = take_in(done, ledger)
    if outcome.quarantined:
        report_quarantined(outcome.quarantined)
        return QUARANTINED
    listed, at = count(done.taken[name].listed, "model"), minute(outcome.verdicts[name].observed_at)
    click.echo(f"{listed} of {name} at {at} UTC are in {settings.warehouse / 'catalogue.duckdb'}")
    return 0

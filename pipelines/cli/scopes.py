"""The command `catalogue scopes`: what is captured here, when, and since when it was not.

Belongs here: the file's names beside what the published file knows of them. Does not belong here: reading either.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipelines.cli.options import format_option, warehouse_option
from pipelines.cli.tables import cell, print_records, print_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipelines.scopes import Scope
    from pipelines.settings import Settings

_COLUMNS = ("name", "scope", "kind", "schedule", "time_zone", "snapshots", "last_snapshot_at")


@click.command()
@warehouse_option
@format_option("table", "csv", "json")
def scopes(warehouse: Path, format_: str) -> None:
    """What is captured: the catalogue, and what catalogue.toml names.

    Lists that were captured once and have no name there come last.

    \b
    Examples:
      catalogue scopes
      catalogue scopes --format json
    """
    from pipelines.scopes import Scope
    from pipelines.settings import Settings

    captured = _captured(warehouse)
    rows: list[tuple[Any, ...]] = []
    for name, scope, cron, zone in _named(Settings.of_installation()):
        rows.append((name, scope.name, scope.kind, cron, zone, *captured.pop(scope.name, (0, None))))
    rows += [(None, name, Scope.parse(name).kind, None, None, *told) for name, told in captured.items()]
    if format_ != "table":
        print_records(format_, _COLUMNS, rows)
        return
    headers = ("name", "scope", "kind", "schedule", "time zone", ">snapshots", "last")
    print_table("Scopes", headers, [tuple(map(cell, row)) for row in rows])


def _named(settings: Settings) -> Iterator[tuple[str, Scope, str, str]]:
    """Name, scope, cron expression and time zone of whatever is to be captured by itself."""
    from pipelines.configuration import CATALOGUE
    from pipelines.scopes import ALL_MODELS, gateway_scope

    zone = settings.time_zone
    yield CATALOGUE, replace(ALL_MODELS, source=settings.source), settings.schedule, zone
    for one in settings.configuration.scopes:
        asked = replace(one.scope, source=settings.source)
        yield one.name, asked, one.timing.cron, one.timing.time_zone or zone
    for gateway in settings.gateways:
        yield gateway.name, gateway_scope(gateway.name), gateway.timing.cron, gateway.timing.time_zone or zone


def _captured(warehouse: Path) -> dict[str, tuple[Any, ...]]:
    """By scope how many snapshots there are, and when the last one is from; nothing where nothing is published."""
    from pipelines.ledger.published import PUBLISHED, Published

    if not (warehouse / PUBLISHED).exists():
        return {}
    with Published(warehouse) as published:
        found = published.ask(
            "SELECT scope, count(*), max(observed_at) FROM marts.snapshots GROUP BY scope ORDER BY scope"
        ).rows
    return {scope: tuple(told) for scope, *told in found}

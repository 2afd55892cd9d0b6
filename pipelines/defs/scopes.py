"""What `catalogue.toml` names, as assets: an asset for each scope and gateway, from the question to the published file.

Belongs here: what is recorded with such a capture. Does not belong here: the work itself (`rounds`), reading the file
(`configuration`), jobs and schedules (`job`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import dagster as dg

from pipelines.captures import iso
from pipelines.configuration import Timing
from pipelines.defs import tables
from pipelines.defs.assets import Checked
from pipelines.defs.failures import one_sentence
from pipelines.ledger.beside import BESIDE
from pipelines.ledger.ledger import Ledger
from pipelines.rounds import Round, take_gateways, take_in, take_scopes
from pipelines.settings import Settings

GROUP = "scopes"
_OWNERS = ["team:catalogue"]
_ACCEPTED = "capture_is_accepted"
_SINCE = "SELECT hours_since_previous FROM catalogue.marts.snapshots WHERE snapshot_id = ?"


@dataclass(frozen=True)
class Named:
    """A scope or gateway of the file as Dagster sees it; ``name`` is that of its asset, and no job may have it."""

    name: str
    asset: dg.AssetsDefinition
    timing: Timing


def named(settings: Settings, retry_policy: dg.RetryPolicy) -> Iterator[Named]:
    """The assets of all scopes and gateways that the file names."""
    for scope in settings.configuration.scopes:
        name = _plain("scope", scope.name)
        description = f"The list `{scope.scope.name}`: its bytes, then who is in it; committed and published."
        asset = _asset(name, description, partial(take_scopes, {scope.name: scope.scope}), retry_policy)
        yield Named(name, asset, scope.timing)
    for gateway in settings.gateways:
        name = _plain("gateway", gateway.name)
        description = f"All that the gateway `{gateway.name}` has: its bytes, then its models; committed and published."
        asset = _asset(name, description, partial(take_gateways, [gateway]), retry_policy)
        yield Named(name, asset, gateway.timing)


def _plain(kind: str, name: str) -> str:
    """A name that Dagster takes, which knows no hyphens."""
    return f"{kind}_{name.replace('-', '_')}"


def _asset(
    name: str, description: str, take: Callable[[Settings], Round], retry_policy: dg.RetryPolicy
) -> dg.AssetsDefinition:
    @dg.asset(
        name=name,
        description=description,
        group_name=GROUP,
        owners=_OWNERS,
        kinds={"http", "duckdb"},
        retry_policy=retry_policy,
        check_specs=[
            dg.AssetCheckSpec(
                _ACCEPTED,
                asset=name,
                description="Nothing speaks against the capture; one that is suspicious is kept, and changes nothing.",
                blocking=True,
            )
        ],
    )
    def capture(settings: dg.ResourceParam[Settings]) -> Checked[None]:
        with one_sentence(retry_policy):
            done = take(settings)
            for problem in done.failed.values():
                raise problem
        ((called, taken),) = done.taken.items()
        with one_sentence(), Ledger(settings.warehouse, in_hand=done.packs, limits=settings.limits) as ledger:
            verdict = take_in(done, ledger).verdicts[called]
            beside = ledger.rows(BESIDE, [taken.snapshot_id])
            since = ledger.rows(_SINCE, [taken.snapshot_id])
        who = {what: [(model_id,) for model_id, change, _ in beside if change == what] for what in ("new", "gone")}
        yield dg.MaterializeResult(
            metadata={
                "models_listed": taken.listed,
                "snapshot_id": taken.snapshot_id,
                "observed_at": iso(verdict.observed_at),
                "verdict": verdict.verdict,
                "joined": tables.table(("model",), who["new"]),
                "joined_count": len(who["new"]),
                "left": tables.table(("model",), who["gone"]),
                "left_count": len(who["gone"]),
                **({"hours_since_previous": since[0][0]} if since and since[0][0] is not None else {}),
            }
        )
        yield dg.AssetCheckResult(
            check_name=_ACCEPTED,
            passed=verdict.verdict != "quarantined",
            description="; ".join(map(tables.shown, verdict.reasons)) or None,
        )

    return capture

"""The feed of new models as an asset, and how it agrees with the catalogue.

Belongs here: what is recorded with a feed. Does not belong here: the work itself (`watch`), when to look (`sensors`).
"""

from __future__ import annotations

import dagster as dg

from pipelines.captures import iso
from pipelines.defs.assets import Checked
from pipelines.defs.failures import one_sentence
from pipelines.settings import Settings
from pipelines.watch import take_feed

GROUP = "feed"
_OWNERS = ["team:catalogue"]

_AGREES = "feed_agrees_with_catalogue"
_READABLE = "feed_is_readable"


@dg.asset(
    group_name=GROUP,
    owners=_OWNERS,
    kinds={"http", "duckdb"},
    check_specs=[
        dg.AssetCheckSpec(
            _READABLE, asset="feed_items", description="The feed is RSS; what is none is kept, and changes nothing."
        ),
        dg.AssetCheckSpec(
            _AGREES, asset="feed_items", description="Feed and catalogue say the same; else see `feed_differences`."
        ),
    ],
)
def feed_items(settings: dg.ResourceParam[Settings]) -> Checked[None]:
    """The feed of new models: as bytes in the raw store, then its items, committed and published."""
    with one_sentence():
        taken = take_feed(settings)
    yield dg.MaterializeResult(
        metadata={
            "snapshot_id": taken.snapshot_id,
            "observed_at": iso(taken.observed_at),
            "items": taken.items,
            "new_items": taken.new,
        }
    )
    yield dg.AssetCheckResult(
        check_name=_READABLE,
        passed=taken.defect is None,
        severity=dg.AssetCheckSeverity.WARN,
        description=taken.defect or "It is.",
    )
    yield dg.AssetCheckResult(
        check_name=_AGREES,
        passed=not taken.differences,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"differences": taken.differences},
    )

"""The assets: a snapshot's way from the source to the published file, a few lines around a function each.

Belongs here: what depends on what, and what is recorded with each step. Does not belong here: the work itself.

The lineage: listing → frames → core → history → marts → published.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

import dagster as dg
import polars as pl

from pipelines.captures import RawStore, iso
from pipelines.defs import checks, tables
from pipelines.defs.failures import one_sentence
from pipelines.flatten import Frames, flatten
from pipelines.ledger.ledger import Ledger, Verdict
from pipelines.ledger.schema import marts as mart_definitions
from pipelines.scopes import Scope
from pipelines.settings import Settings
from pipelines.snapshot import Taken, take
from pipelines.sources.http import utc_now
from pipelines.sources.openrouter import BASE_URL, OpenRouter

GROUP = "catalogue"
SETTINGS = "settings"
"""The key of the resource that gives the :class:`Settings`."""

_OF_LISTINGS = (
    *("snapshots", "models", "prices", "price_history", "price_rule_history", "price_changes", "price_rule_changes"),
    *("model_spells", "model_events", "model_history", "attribute_changes", "schema_drift"),
)
"""The marts whose rows are counted with each snapshot; the others are for who asks."""

_OWNERS = ["team:catalogue"]
_DECISION = "`catalogue quarantine` shows it, and accepts or rejects it."


_Value = TypeVar("_Value")
Checked = Iterator[dg.MaterializeResult[_Value] | dg.AssetCheckResult]
"""What an asset with checks of its own yields: its value, then how it fares."""


@dataclass(frozen=True)
class Flattened:
    """A stored snapshot with its frames."""

    taken: Taken
    frames: Frames


@dataclass(frozen=True)
class Judged:
    """A stored snapshot with the verdict on it."""

    taken: Taken
    verdict: Verdict


def listing(retry_policy: dg.RetryPolicy) -> dg.AssetsDefinition:
    """The asset ``listing``; what may be tried again, and how patiently, is known only with the settings."""

    @dg.asset(group_name=GROUP, owners=_OWNERS, kinds={"http"}, retry_policy=retry_policy)
    def listing(settings: dg.ResourceParam[Settings]) -> dg.MaterializeResult[Taken]:
        """The answer of the models API and its count, as bytes in the raw store, before anything looks at them."""
        raw = RawStore(settings.warehouse / "raw")
        source = OpenRouter(
            settings.base_url or BASE_URL,
            policy=settings.fetch_policy,
            clock=settings.clock or utc_now,
        )
        with one_sentence(retry_policy), source:
            taken = take(source, raw)
            capture = next(one for one in raw.read(taken.packs[0]) if one.snapshot_id == taken.snapshot_id)
        return dg.MaterializeResult(
            value=taken,
            metadata={
                "models_listed": taken.listed,
                "models_counted": "unknown" if taken.counted is None else taken.counted,
                "snapshot_id": taken.snapshot_id,
                "observed_at": iso(capture.observed_at),
                "sha256": capture.sha256,
                "bytes": len(capture.body),
                "pack": dg.MetadataValue.path(str(raw.root / taken.packs[0])),
            },
        )

    return listing


@dg.asset(group_name=GROUP, owners=_OWNERS, kinds={"polars"})
def frames(listing: Taken, settings: dg.ResourceParam[Settings]) -> dg.MaterializeResult[Flattened]:
    """The listing as frames: models, prices, price rules, and fields that the API's description does not name."""
    with one_sentence():
        captures = RawStore(settings.warehouse / "raw").read(listing.packs[0])
    flat = flatten(one.body for one in captures)
    unknown = flat.unknown_fields.group_by("path", "json_type").agg(pl.first("example")).sort("path")
    return dg.MaterializeResult(
        value=Flattened(listing, flat),
        metadata={
            "models": flat.models.height,
            "prices": flat.prices.height,
            "price_rules": flat.price_rules.height,
            "unknown_fields": tables.table(unknown.columns, unknown.rows()),
            "unknown_fields_count": unknown.height,
        },
    )


@dg.asset(group_name=GROUP, owners=_OWNERS, kinds={"duckdb"}, check_specs=checks.listing_check_specs())
def core(frames: Flattened, settings: dg.ResourceParam[Settings]) -> Checked[Judged]:
    """The facts of the listing, appended to the ledger, and the verdict on it.

    A suspicious listing ends the run here. That it is quarantined is published, so that a person can decide.
    """
    taken = frames.taken
    with one_sentence(), Ledger(settings.warehouse, in_hand=taken.packs, limits=settings.limits) as ledger:
        ledger.append(taken.packs[0], frames=frames.frames)
        for pack in taken.packs[1:]:
            ledger.append(pack)
        (verdict,) = ledger.preview([taken.snapshot_id])
        if verdict.verdict == "quarantined":
            ledger.commit(taken.packs)
            ledger.publish()
    yield dg.MaterializeResult(
        value=Judged(taken, verdict),
        metadata={
            "verdict": verdict.verdict,
            "snapshot_id": taken.snapshot_id,
            **({"reasons": "; ".join(map(tables.shown, verdict.reasons))} if verdict.reasons else {}),
            **({"what_to_do": dg.MetadataValue.md(_DECISION)} if verdict.verdict == "quarantined" else {}),
        },
    )
    yield from checks.listing_check_results(verdict, taken)


@dg.asset(group_name=GROUP, owners=_OWNERS, kinds={"duckdb"})
def history(core: Judged, settings: dg.ResourceParam[Settings]) -> dg.MaterializeResult[Judged]:
    """What follows from the facts: spells, intervals and changes, committed together with the verdict."""
    taken = core.taken
    with one_sentence(), Ledger(settings.warehouse, in_hand=taken.packs, limits=settings.limits) as ledger:
        recorded_at = ledger.commit(taken.packs)
        assert recorded_at is not None
        ((touched, runs),) = ledger.rows(
            "SELECT count(DISTINCT model_no), count(*) FROM catalogue.core.runs WHERE known_from = $1", [recorded_at]
        )
    return dg.MaterializeResult(
        value=core,
        metadata={
            "recorded_at": iso(recorded_at),
            "verdict": core.verdict.verdict,
            "models_touched": touched,
            "runs_written": runs,
        },
    )


@dg.asset(group_name=GROUP, owners=_OWNERS, kinds={"sql"}, check_specs=checks.mart_check_specs())
def marts(history: Judged, settings: dg.ResourceParam[Settings]) -> Checked[None]:
    """The public views over the history, and what they say of the day."""
    source = Scope.parse(history.verdict.scope).source
    with one_sentence(), Ledger(settings.warehouse) as ledger:
        metadata = tables.day_metadata(ledger.rows, source, history.verdict.observed_at)
        counts = _row_counts(ledger)
        results = list(checks.invariant_results(ledger.rows))
        results.append(checks.counts_check_result(ledger.rows, source, history.verdict.observed_at))
    yield dg.MaterializeResult(
        metadata={
            **metadata,
            "rows": tables.table(("mart", "rows"), list(counts.items())),
            "models_listed": counts["models"],
        },
    )
    yield from results


@dg.asset(group_name=GROUP, owners=_OWNERS, kinds={"duckdb"}, deps=[marts])
def published(settings: dg.ResourceParam[Settings]) -> dg.MaterializeResult[None]:
    """The file that analysts read, replaced atomically."""
    with one_sentence(), Ledger(settings.warehouse) as ledger:
        path = ledger.publish()
    return dg.MaterializeResult(
        metadata={
            "path": dg.MetadataValue.path(str(path.absolute())),
            "bytes": path.stat().st_size,
            "tables": tables.table(("mart", "meaning"), [(one.name, one.meaning) for one in mart_definitions()]),
        }
    )


def _row_counts(ledger: Ledger) -> dict[str, int]:
    """The number of rows of each mart that a listing may lengthen."""
    return {name: ledger.rows(f"SELECT count(*) FROM catalogue.marts.{name}")[0][0] for name in _OF_LISTINGS}

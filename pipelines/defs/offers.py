"""The assets of a sweep: from the questions about offers to the published file, and how the list agrees with them.

Belongs here: what depends on what in a sweep, what is recorded with each step. Does not belong here: the work itself
(`sweep`), the daily listing (`assets`).
"""

from __future__ import annotations

import dagster as dg

from pipelines.defs import tables
from pipelines.defs.assets import Checked
from pipelines.defs.failures import one_sentence
from pipelines.ledger.ledger import Ledger
from pipelines.settings import Settings
from pipelines.sweep import Swept, take_in
from pipelines.sweep import sweep as sweep_offers

GROUP = "offers"
_OWNERS = ["team:catalogue"]

_AGREES = "list_price_is_an_offer"
_ALL_ANSWERED = "every_model_was_answered"
_SOUND = "answers_are_sound"

_DIFFERENCES = (
    "SELECT model_id, price_kind, list_price_text, nearest_usd, offer_count, list_seen_at, offers_seen_at "
    "FROM catalogue.marts.offer_differences WHERE is_settled ORDER BY model_id, price_kind"
)
_EVENTS = (
    "SELECT model_id, tag, event, happened_at FROM catalogue.marts.offer_events WHERE happened_at > "
    "(SELECT max(observed_at) - INTERVAL '1' DAY FROM catalogue.core.accepted_answers) "
    "ORDER BY happened_at DESC, model_id, tag"
)


@dg.asset(group_name=GROUP, owners=_OWNERS, kinds={"http"})
def offer_answers(settings: dg.ResourceParam[Settings]) -> dg.MaterializeResult[Swept]:
    """Answers about providers and about the offers of every model listed now, as bytes in the raw store."""
    with one_sentence():
        swept = sweep_offers(settings)
    failed = [(one.scope.model_id or one.scope.name, one.reason) for one in swept.failed]
    return dg.MaterializeResult(
        value=swept,
        metadata={
            "asked": swept.due,
            "answered": swept.answered,
            "answered_before": swept.fresh,
            "failed": len(failed),
            "unasked": swept.unasked,
            "packs": len(swept.packs),
            **({"failures": tables.table(("question", "reason"), failed)} if failed else {}),
        },
    )


@dg.asset(
    group_name=GROUP,
    owners=_OWNERS,
    kinds={"duckdb"},
    check_specs=[
        dg.AssetCheckSpec(
            _ALL_ANSWERED,
            asset="offers",
            description="Every question of the sweep got an answer; what a model without one offered stays as it was.",
        ),
        dg.AssetCheckSpec(
            _SOUND, asset="offers", description="No answer is quarantined, such as one about another model."
        ),
        dg.AssetCheckSpec(
            _AGREES,
            asset="offers",
            description="A list price of a model with offers is what one of them asks; else see `offer_differences`.",
        ),
    ],
)
def offers(offer_answers: Swept, settings: dg.ResourceParam[Settings]) -> Checked[None]:
    """What follows from the answers: offers, their prices and changes, providers; committed and published."""
    with one_sentence(), Ledger(settings.warehouse, in_hand=offer_answers.packs, limits=settings.limits) as ledger:
        suspicious = take_in(offer_answers, ledger)
        counts = {
            mart: ledger.rows(f"SELECT count(*) FROM catalogue.marts.{mart}")[0][0]
            for mart in ("offers", "providers", "offer_events", "offer_price_changes", "offer_differences")
        }
        differences, events = ledger.rows(_DIFFERENCES), ledger.rows(_EVENTS)
    yield dg.MaterializeResult(
        metadata={
            "rows": tables.table(("mart", "rows"), list(counts.items())),
            "offers_now": counts["offers"],
            "events": tables.table(("model", "offer", "event", "at"), events),
            "events_count": len(events),
        }
    )
    lost = len(offer_answers.failed) + offer_answers.unasked
    yield _warning(
        _ALL_ANSWERED, [(one.scope.name, one.reason) for one in offer_answers.failed], lost, ("question", "why")
    )
    yield _warning(
        _SOUND, [(one.scope, "; ".join(one.reasons)) for one in suspicious], len(suspicious), ("scope", "why")
    )
    columns = ("model", "price", "list", "nearest", "offers", "list_seen_at", "offers_seen_at")
    yield _warning(_AGREES, differences, len(differences), columns)


def _warning(name: str, found: list[tuple[object, ...]], count: int, columns: tuple[str, ...]) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name=name,
        passed=not count,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"count": count, **({"rows": tables.table(columns, found)} if found else {})},
    )

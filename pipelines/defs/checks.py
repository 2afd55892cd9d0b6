"""What must be true before a day's listing becomes history, and before history is published.

Belongs here: the names of the facts that Dagster shows, and their results.
Does not belong here: what makes a capture suspicious (`flatten`, `judgement`), the invariants (`sql/checks`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

import dagster as dg

from pipelines.defs.tables import Rows, shown, table
from pipelines.ledger.ledger import Verdict
from pipelines.ledger.schema import checks
from pipelines.snapshot import Taken

CORE = "core"
MARTS = "marts"


@dataclass(frozen=True)
class _Fact:
    """What is to be true of a listing, and the codes of a verdict that say that it is not."""

    description: str
    codes: frozenset[str]


_FACTS: Mapping[str, _Fact] = {
    "ids_are_unique": _Fact("No model is listed twice.", frozenset({"duplicate_ids"})),
    "counts_agree": _Fact("As many models are listed as the answer itself says.", frozenset({"count_disagrees"})),
    "prices_parse": _Fact(
        "No more prices are unreadable than the warehouse's limit allows, by default a hundredth.",
        frozenset({"unreadable_prices"}),
    ),
    "catalogue_did_not_collapse": _Fact(
        "No more models went away since the snapshot before than the warehouse's limits allow: by default a fifth, if "
        "that snapshot is at most a week older.",
        frozenset({"collapse"}),
    ),
}

_LISTING = "answer_is_a_listing"
_COUNT = "count_endpoint_agrees"
_COUNTS = "counts_by_output_modality_agree"


def listing_check_specs() -> list[dg.AssetCheckSpec]:
    """The checks of a day's listing; all but the last keep what comes after them from running."""
    blocking = {
        _LISTING: "The answer is JSON of the expected shape, lists models, and nothing else speaks against it.",
        **{name: fact.description for name, fact in _FACTS.items()},
    }
    return [
        *(dg.AssetCheckSpec(name, asset=CORE, description=text, blocking=True) for name, text in blocking.items()),
        dg.AssetCheckSpec(
            _COUNT,
            asset=CORE,
            description="`/models/count`, which is cached apart from the list, names as many models; else a warning.",
        ),
    ]


def listing_check_results(verdict: Verdict, taken: Taken) -> Iterator[dg.AssetCheckResult]:
    """Holds ``verdict`` against each fact. A listing that a person accepted has no failed check."""
    reasons: list[tuple[str, str]] = []
    if verdict.verdict == "quarantined":
        reasons = list(zip(verdict.codes, verdict.reasons, strict=True))
    named = frozenset[str]().union(*(fact.codes for fact in _FACTS.values()))
    yield _listing_check(_LISTING, [reason for code, reason in reasons if code not in named])
    for name, fact in _FACTS.items():
        yield _listing_check(name, [reason for code, reason in reasons if code in fact.codes])
    yield dg.AssetCheckResult(
        check_name=_COUNT,
        passed=taken.counts_agree,
        severity=dg.AssetCheckSeverity.WARN,
        description=None if taken.counts_agree else count_warning(taken),
        metadata={"listed": taken.listed, "counted": "unknown" if taken.counted is None else taken.counted},
    )


def count_warning(taken: Taken) -> str:
    """How ``/models/count`` contradicts the list."""
    return f"/models/count says {taken.counted} models, and the list has {taken.listed}"


def _listing_check(name: str, reasons: list[str]) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name=name, passed=not reasons, description="; ".join(shown(one) for one in reasons) or None
    )


def mart_check_specs() -> list[dg.AssetCheckSpec]:
    """A blocking check for each file under `sql/checks`, and one that warns of counts."""
    return [
        *(dg.AssetCheckSpec(one.name, asset=MARTS, description=one.meaning, blocking=True) for one in checks()),
        dg.AssetCheckSpec(
            _COUNTS,
            asset=MARTS,
            description="`/models/count` names as many models of each output modality as are listed; else see "
            "`count_differences`.",
        ),
    ]


def counts_check_result(rows: Rows, source: str, listed_at: datetime) -> dg.AssetCheckResult:
    """Warns of counts that disagree with the list of that moment; a cached one may be older than the list."""
    found = rows(
        "SELECT output_modality, counted, listed, counted_at FROM catalogue.marts.count_differences "
        "WHERE source = ? AND list_seen_at = ? AND output_modality <> 'all' ORDER BY ALL",
        [source, listed_at],
    )
    columns = ("output_modality", "counted", "listed", "counted_at")
    told = ", ".join(f"{counted} with output {modality} (listed {listed})" for modality, counted, listed, _ in found)
    return dg.AssetCheckResult(
        check_name=_COUNTS,
        passed=not found,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"/models/count says {shown(told)}" if found else None,
        metadata={"differences": len(found), **({"rows": table(columns, found)} if found else {})},
    )


def invariant_results(rows: Rows) -> Iterator[dg.AssetCheckResult]:
    """Runs each invariant; rows that break one are shown with it."""
    for one in checks():
        broken = rows(one.body, ())
        yield dg.AssetCheckResult(
            check_name=one.name,
            passed=not broken,
            description=f"{len(broken)} rows break this: {one.meaning}" if broken else None,
            metadata={"broken": len(broken), **({"rows": table(list(one.columns), broken)} if broken else {})},
        )

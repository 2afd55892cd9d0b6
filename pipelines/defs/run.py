"""One snapshot, here and now: the same assets and the same records as the daily schedule's.

Belongs here: a run in this process and what came of it. Does not belong here: what the terminal says about it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import dagster as dg

from pipelines.defs import assets
from pipelines.defs.home import instance
from pipelines.defs.job import JOB, console_config, definitions
from pipelines.ledger.ledger import Verdict
from pipelines.settings import Settings
from pipelines.sources.http import checked_base_url


@dataclass(frozen=True)
class SnapshotResult:
    """What came of a run.

    ``verdict`` is that on the capture; None if there is no capture. ``error`` is one sentence on why the run failed for
    another reason than a quarantined capture; None if there is none. ``warnings`` are sentences that failed nothing.
    """

    run_id: str
    is_success: bool
    verdict: Verdict | None
    error: str | None
    warnings: tuple[str, ...] = ()


def snapshot_once(settings: Settings, *, verbose: bool = False) -> SnapshotResult:
    """Run the job in this process and record it where the schedule's runs are recorded.

    With ``verbose`` Dagster's log goes to stderr. Raises :class:`pipelines.errors.UsageError` for settings that make no
    sense; whatever else goes wrong within the run is in the result.
    """
    if settings.base_url is not None:
        checked_base_url(settings.base_url)
    job = definitions(settings).resolve_job_def(JOB)
    with instance(settings) as recorded:
        result = job.execute_in_process(
            instance=recorded,
            raise_on_error=False,
            run_config=console_config("INFO" if verbose else "CRITICAL"),
            tags={"catalogue/started_by": "terminal"},
        )
    verdict = _verdict(result)
    return SnapshotResult(
        result.run_id,
        result.success,
        verdict,
        None if result.success else _error(result, verdict),
        _unmet(result, dg.AssetCheckSeverity.WARN),
    )


def _verdict(result: dg.ExecuteInProcessResult) -> Verdict | None:
    """What the step ``core`` returned, which it did even if its checks then ended the run."""
    try:
        judged = result.output_for_node(assets.core.op.name)
    except dg.DagsterInvariantViolationError:
        return None
    assert isinstance(judged, assets.Judged)
    return judged.verdict


def _unmet(result: dg.ExecuteInProcessResult, severity: dg.AssetCheckSeverity) -> tuple[str, ...]:
    """What the failed checks say."""
    return tuple(
        f"{one.check_name}: {one.description}"
        for one in result.get_asset_check_evaluations()
        if not one.passed and one.severity == severity
    )


def _error(result: dg.ExecuteInProcessResult, verdict: Verdict | None) -> str | None:
    failures = [event.step_failure_data for event in result.all_events if event.is_step_failure]
    for failure in failures:
        if failure.user_failure_data is not None and failure.user_failure_data.description:
            return failure.user_failure_data.description
    if verdict is not None and verdict.verdict == "quarantined":
        return None
    unmet = _unmet(result, dg.AssetCheckSeverity.ERROR)
    return "; ".join(unmet) or _root_cause(result)


def _root_cause(result: dg.ExecuteInProcessResult) -> str:
    """The innermost error; its type is told unless its message was written for people."""
    (event,) = result.filter_events(lambda event: event.event_type == dg.DagsterEventType.RUN_FAILURE)
    error = event.job_failure_data.error
    while error is not None and error.cause is not None:
        error = error.cause
    message = error.message.strip() if error is not None else "it does not say why"
    return re.sub(r"^pipelines\.errors\.\w+: ", "", message)

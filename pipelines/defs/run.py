"""One snapshot, here and now: the same assets and the same records as the daily schedule's.

Belongs here: a run in this process and what came of it. Does not belong here: what the terminal says about it.
"""

from __future__ import annotations

from dataclasses import dataclass

import dagster as dg

from pipelines.defs import assets
from pipelines.defs.home import instance
from pipelines.defs.job import JOB, definitions
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
    level = "INFO" if verbose else "CRITICAL"
    with instance(settings) as recorded:
        result = job.execute_in_process(
            instance=recorded,
            raise_on_error=False,
            run_config={"loggers": {"console": {"config": {"log_level": level}}}},
            tags={"catalogue/started_by": "terminal"},
        )
    evaluations = result.get_asset_check_evaluations()
    return SnapshotResult(
        result.run_id,
        result.success,
        _verdict(result),
        _error(result),
        tuple(one.description or one.check_name for one in evaluations if _is_warning(one)),
    )


def _is_warning(check: dg.AssetCheckEvaluation) -> bool:
    return not check.passed and check.severity == dg.AssetCheckSeverity.WARN


def _verdict(result: dg.ExecuteInProcessResult) -> Verdict | None:
    """What the step ``core`` returned, which it did even if its checks then ended the run."""
    try:
        judged = result.output_for_node(assets.core.op.name)
    except dg.DagsterInvariantViolationError:
        return None
    assert isinstance(judged, assets.Judged)
    return judged.verdict


def _error(result: dg.ExecuteInProcessResult) -> str | None:
    for event in result.all_events:
        print(event.event_type_value, event.step_key, event.event_specific_data if event.is_failure else "")
    return None

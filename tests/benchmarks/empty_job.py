"""The job `snapshot` with nothing in its assets: the same names, order, checks, executor and records.

Belongs here: what Dagster itself costs in a process. Does not belong here: any import of the product.

Run as ``python -m tests.benchmarks.empty_job DAGSTER_HOME CHECKS_OF_CORE CHECKS_OF_MARTS``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

import dagster as dg

CHAIN = ("listing", "frames", "core", "history", "marts", "published")


def empty_asset(name: str, before: Sequence[str], checks: int) -> dg.AssetsDefinition:
    """An asset that does nothing after the one before it; its checks pass."""
    names = [f"{name}_check_{number}" for number in range(checks)]

    @dg.asset(
        name=name,
        group_name="catalogue",
        deps=before,
        check_specs=[dg.AssetCheckSpec(one, asset=name, blocking=True) for one in names],
    )
    def nothing() -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
        yield dg.MaterializeResult(value=None)
        for one in names:
            yield dg.AssetCheckResult(check_name=one, passed=True)

    return nothing


def main() -> None:
    """Run it once, in this process, and record it."""
    home, checks = sys.argv[1], {"core": int(sys.argv[2]), "marts": int(sys.argv[3])}
    assets = [
        empty_asset(name, CHAIN[place - 1 : place] if place else (), checks.get(name, 0))
        for place, name in enumerate(CHAIN)
    ]
    job = dg.define_asset_job(
        "snapshot", selection=dg.AssetSelection.groups("catalogue"), executor_def=dg.in_process_executor
    )
    definitions = dg.Definitions(assets=assets, jobs=[job], resources={"io_manager": dg.FilesystemIOManager()})
    with dg.DagsterInstance.from_config(home) as instance:
        result = definitions.resolve_job_def("snapshot").execute_in_process(
            instance=instance, run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
        )
    assert result.success


if __name__ == "__main__":
    main()

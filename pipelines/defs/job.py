"""The jobs, their schedules, and all of it together as Dagster loads it.

Belongs here: when and how the assets run. Does not belong here: the assets (`assets`), starting a run (`run`).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import dagster as dg

from pipelines.configuration import Timing, is_time_zone
from pipelines.defs import assets, feed, offers, scopes
from pipelines.defs.home import only_run
from pipelines.defs.sensors import feed_sensor
from pipelines.errors import UsageError
from pipelines.settings import Settings

JOB = "snapshot"
SWEEP_JOB = "sweep"
FEED_JOB = "feed"
SCHEDULE = "daily_snapshot"

_TAKES_ONE = "Takes once what catalogue.toml names so: asks, stores, judges, derives and publishes."


def definitions(settings: Settings) -> dg.Definitions:
    """Everything that Dagster is to know. Raises :class:`UsageError` for a schedule or time zone that is none."""
    stale_after = timedelta(hours=settings.stale_after_hours)
    freshness = dg.FreshnessPolicy.time_window(fail_window=stale_after, warn_window=stale_after * 25 / 26)
    retry_policy = _retry_policy(settings)
    job = _job(JOB, assets.GROUP, "Takes the catalogue once: asks, stores, judges, derives and publishes.")
    offers_job = _job(
        SWEEP_JOB,
        offers.GROUP,
        "Sweeps once: asks for the offers of every model listed now, stores, derives and publishes.",
    )
    feed_job = _job(FEED_JOB, feed.GROUP, "Takes the feed of new models once: asks, stores, derives and publishes.")
    named = list(scopes.named(settings, retry_policy))
    named_jobs = [_job(f"take_{one.name}", one.asset, _TAKES_ONE) for one in named]
    timings = [
        *((one, its.timing) for one, its in zip(named_jobs, named, strict=True)),
        (offers_job, settings.configuration.offers),
        (feed_job, settings.configuration.feed),
    ]
    return dg.Definitions(
        assets=[
            assets.listing(retry_policy),
            assets.frames,
            assets.core,
            assets.history,
            assets.marts,
            assets.published.map_asset_specs(lambda spec: dg.apply_freshness_policy(spec, freshness)),
            offers.offer_answers,
            offers.offers,
            feed.feed_items,
            *(one.asset for one in named),
        ],
        jobs=[job, offers_job, feed_job, *named_jobs],
        schedules=[
            _schedule(settings, job),
            *(_timed(settings, one, timing) for one, timing in timings if timing is not None),
        ],
        sensors=[feed_sensor(settings, [job, feed_job])],
        # Named, because a run in process would otherwise keep its values to itself, and a step could not be run again.
        resources={assets.SETTINGS: _settings_resource(settings), "io_manager": dg.FilesystemIOManager()},
    )


def _job(name: str, what: str | dg.AssetsDefinition, description: str) -> dg.UnresolvedAssetJobDefinition:
    """The job of a group of assets, or of one asset."""
    selection = dg.AssetSelection.groups(what) if isinstance(what, str) else dg.AssetSelection.assets(what)
    return dg.define_asset_job(
        name,
        selection=selection,
        executor_def=dg.in_process_executor,
        config=console_config("WARNING"),
        description=description,
    )


def console_config(level: str) -> dict[str, Any]:
    """Run config by which no more than messages from ``level`` on reach the terminal; the UI shows all of them."""
    return {"loggers": {"console": {"config": {"log_level": level}}}}


def _retry_policy(settings: Settings) -> dg.RetryPolicy:
    """For the fetch alone, and beyond the client's own patience: the network may be away for minutes."""
    return dg.RetryPolicy(
        max_retries=settings.fetch_retries,
        delay=settings.fetch_retry_seconds,
        backoff=dg.Backoff.EXPONENTIAL,
        jitter=dg.Jitter.PLUS_MINUS,
    )


def _schedule(settings: Settings, job: dg.UnresolvedAssetJobDefinition) -> dg.ScheduleDefinition:
    if not is_time_zone(settings.time_zone):
        raise UsageError(
            f"CATALOGUE_TIME_ZONE is {settings.time_zone!r}; it must name a time zone, such as UTC or Europe/Berlin"
        )
    try:
        return dg.ScheduleDefinition(
            SCHEDULE,
            job=job,
            cron_schedule=settings.schedule,
            execution_timezone=settings.time_zone,
            default_status=dg.DefaultScheduleStatus.RUNNING,
            description="Takes the catalogue; CATALOGUE_SCHEDULE and CATALOGUE_TIME_ZONE say when.",
        )
    except dg.DagsterInvalidDefinitionError:
        raise UsageError(
            f"CATALOGUE_SCHEDULE is {settings.schedule!r}; it must be a cron expression, such as '5 0 * * *'"
        ) from None


def _timed(settings: Settings, job: dg.UnresolvedAssetJobDefinition, timing: Timing) -> dg.ScheduleDefinition:
    """The schedule of a job whose timing the file says, where it was checked."""
    return dg.ScheduleDefinition(
        f"{job.name}_schedule",
        job=job,
        cron_schedule=timing.cron,
        execution_timezone=timing.time_zone or settings.time_zone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="catalogue.toml says when.",
    )


def _settings_resource(settings: Settings) -> dg.ResourceDefinition:
    """Gives the settings to the steps of a run, while no other run works on the warehouse."""

    def provide(context: dg.InitResourceContext) -> Iterator[Settings]:
        with only_run(settings):
            yield settings

    return dg.ResourceDefinition(provide, description="What this installation chose; one run at a time.")

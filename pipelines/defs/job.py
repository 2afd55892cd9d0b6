"""The job, its daily schedule, and all of it together as Dagster loads it.

Belongs here: when and how the assets run. Does not belong here: the assets (`assets`), starting a run (`run`).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg

from pipelines.defs import assets, feed, offers
from pipelines.defs.home import only_run
from pipelines.defs.sensors import feed_sensor
from pipelines.errors import UsageError
from pipelines.settings import Settings

JOB = "snapshot"
SWEEP_JOB = "sweep"
FEED_JOB = "feed"
SCHEDULE = "daily_snapshot"


def definitions(settings: Settings) -> dg.Definitions:
    """Everything that Dagster is to know. Raises :class:`UsageError` for a schedule or time zone that is none."""
    stale_after = timedelta(hours=settings.stale_after_hours)
    freshness = dg.FreshnessPolicy.time_window(fail_window=stale_after, warn_window=stale_after * 25 / 26)
    job = dg.define_asset_job(
        JOB,
        selection=dg.AssetSelection.groups(assets.GROUP),
        executor_def=dg.in_process_executor,
        config=console_config("WARNING"),
        description="Takes the catalogue once: asks, stores, judges, derives and publishes.",
    )
    offers_job = dg.define_asset_job(
        SWEEP_JOB,
        selection=dg.AssetSelection.groups(offers.GROUP),
        executor_def=dg.in_process_executor,
        config=console_config("WARNING"),
        description="Sweeps once: asks for the offers of every model listed now, stores, derives and publishes.",
    )
    feed_job = dg.define_asset_job(
        FEED_JOB,
        selection=dg.AssetSelection.groups(feed.GROUP),
        executor_def=dg.in_process_executor,
        config=console_config("WARNING"),
        description="Takes the feed of new models once: asks, stores, derives and publishes.",
    )
    return dg.Definitions(
        assets=[
            assets.listing(_retry_policy(settings)),
            assets.frames,
            assets.core,
            assets.history,
            assets.marts,
            assets.published.map_asset_specs(lambda spec: dg.apply_freshness_policy(spec, freshness)),
            offers.offer_answers,
            offers.offers,
            feed.feed_items,
        ],
        jobs=[job, offers_job, feed_job],
        schedules=[_schedule(settings, job)],
        sensors=[feed_sensor(settings, [job, feed_job])],
        # Named, because a run in process would otherwise keep its values to itself, and a step could not be run again.
        resources={assets.SETTINGS: _settings_resource(settings), "io_manager": dg.FilesystemIOManager()},
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
    try:
        ZoneInfo(settings.time_zone)
    except (OSError, ValueError, KeyError):
        raise UsageError(
            f"CATALOGUE_TIME_ZONE is {settings.time_zone!r}; it must name a time zone, such as UTC or Europe/Berlin"
        ) from None
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


def _settings_resource(settings: Settings) -> dg.ResourceDefinition:
    """Gives the settings to the steps of a run, while no other run works on the warehouse."""

    def provide(context: dg.InitResourceContext) -> Iterator[Settings]:
        with only_run(settings):
            yield settings

    return dg.ResourceDefinition(provide, description="What this installation chose; one run at a time.")

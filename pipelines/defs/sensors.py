"""When something happens outside: a new model in the feed asks for a snapshot.

Belongs here: sensors, and what they remember. Does not belong here: looking at the feed (`watch`), the jobs (`job`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import dagster as dg

from pipelines.errors import CatalogueError
from pipelines.settings import Settings
from pipelines.watch import look

FEED_SENSOR = "new_models"

_EVERY_SECONDS = 900
"""Between looks at the feed, where nothing else was chosen."""


def feed_sensor(settings: Settings, jobs: Sequence[dg.UnresolvedAssetJobDefinition]) -> dg.SensorDefinition:
    """Looks at the feed and asks for a run of each of ``jobs`` when it names a model that it did not name before.

    It runs by itself only if a number of seconds was chosen; the UI can start it otherwise.
    """

    @dg.sensor(
        name=FEED_SENSOR,
        jobs=list(jobs),
        minimum_interval_seconds=int(settings.feed_poll_seconds) or _EVERY_SECONDS,
        default_status=(
            dg.DefaultSensorStatus.RUNNING if settings.feed_poll_seconds else dg.DefaultSensorStatus.STOPPED
        ),
        description="Looks at the feed of new models; CATALOGUE_FEED_POLL_SECONDS says how often.",
    )
    def new_models(context: dg.SensorEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        try:
            seen = look(settings, context.cursor)
        except CatalogueError as problem:
            # The next look will do; a failed tick would page somebody over a network that was away for a minute.
            yield dg.SkipReason(str(problem))
            return
        context.update_cursor(seen.cursor)
        if not seen.new:
            yield dg.SkipReason("The feed names no model that it did not name before.")
            return
        models = {item.model_id for item in seen.new}
        # Without a run's key: a model that leaves the feed and comes back is news again, and two snapshots do no harm.
        for job in jobs:
            yield dg.RunRequest(job_name=job.name, tags={"catalogue/new_models": str(len(models))})

    return new_models

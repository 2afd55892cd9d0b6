"""What an installation may choose: where the warehouse lies, whom to ask, and when.

Belongs here: the environment variables and their defaults, and that they win over the file `catalogue.toml`.
Does not belong here: reading that file (`configuration`), options of single commands (`cli`), what a limit means
(`judgement`), the meaning of a schedule (`defs`).
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from pipelines.configuration import NO_FILE, Configuration, NamedGateway, find
from pipelines.errors import UsageError
from pipelines.scopes import GATEWAY
from pipelines.sources.http import DEFAULT_POLICY, FetchPolicy
from pipelines.sources.openrouter import source_of

_LIMITS: Mapping[str, tuple[str, float]] = {
    "CATALOGUE_UNREADABLE_SHARE": ("unreadable_share", 1),
    "CATALOGUE_GONE_SHARE": ("gone_share", 1),
    "CATALOGUE_GONE_WITHIN_DAYS": ("gone_within_days", 36_500),
}
"""The limit that a variable sets, and the most that it can be."""

_MOST = 1_000_000.0


@dataclass(frozen=True)
class Settings:
    """One installation. Relative paths are relative to the working directory.

    ``base_url`` None is the real API; ``gateway_url`` is where the source called `gateway` is, which no other variable
    may say, because its token goes there. ``schedule`` is a cron expression of five fields, read in ``time_zone``. A
    fetch that failed for a passing reason is tried ``fetch_retries`` times more, the first time after about
    ``fetch_retry_seconds``, then after twice as long and so on. The published file counts as stale after
    ``stale_after_hours``. The feed of new models is looked at every ``feed_poll_seconds``, 0: never. ``home`` is
    Dagster's folder; None is ``dagster`` within the warehouse. ``limits`` are those fields of
    :class:`pipelines.judgement.Limits` that a warehouse is to be judged by from now on; the others stay.
    ``fetch_policy`` bounds each single answer and how often it is asked for before a fetch counts as failed. A
    sweep of offers keeps up to ``sweep_connections`` requests going, begins at most ``sweep_requests_per_second``,
    and passes over models whose last answer is younger than ``sweep_fresh_hours``, so that an interrupted one goes
    on. ``configuration`` is what the file names beside the catalogue. ``clock`` is for simulated catalogues and comes
    from no environment.
    """

    warehouse: Path = Path("warehouse")
    base_url: str | None = None
    gateway_url: str | None = None
    schedule: str = "5 0 * * *"
    time_zone: str = "UTC"
    fetch_retries: int = 3
    fetch_retry_seconds: float = 20.0
    stale_after_hours: float = 26.0
    feed_poll_seconds: float = 0.0
    home: Path | None = None
    limits: Mapping[str, float] = field(default_factory=dict)
    fetch_policy: FetchPolicy = DEFAULT_POLICY
    sweep_connections: int = 8
    sweep_requests_per_second: float = 50.0
    sweep_fresh_hours: float = 6.0
    configuration: Configuration = NO_FILE
    clock: Callable[[], datetime] | None = None

    @classmethod
    def of_installation(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """The settings of the environment and, where it says nothing, of the file that :func:`find` finds."""
        return cls.from_environment(environment, find(environment))

    @classmethod
    def from_environment(
        cls, environment: Mapping[str, str] = os.environ, configuration: Configuration = NO_FILE
    ) -> Settings:
        """The settings that ``CATALOGUE_*`` and ``DAGSTER_HOME`` give, else ``configuration``; empty counts as unset.

        Raises :class:`UsageError`, naming the variable, for what is no number where one is needed.
        """
        given = {name: value.strip() for name, value in environment.items() if value.strip()}
        home = given.get("DAGSTER_HOME")
        attempts = _number(given, "CATALOGUE_HTTP_ATTEMPTS", DEFAULT_POLICY.attempts, at_least=1, whole=True)
        return cls(
            warehouse=Path(given.get("CATALOGUE_WAREHOUSE", cls.warehouse)),
            base_url=given.get("CATALOGUE_BASE_URL"),
            gateway_url=given.get("CATALOGUE_GATEWAY_URL"),
            schedule=given.get("CATALOGUE_SCHEDULE", configuration.schedule or cls.schedule),
            time_zone=given.get("CATALOGUE_TIME_ZONE", configuration.time_zone or cls.time_zone),
            fetch_retries=int(_number(given, "CATALOGUE_FETCH_RETRIES", cls.fetch_retries, whole=True)),
            fetch_retry_seconds=_number(given, "CATALOGUE_FETCH_RETRY_SECONDS", cls.fetch_retry_seconds),
            stale_after_hours=_number(given, "CATALOGUE_STALE_AFTER_HOURS", cls.stale_after_hours, at_least=1),
            feed_poll_seconds=_number(given, "CATALOGUE_FEED_POLL_SECONDS", cls.feed_poll_seconds),
            home=Path(home) if home else None,
            limits={
                limit: _number(given, name, 0, at_most=most) for name, (limit, most) in _LIMITS.items() if name in given
            },
            configuration=configuration,
            sweep_connections=int(
                _number(given, "CATALOGUE_SWEEP_CONNECTIONS", cls.sweep_connections, at_least=1, at_most=64, whole=True)
            ),
            sweep_requests_per_second=_number(
                given, "CATALOGUE_SWEEP_REQUESTS_PER_SECOND", cls.sweep_requests_per_second, at_least=0.1
            ),
            sweep_fresh_hours=_number(given, "CATALOGUE_SWEEP_FRESH_HOURS", cls.sweep_fresh_hours),
            fetch_policy=replace(
                DEFAULT_POLICY,
                attempts=int(attempts),
                total_seconds=_number(given, "CATALOGUE_HTTP_TOTAL_SECONDS", DEFAULT_POLICY.total_seconds),
            ),
        )

    @property
    def source(self) -> str:
        """What is asked at ``base_url``."""
        return source_of(self.base_url)

    @property
    def gateways(self) -> tuple[NamedGateway, ...]:
        """Those of the file; ``gateway_url`` says where the one called `gateway` is, whatever the file says."""
        return tuple(
            replace(one, url=self.gateway_url) if self.gateway_url and one.name == GATEWAY else one
            for one in self.configuration.gateways
        )

    @property
    def dagster_home(self) -> Path:
        """Where Dagster keeps runs and schedules: the same for the terminal, the UI and the daemon; absolute."""
        return (self.home or self.warehouse / "dagster").absolute()


def _number(
    given: Mapping[str, str],
    name: str,
    default: float,
    *,
    at_least: float = 0,
    at_most: float = _MOST,
    whole: bool = False,
) -> float:
    text = given.get(name, str(default))
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not at_least <= number <= at_most or (whole and number != int(number)):
        kind = "a whole number" if whole else "a number"
        raise UsageError(f"{name} is {text!r}; it must be {kind} from {at_least:g} to {at_most:.0f}")
    return number

"""Dagster's folder: the one instance that the terminal, the UI and the daemon share.

Belongs here: how the instance is configured, and that one run at a time touches a warehouse.
Does not belong here: what runs.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
from filelock import FileLock, Timeout

from pipelines.captures import write_durably
from pipelines.errors import CatalogueError
from pipelines.settings import Settings

RUN_TIMEOUT_SECONDS = 3600
"""A run that lasts longer has lost its process, and must not keep the next ones waiting."""

_CONFIGURATION = f"""\
# Written once, when this folder was made; change it as you like.
telemetry:
  enabled: false
nux:
  enabled: false
concurrency:
  runs:
    max_concurrent_runs: 1
run_monitoring:
  enabled: true
  start_timeout_seconds: 300
  max_runtime_seconds: {RUN_TIMEOUT_SECONDS}
  poll_interval_seconds: 60
"""


def prepare(settings: Settings) -> Path:
    """Dagster's folder, with a configuration if it had none. Raises :class:`CatalogueError` if it cannot be made."""
    configuration = settings.dagster_home / "dagster.yaml"
    try:
        if not configuration.exists():
            write_durably(configuration, _CONFIGURATION.encode())
    except OSError as problem:
        raise CatalogueError(f"{settings.dagster_home} cannot be written to: {problem.strerror}") from None
    return settings.dagster_home


@contextmanager
def instance(settings: Settings) -> Iterator[dg.DagsterInstance]:
    """The instance in Dagster's folder. Raises :class:`CatalogueError` if its records cannot be written."""
    folder = prepare(settings)
    try:
        with dg.DagsterInstance.from_config(str(folder)) as one:
            yield one
    except Exception as problem:
        root: BaseException = problem
        while root.__cause__ is not None or root.__context__ is not None:
            root = root.__cause__ or root.__context__ or root
        if isinstance(root, (sqlite3.Error, OSError)) and not isinstance(problem, CatalogueError):
            why = root.strerror if isinstance(root, OSError) else root
            raise CatalogueError(f"Dagster's records in {folder}/ cannot be written: {why}") from problem
        raise


@contextmanager
def only_run(settings: Settings, timeout_seconds: float = RUN_TIMEOUT_SECONDS) -> Iterator[None]:
    """Waits until no other run works on the warehouse, and keeps others waiting meanwhile.

    The daemon starts one run at a time, but knows nothing of a terminal in which another one begins.
    """
    lock = FileLock(settings.warehouse / ".run.lock")
    try:
        settings.warehouse.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=timeout_seconds)
    except Timeout:
        raise CatalogueError(
            f"another snapshot has been running on {settings.warehouse} for {timeout_seconds:.0f} s: try again later"
        ) from None
    except OSError as problem:
        raise CatalogueError(f"the warehouse {settings.warehouse} cannot be written to: {problem.strerror}") from None
    try:
        yield
    finally:
        lock.release()

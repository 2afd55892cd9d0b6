"""How a step fails: with one sentence that a person is meant to read.

Belongs here: turning the project's errors into Dagster's, and what may be tried again.
Does not belong here: the errors themselves (`pipelines.errors`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from pipelines.errors import CatalogueError, SourceError
from pipelines.sources.http_failures import Failure


@contextmanager
def one_sentence(retries: dg.RetryPolicy | None = None) -> Iterator[None]:
    """Shows an error that a person is meant to read as such a sentence. ``retries`` are those of the step, if it has
    any; only an error that may pass is worth one."""
    try:
        yield
    except CatalogueError as problem:
        raise dg.Failure(str(problem), allow_retries=_may_pass(problem) and _is_tried_again(retries)) from problem


def _is_tried_again(retries: dg.RetryPolicy | None) -> bool:
    """Dagster would hide the sentence behind "Exceeded max_retries" if the last try asked for another."""
    return retries is not None and dg.AssetExecutionContext.get().retry_number < retries.max_retries


def _may_pass(problem: CatalogueError) -> bool:
    cause = problem.__cause__
    return isinstance(problem, SourceError) and isinstance(cause, Failure) and cause.is_transient

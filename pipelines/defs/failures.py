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
def one_sentence(*, is_last_try: bool = True) -> Iterator[None]:
    """Shows an error that a person is meant to read as such a sentence; only a passing one is worth another try."""
    try:
        yield
    except CatalogueError as problem:
        raise dg.Failure(str(problem), allow_retries=_may_pass(problem) and not is_last_try) from problem


def _may_pass(problem: CatalogueError) -> bool:
    cause = problem.__cause__
    return isinstance(problem, SourceError) and isinstance(cause, Failure) and cause.is_transient

"""Small listings and what a ledger holds, for the tests of this folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pipelines.captures import Capture
from pipelines.ledger.ledger import Ledger
from pipelines.scopes import ALL_MODELS, Scope

START = datetime(2026, 8, 1, tzinfo=UTC)

Contents = dict[str, list[tuple[Any, ...]]]


def _at(hours: float) -> datetime:
    return START + timedelta(hours=hours)


def _model(model_id: str = "a/a", prompt: str = "0.1", **fields: Any) -> dict[str, Any]:
    return {
        "id": model_id,
        "name": model_id,
        "architecture": {"output_modalities": ["text"]},
        "pricing": {"prompt": prompt, "completion": "0.2"},
        **fields,
    }


def _capture(
    hours: float, *models: Any, scope: Scope = ALL_MODELS, origin: str = "live", body: bytes | None = None, **extra: Any
) -> Capture:
    """An answer that lists ``models`` (an id stands for a plain model), ``hours`` after the start."""
    listed = [_model(one) if isinstance(one, str) else one for one in models]
    text = json.dumps({"data": listed, **extra}).encode() if body is None else body
    return Capture(scope, _at(hours), text, origin, {"status": 200})


def _contents(ledger: Ledger) -> Contents:
    """Every row of every table of the ledger, in an order of their own."""
    tables = ledger.rows(
        "SELECT schema_name, table_name FROM duckdb_tables() "
        "WHERE database_name = 'catalogue' AND schema_name IN ('raw', 'core')"
    )
    assert len(tables) > 15
    return {f"{schema}.{table}": sorted(ledger.rows(f"FROM {schema}.{table}"), key=repr) for schema, table in tables}


@pytest.fixture(scope="session")
def at() -> Callable[[float], datetime]:
    return _at


@pytest.fixture(scope="session")
def model() -> Callable[..., dict[str, Any]]:
    return _model


@pytest.fixture(scope="session")
def capture() -> Callable[..., Capture]:
    return _capture


@pytest.fixture(scope="session")
def contents() -> Callable[[Ledger], Contents]:
    return _contents

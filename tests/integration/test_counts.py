"""`/models/count` against the list, from captures to the mart, in any order."""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from pipelines.captures import Capture
from pipelines.defs.checks import counts_check_result
from pipelines.demo.catalogue import SimulatedCatalogue
from pipelines.demo.misbehaviour import Misbehaviour
from pipelines.demo.server import CatalogueServer
from pipelines.ledger.ledger import Ledger
from pipelines.scopes import ALL_MODELS, OPENROUTER, TEXT_MODELS, Scope
from tests import processes

SIMULATED = SimulatedCatalogue(seed=4, models=60, days=30)
MODALITIES = ("all", "text", "image", "embeddings", "text,image")


def truth(at: datetime) -> Counter[str]:
    listed = json.loads(SIMULATED.listing(at, output_modalities="all"))["data"]
    outputs = Counter(one for model in listed for one in model["architecture"]["output_modalities"])
    return outputs + Counter(all=len(listed))


def counted(at: datetime, modality: str, number: int | bytes) -> Capture:
    body = number if isinstance(number, bytes) else json.dumps({"data": {"count": number}}).encode()
    return Capture(Scope.of(OPENROUTER, "models/count", output_modalities=modality), at, body, "live")


def listed(at: datetime, scope: Scope = ALL_MODELS) -> Capture:
    return Capture(scope, at, SIMULATED.listing(at, output_modalities="all" if scope == ALL_MODELS else "text"), "live")


@pytest.mark.parametrize("seed", range(2))
def test_only_what_disagrees_with_the_list_of_its_hour_is_told(seed: int, tmp_path: Path):
    """Seen red with the list that was last seen before a count rather than the nearest, however old, and with models
    counted once for each state that they ever had."""
    captures, expected = [], []
    for day in range(0, 24, 2):
        at = SIMULATED.start + timedelta(days=day)
        captures.append(listed(at))
        told = truth(at)
        # The count's copy at the edge may be older than the list's.
        late = at + timedelta(minutes=random.Random(day).choice((-40, 0, 1, 59)))
        for modality in MODALITIES:
            off = {4: 1, 10: -2}.get(day, 0) if modality in ("all", "image") else 0
            captures.append(counted(late, modality, told[modality] + off))
            if off:
                expected.append((modality, late, told[modality] + off, told[modality], off, at))
        captures.append(counted(at + timedelta(hours=5), "image", 999))  # no list is near
    text_only = SIMULATED.start + timedelta(days=25)
    captures += [listed(text_only, TEXT_MODELS), counted(text_only, "all", 3), counted(text_only, "image", b"<html>")]
    random.Random(seed).shuffle(captures)
    with Ledger(tmp_path) as ledger:
        for start in range(0, len(captures), 40):
            ledger.load(captures[start : start + 40])
        found = ledger.rows(
            "SELECT output_modality, counted_at, counted, listed, difference, list_seen_at "
            "FROM marts.count_differences ORDER BY ALL"
        )
    assert found == sorted(expected)
    assert len(found) == 4


def test_of_counts_held_against_one_list_the_last_is_believed(tmp_path: Path):
    """One that disagrees is asked once more. Seen red with every count told, and with those alone that are later than
    the list warned of."""
    at, minute = SIMULATED.start, timedelta(minutes=1)
    text, image = (truth(at)[one] for one in ("text", "image"))
    captures = [
        listed(at),
        counted(at + minute, "text", text + 1),
        counted(at + 2 * minute, "text", text),
        counted(at - 2 * minute, "image", image),
        counted(at - minute, "image", image + 1),  # from a cache that is older than the list
    ]
    with Ledger(tmp_path) as ledger:
        ledger.load(captures)
        found = ledger.rows("SELECT output_modality, counted_at FROM marts.count_differences")
        checked = counts_check_result(ledger.rows, OPENROUTER, at)
    assert found == [("image", at - minute)]
    assert not checked.passed
    assert checked.description == f"/models/count says {image + 1} with output image (listed {image})"


def test_a_count_that_disagrees_goes_from_the_terminal_to_the_mart(tmp_path: Path):
    at = SIMULATED.start + timedelta(days=3)
    with CatalogueServer(SIMULATED, now=at) as server:
        server.misbehave(Misbehaviour.WRONG_COUNT, times=100)
        environment = {**os.environ, "CATALOGUE_WAREHOUSE": str(tmp_path), "CATALOGUE_BASE_URL": server.base_url}
        taken = processes.catalogue("snapshot", env=environment)
        query = "SELECT output_modality, counted, listed FROM marts.count_differences"
        asked = processes.catalogue("sql", query, "--format", "json", env=environment)
    assert (taken.returncode, asked.returncode) == (0, 0), (taken, asked)
    assert "/models/count says" in taken.stderr
    told = {one["output_modality"]: (one["counted"], one["listed"]) for one in json.loads(asked.stdout)}
    assert told == {modality: (number + 7, number) for modality, number in truth(at).items()}

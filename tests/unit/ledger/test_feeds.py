"""Feeds in the ledger: in any order, twice or damaged, and what they say beside the catalogue."""

from __future__ import annotations

import random
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from pipelines.captures import Capture
from pipelines.demo.catalogue import SimulatedCatalogue
from pipelines.demo.questions import feed
from pipelines.feed import parse_feed
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.verify import verify
from pipelines.scopes import ALL_MODELS, TEXT_MODELS, Scope

FEED = Scope.parse("openrouter/models?use_rss=true")
START = datetime(2026, 8, 1, tzinfo=UTC)


def taken(hours: float, *models: tuple[str, int], scope: Scope = FEED, body: bytes | None = None) -> Capture:
    """The feed of ``models`` (id and day of August 2026 on which it was added), ``hours`` after the start."""
    at = START + timedelta(hours=hours)
    documents = [
        {"id": one, "name": one.upper(), "canonical_slug": f"{one}-1", "created": int(added(day).timestamp())}
        for one, day in models
    ]
    return Capture(scope, at, feed(documents, at, chat_links=False) if body is None else body, "live")


def added(day: int) -> datetime:
    return datetime(2026, 7, 31, tzinfo=UTC) + timedelta(days=day)


def items(ledger: Ledger) -> list[tuple[Any, ...]]:
    return ledger.rows("FROM catalogue.marts.feed_items ORDER BY ALL")


FEEDS = [
    taken(0, ("a/x", 0)),
    taken(6, ("a/x", 0), ("b/y", 1)),
    taken(12, ("b/y", 1), ("c/z", 1)),
    taken(18, ("a/x", 0), ("b/y", 1), ("c/z", 1)),
]


def test_items_remember_when_they_were_seen(tmp_path: Path):
    with Ledger(tmp_path) as ledger:
        ledger.load(FEEDS)
        seen = {row[1]: row[6:8] for row in items(ledger)}
    hours = {one: tuple((moment - START).total_seconds() / 3600 for moment in row) for one, row in seen.items()}
    assert hours == {"a/x": (0, 18), "b/y": (6, 18), "c/z": (12, 18)}


@pytest.mark.parametrize("seed", range(3))
def test_order_and_repetition_make_no_difference(tmp_path: Path, seed: int):
    """Fails once the first capture loaded, and not the first observed, is the first sight."""
    shuffled = random.Random(seed).sample(FEEDS, len(FEEDS))
    with Ledger(tmp_path / "a") as ledger:
        ledger.load(FEEDS)
        expected = items(ledger)
    with Ledger(tmp_path / "b") as ledger:
        for capture in [*shuffled, *FEEDS]:
            ledger.load([capture])
        assert items(ledger) == expected
        assert verify(ledger).findings == ()


def test_a_damaged_feed_is_kept_and_says_nothing(tmp_path: Path):
    with Ledger(tmp_path) as ledger:
        ledger.load([FEEDS[1], taken(7, body=b"<!DOCTYPE x [<!ENTITY a 'b'>]><rss/>"), taken(8, body=b"<html>")])
        assert {row[7] for row in items(ledger)} == {FEEDS[1].observed_at}
        defects = ledger.rows("SELECT defect FROM catalogue.core.feeds ORDER BY capture_no")
        assert defects[0] == (None,)
        assert "could do harm" in defects[1][0]
        assert "not XML" in defects[2][0]
        assert verify(ledger).findings == ()


def test_a_feed_is_no_listing_and_withdraws_nothing(tmp_path: Path):
    simulated = SimulatedCatalogue(models=20, days=10)
    day = simulated.start + timedelta(days=5)
    with Ledger(tmp_path) as ledger:
        ledger.load([Capture(ALL_MODELS, day, simulated.listing(day, output_modalities="all"), "live")])
        before = ledger.rows("SELECT count(*) FROM catalogue.marts.models")
        ledger.load([Capture(FEED, day + timedelta(hours=1), taken(0).body, "live")])
        assert ledger.rows("SELECT count(*) FROM catalogue.marts.models") == before
        assert ledger.rows("SELECT count(*) FROM catalogue.marts.removed_models") == [(0,)]


# The feed against the catalogue


def model(model_id: str, day: int, **fields: object) -> dict[str, object]:
    return {
        "id": model_id,
        "name": model_id.upper(),
        "canonical_slug": f"{model_id}-1",
        "created": int(added(day).timestamp()),
        "architecture": {"output_modalities": ["text"]},
        "pricing": {"prompt": "0", "completion": "0"},
        **fields,
    }


def differences(ledger: Ledger) -> list[tuple[object, ...]]:
    return ledger.rows("SELECT model_id, difference FROM catalogue.marts.feed_differences ORDER BY ALL")


def test_a_feed_that_agrees_is_told_to(tmp_path: Path, capture):
    with Ledger(tmp_path) as ledger:
        ledger.load([capture(0, model("a/x", 0), model("b/y", 1)), taken(30, ("a/x", 0), ("b/y", 1))])
        assert differences(ledger) == []


def test_disagreement_is_named(tmp_path: Path, capture):
    """Fails for `old/gone` once the feed's old items are held against a catalogue that began later."""
    listed = [
        model("a/x", 0),
        model("b/y", 1, canonical_slug="b/other"),
        model("m/missing", 2),
        model("p/picture", 2, architecture={"output_modalities": ["image"]}),
        model("~z/latest", 2),
    ]
    with Ledger(tmp_path) as ledger:
        ledger.load(
            [
                capture(0, *listed),
                taken(80, ("a/x", 1), ("b/y", 1), ("n/new", 3), ("old/gone", -50)),
            ]
        )
        assert differences(ledger) == [
            ("a/x", "added_at_differs"),
            ("b/y", "canonical_slug_differs"),
            ("m/missing", "not_in_feed"),
            ("n/new", "not_in_catalogue"),
        ]
        ledger.load([capture(90, *listed, model("n/new", 3))])
        assert ("n/new", "not_in_catalogue") not in differences(ledger)
        ledger.load([capture(99, *listed)])
        assert ("n/new", "not_in_catalogue") not in differences(ledger), "it was listed once"


def test_a_catalogue_of_text_models_cannot_tell_what_it_lacks(tmp_path: Path, capture):
    """The feed announces models of every modality; fails once snapshots of text models count as all."""
    with Ledger(tmp_path) as ledger:
        ledger.load([capture(0, model("a/x", 0), scope=TEXT_MODELS), taken(80, ("a/x", 0), ("p/picture", 3))])
        assert differences(ledger) == []


def test_a_real_feed_agrees_with_the_real_catalogue_of_its_day(tmp_path: Path, bundle: Path):
    """Only image models, which the list of text models cannot have, are in the feed alone."""
    path = bundle.parent / "captures" / "models-2025-12-21.rss.xml"
    if not path.exists():
        pytest.skip("the real feed models-2025-12-21.rss.xml is not here")
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", "--bare", str(bundle), str(clone)], check=True)
    commit = subprocess.run(
        ["git", "-C", clone, "log", "-1", "--format=%H", "--until=2025-12-21T06:00:00Z", "--", "models.json"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    body = subprocess.run(["git", "-C", clone, "show", f"{commit}:models.json"], capture_output=True, check=True).stdout
    at = datetime(2025, 12, 21, 6, tzinfo=UTC)
    with Ledger(tmp_path / "warehouse") as ledger:
        ledger.load([Capture(TEXT_MODELS, at, body, "live")])
        ledger.load([Capture(FEED, at + timedelta(minutes=33), path.read_bytes(), "live")])
        assert differences(ledger) == []
        assert len(items(ledger)) == 600
        assert ledger.rows("SELECT count(*) FROM catalogue.marts.models")[0][0] > 300


def test_the_simulated_feed_agrees_with_the_simulated_catalogue(tmp_path: Path):
    simulated = SimulatedCatalogue(seed=2, models=60, days=60)
    at = simulated.end
    documents = orjson.loads(simulated.listing(at, output_modalities="all"))["data"]
    body = feed(documents, at, chat_links=False)
    with Ledger(tmp_path) as ledger:
        ledger.load([Capture(ALL_MODELS, at, simulated.listing(at, output_modalities="all"), "live")])
        ledger.load([Capture(FEED, at, body, "live")])
        assert differences(ledger) == []
        assert len(items(ledger)) == len(parse_feed(body)) > 20

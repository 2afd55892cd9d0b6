from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipelines.backfill import backfill
from pipelines.captures import PACK_SIZE
from pipelines.errors import CatalogueError
from pipelines.ledger.ledger import Ledger
from pipelines.scopes import TEXT_MODELS
from pipelines.sources.archives import open_archive

START = datetime(2025, 3, 1, tzinfo=UTC)


def put(folder: Path, hours: int, text: str | None = None, name: str = "") -> None:
    """A capture of its hour; what it lists changes a little from one to the next."""
    folder.mkdir(exist_ok=True)
    listed = [{"id": f"a/{n}", "name": f"at {hours}", "pricing": {"prompt": "0.1"}} for n in range(5)]
    stamp = f"{START + timedelta(hours=hours):%Y%m%dT%H%M%SZ}"
    (folder / f"{name or stamp}.json").write_text(json.dumps(listed) if text is None else text)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """More than one pack of captures, a broken one, and one that has no time."""
    for hours in range(PACK_SIZE + 5):
        put(tmp_path / "archive", hours)
    put(tmp_path / "archive", PACK_SIZE + 5, "<html>")
    put(tmp_path / "archive", 0, name="undated")
    return tmp_path / "archive"


def snapshots(ledger: Ledger) -> list[tuple]:
    return ledger.rows("SELECT snapshot_id, observed_at, model_count, sha256 FROM marts.snapshots ORDER BY observed_at")


def test_an_archive_is_loaded_in_packs_and_counted(tmp_path, folder):
    told: list[int] = []
    with Ledger(tmp_path / "w") as ledger, open_archive(folder, scope=TEXT_MODELS) as archive:
        tally = backfill(archive, ledger, told.append)
        assert (tally.new, tally.known, tally.superseded) == (PACK_SIZE + 6, 0, 0)
        assert [one.codes for one in tally.suspicious] == [("not_json",)]
        assert [one.name for one in tally.unreadable] == ["undated.json"]
        assert told == [1, PACK_SIZE, 6]
        assert sum(told) == archive.total
        assert len(ledger.raw.packs()) == 2
        assert [len(entry["packs"]) for entry in ledger.raw.journal.entries()] == [2]
        assert len(snapshots(ledger)) == PACK_SIZE + 5
        assert [row[1] for row in snapshots(ledger)][:2] == [START, START + timedelta(hours=1)]


def test_loading_it_again_loads_nothing(tmp_path, folder):
    with Ledger(tmp_path / "w") as ledger, open_archive(folder, scope=TEXT_MODELS) as archive:
        backfill(archive, ledger)
        before = snapshots(ledger)
        tally = backfill(archive, ledger)
        assert (tally.new, tally.known, tally.suspicious) == (0, PACK_SIZE + 6, [])
        assert snapshots(ledger) == before
        assert len(ledger.raw.packs()) == 2


def test_an_interrupted_import_goes_on_where_it_stopped(tmp_path, folder):
    def stop(items: int) -> None:
        if items == PACK_SIZE:
            raise KeyboardInterrupt

    with open_archive(folder, scope=TEXT_MODELS) as archive:
        with pytest.raises(KeyboardInterrupt), Ledger(tmp_path / "w") as ledger:
            backfill(archive, ledger, stop)
        with Ledger(tmp_path / "w") as ledger:
            tally = backfill(archive, ledger)
            assert (tally.new, tally.known) == (6, PACK_SIZE)
            resumed = snapshots(ledger)
        with Ledger(tmp_path / "other") as ledger:
            backfill(archive, ledger)
            assert snapshots(ledger) == resumed


def test_the_same_bytes_at_another_time_are_another_capture_and_at_the_same_time_none(tmp_path):
    text = json.dumps([{"id": "a/a", "pricing": {}}])
    for hours in (0, 1):
        put(tmp_path / "archive", hours, text)
    put(tmp_path / "archive", 0, text, name="2025-03-01T00_00_00Z-copy")
    with Ledger(tmp_path / "w") as ledger, open_archive(tmp_path / "archive", scope=TEXT_MODELS) as archive:
        tally = backfill(archive, ledger)
        assert (tally.new, tally.known) == (2, 1)
        assert len(snapshots(ledger)) == 2


def test_other_bytes_at_the_same_time_are_superseded(tmp_path):
    put(tmp_path / "archive", 0)
    put(tmp_path / "archive", 0, json.dumps([{"id": "a/a", "pricing": {}}]), name="2025-03-01T00_00_00Z-copy")
    with Ledger(tmp_path / "w") as ledger, open_archive(tmp_path / "archive", scope=TEXT_MODELS) as archive:
        tally = backfill(archive, ledger)
        assert tally.new == 2
        # Which one depends on their hashes; the other is kept, and nobody is asked about it.
        assert (tally.superseded, tally.suspicious) == (1, [])


def test_what_fails_later_keeps_what_was_loaded(tmp_path, folder):
    with open_archive(folder, scope=TEXT_MODELS) as archive, Ledger(tmp_path / "w") as ledger:
        items = iter(archive)

        class Breaks:
            """An archive that proves damaged after its first pack and some more."""

            pack_size = PACK_SIZE

            def __iter__(self):
                for _ in range(PACK_SIZE + 3):
                    yield next(items)
                raise CatalogueError("the archive is damaged")

        with pytest.raises(CatalogueError, match="damaged"):
            backfill(Breaks(), ledger)  # type: ignore[arg-type]
        assert len(snapshots(ledger)) == PACK_SIZE + 2  # the first thing in it has no time


def test_names_in_no_known_encoding_do_not_stop_an_import(tmp_path):
    put(tmp_path / "archive", 0)
    put(tmp_path / "archive", 1, name="2025-03-01T01_00_00Z-caf\udce9")
    with Ledger(tmp_path / "w") as ledger, open_archive(tmp_path / "archive", scope=TEXT_MODELS) as archive:
        assert backfill(archive, ledger).new == 2

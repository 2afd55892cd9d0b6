"""That the benchmark's own instruments tell the truth of the real bundle."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from tests.benchmarks import bundle as archive
from tests.benchmarks import calling, environments, logs, others, reading
from tests.benchmarks.measure import Plan

CAPTURES = 150


@pytest.mark.slow
def test_marts_and_the_plain_log_find_as_much(bundle: Path, tmp_path: Path):
    """Red with a log that lacked one capture, and with a query that compared texts."""
    log = tmp_path / "log.duckdb"
    assert logs.write(bundle, tmp_path / "clone", log) > 300_000
    archive.import_whole(bundle, tmp_path / "warehouse")
    with reading.opened(tmp_path / "warehouse" / "catalogue.duckdb") as connection:
        connection.execute(f"ATTACH '{log}' AS log (READ_ONLY)")
        reading.hold_against_the_log(connection)
        assert {"price_history", "prices_at()"} <= reading.questions(connection).keys()


def test_a_part_of_the_log_is_a_part(bundle: Path, tmp_path: Path):
    logs.write(bundle, tmp_path / "clone", tmp_path / "log.duckdb", CAPTURES)
    with duckdb.connect(str(tmp_path / "log.duckdb"), read_only=True) as connection:
        assert connection.execute("SELECT count(DISTINCT snapshot_no) FROM listings").fetchone() == (CAPTURES,)


def test_a_day_is_its_last_capture(bundle: Path):
    days = archive.last_of_each_day(bundle)
    moments = [one.observed_at for one in days]
    assert moments == sorted(moments)
    assert len({one.date() for one in moments}) == len(days) == 656


def test_an_import_in_a_process_of_its_own_says_what_it_cost(bundle: Path, tmp_path: Path):
    done = archive.alone("floor", bundle, tmp_path)
    assert 0.1 < done.seconds < 300
    assert 2**24 < done.peak_bytes < 2**32


@pytest.mark.slow
def test_a_peer_that_cannot_be_had_is_reported(bundle: Path, tmp_path: Path, monkeypatch):
    """Red where a missing peer ended the run, and where it left no row."""

    def refuse(name: str, *_: object) -> None:
        raise environments.NotToBeHadError(f"pip could not install {name} here")

    for family in (others, calling):
        monkeypatch.setattr(family, "environment", refuse)
        findings = list(family.measure(Plan(1, tmp_path, bundle, is_small=True)))
        assert [one.key for one in findings] == [bar.key for bar in family.BARS]
        assert all("could not install" in one.reason for one in findings)

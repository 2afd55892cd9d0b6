"""A process killed with -9 at any instant loses nothing that was accepted, and the next one goes on."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest

from pipelines.demo.catalogue import SimulatedCatalogue
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.published import Published
from pipelines.ledger.verify import verify
from tests.compare import assert_same_history, published_marts

EXECUTABLE = Path(sys.executable).with_name("catalogue")
CAPTURES = 200


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("captures")
    simulated = SimulatedCatalogue(seed=9, models=60, days=60)
    for number in range(CAPTURES):
        at = simulated.start + timedelta(hours=7 * number)
        (folder / f"{at:%Y%m%dT%H%M%SZ}.json").write_bytes(simulated.listing(at, output_modalities="all"))
    return folder


def start(archive: Path, warehouse: Path) -> subprocess.Popen[bytes]:
    command: list[str | Path] = [EXECUTABLE, "import", archive, "--scope", "all", "--warehouse", warehouse]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


@pytest.fixture(scope="module")
def calm(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    """A warehouse that took the archive in peace, and how many seconds that took."""
    warehouse = tmp_path_factory.mktemp("calm")
    begun = time.monotonic()
    process = start(archive, warehouse)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    return warehouse, time.monotonic() - begun


@pytest.mark.parametrize("seed", range(2))
def test_a_killed_import_goes_on(archive: Path, calm: tuple[Path, float], tmp_path: Path, seed: int):
    """Truth 4. Seen red with the journal written a second after DuckDB's commit instead of before it."""
    peaceful, seconds = calm
    rng = random.Random(seed)
    accepted = 0
    for _ in range(4):
        process = start(archive, tmp_path)
        time.sleep(rng.uniform(0.2, seconds))
        process.kill()
        process.communicate(timeout=30)
        if (tmp_path / "ledger.duckdb").exists():
            with Ledger(tmp_path) as ledger:
                now = ledger.rows("SELECT count(*) FROM core.verdicts WHERE known_to IS NULL")[0][0]
                assert now >= accepted, "an accepted capture is lost"
                accepted = now
        if (tmp_path / "catalogue.duckdb").exists():
            with Published(tmp_path) as published:
                assert published.ask("SELECT count(*) FROM marts.snapshots").rows[0][0] <= CAPTURES
    last = start(archive, tmp_path)
    _, errors = last.communicate(timeout=120)
    assert last.returncode == 0, errors
    assert_same_history(published_marts(tmp_path), published_marts(peaceful))
    with Ledger(tmp_path) as ledger:
        assert verify(ledger).findings == ()

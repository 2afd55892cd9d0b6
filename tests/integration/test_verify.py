"""Everything follows from captures and journal, and what does not is found and named."""

from __future__ import annotations

import shutil
import subprocess
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from pipelines.captures import Capture
from pipelines.demo.catalogue import SimulatedCatalogue
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.verify import verify
from pipelines.scopes import ALL_MODELS, TEXT_MODELS
from tests import processes


def captures(scope=ALL_MODELS, *, days: int, every: int = 1, hours: int = 0, origin: str = "live") -> list[Capture]:
    simulated = SimulatedCatalogue(seed=5, models=60, days=60)
    modalities = "all" if scope == ALL_MODELS else "text"
    times = [simulated.start + timedelta(days=day, hours=hours) for day in range(0, days, every)]
    return [Capture(scope, at, simulated.listing(at, output_modalities=modalities), origin) for at in times]


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Late captures of two scopes, broken ones, decisions for and against, and a capture that came in two ways."""
    folder = tmp_path_factory.mktemp("pristine")
    with Ledger(folder) as ledger:
        live = captures(days=40, every=4)
        for one in live[::2]:
            ledger.load([one])
        ledger.load(live[1::2])
        ledger.load(captures(TEXT_MODELS, days=50, every=3, hours=7, origin="archive:late.zip"))
        broken = Capture(ALL_MODELS, live[3].observed_at + timedelta(hours=1), b"[]", "live")
        ledger.load([broken])
        for one, decision in ((broken, "accept"), (live[5], "reject"), (broken, "reject")):
            ledger.commit(decisions=[{"snapshot_id": one.snapshot_id, "decision": decision, "reason": "to see"}])
        ledger.load([Capture(one.scope, one.observed_at, one.body, "archive:again.tar") for one in live[:3]])
        ledger.publish()
    return folder


@pytest.fixture
def warehouse(pristine: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return shutil.copytree(pristine, tmp_path / "warehouse")


def findings(warehouse: Path) -> dict[str, str]:
    with Ledger(warehouse) as ledger:
        return {one.where: one.what for one in verify(ledger).findings}


def run(warehouse: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return processes.catalogue(*arguments, "--warehouse", warehouse)


def test_a_rebuild_equals_what_is_stored(warehouse: Path):
    """Truth 1, `recorded_at` and decisions included. Seen red with the journal's `decisions` passed over on replay."""
    with Ledger(warehouse) as ledger:
        assert ledger.rows("SELECT count(*) FROM core.decisions") == [(3,)]
        assert ledger.rows("SELECT count(*) > 0 FROM core.runs WHERE known_to IS NOT NULL") == [(True,)]
        result = verify(ledger)
    assert result.findings == ()
    assert result.captures == 28
    assert result.rows > 5000


def test_a_flipped_byte_is_found_and_its_captures_named(warehouse: Path):
    pack = sorted(warehouse.glob("raw/packs/*/*/*.zst"))[2]
    content = bytearray(pack.read_bytes())
    content[len(content) // 2] ^= 1
    pack.write_bytes(bytes(content))
    found = findings(warehouse)
    name = pack.relative_to(warehouse / "raw").as_posix()
    assert found.keys() == {name}
    assert "damaged" in found[name]
    with Ledger(warehouse) as ledger:
        for (snapshot_id,) in ledger.rows("SELECT snapshot_id FROM raw.captures WHERE pack = ?", [name]):
            assert snapshot_id in found[name]


def test_a_deleted_pack_is_named(warehouse: Path):
    pack = sorted(warehouse.glob("raw/packs/*/*/*.zst"))[0]
    pack.unlink()
    found = findings(warehouse)
    assert "missing" in found[pack.relative_to(warehouse / "raw").as_posix()]


@pytest.mark.parametrize(
    ("table", "statement"),
    [
        ("core.prices", "UPDATE core.prices SET price_usd = price_usd * 2 WHERE price_kind = 'prompt'"),
        ("core.observations", "DELETE FROM core.observations WHERE capture_no = 2"),
        ("core.decisions", "INSERT INTO core.decisions VALUES ('x', 'accept', 'never said', now())"),
        ("core.price_intervals", "UPDATE core.price_intervals SET valid_to = valid_to + INTERVAL 1 HOUR"),
    ],
)
def test_a_row_edited_by_hand_is_found(warehouse: Path, table: str, statement: str):
    with duckdb.connect(str(warehouse / "ledger.duckdb")) as connection:
        connection.execute(statement)
    assert findings(warehouse).keys() == {table}


def test_the_terminal_says_so_and_a_rebuild_mends_it(warehouse: Path):
    with duckdb.connect(str(warehouse / "ledger.duckdb")) as connection:
        connection.execute("DELETE FROM core.spells WHERE spell_no = 1")
    told = run(warehouse, "verify")
    assert told.returncode == 1
    assert "core.spells" in told.stderr
    assert "Traceback" not in told.stderr
    assert run(warehouse, "rebuild").returncode == 0
    assert run(warehouse, "verify").returncode == 0


def test_a_ledger_is_made_anew_from_nothing_but_captures_and_journal(warehouse: Path):
    query = "SELECT * FROM catalogue.core.price_changes ORDER BY ALL"
    with Ledger(warehouse) as ledger:
        before = ledger.rows(query)
    (warehouse / "ledger.duckdb").write_bytes(b"no database at all")
    damaged = run(warehouse, "verify")
    assert damaged.returncode == 1
    assert "catalogue rebuild" in damaged.stderr
    assert run(warehouse, "rebuild").returncode == 0
    with Ledger(warehouse) as ledger:
        assert ledger.rows(query) == before

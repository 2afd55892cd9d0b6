"""Proof that the ledger is what captures and journal say: build it anew and compare.

Belongs here: finding damaged packs, comparing two ledgers table by table. Does not belong here: how a ledger is built.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipelines.captures import DamagedPackError
from pipelines.ledger.ledger import VERIFYING, Ledger, OnPack, silent

_EXAMPLES = 3


@dataclass(frozen=True)
class Finding:
    """Something that is not as it should be: ``where`` names a pack or a table, ``what`` says what is wrong."""

    where: str
    what: str


@dataclass(frozen=True)
class Verification:
    """What was compared, and what was found."""

    captures: int
    tables: int
    rows: int
    findings: tuple[Finding, ...]


def verify(ledger: Ledger, on_pack: OnPack = silent) -> Verification:
    """Read every capture, build a second ledger from them and the journal, and compare the two.

    Where a pack is damaged or missing no second ledger can be built; then the captures that it held are named instead.
    """
    damaged = list(_damaged_packs(ledger))
    captures = int(ledger.rows("SELECT count(*) FROM catalogue.raw.captures")[0][0])
    if damaged:
        return Verification(captures, 0, 0, tuple(damaged))
    with tempfile.TemporaryDirectory(dir=ledger.warehouse, prefix=VERIFYING) as folder:
        rebuilt = Path(folder) / "rebuilt.duckdb"
        ledger.build_anew(rebuilt, on_pack)
        with ledger.beside(rebuilt):
            return _compare(ledger, captures)


def _damaged_packs(ledger: Ledger) -> Iterator[Finding]:
    in_ledger: dict[str, list[str]] = {}
    for pack, snapshot_id in ledger.rows("SELECT pack, snapshot_id FROM catalogue.raw.captures ORDER BY capture_no"):
        in_ledger.setdefault(pack, []).append(snapshot_id)
    in_journal = {pack for entry in ledger.raw.journal.entries() for pack in entry["packs"]}
    for pack in sorted(in_ledger.keys() | in_journal):
        lost = in_ledger.get(pack, [])
        try:
            found = {capture.snapshot_id for capture in ledger.raw.read(pack)}
        except DamagedPackError as problem:
            yield Finding(pack, f"{problem}; it held {len(lost)} captures: {', '.join(lost)}")
            continue
        for snapshot_id in lost:
            if snapshot_id not in found:
                yield Finding(pack, f"the capture {snapshot_id} is in the ledger and not in its pack")


def _compare(ledger: Ledger, captures: int) -> Verification:
    tables = ledger.rows(
        "SELECT schema_name || '.' || table_name FROM duckdb_tables() WHERE database_name = 'catalogue' "
        "AND schema_name IN ('raw', 'core') ORDER BY 1"
    )
    findings, total = [], 0
    for (table,) in tables:
        total += int(ledger.rows(f"SELECT count(*) FROM catalogue.{table}")[0][0])
        for one, other, words in (
            ("catalogue", "rebuilt", "stored but not in a rebuild"),
            ("rebuilt", "catalogue", "in a rebuild but not stored"),
        ):
            rows = ledger.rows(f"SELECT * FROM {one}.{table} EXCEPT ALL SELECT * FROM {other}.{table}")
            if rows:
                examples = "; ".join(", ".join(map(str, row)) for row in sorted(rows, key=str)[:_EXAMPLES])
                findings.append(Finding(table, f"{len(rows)} rows are {words}, such as {examples}"))
    return Verification(captures, len(tables), total, tuple(findings))

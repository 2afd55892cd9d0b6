"""What two years of history take on the disk, and what a damaged byte costs.

Belongs here: bytes. Does not belong here: seconds.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from pipelines.captures import DamagedPackError, RawStore
from tests.benchmarks.bundle import import_whole
from tests.benchmarks.measure import Against, Bar, Finding, Plan, Unit

RAW = Bar("raw_store", "raw store after the bundle, provenance and journal included", 2.1e6, unit=Unit.BYTES)
GIT = Bar(
    "raw_store_git",
    "the same raw store",
    1.0,
    Against.BASELINE,
    Unit.BYTES,
    "the objects of a clone of the bundle",
)
DAMAGE = Bar("damage", "captures that one damaged byte costs, at worst", 64, unit=Unit.CAPTURES)
PUBLISHED = Bar("published_file", "published file after the bundle", 15e6, unit=Unit.BYTES)

BARS = (RAW, GIT, DAMAGE, PUBLISHED)

PLACES = (0.05, 0.5, 0.95)
"""Where in a file a byte is damaged, as a share of its length."""


def measure(plan: Plan) -> Iterator[Finding]:
    """Sizes are apparent: what the files hold, not what the disk sets aside for them."""
    if plan.bundle is None:
        yield from plan.absent_bundle(BARS)
        return
    warehouse, clone = plan.folder / "warehouse", plan.folder / "clone"
    import_whole(plan.bundle, warehouse)
    subprocess.run(["git", "clone", "--quiet", "--bare", str(plan.bundle), str(clone)], check=True)
    raw = float(apparent_bytes(warehouse / "raw"))
    published = float((warehouse / "catalogue.duckdb").stat().st_size)
    yield Finding(RAW.key, [raw])
    yield Finding(GIT.key, [raw], [float(apparent_bytes(clone / "objects"))])
    yield Finding(PUBLISHED.key, [published])
    store = RawStore(warehouse / "raw")
    whole = readable(store)
    damaged = [(store.root / pack, share) for pack in _to_damage(store) for share in PLACES]
    losses = [float(len(whole - readable_with_damage(store, path, share))) for path, share in damaged]
    yield Finding(DAMAGE.key, [max(losses)], note=f"{len(losses)} bytes damaged one after the other, every pack read")


def apparent_bytes(folder: Path) -> int:
    """The lengths of all files below ``folder``."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _to_damage(store: RawStore) -> list[str]:
    """The first pack, one in the middle, the last."""
    packs = store.packs()
    return sorted({packs[0], packs[len(packs) // 2], packs[-1]})


def readable_with_damage(store: RawStore, path: Path, share: float) -> set[str]:
    """What is :func:`readable` while the byte at ``share`` of ``path`` is another."""
    whole = path.read_bytes()
    place = int(len(whole) * share)
    path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
    try:
        return readable(store)
    finally:
        path.write_bytes(whole)


def readable(store: RawStore) -> set[str]:
    """The ids of the captures that the store gives back, byte for byte: a pack is checked as it is read."""
    found: set[str] = set()
    for pack in store.packs():
        with suppress(DamagedPackError):
            found.update(one.snapshot_id for one in store.read(pack))
    return found

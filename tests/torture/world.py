"""A small catalogue and the warehouse that is to survive: what has been captured, and what may be done next.

Belongs here: the simulated archive and server, orders that make sense at a given moment. Does not belong here: killing
(`trial`), what must hold afterwards (`promises`).
"""

from __future__ import annotations

import json
import random
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import duckdb

from pipelines.demo.catalogue import SimulatedCatalogue
from pipelines.demo.misbehaviour import Misbehaviour
from pipelines.demo.server import CatalogueServer
from tests.torture.operations import Order
from tests.torture.promises import LEDGER, PUBLISHED

MODELS, DAYS = 30, 60
CAPTURES = 68
"""In each part of the archive: a pack and a few more, so that an import is two commits."""

PARTS = ("text", "all", "text", "all", "text", "all")
"""The scopes of the archive's parts, which are imported one after the other; then the last again and again."""

_SPOILT = (b"", b"<html>Just a moment...", b"[]", b'{"data": []}', b'{"error": {"code": 500, "message": "no"}}')
_MISBEHAVIOURS = ("HALF_LIST", "WRONG_COUNT", "EMPTY_LIST")


class World:
    """One warehouse, its archive and its source; all that happens to it is a function of ``seed``.

    A context manager, within which the source is served. Archive and live captures are of the same days, so that what
    is loaded comes late as often as not. One capture of the archive in ten is broken, one in ten has a twin of its
    instant.
    """

    def __init__(self, folder: Path, seed: str) -> None:
        self.warehouse = folder / "warehouse"
        self.archive = folder / "archive"
        self.chance = random.Random(seed)
        self._seed = seed
        self.catalogue = SimulatedCatalogue(seed=self.chance.randrange(1000), models=MODELS, days=DAYS)
        self.server = CatalogueServer(self.catalogue, now=self.catalogue.start)
        self._hours = 0
        self._imported = 0

    def __enter__(self) -> Self:
        self.server.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.server.__exit__(kind, error, trace)

    def _part(self, number: int) -> Path:
        """The folder of a part of the archive, which is written when it is first asked for."""
        folder = self.archive / str(number)
        if folder.exists():
            return folder
        folder.mkdir(parents=True)
        chance = random.Random(f"{self._seed}/{number}")
        for place in range(CAPTURES):
            at = self.catalogue.start + timedelta(hours=1 + 2 * number + 13 * place)
            body = self.catalogue.listing(at, output_modalities=PARTS[number])
            if chance.random() < 0.1:
                listed = json.loads(body)["data"]
                half = json.dumps({"data": listed[::2]}).encode()
                body = chance.choice((half, half, half, body[:-100], *_SPOILT))
            (folder / f"{at:%Y%m%dT%H%M%SZ}.json").write_bytes(body)
            if chance.random() < 0.1:
                later = self.catalogue.listing(at + timedelta(hours=5), output_modalities=PARTS[number])
                (folder / f"{at:%Y%m%dT%H%M%SZ}-twin.json").write_bytes(later)
        return folder

    # --- what may be done -------------------------------------------------------------------------------------------

    def order(self, operation: str) -> Order:
        """``operation`` as it makes sense now; a snapshot where there is nothing to decide on."""
        arguments: dict[str, Any] = {}
        part = min(self._imported, len(PARTS) - 1)
        match operation:
            case "decide":
                arguments = self._decision()
                if not arguments:
                    return self.order("snapshot")
            case "snapshot" | "dagster":
                self._hours += 12
                now = self.catalogue.start + timedelta(hours=self._hours, minutes=5)
                spoilt = self.chance.choice(_MISBEHAVIOURS) if self.chance.random() < 0.2 else None
                arguments = {"now": now.isoformat(), "misbehaviour": spoilt}
            case "publish" | "migration":
                part = max(0, self._imported - 1)
        arguments |= {"folder": str(self._part(part)), "scope": PARTS[part], "base_url": self.server.base_url}
        return Order(operation, str(self.warehouse), arguments)

    def _decision(self) -> dict[str, str]:
        """On any capture that holds a list of models: for it if it is none of the history, else against it."""
        if not (self.warehouse / PUBLISHED).exists():
            return {}
        with duckdb.connect(str(self.warehouse / PUBLISHED), read_only=True) as connection:
            found = connection.execute(
                "SELECT c.snapshot_id, v.verdict FROM raw.captures AS c "
                "JOIN core.verdicts AS v ON v.capture_no = c.capture_no AND v.known_to IS NULL "
                "JOIN core.listings AS l ON l.capture_no = c.capture_no AND l.keyframe_no IS NOT NULL "
                "ORDER BY v.verdict, c.snapshot_id"
            ).fetchall()
        if not found:
            return {}
        verdict = self.chance.choice(sorted({verdict for _, verdict in found}))
        snapshot_id = self.chance.choice([one for one, its in found if its == verdict])
        return {"snapshot_id": snapshot_id, "decision": "reject" if verdict == "accepted" else "accept"}

    def prepare(self, order: Order) -> None:
        """Bring about what ``order`` takes for granted: the day at the source, an earlier schema."""
        self.serve(order)
        if order.operation == "migration":
            age(self.warehouse / LEDGER)

    def serve(self, order: Order) -> None:
        """Let the source be as ``order`` would find it."""
        self.server.behave()
        if "now" in order.arguments:
            self.server.now = datetime.fromisoformat(order.arguments["now"])
            if spoilt := order.arguments["misbehaviour"]:
                self.server.misbehave(Misbehaviour[spoilt], times=2)

    def adopt(self, order: Order) -> Order:
        """``order`` of another world with the same seed, as if it had been given in this one."""
        part = int(Path(order.arguments["folder"]).name)
        here = {"folder": str(self._part(part)), "base_url": self.server.base_url}
        return Order(order.operation, str(self.warehouse), order.arguments | here)

    def done(self, order: Order) -> None:
        """``order`` was carried out to its end."""
        if order.operation == "import" and order.arguments["folder"] == str(self.archive / str(self._imported)):
            self._imported += 1


def age(ledger: Path) -> None:
    """Let ``ledger`` pass for one that an earlier schema wrote; one that cannot be opened stays as it is."""
    if not ledger.exists():
        return
    with suppress(duckdb.Error), duckdb.connect(str(ledger)) as connection:
        connection.execute("UPDATE main.schema_version SET version = version - 1")

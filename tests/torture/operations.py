"""What the processes that are killed do: whatever writes to a warehouse, as the product does it.

Belongs here: an operation by its name, as a function for a fork and as a command line. Does not belong here: when it is
done (`world`), what it must leave behind (`promises`).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from pipelines import cli
from pipelines.captures import RawStore
from pipelines.ledger.ledger import Ledger
from pipelines.snapshot import take
from pipelines.sources.openrouter import OpenRouter

Tell = Callable[[str], None]
"""Says what outlives the process: that the capture of this snapshot_id is stored."""


@dataclass(frozen=True)
class Order:
    """One operation on one warehouse. ``arguments`` are plain JSON."""

    operation: str
    warehouse: str
    arguments: dict[str, Any] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        """The warehouse's folder."""
        return Path(self.warehouse)

    def command_line(self) -> list[str]:
        """The same by the executable `catalogue`; importing again what is known opens and publishes, and no more."""
        given = self.arguments
        match self.operation:
            case "snapshot" | "dagster":
                words = ["snapshot", "--base-url", given["base_url"]]
            case "rebuild" | "verify":
                words = [self.operation]
            case "decide":
                words = [
                    "quarantine",
                    given["decision"],
                    given["snapshot_id"],
                    "--reason",
                    given.get("reason", "to see"),
                ]
            case _:
                words = ["import", given["folder"], "--scope", given["scope"]]
        return [*words, "--warehouse", self.warehouse]


def snapshot(order: Order, tell: Tell) -> None:
    """The steps of the daily run, without Dagster."""
    now = datetime.fromisoformat(order.arguments["now"])
    with OpenRouter(order.arguments["base_url"], clock=lambda: now) as source:
        taken = take(source, RawStore(order.path / "raw"))
    tell(taken.snapshot_id)
    with Ledger(order.path, in_hand=taken.packs) as ledger:
        for pack in taken.packs:
            ledger.append(pack)
        ledger.commit(taken.packs)
        ledger.publish()


def dagster(order: Order, tell: Tell) -> None:
    """The daily run itself."""
    from pipelines.defs.run import snapshot_once
    from pipelines.settings import Settings

    now = datetime.fromisoformat(order.arguments["now"])
    base_url = order.arguments["base_url"]
    result = snapshot_once(Settings(warehouse=order.path, base_url=base_url, clock=lambda: now))
    if result.verdict is None or result.error is not None:
        sys.exit(f"the run failed: {result.error}")
    tell(result.verdict.snapshot_id)


def publish(order: Order, tell: Tell) -> None:
    """Opens, which catches up and migrates, and publishes."""
    with Ledger(order.path) as ledger:
        ledger.publish()


def command(order: Order, tell: Tell) -> None:
    """What the terminal does."""
    sys.argv = ["catalogue", *order.command_line()]
    cli.main()


OPERATIONS: dict[str, Callable[[Order, Tell], None]] = {
    "snapshot": snapshot,
    "import": command,
    "decide": command,
    "publish": publish,
    "rebuild": command,
    "verify": command,
    "migration": publish,
    "dagster": dagster,
}

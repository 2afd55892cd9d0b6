"""What whole processes cost, from the shell's call to their exit.

Belongs here: the executable as a person waits for it. Does not belong here: what a library call costs.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pipelines.captures import Capture
from pipelines.defs.checks import listing_check_specs, mart_check_specs
from pipelines.defs.home import prepare
from pipelines.demo.catalogue import SimulatedCatalogue
from pipelines.demo.server import CatalogueServer
from pipelines.ledger.ledger import Ledger
from pipelines.scopes import ALL_MODELS
from pipelines.settings import Settings
from tests.benchmarks.measure import Against, Bar, Finding, Plan, interleaved, seconds_of

ROOT = Path(__file__).resolve().parents[2]
CATALOGUE = Path(sys.executable).with_name("catalogue")

IMPORT_DUCKDB = '`python -c "import duckdb"`'

HELP = Bar("help", "`catalogue --help`, whole process", 2.5, Against.BASELINE, baseline=IMPORT_DUCKDB)
SQL = Bar("sql", "`catalogue sql`, whole process", 2.5, Against.BASELINE, baseline=IMPORT_DUCKDB)
SNAPSHOT = Bar(
    "snapshot",
    "`catalogue snapshot` of the simulated API, whole process",
    1.5,
    Against.BASELINE_PLUS,
    baseline="the same Dagster job with empty assets",
)

BARS = (HELP, SQL, SNAPSHOT)

_DAYS = 30
_QUERY = "SELECT model_id, price_kind, price_usd FROM marts.prices ORDER BY ALL LIMIT 20"


def measure(plan: Plan) -> Iterator[Finding]:
    """On a warehouse of some simulated days, which is asked and goes on to be written."""
    now = datetime.now(UTC)
    days = 3 if plan.is_small else _DAYS
    runs = plan.rounds + 1
    simulated = SimulatedCatalogue(models=300, days=days + runs, start=now - timedelta(days=days + 1))
    warehouse = plan.folder / "warehouse"
    with Ledger(warehouse) as ledger:
        moments = [simulated.start + timedelta(days=day) for day in range(days)]
        ledger.load([Capture(ALL_MODELS, at, simulated.listing(at, output_modalities="all"), "live") for at in moments])
        ledger.publish()
    helped, asked, imported = interleaved(
        plan.rounds,
        lambda: _seconds([CATALOGUE, "--help"]),
        lambda: _seconds([CATALOGUE, "sql", _QUERY, "--warehouse", warehouse]),
        lambda: _seconds([sys.executable, "-c", "import duckdb"]),
    )
    yield Finding(HELP.key, helped, imported)
    yield Finding(SQL.key, asked, imported)
    yield _snapshots(plan, simulated, warehouse, moments[-1])


def _snapshots(plan: Plan, simulated: SimulatedCatalogue, warehouse: Path, last: datetime) -> Finding:
    """A day more each time, beside an empty job whose records grow as fast."""
    home = prepare(Settings(home=plan.folder / "empty"))
    checks = [str(len(specs)) for specs in (listing_check_specs(), mart_check_specs())]
    with CatalogueServer(simulated, now=last) as server:
        address = server.base_url

        def a_day_more() -> float:
            server.now += timedelta(days=1)
            return _seconds([CATALOGUE, "snapshot", "--base-url", address, "--warehouse", warehouse])

        ours, empty = interleaved(
            plan.rounds,
            a_day_more,
            lambda: _seconds([sys.executable, "-m", "tests.benchmarks.empty_job", home, *checks]),
        )
    return Finding(SNAPSHOT.key, ours, empty, note="300 models")


def _seconds(command: Sequence[str | Path]) -> float:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("CATALOGUE_", "DAGSTER_"))}
    return seconds_of(
        lambda: subprocess.run(
            command, check=True, capture_output=True, cwd=ROOT, env={**environment, "DAGSTER_DISABLE_TELEMETRY": "yes"}
        )
    )

"""What loading and reading cost, as ratios against named baselines in the same run. Run by `make bench`.

Belongs here: measurements. Does not belong here: tests; nothing fails for being slow.
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import duckdb
import orjson

from pipelines.backfill import backfill
from pipelines.captures import Capture
from pipelines.demo.catalogue import SimulatedCatalogue
from pipelines.ledger.ledger import Ledger
from pipelines.scopes import ALL_MODELS, TEXT_MODELS
from pipelines.sources.archives import open_archive

ROUNDS = 5
BUNDLE = Path(
    os.environ.get("CATALOGUE_BUNDLE", Path(__file__).resolve().parents[3] / "shared/openrouter-models.bundle")
)


def median_seconds(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    """The median of ``rounds`` runs after one that does not count."""
    work()
    times = []
    for _ in range(rounds):
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return statistics.median(times)


@contextmanager
def empty_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def floor_of_an_import() -> None:
    """The least that an import can cost: clone, read every version, parse it, all in this process."""
    with empty_folder() as folder:
        git = ["git", "--git-dir", str(folder)]
        subprocess.run(["git", "clone", "--quiet", "--bare", str(BUNDLE), str(folder)], check=True)
        commits = subprocess.run([*git, "rev-list", "main"], check=True, capture_output=True, text=True).stdout.split()
        asked = "".join(f"{commit}:models.json\n" for commit in commits).encode()
        answer = subprocess.run([*git, "cat-file", "--batch"], input=asked, check=True, capture_output=True).stdout
        place = 0
        for _ in commits:
            end = answer.index(b"\n", place)
            size = int(answer[place:end].split()[2])
            orjson.loads(answer[end + 1 : end + 1 + size])
            place = end + size + 2


def import_the_bundle() -> None:
    with (
        empty_folder() as folder,
        Ledger(folder) as ledger,
        open_archive(BUNDLE, scope=TEXT_MODELS, member="models.json") as archive,
    ):
        backfill(archive, ledger)
        ledger.publish()


def one_more_snapshot(days: int) -> float:
    """Median seconds for one more day on a history of ``days`` simulated days, up to the commit."""
    simulated = SimulatedCatalogue(models=300, days=days + ROUNDS + 1)
    taken = [
        Capture(ALL_MODELS, at, simulated.listing(at, output_modalities="all"), "live")
        for at in (simulated.start + timedelta(days=day) for day in range(days + ROUNDS + 1))
    ]
    with empty_folder() as folder, Ledger(folder) as ledger:
        for first in range(0, days, 64):
            ledger.load(taken[first : min(first + 64, days)])
        rest = iter(taken[days:])
        return median_seconds(lambda: ledger.load([next(rest)]))


PRICE_HISTORY_FROM_EVERY_OBSERVATION = """
SELECT * FROM (
    SELECT *, lag(price_usd) OVER (PARTITION BY model_no, price_kind ORDER BY observed_at) AS before FROM log
) WHERE price_usd IS DISTINCT FROM before
"""


def reading() -> tuple[float, float]:
    """Seconds to read `price_history` whole, and to find the same changes in a log of every observed price."""
    with empty_folder() as folder:
        with (
            Ledger(folder) as ledger,
            open_archive(BUNDLE, scope=TEXT_MODELS, member="models.json") as archive,
        ):
            backfill(archive, ledger)
            ledger.publish()
        with duckdb.connect(str(folder / "catalogue.duckdb"), read_only=True) as catalogue:
            catalogue.execute(
                "CREATE TEMP TABLE log AS SELECT r.model_no, p.price_kind, p.price_usd, a.observed_at "
                "FROM core.runs AS r JOIN core.accepted AS a ON a.observed_at >= r.valid_from "
                "AND (r.valid_to IS NULL OR a.observed_at < r.valid_to) "
                "JOIN core.versions AS v ON v.version_no = r.version_no "
                "JOIN core.prices AS p ON p.price_list_no = v.price_list_no WHERE r.known_to IS NULL"
            )
            read = median_seconds(lambda: catalogue.sql("FROM marts.price_history").to_arrow_table())
            scan = median_seconds(lambda: catalogue.sql(PRICE_HISTORY_FROM_EVERY_OBSERVATION).to_arrow_table())
    return read, scan


def main() -> None:
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, DuckDB {duckdb.__version__}"
    )
    print(f"medians of {ROUNDS} runs after one that does not count\n")
    print(f"{'what':44} {'seconds':>8}  {'baseline':44} {'seconds':>8} {'ratio':>6}")

    def show(what: str, seconds: float, baseline: str, against: float) -> None:
        print(f"{what:44} {seconds:8.3f}  {baseline:44} {against:8.3f} {seconds / against:6.2f}", flush=True)

    small, large = one_more_snapshot(60), one_more_snapshot(600)
    show("one more day on 600 simulated days", large, "one more day on 60 simulated days", small)
    if not BUNDLE.exists():
        print(f"no bundle at {BUNDLE}: set CATALOGUE_BUNDLE to measure the import and the marts", file=sys.stderr)
        return
    show(
        "import of the bundle",
        median_seconds(import_the_bundle),
        "clone, cat-file, parse",
        median_seconds(floor_of_an_import),
    )
    read, scan = reading()
    show("price_history, whole", read, "the same from every observation (LAG)", scan)


if __name__ == "__main__":
    main()

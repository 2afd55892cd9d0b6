"""Reading the bundle as plainly as can be, and importing it as the product does.

Belongs here: what several families do with the bundle. Does not belong here: figures.

Run as ``python -m tests.benchmarks.bundle WHAT BUNDLE FOLDER`` one of :data:`ALONE` is done in a process of its own,
which prints its seconds (libraries loaded before) and its peak of memory as JSON.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import orjson

from pipelines.backfill import backfill
from pipelines.captures import Capture
from pipelines.ledger.ledger import Ledger
from pipelines.scopes import TEXT_MODELS
from pipelines.sources.archives import open_archive
from tests.benchmarks.machine import peak_memory_bytes
from tests.benchmarks.measure import seconds_of

MEMBER = "models.json"


@dataclass(frozen=True)
class Alone:
    """What a process said that did one thing."""

    seconds: float
    peak_bytes: float


def versions(bundle: Path, folder: Path) -> Iterator[tuple[datetime, bytes]]:
    """Every version of the file in the bundle and its committer's time, oldest first; ``folder`` takes the clone."""
    git = ["git", "--git-dir", str(folder)]
    subprocess.run(["git", "clone", "--quiet", "--bare", str(bundle), str(folder)], check=True)
    log = subprocess.run([*git, "log", "--reverse", "--format=%H %ct", "HEAD"], check=True, capture_output=True)
    commits = [line.split() for line in log.stdout.decode().splitlines()]
    asked = "".join(f"{commit}:{MEMBER}\n" for commit, _ in commits).encode()
    answer = subprocess.run([*git, "cat-file", "--batch"], input=asked, check=True, capture_output=True).stdout
    place = 0
    for _, moment in commits:
        end = answer.index(b"\n", place)
        size = int(answer[place:end].split()[2])
        yield datetime.fromtimestamp(int(moment), UTC), answer[end + 1 : end + 1 + size]
        place = end + size + 2


def last_of_each_day(bundle: Path) -> list[Capture]:
    """The last capture of each day, oldest first."""
    days: dict[date, Capture] = {}
    with tempfile.TemporaryDirectory() as folder:
        for moment, body in versions(bundle, Path(folder) / "clone"):
            days[moment.date()] = Capture(TEXT_MODELS, moment, body, "archive:daily")
    return list(days.values())


def floor(bundle: Path, folder: Path) -> None:
    """The least that an import can cost: clone, read every version, parse it, all in this process."""
    for _, body in versions(bundle, folder / "clone"):
        orjson.loads(body)


def import_whole(bundle: Path, folder: Path) -> None:
    """What `catalogue import` does: from the bundle to the published file, raw store included."""
    with Ledger(folder) as ledger, open_archive(bundle, scope=TEXT_MODELS, member=MEMBER) as archive:
        backfill(archive, ledger)
        ledger.publish()


ALONE: Mapping[str, Callable[[Path, Path], None]] = {"floor": floor, "import": import_whole}


def alone(what: str, bundle: Path, folder: Path) -> Alone:
    """Do one of :data:`ALONE` in a process of its own."""
    command = [sys.executable, "-m", "tests.benchmarks.bundle", what, str(bundle), str(folder)]
    told = subprocess.run(command, check=True, capture_output=True, cwd=Path(__file__).resolve().parents[2])
    return Alone(**orjson.loads(told.stdout))


def main() -> None:
    """Do what the command line names and say what it cost."""
    what, bundle, folder = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    seconds = seconds_of(lambda: ALONE[what](bundle, folder))
    print(orjson.dumps({"seconds": seconds, "peak_bytes": float(peak_memory_bytes())}).decode())


if __name__ == "__main__":
    main()

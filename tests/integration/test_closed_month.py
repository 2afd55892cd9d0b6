"""The page about a closed month is run, command by command, and shows what comes out.

Run as ``python -m tests.integration.test_closed_month`` it writes the outputs into the page.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from datetime import timedelta
from pathlib import Path

from pipelines.captures import Capture
from pipelines.demo.catalogue import SimulatedCatalogue
from pipelines.ledger.ledger import Ledger
from pipelines.scopes import ALL_MODELS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "closed-month.md"
BLOCK = re.compile(r"```console\n(.*?)```", re.DOTALL)
COMMAND = re.compile(r"^\$ ([^\n]*)\n((?:(?!\$ )[^\n]*\n)*)", re.MULTILINE)
MOMENT = re.compile(r"2\d{3}-\d\d-\d\d[T ]\d\d:\d\d:\d\d\.\d{6}\+00:00")
HASH = re.compile(r"\b[0-9a-f]{64}\b")
REQUESTS = 2000


def lay_out(folder: Path) -> None:
    """What the page takes for granted: a warehouse, captures that it lacks, and a log."""
    simulated = SimulatedCatalogue(seed=11, models=40, days=80)
    june = simulated.start + timedelta(days=31)
    days = [simulated.start + timedelta(days=day, minutes=5) for day in range(62)]
    with Ledger(folder / "warehouse") as ledger:
        ledger.load([Capture(ALL_MODELS, at, simulated.listing(at, output_modalities="all"), "live") for at in days])
        ledger.publish()
    (folder / "late").mkdir()
    for day in range(30):
        at = june + timedelta(days=day, hours=11)
        (folder / "late" / f"{at:%Y-%m-%dT%H%M%SZ}.json").write_bytes(simulated.listing(at, output_modalities="all"))
    ids = sorted(one for one in simulated.ids_at(june, "all") if not one.startswith("~"))[:25]
    with (folder / "june.csv").open("w") as log:
        log.write("request_id,time,model,prompt_tokens,completion_tokens\n")
        for number in range(REQUESTS):
            at = june + timedelta(minutes=number * 7919 % 43200)
            model = ids[number * 17 % len(ids)]
            tokens = f"{number * 7919 % 30000},{number * 104729 % 4000}"
            log.write(f"r{number:04d},{at:%Y-%m-%dT%H:%M:%SZ},{model},{tokens}\n")


def told(page: str, folder: Path) -> str:
    """The page with what its commands print in ``folder``; the moment of closing is that of the first report."""
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "CATALOGUE_WAREHOUSE": "warehouse",
    }
    known_at = ""

    def run(one: re.Match[str]) -> str:
        nonlocal known_at
        command = re.sub(r"--known-at \S+", f"--known-at {known_at}", one[1])
        done = subprocess.run(
            ["bash", "-c", command], cwd=folder, env=environment, capture_output=True, text=True, timeout=200
        )
        assert done.returncode == 0, (command, done.stderr)
        known_at = known_at or MOMENT.findall(done.stdout)[0]
        return f"$ {command}\n" + "".join(f"{line.rstrip()}\n" for line in done.stdout.splitlines())

    return BLOCK.sub(lambda block: f"```console\n{COMMAND.sub(run, block[1])}```", page)


def numbered(page: str) -> str:
    """The page with moments of commits and hashes, which are others each time, by their order: equal stays equal."""
    for pattern in (MOMENT, HASH):
        for number, found in enumerate(dict.fromkeys(pattern.findall(page)), start=1):
            page = page.replace(found, f"<{number}>")
    return page


def test_the_page_is_what_comes_out(tmp_path: Path) -> None:
    """The month stays the same to the byte after late captures, and the variance is explained.

    Seen red with the report reading what is known now.
    """
    lay_out(tmp_path)
    page = PAGE.read_text(encoding="utf-8")
    assert numbered(told(page, tmp_path)) == numbered(page)
    assert "the same report" in page
    assert len(set(HASH.findall(page))) == 2


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        lay_out(Path(name))
        PAGE.write_text(told(PAGE.read_text(encoding="utf-8"), Path(name)), encoding="utf-8")

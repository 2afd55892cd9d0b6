"""Measuring all of it, or some. Run by `make bench` and `make bench-peers`.

Belongs here: the command line, which families there are (each a module beside this one, with ``BARS`` and ``measure``).
Does not belong here: measurements. Nothing fails for being slow, but a measurement that does not work fails the run.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from tests.benchmarks import machine, profiles, report
from tests.benchmarks.measure import FEWEST_ROUNDS, Bar, Family, Plan, as_family

ROOT = Path(__file__).resolve().parents[2]
BUNDLE = Path(os.environ.get("CATALOGUE_BUNDLE", ROOT.parent / "shared" / "openrouter-models.bundle"))
RESULTS = ROOT / ".benchmarks" / "results.json"

FAMILIES = ("importing", "sizes", "daily", "reading", "processes", "ten_years", "finance")
PEERS = ("others", "calling")
BLOCKS = {"benchmarks": FAMILIES, "peers": PEERS}
"""The blocks of the README and the families whose bars each of them shows."""

_BUSY = 0.7
"""Others' load from which on a run says that its figures are not to be trusted."""


def family(name: str) -> Family:
    """The module of that name, with its ``BARS`` and ``measure``."""
    return as_family(importlib.import_module(f"tests.benchmarks.{name}"))


def bars_of(names: Sequence[str]) -> list[Bar]:
    """The bars of families, in the order in which the README shows them."""
    return [bar for name in names for bar in family(name).BARS]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, show, keep, and write the README where the figures are fit for it."""
    asked = _parser().parse_args(arguments)
    if asked.profile:
        return profiles.show(asked.profile, BUNDLE)
    block = "peers" if asked.peers else "benchmarks"
    names = asked.only or list(BLOCKS[block])
    console = Console(width=200 if not sys.stdout.isatty() else None)
    here = machine.description()
    console.print(f"{here}\nmedians of {asked.rounds} runs after one that does not count\n", highlight=False)
    if (load := os.getloadavg()[0]) > _BUSY:
        print(f"the machine is busy (load {load:.1f}): figures will show it", file=sys.stderr)
    is_fit = asked.rounds >= FEWEST_ROUNDS and not asked.small
    results = report.Results.read(asked.results, here) if is_fit else report.Results(here, {}, {})
    for name in names:
        results = _measured(name, asked, results, console)
        if is_fit:  # after each: who stops a run keeps what it measured
            results.write(asked.results)
    written = _write_readme(asked.readme, results) if is_fit else []
    said = f"shows these figures of {' and '.join(written)}" if written else "stays as it is"
    console.print(f"\n{asked.readme} {said}.", highlight=False)
    return 0


def _parser() -> argparse.ArgumentParser:
    known = [name for names in BLOCKS.values() for name in names]
    parser = argparse.ArgumentParser(prog="make bench", description="Measure against named baselines, in one run.")
    parser.add_argument("--only", nargs="+", choices=known, metavar="NAME", help=f"some of: {', '.join(known)}")
    parser.add_argument("--peers", action="store_true", help="measure against other programs")
    parser.add_argument("--rounds", type=int, default=FEWEST_ROUNDS, help="runs that count (fewer than 5: no README)")
    parser.add_argument("--small", action="store_true", help="small histories, to see that it works (no README)")
    parser.add_argument("--readme", type=Path, default=ROOT / "README.md", help="where the table is written")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where the figures are kept")
    parser.add_argument("--versions", default="all", help="how many of the last ones git-history replays")
    parser.add_argument("--profile", choices=profiles.SUBJECTS, help="show where the time goes instead")
    return parser


def _measured(name: str, asked: argparse.Namespace, results: report.Results, console: Console) -> report.Results:
    measured = family(name)
    today = datetime.now(UTC).date().isoformat()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        plan = Plan(
            asked.rounds,
            Path(folder),
            BUNDLE if BUNDLE.exists() else None,
            asked.small,
            None if asked.versions == "all" else int(asked.versions),
            lambda sentence: print(f"{name}: {sentence}", file=sys.stderr, flush=True),
        )
        for finding in measured.measure(plan):
            results = results.plus(finding, today)
            if finding.parts:
                console.print(report.parts_for_terminal(finding))
    console.print(report.for_terminal(measured.BARS, results))
    return results


def _write_readme(path: Path, results: report.Results) -> list[str]:
    """Write the blocks of which every bar was measured or has a reason why not; their names.

    The others keep the figures of an earlier run, perhaps on another machine.
    """
    text = path.read_text(encoding="utf-8")
    whole = [block for block, names in BLOCKS.items() if all(bar.key in results.findings for bar in bars_of(names))]
    for block in whole:
        text = report.between_marks(text, block, report.in_markdown(bars_of(BLOCKS[block]), results))
    path.write_text(text, encoding="utf-8")
    return whole


if __name__ == "__main__":
    sys.exit(main())

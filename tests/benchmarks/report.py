"""Showing what was measured: on the terminal, in a file for programs, in the README.

Belongs here: tables and the file of results. Does not belong here: measuring, verdicts (`measure`).

What is measured is kept in `.benchmarks/results.json`, which git ignores: a run of some families leaves the figures of
the others as they are, unless they come from another machine. The README's table shows what that file holds and, of
every bar that it lacks, that it is not measured.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import orjson
from rich.markup import escape
from rich.table import Table

from tests.benchmarks.measure import Against, Bar, Finding, Unit, verdict

NOT_MEASURED = "not measured yet"


@dataclass(frozen=True)
class Results:
    """Findings by their bars' keys, all from one machine; ``measured_on`` gives each one's date."""

    machine: str
    findings: Mapping[str, Finding]
    measured_on: Mapping[str, str]

    @classmethod
    def read(cls, path: Path, machine: str) -> Results:
        """What ``path`` holds of ``machine``; nothing if there is no such file."""
        try:
            held = orjson.loads(path.read_bytes())
        except FileNotFoundError:
            return cls(machine, {}, {})
        if held["machine"] != machine:
            return cls(machine, {}, {})
        findings = {one["key"]: Finding(**one) for one in held["findings"]}
        return cls(machine, findings, held["measured_on"])

    def write(self, path: Path) -> None:
        """Put all of it into ``path``."""
        path.parent.mkdir(parents=True, exist_ok=True)
        held = {
            "machine": self.machine,
            "measured_on": dict(self.measured_on),
            "findings": [asdict(one) for one in self.findings.values()],
        }
        path.write_bytes(orjson.dumps(held, option=orjson.OPT_INDENT_2))

    def plus(self, finding: Finding, today: str) -> Results:
        """These and ``finding``, which takes the place of an earlier one."""
        return replace(
            self,
            findings={**self.findings, finding.key: finding},
            measured_on={**self.measured_on, finding.key: today},
        )


# --- one row --------------------------------------------------------------------------------------------------------


def row(bar: Bar, finding: Finding | None) -> list[str]:
    """What, figure, against what, its figure, the comparison, the bar, whether it is met."""
    if finding is None or finding.reason or not finding.ours:
        said = NOT_MEASURED if finding is None else f"not measured: {finding.reason}"
        return [bar.what, said, bar.baseline, "", "", _limit(bar), "–"]
    figure, is_met = verdict(bar, finding)
    what = bar.what if not finding.note else f"{bar.what} ({finding.note})"
    baseline = _amount(statistics.median(finding.baseline), bar.unit) if finding.baseline else ""
    return [
        what,
        _amount(statistics.median(finding.ours), bar.unit),
        bar.baseline,
        baseline,
        "" if bar.kind is Against.NOTHING else _comparison(bar, figure),
        _limit(bar),
        "yes" if is_met else "**no**",
    ]


def _comparison(bar: Bar, figure: float) -> str:
    if bar.kind is Against.BASELINE:
        return f"{figure:.2f} ×"
    if bar.kind is Against.SLOWER_BASELINE:
        return f"{figure:.1f} × faster"
    return f"{'+' if figure >= 0 else '−'}{_amount(abs(figure), bar.unit)}"


def _limit(bar: Bar) -> str:
    if bar.kind is Against.BASELINE:
        return f"≤ {bar.limit:g} ×"
    if bar.kind is Against.SLOWER_BASELINE:
        return f"≥ {bar.limit:g} × faster"
    sign = "≤ +" if bar.kind is Against.BASELINE_PLUS else "≤ "
    return sign + _amount(bar.limit, bar.unit)


def _amount(value: float, unit: Unit) -> str:
    if unit in (Unit.CAPTURES, Unit.REQUESTS):
        return f"{value:g} {unit}"
    if unit is Unit.BYTES:
        return _size(value)
    if value < 0.0995:
        return f"{value * 1000:.1f} ms"
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.2f} s" if value < 99.5 else f"{value:.0f} s"


def _size(value: float) -> str:
    if value >= 2**28 and value % 2**20 == 0:
        return f"{value / 2**30:g} GiB" if value % 2**30 == 0 else f"{value / 2**20:.0f} MiB"
    return f"{value / 1e6:.2f} MB" if value < 99.5e6 else f"{value / 1e6:.0f} MB"


# --- tables ---------------------------------------------------------------------------------------------------------

_HEADINGS = ("what", "median", "against", "median", "comparison", "bar", "met")


def for_terminal(bars: Sequence[Bar], results: Results) -> Table:
    """The rows of ``bars`` as a table for people at a terminal."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for place, heading in enumerate(_HEADINGS):
        table.add_column(heading, justify="right" if place in (1, 3, 4) else "left", overflow="fold")
    for bar in bars:
        cells = [escape(cell) for cell in row(bar, results.findings.get(bar.key))]
        colour = {"yes": "green", "**no**": "red"}.get(cells[-1], "yellow")
        cells[-1] = f"[{colour}]{cells[-1].strip('*')}[/]"
        table.add_row(*cells)
    return table


def parts_for_terminal(finding: Finding) -> Table:
    """What a finding's figure is the greatest of, the greatest first."""
    table = Table("part", "ms", box=None, pad_edge=False, header_style="bold", title=finding.key, title_justify="left")
    for name, seconds in sorted(finding.parts.items(), key=lambda part: -part[1]):
        table.add_row(escape(name), f"{seconds * 1000:.1f}")
    return table


def in_markdown(bars: Sequence[Bar], results: Results) -> str:
    """The rows of ``bars`` as a Markdown table, the machine and the dates above it, parts below it."""
    measured = [results.findings[bar.key] for bar in bars if bar.key in results.findings]
    dates = sorted({results.measured_on[one.key] for one in measured})
    runs = [len(one.ours) for one in measured if len(one.ours) > 1]
    lines = []
    if measured:
        days = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
        lines = [f"Measured {days} on {results.machine}."]
        if runs:
            lines[0] += (
                f" Medians of {min(runs)} or more runs after one that does not count, in turns with the baseline."
            )
        lines.append("")
    lines += ["| " + " | ".join(_HEADINGS) + " |", "|---|--:|---|--:|--:|---|---|"]
    for bar in bars:
        lines.append("| " + " | ".join(_cell(text) for text in row(bar, results.findings.get(bar.key))) + " |")
    for bar in bars:
        parts = results.findings[bar.key].parts if bar.key in results.findings else {}
        if parts:
            told = sorted(parts.items(), key=lambda part: -part[1])
            lines += ["", f"{bar.what}, in ms: " + ", ".join(f"`{name}` {ms * 1000:.1f}" for name, ms in told) + "."]
    return "\n".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def between_marks(text: str, block: str, content: str) -> str:
    """``text`` with what lies between the marks of ``block`` replaced by ``content``.

    Raises ValueError if the marks are not there, once and in order.
    """
    pattern = re.compile(rf"(<!-- {re.escape(block)}: [^\n]*-->\n)(.*?)(<!-- end of {re.escape(block)} -->)", re.DOTALL)
    if len(pattern.findall(text)) != 1:
        raise ValueError(f"the marks of {block} are not there once")
    return pattern.sub(lambda found: f"{found[1]}\n{content}\n\n{found[3]}", text)

"""What the benchmark shows and keeps."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from tests.benchmarks.measure import Against, Bar, Finding, Unit
from tests.benchmarks.report import Results, between_marks, for_terminal, in_markdown, row

RATIO = Bar("ratio", "an import", 2.0, Against.BASELINE, baseline="the floor")
SIZE = Bar("size", "a file", 15e6, unit=Unit.BYTES)
MACHINE = "2 cores of something"

README = """# Title

<!-- benchmarks: written by `make bench` -->

old | figures

<!-- end of benchmarks -->

<!-- peers: written by `make bench-peers` -->
<!-- end of peers -->

The end.
"""


def test_a_row_says_what_against_what_and_whether_the_bar_is_met():
    assert row(RATIO, Finding("ratio", [3.0], [2.0], note="once")) == [
        "an import (once)",
        "3.00 s",
        "the floor",
        "2.00 s",
        "1.50 ×",
        "≤ 2 ×",
        "yes",
    ]
    assert row(RATIO, Finding("ratio", [5.0], [2.0]))[-1] == "**no**"
    assert row(SIZE, Finding("size", [10_760_192.0])) == ["a file", "10.76 MB", "", "", "", "≤ 15.00 MB", "yes"]


@pytest.mark.parametrize(
    ("kind", "unit", "limit", "ours", "shown"),
    [
        (Against.SLOWER_BASELINE, Unit.SECONDS, 5, 0.05, ["50.0 ms", "", "1.00 s", "20.0 × faster", "≥ 5 × faster"]),
        (Against.BASELINE_PLUS, Unit.SECONDS, 1.5, 2.25, ["2.25 s", "", "1.00 s", "+1.25 s", "≤ +1.50 s"]),
        (Against.BASELINE_PLUS, Unit.SECONDS, 1.5, 0.5, ["500 ms", "", "1.00 s", "−500 ms", "≤ +1.50 s"]),
        (Against.NOTHING, Unit.CAPTURES, 64, 64.0, ["64 captures", "", "1 captures", "", "≤ 64 captures"]),
        (Against.NOTHING, Unit.BYTES, 2**30, 2.5e8, ["250 MB", "", "0.00 MB", "", "≤ 1 GiB"]),
    ],
)
def test_figures_are_shown_in_units_that_a_person_reads(
    kind: Against, unit: Unit, limit: float, ours: float, shown: list[str]
):
    bar = Bar("key", "what", limit, kind, unit)
    assert row(bar, Finding("key", [ours], [1.0]))[1:-1] == shown


def test_what_nobody_measured_says_so():
    """Red where a row without a finding was left out, and where one was shown as kept."""
    assert "not measured yet" in row(RATIO, None)[1]
    assert row(RATIO, None)[-1] == "–"
    refused = row(RATIO, Finding("ratio", reason="pip could not install it here"))
    assert refused[1] == "not measured: pip could not install it here"
    assert refused[-1] == "–"
    assert "| an import | not measured yet | the floor |" in in_markdown([RATIO, SIZE], Results(MACHINE, {}, {}))


def test_the_markdown_table_names_machine_and_dates_and_lists_parts():
    results = Results(MACHINE, {}, {})
    results = results.plus(Finding("ratio", [3.0] * 5, [2.0] * 5), "2026-01-01")
    results = results.plus(Finding("size", [1e6], parts={"slow": 0.04, "slower": 0.05}), "2026-01-03")
    text = in_markdown([RATIO, SIZE], results)
    assert text.startswith("Measured 2026-01-01 to 2026-01-03 on 2 cores of something. Medians of 5 or more runs")
    assert "| an import | 3.00 s | the floor | 2.00 s | 1.50 × | ≤ 2 × | yes |" in text
    assert "a file, in ms: `slower` 50.0, `slow` 40.0." in text


def test_a_cell_cannot_break_the_table():
    finding = Finding("ratio", [3.0], [2.0], note="a | b\nc")
    text = in_markdown([RATIO], Results(MACHINE, {}, {}).plus(finding, "2026-01-01"))
    assert "an import (a \\| b c)" in text


def test_a_block_is_replaced_and_nothing_else():
    """Red with a pattern that reached to the end of the second block."""
    written = between_marks(README, "benchmarks", "new")
    assert written == README.replace("old | figures", "new")
    assert between_marks(written, "benchmarks", "new") == written
    both = between_marks(written, "peers", r"theirs \1")
    assert r"theirs \1" in both
    assert "new" in both
    assert both.endswith("The end.\n")


@pytest.mark.parametrize("text", ["no marks", README + README, README.replace("end of benchmarks", "end")])
def test_a_block_that_is_not_there_once_is_refused(text: str):
    with pytest.raises(ValueError, match="benchmarks"):
        between_marks(text, "benchmarks", "new")


def test_results_are_kept_for_the_machine_that_gave_them(tmp_path: Path):
    """Red where figures of another machine were shown under this one's name."""
    path = tmp_path / "deep" / "results.json"
    assert Results.read(path, MACHINE).findings == {}
    kept = Results(MACHINE, {}, {}).plus(Finding("ratio", [3.0], [2.0], parts={"a": 1.0}), "2026-01-01")
    kept.write(path)
    again = Results.read(path, MACHINE)
    assert again == kept
    assert again.plus(Finding("ratio", [4.0], [2.0]), "2026-01-02").measured_on == {"ratio": "2026-01-02"}
    assert Results.read(path, "another machine").findings == {}


def test_the_terminal_shows_what_the_readme_does():
    console = Console(width=200)
    with console.capture() as shown:
        console.print(for_terminal([RATIO, SIZE], Results(MACHINE, {}, {}).plus(Finding("size", [1e6]), "2026-01-01")))
    assert "not measured yet" in shown.get()
    assert "1.00 MB" in shown.get()

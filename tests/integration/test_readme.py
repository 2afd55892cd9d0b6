"""The README holds what the program does today: its commands, its examples, its data dictionary."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import pytest

from pipelines.captures import Capture
from pipelines.cli import catalogue
from pipelines.demo.catalogue import SimulatedCatalogue
from pipelines.ledger.dictionary import BEGIN, END, between_marks, of_this_program
from pipelines.ledger.ledger import Ledger
from pipelines.scopes import ALL_MODELS

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a published `warehouse/catalogue.duckdb`, such as the README's examples take for granted."""
    folder = tmp_path_factory.mktemp("readme")
    simulated = SimulatedCatalogue(models=60, days=70)
    days = [datetime(2026, 5, 1, tzinfo=UTC) + timedelta(days=10 * number) for number in range(7)]
    with Ledger(folder / "warehouse") as ledger:
        ledger.load([Capture(ALL_MODELS, day, simulated.listing(day, output_modalities="all"), "live") for day in days])
        ledger.publish()
    return folder


def test_the_data_dictionary_is_that_of_the_comments():
    assert BEGIN in README
    assert END in README
    assert between_marks(README, of_this_program()) == README, "run `make docs`"


def test_every_command_is_named():
    for name, command in catalogue.commands.items():
        if isinstance(command, click.Group):
            for inner in command.commands:
                assert re.search(rf"catalogue {name} [^`]*\b{inner}\b", README), f"{name} {inner}"
        assert re.search(rf"`[^`]*\b{name}\b[^`]*`", README), name


def test_commands_in_the_readme_exist():
    named = set(re.findall(r"^\$ (?:\.venv/bin/)?catalogue ([a-z]+)", README, re.MULTILINE))
    assert named
    assert named <= set(catalogue.commands)


def shown_as_output_of(name: str) -> list[str]:
    """The lines that the README shows between the marks of ``name``."""
    block = README.partition(f"<!-- output of {name} -->")[2].partition("<!-- end of output -->")[0]
    return block.partition("```text\n")[2].partition("\n```")[0].splitlines()


def test_output_in_the_readme_is_what_the_demo_prints(tmp_path: Path):
    executable = Path(sys.executable).with_name("catalogue")

    def run(*arguments: str) -> list[str]:
        told = subprocess.run([executable, *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=180)
        assert told.returncode == 0, told.stderr
        return [line.rstrip() for line in told.stdout.splitlines()]

    assert run("demo") == shown_as_output_of("make demo")
    command, *answer = shown_as_output_of("price")
    arguments = command.removeprefix("$ catalogue ").split()
    assert run(*arguments, "--warehouse", "warehouse/demo") == answer
    query, *examples = examples_of(FINANCE)
    (usage,) = re.findall(r"```sql\n(.*?)```", FINANCE.partition("usage.sql")[2].partition("| field |")[0], re.DOTALL)
    assert query == ('sql "$(cat usage.sql)" --format csv --output usage.csv', [])
    run("sql", usage, "--format", "csv", "--output", "usage.csv", "--warehouse", "warehouse/demo")
    for command, shown in examples:
        printed = iter(map(timeless, run(*command.split(), "--warehouse", "warehouse/demo")))
        # each line, and in this order: where some are left out the page says so
        missing = [line for line in map(timeless, shown) if line != "…" and line not in printed]
        assert not missing, command


FINANCE = (ROOT / "docs" / "finance.md").read_text(encoding="utf-8")


def examples_of(page: str) -> list[tuple[str, list[str]]]:
    """The commands of a page, each with the output that it shows."""
    found = re.findall(r"```console\n\$ catalogue ([^\n]*)\n```\n(?:\n```text\n(.*?)\n```)?", page, re.DOTALL)
    return [(command, shown.splitlines()) for command, shown in found]


def timeless(line: str) -> str:
    """Without the moment at which prices are known."""
    return re.sub(r"known at \S+;", "known at …;", line)


@pytest.mark.parametrize("code", re.findall(r"```python\n(.*?)```", README, re.DOTALL))
def test_python_examples_run(
    code: str, place: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(place)
    exec(compile(code, "README.md", "exec"), {})
    assert "price" in code

"""The executable as a user runs it: a real process, real files, a real server."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import click
import pytest

from pipelines.captures import Capture
from pipelines.cli import catalogue as program
from pipelines.demo.catalogue import SimulatedCatalogue
from pipelines.demo.misbehaviour import Misbehaviour
from pipelines.demo.server import CatalogueServer
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.published import Published
from pipelines.scopes import ALL_MODELS
from tests import processes
from tests.processes import EXECUTABLE

DAYS = 40


def run(*arguments: str | Path, warehouse: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    if warehouse is not None:
        environment["CATALOGUE_WAREHOUSE"] = str(warehouse)
    return processes.catalogue(*arguments, env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", **environment})


def sentence_of(result: subprocess.CompletedProcess[str], code: int) -> str:
    """What a failed command said: one line on stderr, no traceback, nothing on stdout."""
    assert result.returncode == code, result
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert result.stderr.count("\n") == 1, result.stderr
    assert result.stderr.startswith("catalogue: ")
    return result.stderr.removeprefix("catalogue: ").strip()


@pytest.fixture(scope="module")
def simulated() -> SimulatedCatalogue:
    return SimulatedCatalogue(seed=3, models=80, days=DAYS)


@pytest.fixture(scope="module")
def warehouse(simulated: SimulatedCatalogue, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("warehouse")
    with Ledger(folder) as ledger:
        ledger.load(
            [
                Capture(ALL_MODELS, at, simulated.listing(at, output_modalities="all"), "live")
                for at in (simulated.start + timedelta(days=day) for day in range(DAYS))
            ]
        )
        ledger.publish()
    return folder


@pytest.fixture(scope="module")
def published(warehouse: Path) -> Iterator[Published]:
    with Published(warehouse) as file:
        yield file


def commands(group: click.Group, path: Sequence[str] = ()) -> Iterator[tuple[list[str], click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, [*path, name])
        yield [*path, name], command


# --- help and errors ---


@pytest.mark.parametrize("name", ["snapshot", "import", "changes", "price", "sql", "quarantine"])
def test_help_shows_examples(name: str):
    result = run(name, "--help")
    assert result.returncode == 0
    assert f"catalogue {name}" in result.stdout
    assert "Examples:" in result.stdout


def test_every_command_says_what_it_is_for():
    for path, command in commands(program):
        assert command.help, path
        assert len(path) == 2 or "Examples:" in command.help, path


def test_help_waits_for_no_heavy_library():
    result = subprocess.run(
        [sys.executable, "-X", "importtime", EXECUTABLE, "--help"], capture_output=True, text=True, timeout=60
    )
    imported = {line.rpartition("|")[2].strip() for line in result.stderr.splitlines()}
    assert "click" in imported
    assert not imported & {"duckdb", "polars", "pyarrow", "dagster", "rich.table", "httpx", "numpy"}


def test_sql_waits_for_neither_polars_nor_dagster(warehouse: Path):
    result = subprocess.run(
        [sys.executable, "-X", "importtime", EXECUTABLE, "sql", "SELECT 1", "--warehouse", warehouse],
        capture_output=True,
        text=True,
        timeout=60,
    )
    imported = {line.rpartition("|")[2].strip() for line in result.stderr.splitlines()}
    assert "duckdb" in imported
    assert not imported & {"polars", "pyarrow", "dagster", "httpx", "numpy"}


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["nonsense"], 2, "nonsense"),
        (["changes", "--since", "yesterday"], 2, "yesterday"),
        (["price"], 2, "MODEL"),
        (["import", "/nonexistent/archive"], 2, "/nonexistent/archive"),
        (["sql", "SELEC 1"], 2, "syntax error"),
        (["sql", "SELECT * FROM marts.nothing"], 2, "nothing"),
        (["sql", "DELETE FROM core.runs"], 2, "read-only"),
        (["sql", "SELECT 1", "--format", "parquet"], 2, "--output"),
        (["sql", ""], 2, "asks for nothing"),
        (["sql", "SELECT 1 AS a, 2 AS a", "--format", "json"], 2, "AS"),
        (["changes", "--since", "999999w"], 2, "7d"),
        (["changes", "--model", "nobody/nothing"], 1, "was ever listed"),
        (["changes", "--kind", "promt"], 1, "prompt"),
        (["quarantine", "show", "zz"], 2, "zz"),
        (["price", "nobody/nothing"], 1, "was ever listed"),
        (["price", "a/b", "--at", "0001-01-01T00:00:00+14:00"], 2, "beyond the calendar"),
        (["price", "a/b", "--at", "9999-12-31T23:59:59-14:00"], 2, "beyond the calendar"),
        (["price", "a/b", "--known-at", "2999-01-01"], 2, "later than all that this warehouse knows"),
        (["price", "a/b", "--prompt-tokens", "-1"], 2, "--prompt-tokens"),
        (["expiring", "--by-author", "--all"], 2, "--by-author"),
        (["quarantine", "reject", "00", "--reason", " "], 2, "reason"),
        (["quarantine", "accept", "zz", "--reason", "because"], 2, "zz"),
    ],
)
def test_an_error_is_one_sentence_with_its_exit_code(warehouse: Path, arguments: list[str], code: int, says: str):
    before = (warehouse / "catalogue.duckdb").read_bytes()
    assert says in sentence_of(run(*arguments, warehouse=warehouse), code)
    if arguments[0] == "sql":
        assert (warehouse / "catalogue.duckdb").read_bytes() == before


@pytest.mark.parametrize("arguments", [["verify"], ["rebuild"], ["quarantine", "reject", "00", "--reason", "x"]])
def test_a_warehouse_that_is_not_there_is_not_made(tmp_path: Path, arguments: list[str]):
    nowhere = tmp_path / "nowhere"
    assert "no warehouse" in sentence_of(run(*arguments, warehouse=nowhere), 1)
    assert not nowhere.exists()


def test_an_archive_without_captures_is_an_error(tmp_path: Path):
    (tmp_path / "notes.txt").write_text("none here")
    said = sentence_of(run("import", tmp_path, warehouse=tmp_path / "warehouse"), 1)
    assert "holds no captures" in said
    assert "1 other file" in said


def test_a_full_disk_under_the_output_is_an_error(warehouse: Path):
    with open("/dev/full", "w") as full:
        result = subprocess.run(
            [EXECUTABLE, "status", "--warehouse", warehouse], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60
        )
    assert (result.returncode, result.stderr.count("\n")) == (1, 1)
    assert "output cannot be written" in result.stderr


def test_a_terminal_that_cannot_show_a_character_is_no_error(warehouse: Path):
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    command: list[str | Path] = [EXECUTABLE, "changes", "--since", "4w", "--warehouse", warehouse]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, env=plain)
    assert (result.returncode, result.stderr) == (0, "")
    assert " ? " in result.stdout


@pytest.mark.parametrize("name", ["status", "changes", "new", "removed", "expiring"])
def test_an_empty_place_is_told_as_such(tmp_path: Path, name: str):
    assert "catalogue demo" in sentence_of(run(name, warehouse=tmp_path / "none"), 1)


def test_a_reader_that_has_seen_enough_is_no_error(warehouse: Path):
    command = f"'{EXECUTABLE}' sql 'FROM marts.price_history' --format csv --warehouse '{warehouse}' | head -n 1"
    result = subprocess.run(["bash", "-c", f"set -o pipefail; {command}"], capture_output=True, text=True, timeout=60)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("source,model_id,price_kind,")


# --- answers ---


def test_prices_are_told_to_the_last_digit_in_every_format(
    warehouse: Path, published: Published, simulated: SimulatedCatalogue
):
    model = simulated.parts["long_decimals"]
    expected = published.ask("SELECT price_kind, price_usd FROM marts.prices WHERE model_id = ?", [model]).rows
    assert any(len(f"{usd:f}".rstrip("0")) > 20 for _, usd in expected)
    records = json.loads(run("price", model, "--format", "json", warehouse=warehouse).stdout)
    assert {(one["price_kind"], Decimal(one["price_usd"])) for one in records} == set(expected)
    table = csv.DictReader(io.StringIO(run("price", model, "--format", "csv", warehouse=warehouse).stdout))
    assert {(one["price_kind"], Decimal(one["price_usd"])) for one in table} == set(expected)
    shown = run("price", model, warehouse=warehouse).stdout
    for _, usd in expected:
        text = f"{usd:f}".rstrip("0").rstrip(".")
        assert text in shown


def test_a_price_of_the_past_is_the_one_then_in_force(
    warehouse: Path, published: Published, simulated: SimulatedCatalogue
):
    model = simulated.parts["increase"]
    change = published.ask(
        "SELECT changed_at, old_price_usd, new_price_usd FROM marts.price_changes "
        "WHERE model_id = ? AND change_kind = 'increase' AND price_kind = 'prompt'",
        [model],
    ).rows[0]
    for moment, usd in ((change[0] - timedelta(seconds=1), change[1]), (change[0], change[2])):
        result = run("price", model, "--at", moment.isoformat(), "--format", "json", warehouse=warehouse)
        prompt = next(one for one in json.loads(result.stdout) if one["price_kind"] == "prompt")
        assert Decimal(prompt["price_usd"]) == usd


def test_a_misspelled_model_is_answered_with_its_neighbours(warehouse: Path, simulated: SimulatedCatalogue):
    model = simulated.parts["increase"]
    assert model in sentence_of(run("price", f"{model}x", warehouse=warehouse), 1)


def test_a_model_that_was_not_listed_then_is_told_when_it_was(warehouse: Path, simulated: SimulatedCatalogue):
    model = simulated.parts["added"]
    said = sentence_of(run("price", model, "--at", "2026-05-01", warehouse=warehouse), 1)
    assert "was not listed" in said
    assert "2026-05" in said


@pytest.mark.parametrize(
    ("command", "query"),
    [
        (["changes", "--since", "2026-05-01", "--all"], "SELECT count(*) FROM marts.price_changes"),
        (
            ["changes", "--since", "10d"],
            "SELECT count(*) FROM marts.price_changes WHERE NOT is_alias AND (is_repricing OR change_kind IN "
            "('became_dynamic', 'became_fixed')) AND changed_at >= (SELECT max(observed_at) FROM marts.snapshots) "
            "- INTERVAL 10 DAY",
        ),
        (["new", "--since", "2026-05-01"], "SELECT count(*) FROM marts.new_models"),
        (["removed", "--since", "2026-05-01"], "SELECT count(*) FROM marts.removed_models"),
        (
            ["expiring"],
            "SELECT count(*) FROM marts.expirations "
            "WHERE NOT is_placeholder AND status IN ('announced', 'passed_still_listed')",
        ),
        (["expiring", "--all"], "SELECT count(*) FROM marts.expirations"),
    ],
)
def test_a_list_has_the_rows_of_its_mart(warehouse: Path, published: Published, command: list[str], query: str):
    expected = published.ask(query).rows[0][0]
    assert expected > 0
    assert len(json.loads(run(*command, "--format", "json", warehouse=warehouse).stdout)) == expected
    lines = list(csv.reader(io.StringIO(run(*command, "--format", "csv", warehouse=warehouse).stdout)))
    assert len(lines) == expected + 1
    table = run(*command, warehouse=warehouse)
    assert table.returncode == 0
    assert sum("/" in line for line in table.stdout.splitlines()) >= expected


def test_what_the_catalogue_says_is_no_order_to_the_terminal(warehouse: Path, published: Published):
    names = [name for (name,) in published.ask("SELECT name FROM marts.models").rows]
    assert any("\x1b" in name for name in names), "the simulation has no hostile name"
    shown = run("sql", "SELECT name, '[red]x[/red]' AS markup FROM marts.models", warehouse=warehouse).stdout
    assert "\x1b" not in shown
    assert "[red]x[/red]" in shown


def test_sql_writes_files_of_every_format(warehouse: Path, published: Published, tmp_path: Path):
    query = "SELECT model_id, price_kind, price_usd FROM marts.prices ORDER BY ALL"
    expected = published.ask(query).rows
    for format_ in ("csv", "json", "parquet"):
        target = tmp_path / f"prices.{format_}"
        result = run("sql", query, "--format", format_, "--output", target, warehouse=warehouse)
        assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert published.ask("SELECT * FROM read_parquet(?)", [str(tmp_path / "prices.parquet")]).rows == expected
    records = json.loads((tmp_path / "prices.json").read_text())
    assert [one["price_usd"] and Decimal(one["price_usd"]) for one in records] == [row[2] for row in expected]
    assert len((tmp_path / "prices.csv").read_text().splitlines()) == len(expected) + 1


def test_status_counts_what_is_there(warehouse: Path, published: Published):
    told = json.loads(run("status", "--format", "json", warehouse=warehouse).stdout)[0]
    assert told["snapshots"] == DAYS
    assert told["models_listed_now"] == published.ask("SELECT count(*) FROM marts.models").rows[0][0]
    assert told["quarantined"] == 0


# --- import and quarantine ---


@pytest.fixture
def captures(simulated: SimulatedCatalogue, tmp_path: Path) -> Path:
    """A folder of six good days, a broken file, half a list, an error page and a file without a time."""
    folder = tmp_path / "captures"
    folder.mkdir()
    for day in range(6):
        at = simulated.start + timedelta(days=day)
        (folder / f"{at:%Y-%m-%dT%H-%M-%SZ}.json").write_bytes(simulated.listing(at, output_modalities="all"))
    whole = json.loads(simulated.listing(simulated.start, output_modalities="all"))
    (folder / "20260508T000000Z.json").write_bytes(b'{"data": [{"id": "a/b"')
    (folder / "20260509T000000Z.json").write_text(json.dumps({"data": whole["data"][::2]}))
    (folder / "20260510T000000Z.json").write_text(json.dumps({"error": {"code": 500, "message": "oh no"}}))
    (folder / "latest.json").write_text(json.dumps(whole))
    return folder


def test_what_is_no_capture_is_quarantined_and_the_rest_goes_on(captures: Path, tmp_path: Path):
    warehouse = tmp_path / "warehouse"
    first = run("import", captures, "--scope", "all", warehouse=warehouse)
    assert first.returncode == 3
    assert first.stdout.startswith("9 captures loaded, 0 known before")
    assert "latest.json" in first.stderr
    assert "--time-from" in first.stderr
    assert "3 captures are quarantined" in first.stderr
    assert "Traceback" not in first.stderr
    waiting = json.loads(run("quarantine", "list", "--format", "json", warehouse=warehouse).stdout)
    assert [one["observed_at"] for one in waiting] == [f"2026-05-{day}T00:00:00Z" for day in ("08", "09", "10")]
    assert "not JSON" in waiting[0]["reasons"][0]
    assert "are gone" in waiting[1]["reasons"][0]
    assert "oh no" in waiting[2]["reasons"][0]
    again = run("import", captures, "--scope", "all", warehouse=warehouse)
    assert again.stdout.startswith("0 captures loaded, 9 known before")


def test_an_import_that_unseats_accepted_captures_says_so(tmp_path: Path, simulated: SimulatedCatalogue):
    """Such as one with the wrong scope: the captures after it look like half a list beside it."""
    warehouse, folder = tmp_path / "warehouse", tmp_path / "captures"
    folder.mkdir()
    for day in (0, 1, 3, 4):
        at = simulated.start + timedelta(days=day)
        (folder / f"{at:%Y%m%dT%H%M%SZ}.json").write_bytes(simulated.listing(at))
    assert run("import", folder, warehouse=warehouse).returncode == 0
    at = simulated.start + timedelta(days=2)
    wrong = tmp_path / f"{at:%Y%m%dT%H%M%SZ}.json"
    wrong.write_bytes(simulated.listing(at, output_modalities="all"))
    result = run("import", wrong, warehouse=warehouse)
    assert result.returncode == 3
    assert result.stdout.startswith("1 capture loaded")
    assert "2 captures are quarantined now: accepted before" in result.stderr
    assert "--scope" in result.stderr


def test_a_person_decides_and_may_decide_otherwise(captures: Path, tmp_path: Path):
    warehouse = tmp_path / "warehouse"
    run("import", captures, "--scope", "all", warehouse=warehouse)
    waiting = json.loads(run("quarantine", "list", "--format", "json", warehouse=warehouse).stdout)
    broken, half, _ = (one["snapshot_id"] for one in waiting)
    assert "nothing to accept" in sentence_of(
        run("quarantine", "accept", broken, "--reason", "x", warehouse=warehouse), 2
    )
    assert "oh no" in run("quarantine", "show", waiting[2]["snapshot_id"][:10], warehouse=warehouse).stdout
    shown = run("quarantine", "show", half, warehouse=warehouse).stdout
    listed_then = {one["id"] for one in json.loads((captures / "20260509T000000Z.json").read_text())["data"]}
    told = re.search(r"^gone +since 2026-05-06 00:00: (.*) and (\d+) more$", shown, re.MULTILINE)
    assert told, shown
    assert len(told[1].split(", ")) == 10
    assert not listed_then & set(told[1].split(", "))

    def listed() -> int:
        return int(json.loads(run("status", "--format", "json", warehouse=warehouse).stdout)[0]["models_listed_now"])

    before = listed()
    accepted = run("quarantine", "accept", half[:12], "--reason", "true, they left", warehouse=warehouse)
    assert accepted.returncode == 0
    assert "is accepted now" in accepted.stdout
    assert listed() <= before / 2 + 1
    rejected = run("quarantine", "reject", half, "--reason", "half a list after all", warehouse=warehouse)
    assert "is rejected now" in rejected.stdout
    assert listed() == before
    table = run("quarantine", "list", warehouse=warehouse).stdout
    assert "half a list after all" in table


# --- snapshots of an API that misbehaves ---

BAD = {
    Misbehaviour.UNAUTHORIZED: (1, "401"),
    Misbehaviour.NOT_FOUND: (1, "404"),
    Misbehaviour.TOO_MANY_REQUESTS: (1, "429"),
    Misbehaviour.SERVER_ERROR: (1, "500"),
    Misbehaviour.CUT_MID_BODY: (1, "broke before the answer was complete"),
    Misbehaviour.SLOW_DRIP: (1, "not complete in time"),
    Misbehaviour.TRUNCATED_JSON: (3, "not JSON"),
    Misbehaviour.EMPTY_LIST: (3, "no models"),
    Misbehaviour.HALF_LIST: (3, "are gone"),
    Misbehaviour.HTML: (3, "not JSON"),
    Misbehaviour.WRONG_CHARSET: (3, "not JSON"),
    Misbehaviour.WRONG_COMPRESSION: (1, "encoded as deflate, which was not asked for"),
    Misbehaviour.DEEPLY_NESTED: (3, "not JSON"),
    Misbehaviour.REDIRECT_ELSEWHERE: (1, "redirects elsewhere"),
    Misbehaviour.GZIP_BOMB: (1, "larger than"),
}
"""Exit code and words of a snapshot of such an answer."""


@pytest.fixture(scope="module")
def server(simulated: SimulatedCatalogue) -> Iterator[CatalogueServer]:
    with CatalogueServer(simulated, now=simulated.start + timedelta(days=5)) as running:
        yield running


def snapshot(server: CatalogueServer, warehouse: Path) -> subprocess.CompletedProcess[str]:
    patience = {"CATALOGUE_HTTP_ATTEMPTS": "2", "CATALOGUE_HTTP_TOTAL_SECONDS": "3"}
    return run("snapshot", "--base-url", server.base_url, warehouse=warehouse, **patience)


def test_bad_answers_change_nothing_and_good_ones_go_on(server: CatalogueServer, tmp_path: Path):
    """One warehouse takes a good snapshot, every bad one, and another good one; a second only the good ones."""
    eventful, calm = tmp_path / "eventful", tmp_path / "calm"
    for warehouse in (eventful, calm):
        first = snapshot(server, warehouse)
        assert (first.returncode, first.stderr) == (0, ""), first
        assert "snapshot" in first.stdout
    for kind, (code, says) in BAD.items():
        server.misbehave(kind, times=10, retry_after="100000")
        result = snapshot(server, eventful)
        server.behave()
        assert result.returncode == code, (kind, result)
        assert says in result.stderr, (kind, result.stderr)
        assert "Traceback" not in result.stderr
        assert result.stderr.count("\n") == (1 if code == 1 else 2), (kind, result.stderr)
    server.now += timedelta(days=30)
    try:
        for warehouse in (eventful, calm):
            last = snapshot(server, warehouse)
            assert last.returncode == 0, last
    finally:
        server.now -= timedelta(days=30)
    for query in (
        "SELECT source, model_id, price_kind, change_kind, old_price_text, new_price_text FROM marts.price_changes",
        "SELECT model_id, event FROM marts.model_events",
        "SELECT model_id, spell_no, is_left_censored, listed_to IS NULL FROM marts.model_spells",
        "SELECT model_id, price_kind, price_text, valid_to IS NULL FROM marts.price_history",
        "SELECT model_id, attribute, old_value, new_value FROM marts.attribute_changes",
    ):
        with Published(eventful) as one, Published(calm) as other:
            rows = one.ask(f"{query} ORDER BY ALL").rows
            assert rows == other.ask(f"{query} ORDER BY ALL").rows
            assert rows
    quarantined = json.loads(run("status", "--format", "json", warehouse=eventful).stdout)[0]["quarantined"]
    assert quarantined == sum(code == 3 for code, _ in BAD.values())


# --- the demo ---


def test_the_demo_shows_the_main_job(tmp_path: Path):
    warehouse = tmp_path / "demo"
    result = run("demo", "--days", "12", "--models", "60", "--warehouse", warehouse)
    assert result.returncode == 0, result
    for heading in ("Price changes since", "New models since", "Models that expire next", "Largest price moves"):
        assert heading in result.stdout
    assert f"Published file: {warehouse / 'catalogue.duckdb'}" in result.stdout
    with Published(warehouse) as published:
        assert published.ask("SELECT count(*) FROM marts.snapshots").rows == [(12,)]
    assert list((warehouse / "dagster").rglob("*.db")), "the last day was no Dagster run"
    again = run("demo", "--days", "2", "--models", "60", "--warehouse", warehouse)
    assert again.returncode == 0
    with Published(warehouse) as published:
        assert published.ask("SELECT count(*) FROM marts.snapshots").rows == [(2,)]


def test_the_demo_leaves_other_folders_alone(tmp_path: Path):
    (tmp_path / "precious").write_text("mine")
    assert "no demo made" in sentence_of(run("demo", "--warehouse", tmp_path), 2)
    assert (tmp_path / "precious").read_text() == "mine"

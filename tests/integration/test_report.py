"""`catalogue report` and `catalogue cheapest`: the same bytes for the same question, whatever is listed.

Belongs here: what a report holds and how it is written. Does not belong here: how a page behaves in a browser
(`browser/test_report`), whether the marts are right.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import polars as pl
import pytest

from pipelines.captures import Capture
from pipelines.demo.catalogue import SimulatedCatalogue
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.published import Published
from pipelines.reports.report import Request, report
from pipelines.reports.workbook import clean, write_workbook
from pipelines.scopes import ALL_MODELS
from tests import processes
from tests.processes import EXECUTABLE

FORMATS = ("xlsx", "html", "csv", "parquet")
START, END = datetime(2026, 6, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC)
PERIOD = ("--from", "2026-06-01", "--to", "2026-07-01")
HOSTILE_ID = "evil/=cmd</script><script>document.title='owned'</script>"
HOSTILE_NAME = '=HYPERLINK("http://evil.example") </script><script>document.title="owned"</script>\x01'


def listing(simulated: SimulatedCatalogue, moment: datetime, day: int) -> bytes:
    """The simulated list with one more model until day 57, whose name is an attack and whose price changes weekly."""
    document = json.loads(simulated.listing(moment, output_modalities="all"))
    if day >= 57:
        return json.dumps(document).encode()
    model = json.loads(json.dumps(document["data"][0])) | {"id": HOSTILE_ID, "name": HOSTILE_NAME}
    model["pricing"] = {"prompt": f"0.00000{1 + day // 7}", "completion": "0.00002"}
    document["data"].append(model)
    if "total_count" in document:
        document["total_count"] += 1
    return json.dumps(document).encode()


@pytest.fixture(scope="module")
def captures() -> list[Capture]:
    """Sixty days from the first of May, a capture a day at midnight, three days missing."""
    simulated = SimulatedCatalogue(seed=4, models=60, days=75)
    days = [day for day in range(60) if day not in (40, 41, 42)]
    moments = {day: simulated.start + timedelta(days=day) for day in days}
    return [Capture(ALL_MODELS, at, listing(simulated, at, day), "live") for day, at in moments.items()]


@pytest.fixture(scope="module")
def warehouse(captures: list[Capture], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report") / "warehouse"
    with Ledger(folder) as ledger:
        ledger.load(captures)
        ledger.publish()
    return folder


def run(warehouse: Path, *arguments: str, seed: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "CATALOGUE_WAREHOUSE": str(warehouse)}
    if seed is None:
        return processes.catalogue(*arguments, env=environment)
    command = [str(EXECUTABLE), *arguments]
    environment["PYTHONHASHSEED"] = seed
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def written(warehouse: Path, target: Path, format_: str, *more: str, seed: str | None = None) -> bytes:
    done = run(warehouse, "report", *PERIOD, "--format", format_, "--output", str(target), *more, seed=seed)
    assert done.returncode == 0, done.stderr
    return target.read_bytes()


def name_of(format_: str) -> str:
    return f"report.{format_ if format_ in ('xlsx', 'html') else 'zip'}"


@pytest.mark.parametrize("format_", FORMATS)
def test_the_same_question_has_the_same_bytes(format_: str, warehouse: Path, tmp_path: Path) -> None:
    """Seen red with the wall clock as the workbook's and the zip's time, and with charts numbered at random."""
    one = written(warehouse, tmp_path / f"1-{name_of(format_)}", format_, seed="1")
    assert written(warehouse, tmp_path / f"2-{name_of(format_)}", format_, seed="2") == one


@pytest.mark.parametrize("format_", FORMATS)
def test_a_closed_month_stays_as_it_was_known(
    format_: str, warehouse: Path, captures: list[Capture], tmp_path: Path
) -> None:
    """Late captures change the month; at its `known_at` it stays the same to the byte.

    Seen red with the snapshots that are known now.
    """
    later = shutil.copytree(warehouse, tmp_path / "warehouse")
    with Published(later) as published:
        known_at = published.known_at
    closed = written(later, tmp_path / f"closed-{name_of(format_)}", format_)
    late = captures[35]
    body = late.body.replace(b'"0.00002"', b'"0.00009"')
    assert body != late.body
    with Ledger(later) as ledger:
        ledger.load([Capture(ALL_MODELS, late.observed_at + timedelta(hours=9), body, "archive:late")])
        ledger.publish()
    told = written(later, tmp_path / f"again-{name_of(format_)}", format_, "--known-at", known_at.isoformat())
    assert told == closed
    assert written(later, tmp_path / f"now-{name_of(format_)}", format_) != closed


def test_the_repricings_are_those_of_the_marts(warehouse: Path) -> None:
    with Published(warehouse) as published:
        expected = published.frame(
            "SELECT changed_at, model_id, price_kind, old_price_usd, new_price_usd FROM marts.price_changes "
            "WHERE is_repricing AND changed_at >= $from AND changed_at < $to ORDER BY ALL",
            {"from": START, "to": END},
        )
    told = report(warehouse, Request(START, END)).table("repricings")
    assert expected.height > 10
    assert told.select(expected.columns).sort(expected.columns).equals(expected)
    own = told.filter((pl.col("model_id") == HOSTILE_ID) & (pl.col("price_kind") == "prompt"))
    # the day of the gap is seen four days later
    assert own["old_held_days"].to_list() == [7.0, 8.0, 6.0, 7.0]
    assert own["old_usd_per_million"].to_list()[0] == Decimal(5)


def test_a_change_within_a_gap_says_so(warehouse: Path) -> None:
    told = report(warehouse, Request(START, END))
    assert [row for row in told.table("capture_gaps").rows() if row[0] == "between"]
    own = told.table("repricings").filter(pl.col("model_id") == HOSTILE_ID)
    by_day = dict(zip(own["changed_at"].dt.date().to_list(), own["confidence"].to_list(), strict=True))
    assert by_day == {date(2026, 6, 5): "bracketed", date(2026, 6, 13): "changed_within_gap"} | {
        day: "bracketed" for day in by_day if day > date(2026, 6, 13)
    }


def test_price_history_is_clipped_to_the_period(warehouse: Path) -> None:
    history = report(warehouse, Request(START, END)).table("price_history")
    assert (history["in_force_from"] >= START).all()
    assert (history["in_force_to"] <= END).all()
    assert (history["in_force_from"] <= history["in_force_to"]).all()
    assert (history["valid_from"] < START).any()


def test_a_choice_leaves_out_all_others(warehouse: Path) -> None:
    told = report(warehouse, Request(START, END, authors=("evil",), kinds=("prompt",)))
    for name in ("repricings", "price_history"):
        assert set(told.table(name)["model_id"]) == {HOSTILE_ID}
        assert set(told.table(name)["price_kind"]) == {"prompt"}
    assert set(report(warehouse, Request(START, END, models=("ev*",))).table("repricings")["model_id"]) == {HOSTILE_ID}


def test_a_workbook_has_dates_numbers_and_no_formulas(warehouse: Path, tmp_path: Path) -> None:
    """Seen red with `write` for `write_string` and texts that begin with = taken for formulas."""
    written(warehouse, tmp_path / "report.xlsx", "xlsx")
    book = openpyxl.load_workbook(tmp_path / "report.xlsx")
    cells = [cell for sheet in book for row in sheet.iter_rows() for cell in row if cell.value is not None]
    assert {cell.data_type for cell in cells} <= {"s", "n", "d"}
    texts = {cell.value for cell in cells if cell.data_type == "s"}
    assert {HOSTILE_ID, clean(HOSTILE_NAME)} <= texts
    assert not [cell for cell in cells if cell.hyperlink]
    sheet = book["Repricings"]
    assert (sheet.freeze_panes, bool(sheet.auto_filter.ref)) == ("A2", True)
    heads = {cell.value: cell.column for cell in sheet[1]}
    first = {name: sheet.cell(2, column) for name, column in heads.items()}
    assert isinstance(first["changed at"].value, datetime)
    assert isinstance(first["new price usd"].value, (int, float))
    assert isinstance(first["new price text"].value, str)
    assert book["Charts"]._charts


def test_rows_beyond_a_sheet_go_on_the_next(warehouse: Path, tmp_path: Path) -> None:
    told = report(warehouse, Request(START, END))
    write_workbook(told, tmp_path / "small.xlsx", rows=20)
    book = openpyxl.load_workbook(tmp_path / "small.xlsx")
    parts = [sheet for sheet in book if sheet.title.startswith("Price history (")]
    assert sum(sheet.max_row - 1 for sheet in parts) == told.table("price_history").height


def test_what_a_cell_cannot_hold_is_replaced_or_cut() -> None:
    assert clean("a\x00b\x1f") == "a\ufffdb\ufffd"
    assert clean("_x0041_") == "_x005F_x0041_"
    assert len(clean("x" * 40_000)) == 32_767


@pytest.mark.parametrize("chosen", [(), ("--authors", "evil")])
def test_a_page_asks_for_nothing_and_escapes_all(chosen: tuple[str, ...], warehouse: Path, tmp_path: Path) -> None:
    """Seen red with texts that are not escaped; of few models all are charted."""
    page = written(warehouse, tmp_path / "report.html", "html", *chosen).decode()
    assert 'http-equiv="Content-Security-Policy"' in page
    assert "default-src 'none'" in page
    assert not re.search(r"<(?:script|link|img|iframe)[^>]+(?:src|href)=(?!\"data:)", page)
    assert "</script><script>document.title" not in page


def test_csv_is_exact_and_no_formula(warehouse: Path, tmp_path: Path) -> None:
    written(warehouse, tmp_path / "report.zip", "csv")
    with zipfile.ZipFile(tmp_path / "report.zip") as archive:
        assert all("/" not in name and ".." not in name for name in archive.namelist())
        rows = list(csv.DictReader(io.TextIOWrapper(archive.open("repricings.csv"), "utf-8")))
    own = [row for row in rows if row["model_id"] == HOSTILE_ID]
    assert own
    assert Decimal(own[0]["new_price_usd"]) == Decimal(own[0]["new_price_text"])
    assert not [value for row in rows for value in row.values() if re.match(r"[=@\t\r]|[+-](?![\d.])", value)]


def test_a_folder_takes_a_file_for_each_table_and_keeps_others(warehouse: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    done = run(warehouse, "report", *PERIOD, "--format", "parquet", "--output", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "mine.txt").read_text() == "mine"
    history = pl.read_parquet(tmp_path / "out" / "price_history.parquet")
    assert history.schema["price_usd"] == pl.Decimal(38, 24)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--from", "2026-07-01", "--to", "2026-06-01"), 2, "the period is empty"),
        (("--from", "2020-01-01", "--to", "2020-02-01"), 1, "nothing was captured before 2020-02-01"),
        (("--from", "2027-01-01", "--to", "2027-02-01"), 1, "nothing was captured from 2027-01-01"),
        ((*PERIOD, "--models", "evil/=cmx"), 2, "was ever listed"),
        ((*PERIOD, "--authors", "evi"), 2, "did you mean evil?"),
        ((*PERIOD, "--kinds", "promt"), 2, "no price kind 'promt'"),
        ((*PERIOD, "--known-at", "2099-01-01"), 2, "is later than all that this warehouse knows"),
        ((*PERIOD, "--known-at", "2001-01-01"), 1, "knew nothing at"),
    ],
)
def test_what_cannot_be_told_is_one_sentence(
    arguments: tuple[str, ...], code: int, words: str, warehouse: Path, tmp_path: Path
) -> None:
    done = run(warehouse, "report", *arguments, "--output", str(tmp_path / "x.html"))
    assert done.returncode == code
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "x.html").exists()


def test_a_place_that_does_not_fit_is_refused(warehouse: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for output, format_, code in (
        (tmp_path, "xlsx", 2),
        (tmp_path / "file", "csv", 2),
        (tmp_path / "none" / "x.html", "html", 1),
    ):
        done = run(warehouse, "report", *PERIOD, "--format", format_, "--output", str(output))
        assert (done.returncode, done.stderr.count("\n")) == (code, 1), done.stderr
    assert run(warehouse, "report", *PERIOD, "--output", str(tmp_path / "x.pdf")).returncode == 2


# --- cheapest by capability -----------------------------------------------------------------------------------------


def cheapest(captures: list[Capture], context: int, inputs: set[str], *, tools: bool) -> Iterator[tuple[Any, ...]]:
    """Plain Python over the answers: day, what is bought, cost of a million, model."""
    by_day = {capture.observed_at.date(): capture for capture in captures}
    day, last, shown = min(by_day), max(by_day), captures[0]
    while day <= last:
        shown = by_day.get(day, shown)
        costs: dict[str, list[tuple[Decimal, str]]] = {"prompt": [], "completion": [], "blend": []}
        for model in json.loads(shown.body)["data"]:
            architecture, pricing = model["architecture"], model["pricing"]
            if (
                model["id"].startswith("~")
                or (model["context_length"] or 0) < context
                or not inputs <= set(architecture["input_modalities"])
                or "text" not in architecture["output_modalities"]
                or (tools and "tools" not in model["supported_parameters"])
            ):
                continue
            prompt, completion = Decimal(pricing["prompt"]), Decimal(pricing["completion"])
            if prompt > 0 and completion > 0:
                costs["prompt"].append((prompt * 10**6, model["id"]))
                costs["completion"].append((completion * 10**6, model["id"]))
                costs["blend"].append(((3 * prompt + completion) / 4 * 10**6, model["id"]))
        yield from ((day, bought, *min(found)) for bought, found in costs.items() if found)
        day += timedelta(days=1)


@pytest.mark.parametrize(
    ("context", "inputs", "tools"),
    [(0, {"text"}, False), (128_000, {"text"}, True), (100_000, {"text", "image"}, False)],
)
def test_the_cheapest_is_that_of_a_plain_program(
    context: int, inputs: set[str], tools: bool, captures: list[Capture], warehouse: Path
) -> None:
    """Seen red with `valid_to > d.ends_at` for `>=`, and with aliases left in."""
    with Published(warehouse) as published:
        found = published.ask(
            "SELECT day, bought, usd_per_million, model_id FROM marts.cheapest_by_capability($from, "
            "min_context_length := $context, input_modalities := $inputs, needs_tools := $tools)",
            {"from": captures[0].observed_at, "context": context, "inputs": sorted(inputs), "tools": tools},
        ).rows
    expected = list(cheapest(captures, context, inputs, tools=tools))
    assert len(expected) > 100
    assert sorted(found) == sorted(expected)


def test_the_terminal_shows_days_of_one_answer_as_one_row(warehouse: Path) -> None:
    table = run(warehouse, "cheapest", "--context", "1000")
    assert table.returncode == 0, table.stderr
    days = json.loads(run(warehouse, "cheapest", "--context", "1000", "--format", "json").stdout)
    assert {row["bought"] for row in days} == {"blend", "prompt", "completion"}
    assert table.stdout.count("\n") < len(days)
    assert run(warehouse, "cheapest", "--context", "1000", "--format", "csv").stdout.count("\n") == len(days) + 1

"""The notebook of price history, run head-less over simulated days, over hostile text, and over nothing."""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from html import unescape
from pathlib import Path
from types import ModuleType
from typing import Any

import polars as pl
import pytest
from playwright.sync_api import sync_playwright

from pipelines.captures import PACK_SIZE, Capture
from pipelines.demo.catalogue import SimulatedCatalogue
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.published import Published
from pipelines.scopes import ALL_MODELS

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "notebooks" / "price_history.py"

START = datetime(2026, 5, 1, tzinfo=UTC)
HOSTILE_IDS = (
    "<img src=x onerror=\"document.title='taken'\">/a",
    "</script><script>document.title='taken'</script>",
    'see http://127.0.0.1:9/taken.png {"mimetype":"text/html","data":"<img src=x>"}',
)
HOSTILE_KIND = "<b onclick=x>kind</b>"
HOSTILE_PRICE = "<img src=x onerror=\"document.title='taken'\">"


@pytest.fixture(scope="module")
def notebook() -> ModuleType:
    spec = importlib.util.spec_from_file_location("price_history", NOTEBOOK)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty captures, at midnight and noon in turn, over sixty days."""
    catalogue = SimulatedCatalogue(models=60, days=60, start=START)
    times = [START + timedelta(hours=36 * number) for number in range(40)]
    captures = [Capture(ALL_MODELS, at, catalogue.listing(at, output_modalities="all"), "live") for at in times]
    return published(tmp_path_factory.mktemp("simulated"), captures)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models named to do harm, with a price that is no number; 200 plain ones keep the captures trustworthy."""
    prompts = ["0.000001", "0.0000025", HOSTILE_PRICE, "0", "-1", "0.000003"]
    captures = [
        Capture(ALL_MODELS, START + timedelta(days=day), hostile_listing(prompt), "live")
        for day, prompt in enumerate(prompts)
    ]
    return published(tmp_path_factory.mktemp("hostile"), captures)


def hostile_listing(prompt: str) -> bytes:
    models = [(name, {"prompt": prompt, "completion": "0.000002", HOSTILE_KIND: "0.01"}) for name in HOSTILE_IDS]
    models += [(f"plain/model-{number}", {"prompt": "0.000001", "completion": "0.000002"}) for number in range(200)]
    return json.dumps(
        {"data": [{"id": name, "name": name, "created": 1, "pricing": pricing} | TEXT for name, pricing in models]}
    ).encode()


TEXT: dict[str, Any] = {
    "architecture": {"modality": "text->text", "input_modalities": ["text"], "output_modalities": ["text"]}
}


def published(warehouse: Path, captures: list[Capture]) -> Path:
    with Ledger(warehouse) as ledger:
        for first in range(0, len(captures), PACK_SIZE):
            verdicts = ledger.load(captures[first : first + PACK_SIZE])
            assert {one.verdict for one in verdicts} == {"accepted"}
        ledger.publish()
    return warehouse


def query(warehouse: Path, sql: str) -> pl.DataFrame:
    with Published(warehouse) as file:
        return file.frame(sql)


def run(notebook: ModuleType, warehouse: Path) -> tuple[str, dict[str, Any]]:
    """What the notebook shows, as HTML, and what it defines."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CATALOGUE_WAREHOUSE", str(warehouse))
        outputs, defs = notebook.app.run()
    return "\n".join(getattr(output, "text", "") for output in outputs), dict(defs)


@pytest.fixture(scope="module")
def shown(notebook: ModuleType, simulated: Path) -> dict[str, Any]:
    return run(notebook, simulated)[1]


def values(chart: Any) -> list[dict[str, Any]]:
    """The data of a chart."""
    return list(chart.to_dict()["data"]["values"])


def kind_of(chart: Any) -> tuple[str, str]:
    title = chart.to_dict()["title"]
    return title["text"], title["subtitle"]


def milliseconds(at: datetime) -> int:
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def expected(rows: list[dict[str, Any]]) -> set[tuple[Any, ...]]:
    """What a chart must hold of rows of the mart: prices by hand from their texts."""
    return {
        (
            row["model_id"],
            milliseconds(row["valid_from"]),
            milliseconds(row["valid_to"] or row["last_seen_at"]),
            float(Decimal(row["price_text"]) * (1_000_000 if "token" in row["unit"] else 1)),
            row["price_text"],
        )
        for row in rows
    }


def drawn(chart: Any) -> list[tuple[Any, ...]]:
    return [(v["model"], v["at"], v["until"], v["price"], v["listed"]) for v in values(chart) if v["begins"]]


# --- what is chosen at first ---


def test_the_models_with_the_most_repricings_are_chosen(shown, simulated):
    most = query(
        simulated,
        "SELECT model_id FROM marts.price_changes WHERE is_repricing AND NOT is_alias "
        "GROUP BY model_id ORDER BY count(*) DESC",
    )["model_id"].to_list()
    repricings = dict(
        query(simulated, "SELECT model_id, count(*) FROM marts.price_changes WHERE is_repricing GROUP BY 1").rows()
    )
    chosen = shown["model_picker"].value
    assert [repricings[model] for model in chosen] == [repricings[model] for model in most[:3]]
    assert not any(model.startswith("~") for model in chosen)
    assert shown["kind_picker"].value == ["prompt", "completion"]


def test_every_model_and_kind_can_be_chosen(shown, simulated):
    listed = query(simulated, "SELECT DISTINCT model_id, price_kind FROM marts.price_history")
    assert set(shown["model_picker"].options) == set(listed["model_id"])
    assert set(shown["kind_picker"].options) == set(listed["price_kind"])


# --- the charts ---


def test_the_charts_hold_the_rows_of_the_mart(shown, simulated):
    history = query(simulated, "SELECT * FROM marts.price_history WHERE price_status IN ('listed', 'free')")
    assert [kind_of(chart) for chart in shown["charts"]] == [
        ("prompt", "$ per million tokens"),
        ("completion", "$ per million tokens"),
    ]
    for chart, kind in zip(shown["charts"], ("prompt", "completion"), strict=True):
        rows = history.filter(pl.col("model_id").is_in(shown["model_picker"].value), pl.col("price_kind") == kind)
        assert len(drawn(chart)) == rows.height > 3
        assert set(drawn(chart)) == expected(rows.to_dicts())


def draw_all(notebook: ModuleType, warehouse: Path, *, is_log: bool = False) -> list[Any]:
    """The charts of all models and kinds at once."""
    history = query(warehouse, "SELECT * FROM marts.price_history ORDER BY price_kind, unit, model_id, valid_from")
    rows = history.filter(notebook.is_drawable(is_log))
    models, kinds = (rows[column].unique().sort().to_list() for column in ("model_id", "price_kind"))
    return list(notebook.draw(rows, models, kinds, is_log=is_log))


def test_each_kind_and_unit_has_a_chart_with_all_its_prices(notebook, simulated):
    charts = {kind_of(chart): chart for chart in draw_all(notebook, simulated)}
    history = query(simulated, "SELECT * FROM marts.price_history WHERE price_usd IS NOT NULL")
    panels = {
        (kind, f"$ per million {unit}s" if "token" in unit else f"$ per {unit}".replace("unknown", "unit")): rows
        for (kind, unit), rows in history.group_by("price_kind", "unit")
    }
    assert charts.keys() == panels.keys()
    assert {unit for _, unit in charts} >= {"$ per million tokens", "$ per image", "$ per search"}
    for panel, rows in panels.items():
        assert set(drawn(charts[panel])) == expected(rows.to_dicts())


def test_prices_are_steps_over_utc(shown):
    spec = shown["charts"][0].to_dict()
    line, starts, bars = spec["layer"]
    assert (line["mark"]["type"], line["mark"]["interpolate"]) == ("line", "step-after")
    assert line["encoding"]["x"]["scale"]["type"] == "utc"
    assert line["encoding"]["y"]["scale"]["type"] == "linear"
    assert line["encoding"]["detail"]["field"] == "stretch"
    for layer in (starts, bars):
        assert [tip["field"] for tip in layer["encoding"]["tooltip"]] == ["model", "exact", "listed", "since", "to"]


def test_a_line_breaks_where_a_price_is_absent_and_only_there(notebook, simulated):
    absences = 0
    for chart in draw_all(notebook, simulated):
        stretches: dict[int, list[dict[str, Any]]] = {}
        for value in values(chart):
            stretches.setdefault(value["stretch"], []).append(value)
        ends: dict[str, int] = {}
        for steps in stretches.values():
            *begun, closing = steps
            model = closing["model"]
            assert {step["model"] for step in steps} == {model}
            assert [step["begins"] for step in steps] == [True] * len(begun) + [False]
            assert [step["until"] for step in begun] == [step["at"] for step in steps[1:]]
            assert closing["price"] == begun[-1]["price"]
            if model in ends:
                assert begun[0]["at"] > ends[model]
                absences += 1
            ends[model] = closing["at"]
    returns = query(simulated, "SELECT count(*) AS n FROM marts.model_spells WHERE spell_no > 1")["n"][0]
    assert absences >= returns > 0


def test_a_model_does_not_continue_another(notebook):
    half = START + timedelta(days=1)
    shared = {"unit": "token", "price_text": "0.1", "price_usd": Decimal("0.1"), "last_seen_at": START}
    drawn = notebook.points(
        [
            {"model_id": "a/gone", "valid_from": START, "valid_to": half} | shared,
            {"model_id": "b/come", "valid_from": half, "valid_to": None} | shared | {"last_seen_at": half},
        ]
    )
    assert [(point["model"], point["stretch"], point["begins"]) for point in drawn] == [
        ("a/gone", 0, True),
        ("a/gone", 0, False),
        ("b/come", 1, True),
        ("b/come", 1, False),
    ]


def test_a_logarithm_has_no_zero(notebook, simulated):
    charts = draw_all(notebook, simulated, is_log=True)
    assert {chart.to_dict()["layer"][0]["encoding"]["y"]["scale"]["type"] for chart in charts} == {"log"}
    assert all(value["price"] > 0 for chart in charts for value in values(chart))
    history = query(simulated, "SELECT * FROM marts.price_history")
    for is_log, left_out in ((False, ("dynamic", "unreadable")), (True, ("dynamic", "unreadable", "free"))):
        count = history.filter(pl.col("price_status").is_in(left_out)).height
        assert f" {count} prices" in notebook.left_out(history, is_log=is_log)
    assert notebook.left_out(history.filter(pl.col("price_status") == "listed"), is_log=True) == ""


@pytest.mark.parametrize(
    ("usd", "unit", "shown"),
    [
        ("0.000000000000000000000001", "token", "0.000000000000000001"),
        ("12345678901234.123456789012345678901234", "token", "12345678901234123456.789012345678901234"),
        ("0.0000000208333333333333", "audio token", "0.0208333333333333"),
        ("0.360000", "image", "0.36"),
        ("30.000000", "request", "30"),
        ("0E-24", "token", "0"),
    ],
)
def test_a_price_is_shown_to_the_last_digit(notebook, usd, unit, shown):
    assert f"{notebook.shown_price(Decimal(usd), unit):f}" == shown


def test_one_snapshot_is_enough(notebook, tmp_path):
    _, defs = run(notebook, published(tmp_path, [Capture(ALL_MODELS, START, hostile_listing("0.1"), "live")]))
    for chart in defs["charts"]:
        first, last = chart.to_dict()["layer"][0]["encoding"]["x"]["scale"]["domain"]
        assert first == milliseconds(START) < last
    assert defs["change_table"].data.is_empty()


# --- the changes ---


def test_the_table_has_the_changes_of_what_is_chosen(shown, simulated):
    changes = query(
        simulated, "SELECT * FROM marts.price_changes ORDER BY changed_at DESC, model_id, price_kind"
    ).filter(
        pl.col("model_id").is_in(shown["model_picker"].value), pl.col("price_kind").is_in(["prompt", "completion"])
    )
    table = shown["change_table"].data
    assert table.height == changes.height > 5
    assert [row[:6] for row in table.drop("what").rows()] == [
        (
            f"{row['changed_at']:%Y-%m-%d %H:%M:%S}",
            row["model_id"],
            row["price_kind"],
            row["old_price_text"] or "–",
            row["new_price_text"] or "–",
            row["change_ratio"],
        )
        for row in changes.to_dicts()
    ]


def test_the_table_says_what_is_special_about_a_change(notebook, simulated):
    changes = query(simulated, "SELECT * FROM marts.price_changes")
    notes = notebook.tabulate(changes)["notes"].to_list()
    words = {
        "is_schedule_flip": "schedule flip",
        "has_rule_change": "rules changed",
        "after_absence": "after absence",
        "is_alias": "alias",
    }
    for column, word in words.items():
        assert [word in note for note in notes] == changes[column].to_list()
        assert changes[column].any()
    assert any(changes["reverted_at"])
    for note, at in zip(notes, changes["reverted_at"], strict=True):
        assert note.endswith(f"reverted {at:%Y-%m-%d %H:%M:%S}") if at else "reverted" not in note


@pytest.mark.parametrize(
    ("ratio", "shown"),
    [(0.125, "+12.50 %"), (-0.6, "-60.00 %"), (1234.5, "+123,450.00 %"), (-2e-15, "-2e-13 %"), (None, "–")],
)
def test_a_ratio_is_shown_as_a_percentage(notebook, ratio, shown):
    assert notebook.as_percent(ratio) == shown


# --- where there is nothing to show ---


def test_a_missing_warehouse_is_said_in_words(notebook, tmp_path, capsys):
    place = tmp_path / "<b>none</b>"
    page, defs = run(notebook, place)
    assert "There is nothing to show" in page
    assert "catalogue snapshot" in page
    # The page holds the callout's HTML as JSON in an attribute.
    assert "<b>" not in unescape(page).encode().decode("unicode_escape")
    assert "charts" not in defs
    assert str(place) in capsys.readouterr().err


def test_an_empty_or_damaged_file_is_said_in_words(notebook, tmp_path):
    assert "holds no prices yet" in run(notebook, published(tmp_path, []))[0]
    (tmp_path / "catalogue.duckdb").write_bytes(b"no database at all" * 1000)
    assert "cannot be opened" in run(notebook, tmp_path)[0]


def test_the_warehouse_is_looked_for_where_one_stands(notebook, simulated, tmp_path, monkeypatch):
    monkeypatch.delenv("CATALOGUE_WAREHOUSE", raising=False)
    (tmp_path / "warehouse").symlink_to(simulated)
    monkeypatch.chdir(tmp_path)
    assert notebook.find_warehouse().resolve() == simulated.resolve()


# --- hostile text ---


def test_hostile_text_is_data(notebook, hostile):
    page, defs = run(notebook, hostile)
    assert set(defs["model_picker"].value) == set(HOSTILE_IDS)
    assert "<img" not in page
    assert "<script" not in page
    assert "taken'</" not in page
    table = defs["change_table"].data
    assert set(table["model"]) == set(HOSTILE_IDS)
    assert HOSTILE_PRICE in set(table["new price"])
    assert all("http:" not in notebook.as_plain_text(name) for name in HOSTILE_IDS)
    assert notebook.as_plain_text("0.000001") == "0.000001"
    assert HOSTILE_KIND in {kind for kind, _ in map(kind_of, draw_all(notebook, hostile))}


# --- as a person starts it ---


def environment(warehouse: Path) -> dict[str, str]:
    return {**os.environ, "CATALOGUE_WAREHOUSE": str(warehouse), "PYTHONPATH": str(ROOT)}


def test_it_runs_as_a_script(simulated):
    done = subprocess.run(
        [sys.executable, NOTEBOOK], env=environment(simulated), capture_output=True, text=True, check=True, timeout=60
    )
    assert "prices and" in done.stdout
    assert done.stderr == ""


def test_it_exports_to_a_page(hostile, tmp_path):
    page = tmp_path / "page.html"
    subprocess.run(
        [sys.executable, "-m", "marimo", "export", "html", str(NOTEBOOK), "-o", str(page)],
        env=environment(hostile),
        capture_output=True,
        check=True,
        timeout=60,
    )
    text = page.read_text(encoding="utf-8")
    assert "step-after" in text
    assert "<img src=x" not in text
    assert "<script>document.title" not in text


@contextmanager
def served(warehouse: Path) -> Iterator[str]:
    """The address of the notebook as an app."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "marimo", "run", str(NOTEBOOK), "--headless", "--no-token", "--host", "127.0.0.1"]
    server = subprocess.Popen(
        [*command, "--port", str(port)],
        env=environment(warehouse),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(300):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/"
    finally:
        server.terminate()
        server.wait(timeout=30)


def test_a_browser_takes_hostile_text_for_text(chromium, hostile):
    with served(hostile) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 390, "height": 900})
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(address)
        page.locator(".vega-embed canvas").nth(1).wait_for(timeout=30_000)
        page.get_by_role("cell", name=HOSTILE_IDS[0]).first.wait_for(timeout=30_000)
        assert page.title() == "Price history"
        assert page.locator("img[src=x]").count() == 0
        address_cell = page.get_by_role("cell").filter(has_text="taken.png").first
        assert address_cell.text_content() == HOSTILE_IDS[2].replace("http:", "http\N{WORD JOINER}:")
        assert address_cell.locator("a, img").count() == 0
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert [url for url in asked if not url.startswith((address, "data:", "blob:"))] == []
        assert not any("taken" in url for url in asked)

        canvas = page.locator(".vega-embed canvas").nth(1).bounding_box()
        assert canvas is not None
        tip = page.locator(".vg-tooltip.visible")
        # The price is the same all along, so somewhere on the way down the pointer meets it.
        for below in range(0, int(canvas["height"]), 8):
            page.mouse.move(canvas["x"] + 0.6 * canvas["width"], canvas["y"] + below)
            page.wait_for_timeout(20)
            if tip.count():
                break
        assert tip.get_by_text("0.000002", exact=True).is_visible()
        assert any(name in (tip.text_content() or "") for name in HOSTILE_IDS)
        assert page.title() == "Price history"
        browser.close()

"""A report's page as a person sees it in a browser: charts, tables, a phone's width, and nothing asked of anybody."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import expect, sync_playwright

from pipelines.captures import Capture
from pipelines.demo.catalogue import SimulatedCatalogue
from pipelines.ledger.ledger import Ledger
from pipelines.reports.page import write_page
from pipelines.reports.report import Request, report
from pipelines.scopes import ALL_MODELS
from tests.browser.test_ui import FLAGS

HOSTILE = "</script><img src=x onerror=\"document.title='owned'\">"


@pytest.fixture(scope="module")
def page_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A month of thirty simulated days, in which one model's name is an attack."""
    folder = tmp_path_factory.mktemp("page")
    simulated = SimulatedCatalogue(seed=4, models=60, days=60)
    captures = []
    for day in range(40):
        moment = simulated.start + timedelta(days=day, hours=1)
        document = json.loads(simulated.listing(moment, output_modalities="all"))
        document["data"][0]["name"] = HOSTILE
        captures.append(Capture(ALL_MODELS, moment, json.dumps(document).encode(), "live"))
    with Ledger(folder / "warehouse") as ledger:
        ledger.load(captures)
        ledger.publish()
    period = Request(datetime(2026, 5, 1, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC))
    write_page(report(folder / "warehouse", period), folder / "report.html")
    return folder / "report.html"


@pytest.mark.parametrize("width", [390, 1280])
def test_charts_draw_tables_filter_and_nothing_is_asked(width: int, page_path: Path, chromium: str) -> None:
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=FLAGS)
        page = browser.new_page(viewport={"width": width, "height": 844})
        asked: list[str] = []
        errors: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.goto(page_path.as_uri())
        page.wait_for_selector(".js-plotly-plot .scatterlayer path.js-line")
        assert page.locator(".js-plotly-plot").count() == 3
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        rows = page.locator("#repricings tbody tr")
        before = rows.count()
        page.locator("#repricings input").fill("completion")
        expect(rows.filter(visible=True)).not_to_have_count(before)
        assert {row.locator("td").nth(2).inner_text() for row in rows.filter(visible=True).all()} == {"completion"}
        assert page.title() != "owned"
        assert asked == [page_path.as_uri()]
        assert errors == []
        browser.close()

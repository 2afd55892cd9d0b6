"""Dagster's UI as a person sees it, in a browser: the lineage, the run, the day's tables, the schedule."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from pipelines.captures import Capture
from pipelines.defs.run import snapshot_once
from pipelines.demo.catalogue import SimulatedCatalogue
from pipelines.demo.server import CatalogueServer
from pipelines.ledger.ledger import Ledger
from pipelines.scopes import ALL_MODELS
from pipelines.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SERVE = """
import sys
from pathlib import Path
from pipelines.defs.serve import serve
from pipelines.settings import Settings
sys.exit(serve(Settings(warehouse=Path(sys.argv[1])), "127.0.0.1", int(sys.argv[2])))
"""
PATIENCE_MS = 30_000

pytestmark = pytest.mark.xdist_group("ui")
"""One worker starts Dagster, which takes half a minute, and not each."""

CATALOGUE = SimulatedCatalogue(seed=3, models=80, days=60)
TODAY = CATALOGUE.start + timedelta(days=31)


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Yesterday, and today's successful run."""
    folder = tmp_path_factory.mktemp("ui") / "warehouse"
    yesterday = TODAY - timedelta(days=1)
    with Ledger(folder) as ledger:
        listing = CATALOGUE.listing(yesterday, output_modalities="all")
        ledger.load([Capture(ALL_MODELS, yesterday, listing, "live")])
    with CatalogueServer(CATALOGUE, now=TODAY) as server:
        result = snapshot_once(Settings(warehouse=folder, base_url=server.base_url, clock=server.clock))
    assert result.is_success
    return folder


@pytest.fixture(scope="module")
def address(warehouse: Path, chromium: str) -> Iterator[str]:
    """Where `serve` says that the UI is. Afterwards SIGTERM ends it, and all that it started."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = {key: value for key, value in os.environ.items() if not key.startswith(("CATALOGUE_", "DAGSTER_HOME"))}
    serving = subprocess.Popen(
        [sys.executable, "-u", "-c", SERVE, "warehouse", str(port)],
        cwd=warehouse.parent,
        env={**settings, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert serving.stdout is not None
    try:
        line = serving.stdout.readline()
        assert line == f"Dagster is at http://127.0.0.1:{port} (Ctrl-C stops it)\n"
        yield f"http://127.0.0.1:{port}"
        serving.send_signal(signal.SIGTERM)
        assert serving.wait(timeout=30) == 0
        assert serving.stdout.read() == ""
        assert left_over(warehouse) == []
    finally:
        serving.kill()
        serving.wait()
        serving.stdout.close()


def left_over(warehouse: Path) -> list[str]:
    """The processes, if any, that still work on the warehouse after a while; known by their environment."""
    mark = f"CATALOGUE_WAREHOUSE={warehouse}".encode()
    end = time.monotonic() + 15
    while True:
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if mark in (process / "environ").read_bytes():
                    found.append((process / "cmdline").read_text().replace("\0", " "))
            except OSError:
                continue  # it ended meanwhile, or is somebody else's
        if not found or time.monotonic() > end:
            return found
        time.sleep(0.2)


@pytest.fixture(scope="module")
def browser(address: str, chromium: str) -> Iterator[Browser]:
    """Starts after the run in this process is over: both want an event loop of their own."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """A page on the UI that may ask nobody else for anything."""
    context = browser.new_context(base_url=address, viewport={"width": 1500, "height": 950})
    asked: set[str] = set()
    context.on("request", lambda request: asked.update(re.findall(r"^https?://[^/]*", request.url)))
    context.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
    yield context.new_page()
    context.close()
    assert asked - {address} == set()


def test_the_lineage_shows_every_asset(page):
    page.goto("/locations/pipelines.definitions/asset-groups/catalogue/lineage")
    for name in ("listing", "frames", "core", "history", "marts", "published"):
        expect(page.get_by_text(name, exact=True).first).to_be_visible()


def test_the_run_is_listed_as_a_success(page):
    page.goto("/runs")
    expect(page.get_by_role("link", name="snapshot", exact=True)).to_have_count(1)
    expect(page.get_by_text("Success", exact=True)).to_have_count(1)
    expect(page.get_by_text("Failure", exact=True)).to_have_count(0)


def test_a_materialization_shows_the_days_changes(page):
    changes = CATALOGUE.expected_price_changes([TODAY - timedelta(days=1), TODAY])
    added = [one for one in CATALOGUE.expected_events([TODAY - timedelta(days=1), TODAY]) if one.event == "added"]
    assert changes
    assert added
    page.goto("/assets/marts?view=overview")
    for one in changes:
        row = page.locator("table table tr").filter(has_text=one.model_id).filter(has_text=one.price_kind)
        expect(row.first).to_be_visible()
    for event in added:
        expect(page.locator("table table tr").filter(has_text=event.model_id).first).to_be_visible()


def test_the_checks_are_shown_as_passed(page):
    page.goto("/assets/core?view=checks")
    for name in ("ids_are_unique", "counts_agree", "prices_parse", "catalogue_did_not_collapse"):
        expect(page.get_by_text(name, exact=True).first).to_be_visible()
    expect(page.get_by_text("Passed").first).to_be_visible()
    expect(page.get_by_text("Failed")).to_have_count(0)


def test_the_schedule_is_on(page):
    page.goto("/automation")
    expect(page.get_by_text("daily_snapshot", exact=True)).to_be_visible()
    expect(page.get_by_text("12:05 AM UTC")).to_be_visible()
    expect(page.get_by_role("checkbox", checked=True)).to_have_count(1)

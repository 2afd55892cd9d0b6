"""The pages under `docs/` show what the program prints today.

Run as ``python -m tests.integration.test_docs`` it writes the output of each command into the page.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

import pytest

from pipelines.captures import Capture
from pipelines.demo.catalogue import SimulatedCatalogue
from pipelines.demo.gateway import GatewayServer
from pipelines.demo.server import CatalogueServer
from pipelines.ledger.ledger import Ledger
from pipelines.scopes import ALL_MODELS, PROVIDERS, ZDR_OFFERS, offers_scope
from tests import processes
from tests.integration.test_facets import taken_days

ROOT = Path(__file__).resolve().parents[2]
OFFERS = ROOT / "docs" / "offers.md"
FACETS = ROOT / "docs" / "facets.md"
BLOCK = re.compile(r"```console\n\$ (catalogue [^\n]*)\n(.*?)```", re.DOTALL)


def simulated_market(warehouse: Path) -> None:
    """Twelve days of the list every twelve hours, and of all offers with it."""
    market = SimulatedCatalogue(seed=5, models=60, days=60)
    with Ledger(warehouse) as ledger:
        packs: list[str] = []
        for number in range(24):
            at = market.start + timedelta(days=24, hours=12 * number, minutes=5)
            captures = [
                Capture(ALL_MODELS, at, market.listing(at, output_modalities="all"), "live"),
                Capture(PROVIDERS, at, market.providers(at), "live"),
                Capture(ZDR_OFFERS, at, market.zdr_endpoints(at), "live"),
                *(
                    Capture(offers_scope(model), at, market.endpoints(model, at) or b"", "live")
                    for model in sorted(market.ids_at(at, "all"))
                ),
            ]
            packs += [
                pack for start in (0, 64) if (part := captures[start : start + 64]) for pack in ledger.store(part).packs
            ]
        ledger.commit(packs)
        ledger.publish()


def printed(command: str, warehouse: Path) -> str:
    _, *arguments = shlex.split(command)
    told = processes.catalogue(*arguments, env={**os.environ, "CATALOGUE_WAREHOUSE": str(warehouse)})
    assert told.returncode == 0, told.stderr
    return "".join(f"{line.rstrip()}\n" for line in told.stdout.splitlines())


def written(page: str, warehouse: Path) -> str:
    """``page`` with what its commands print."""
    return BLOCK.sub(lambda one: f"```console\n$ {one[1]}\n{printed(one[1], warehouse)}```", page)


PAGES = {OFFERS: simulated_market, FACETS: taken_days}
"""What fills the warehouse that each page asks."""


@pytest.fixture(scope="module")
def warehouse_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    """The warehouse of a page, filled once."""

    def filled(page: Path) -> Path:
        folder = tmp_path_factory.mktemp(page.stem)
        PAGES[page](folder)
        return folder

    return cache(filled)


@pytest.mark.parametrize(
    ("page", "command", "output"),
    [(page, *block) for page in PAGES for block in BLOCK.findall(page.read_text(encoding="utf-8"))],
)
def test_output_in_a_page_is_what_the_program_prints(warehouse_of, page: Path, command: str, output: str):
    assert printed(command, warehouse_of(page)) == output


# The client and the feed, of a simulated API


SOURCES = ROOT / "docs" / "sources.md"
PROGRAM = re.compile(r"```python\n(from pipelines\.sources\.openrouter .*?)```.*?```text\n(.*?)```", re.DOTALL)
COMMANDS = re.compile(
    r"```console\n((?:\$ catalogue (?:get|count|snapshot --(?:feed|source)|sql)[^\n]*\n).*?)```", re.DOTALL
)
COMMAND = re.compile(r"^\$ (catalogue [^\n]*)\n((?:(?!\$ )[^\n]*\n)*)", re.MULTILINE)


def printed_of_an_api(text: str, warehouse: Path) -> str:
    """``text``, the page about sources, with what an API on a simulated day answers to its examples."""
    simulated = SimulatedCatalogue()
    now = _day_of_an_announcement(simulated)
    token = "a-token-of-the-gateway"
    with (
        CatalogueServer(simulated, now=now) as server,
        GatewayServer(simulated, now=now - timedelta(days=30), tokens=[token]) as gateway,
    ):
        with Ledger(warehouse) as ledger:
            day = server.now - timedelta(days=1)
            ledger.load([Capture(ALL_MODELS, day, simulated.listing(day, output_modalities="all"), "live")])
            ledger.publish()
        environment = {
            **os.environ,
            "CATALOGUE_BASE_URL": server.base_url,
            "CATALOGUE_GATEWAY_URL": gateway.base_url,
            "CATALOGUE_WAREHOUSE": str(warehouse),
            "GATEWAY_TOKEN": token,
        }

        def client(one: re.Match[str]) -> str:
            code = one[1].replace("OpenRouter()", f"OpenRouter({server.base_url!r})")
            told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=True)
            return one[0].replace(f"```text\n{one[2]}```", f"```text\n{told.stdout}```")

        def command(one: re.Match[str]) -> str:
            told = processes.catalogue(*shlex.split(one[1])[1:], env=environment)
            assert told.returncode == 0, told.stderr
            # The terminal lives on the wall clock's day, of which the page shows the simulated one instead.
            answer = re.sub(r"^feed \S+ \S+ UTC", f"feed {server.now:%Y-%m-%d %H:%M} UTC", told.stdout)
            answer = re.sub(r"at \S+ \S+ UTC are", f"at {server.now:%Y-%m-%d %H:%M} UTC are", answer)
            answer = answer.replace(str(warehouse), "warehouse")
            return f"$ {one[1]}\n" + "".join(f"{line.rstrip()}\n" for line in answer.splitlines())

        text = PROGRAM.sub(client, text)
        return COMMANDS.sub(lambda block: f"```console\n{COMMAND.sub(command, block[1])}```", text)


def _day_of_an_announcement(simulated: SimulatedCatalogue) -> datetime:
    """The last noon at which a model is new since the day before."""
    noon = simulated.end.replace(hour=12) - timedelta(days=1)
    while not simulated.ids_at(noon, "all") - simulated.ids_at(noon - timedelta(days=1), "all"):
        noon -= timedelta(days=1)
    return noon


def test_output_in_the_page_about_sources_is_what_the_program_prints(tmp_path: Path):
    page = SOURCES.read_text(encoding="utf-8")
    assert printed_of_an_api(page, tmp_path / "warehouse") == page


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        for place, fill in PAGES.items():
            filled = Path(folder) / place.stem
            fill(filled)
            place.write_text(written(place.read_text(encoding="utf-8"), filled), encoding="utf-8")
        page = printed_of_an_api(SOURCES.read_text(encoding="utf-8"), Path(folder) / "sources")
        SOURCES.write_text(page, encoding="utf-8")

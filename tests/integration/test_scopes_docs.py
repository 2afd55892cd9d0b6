"""The page about scopes shows what the program prints today, of the files that it shows.

Run as ``python -m tests.integration.test_scopes_docs`` it writes the output of each command into the page.
"""

from __future__ import annotations

import re
import shlex
import tempfile
from datetime import timedelta
from pathlib import Path

from pipelines.demo.catalogue import SimulatedCatalogue
from pipelines.demo.gateway import GatewayServer
from pipelines.demo.server import USER_KEY, CatalogueServer
from tests import processes

PAGE = Path(__file__).resolve().parents[2] / "docs" / "scopes.md"
BLOCK = re.compile(r"```(toml|console)\n(.*?)```", re.DOTALL)
COMMAND = re.compile(r"^\$ catalogue ([^\n]*)\n", re.MULTILINE)
TOKEN = "a-token-of-the-gateway"


def printed(text: str, folder: Path) -> str:
    """``text`` with what the program says on a simulated day, where each file is `catalogue.toml` from there on."""
    simulated = SimulatedCatalogue()
    now = simulated.end.replace(hour=12) - timedelta(days=1)
    with (
        CatalogueServer(simulated, now=now) as server,
        GatewayServer(simulated, now=now, tokens=[TOKEN]) as gateway,
    ):
        environment = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(folder),
            "CATALOGUE_BASE_URL": server.base_url,
            "CATALOGUE_GATEWAY_URL": gateway.base_url,
            "OPENROUTER_API_KEY": USER_KEY,
            "GATEWAY_TOKEN": TOKEN,
        }

        def answered(block: re.Match[str]) -> str:
            if block[1] == "toml":
                (folder / "catalogue.toml").write_text(block[2], encoding="utf-8")
                return block[0]
            commands = COMMAND.findall(block[2])
            said = []
            for command in commands:
                told = processes.catalogue(*shlex.split(command), env=environment, cwd=folder)
                assert told.returncode in (0, 2), told
                # The terminal lives on the wall clock's day, of which the page shows the simulated one instead.
                answer = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d", f"{now:%Y-%m-%d %H:%M}", told.stdout + told.stderr)
                lines = [line.rstrip() for line in answer.splitlines()]
                said.append("\n".join([f"$ catalogue {command}", *lines, ""]))
            return f"```console\n{''.join(said)}```"

        return BLOCK.sub(answered, text)


def test_output_in_the_page_about_scopes_is_what_the_program_prints(tmp_path: Path):
    page = PAGE.read_text(encoding="utf-8")
    assert printed(page, tmp_path) == page


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        PAGE.write_text(printed(PAGE.read_text(encoding="utf-8"), Path(place)), encoding="utf-8")

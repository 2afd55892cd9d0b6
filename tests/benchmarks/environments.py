"""The peers' environments: each in a folder of its own, built from its pinned requirements.

Belongs here: building them, and saying why one cannot be had. Does not belong here: measuring (`others`), what runs
within them (`peers/run_*.py`).
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent / "peers"
ROOT = HERE.parents[2]
ENVIRONMENTS = ROOT / ".venv-peers"


@dataclass(frozen=True)
class Environment:
    """A Python in which a peer is installed, and which versions of what."""

    bin: Path
    versions: str


class NotToBeHadError(Exception):
    """A peer cannot be installed here; the message is one sentence that names no place."""


def environment(name: str, named: tuple[str, ...], tell: Callable[[str], None] = lambda sentence: None) -> Environment:
    """The environment of the peer ``name``, built if it is missing or its requirements changed.

    ``named`` are the packages whose versions a reader wants to know. Raises :class:`NotToBeHadError`.
    """
    folder, requirements = ENVIRONMENTS / name, HERE / f"{name}.txt"
    wanted, mark = requirements.read_text(), folder / "installed.txt"
    if not mark.exists() or mark.read_text() != wanted:
        tell(f"installing {name} into an environment of its own")
        _run([sys.executable, "-m", "venv", "--clear", str(folder)], name)
        install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        _run([str(folder / "bin" / "python"), *install, "-r", str(requirements)], name)
        mark.write_text(wanted)
    pinned = dict(line.split("==") for line in wanted.split())
    return Environment(folder / "bin", ", ".join(f"{one} {pinned[one]}" for one in named))


def _run(command: list[str], name: str) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        print(done.stderr, file=sys.stderr)
        raise NotToBeHadError(f"pip could not install {name} here")

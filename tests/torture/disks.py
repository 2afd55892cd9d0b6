"""A disk that can be made too small, or read-only, without touching the machine's own.

Belongs here: a tmpfs that only its own processes see. Does not belong here: what is written to it (the tests).
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

_LARGE = 1 << 30
_PAGE = 4096


class SmallDisk:
    """A tmpfs mounted over the folder ``place`` in a namespace of its own. A context manager.

    Processes that are started :attr:`within` see it at ``place``; everybody else sees its files at :attr:`view`, which
    is good for copying and not for DuckDB, for whom the way leads through a link that only the kernel can follow.
    """

    def __init__(self, place: Path) -> None:
        self._place = place

    def __enter__(self) -> Self:
        if os.geteuid() != 0 or not all(map(shutil.which, ("unshare", "nsenter", "mount"))):
            pytest.skip("only root can mount a small disk, and only with unshare, nsenter and mount")
        self._place.mkdir(parents=True, exist_ok=True)
        mount = f'mount -t tmpfs -o size={_LARGE},mode=755 small "$0" && echo mounted && exec cat'
        self._keeper = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", mount, str(self._place)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert self._keeper.stdout is not None
        if self._keeper.stdout.readline() != b"mounted\n":
            _, why = self._keeper.communicate()
            pytest.skip(f"no small disk can be mounted here: {why.decode().strip()}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._keeper.communicate()

    @property
    def within(self) -> list[str]:
        """The beginning of a command line that is to see the disk."""
        return ["nsenter", f"--mount=/proc/{self._keeper.pid}/ns/mnt"]

    @property
    def view(self) -> Path:
        """The disk, seen from outside."""
        return Path(f"/proc/{self._keeper.pid}/root{self._place.resolve()}")

    def hold(self, folder: Path) -> None:
        """Let the disk hold what ``folder`` does, with plenty of room."""
        self.enlarge()
        for path in self.view.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        shutil.copytree(folder, self.view, dirs_exist_ok=True)

    def leave(self, free_bytes: int) -> None:
        """Let no more than ``free_bytes`` be free, rounded to pages."""
        space = os.statvfs(self.view)
        used = (space.f_blocks - space.f_bfree) * space.f_frsize
        self._remount(f"size={used + max(free_bytes, 0) // _PAGE * _PAGE}")

    def enlarge(self) -> None:
        """Make plenty of room."""
        self._remount(f"size={_LARGE}")

    def _remount(self, option: str) -> None:
        command = [*self.within, "mount", "-o", f"remount,{option}", str(self._place)]
        subprocess.run(command, check=True, capture_output=True)

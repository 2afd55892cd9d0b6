"""The instant at which a process dies, and the hooks by which it dies there by its own hand.

Belongs here: counting what a process does to files and says to DuckDB, SIGKILL at the n-th. Does not belong here: what
the process does (`operations`), how it is started (`forks`).

SIGKILL leaves to the kernel what was written and not yet synced: what a power failure would do is not shown here.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NoReturn

Kind = Literal["seconds", "file", "statement", "never"]

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC

_FILE_EVENTS = frozenset({"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link", "os.symlink"})
"""Audit events of which the first argument is a path."""

_FILE_CALLS = frozenset(
    {
        *("fsync", "fdatasync", "ftruncate", "write", "pwrite", "sendfile", "copy_file_range", "FileIO.truncate"),
        *("BufferedWriter.write", "BufferedWriter.flush", "BufferedWriter.truncate", "FileIO.write"),
        *("BufferedRandom.write", "BufferedRandom.flush", "BufferedRandom.truncate"),
    }
)
"""C functions that write and that no audit event tells of."""


@dataclass(frozen=True)
class Instant:
    """``seconds`` after the start, or ``delay`` seconds after the ``number``-th event of a kind began.

    A ``file`` event is an opening for writing, a write, a sync, a renaming or a removal below the warehouse; a
    ``statement`` is one that is sent to a database. The delay is for dying within a statement, not only between two.
    """

    kind: Kind
    number: int = 0
    seconds: float = 0.0
    delay: float = 0.0

    def __str__(self) -> str:
        match self.kind:
            case "never":
                return "never"
            case "seconds":
                return f"after {self.seconds:.3f} s"
            case kind:
                return f"at {kind} event {self.number}" + (f" + {self.delay * 1000:.1f} ms" if self.delay else "")


NEVER = Instant("never")


def arm(instant: Instant, warehouse: Path) -> Counter[str]:
    """Count what this process does from now on, and let it die at ``instant``; gives the counters.

    ``seconds`` are counted by whoever started the process, who then slows it by no hook either.
    """
    counts: Counter[str] = Counter()
    if instant.kind == "seconds":
        return counts
    below = str(warehouse)

    def happens(kind: str) -> None:
        counts[kind] += 1
        if kind == instant.kind and counts[kind] == instant.number:
            _die(instant.delay)

    def audit(event: str, arguments: tuple[Any, ...]) -> None:
        is_write = event in _FILE_EVENTS or (
            event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITES
        )
        if is_write and str(arguments[0]).startswith(below):
            happens("file")

    def profile(frame: object, event: str, function: Any) -> None:
        if event != "c_call":
            return
        name = getattr(function, "__qualname__", "")
        if name in _FILE_CALLS:
            happens("file")
        elif name.endswith(".execute"):
            happens("statement")

    sys.addaudithook(audit)
    sys.setprofile(profile)
    threading.setprofile(profile)
    return counts


def _die(delay: float) -> None:
    if delay:
        threading.Thread(target=_die_now, args=(delay,), daemon=True).start()
    else:
        _die_now()


def _die_now(delay: float = 0.0) -> NoReturn:
    time.sleep(delay)
    os.kill(os.getpid(), signal.SIGKILL)
    raise SystemExit("SIGKILL was survived")

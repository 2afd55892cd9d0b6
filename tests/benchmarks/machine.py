"""The machine and the programs that a figure holds for.

Belongs here: what a reader needs to weigh a figure. Does not belong here: figures.
"""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path

import duckdb


def description() -> str:
    """One line: cores, processor, memory, system, Python, DuckDB."""
    return (
        f"{os.cpu_count()} cores of {_processor()}, {_memory_gib():.0f} GiB of memory, {platform.system()}, "
        f"Python {platform.python_version()}, DuckDB {duckdb.__version__}"
    )


def _processor() -> str:
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found[1].strip() if found else platform.processor() or platform.machine()


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def peak_memory_bytes() -> int:
    """The most memory that this process ever held.

    Linux's ``ru_maxrss`` begins at what the parent held when it started this process, so the kernel is asked for the
    peak of this one's own memory.
    """
    found = re.search(r"^VmHWM:\s*(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024

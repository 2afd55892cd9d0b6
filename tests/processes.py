"""The executable in a process of its own, forked in milliseconds from one that has imported all of it.

Belongs here: running `catalogue` to its end, as a user does but for the seconds in which Python imports.
Does not belong here: processes that are to be killed (`torture.forks`), or whose start is in question: how it imports,
hashes, takes up signals and streams. Those are executed.

The parent of the forks opens no DuckDB and runs no Polars, for neither outlives a fork.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import select
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).resolve().parents[1]
EXECUTABLE = Path(sys.executable).with_name("catalogue")


def catalogue(
    *arguments: str | Path, env: Mapping[str, str] | None = None, cwd: Path | None = None, timeout: float = 120
) -> subprocess.CompletedProcess[str]:
    """What `catalogue` says with ``arguments``; ``env`` is all of its environment, None: the caller's.

    Raises :class:`subprocess.TimeoutExpired` after ``timeout`` seconds.
    """
    told = [str(one) for one in arguments]
    with tempfile.TemporaryDirectory() as folder:
        output, errors = Path(folder, "stdout"), Path(folder, "stderr")
        task = {
            "arguments": told,
            "environment": dict(os.environ if env is None else env),
            "folder": str(cwd or Path.cwd()),
            "files": [str(output), str(errors)],
            "seconds": timeout,
        }
        code = _parent().perform(task)
        if code is None:
            raise subprocess.TimeoutExpired(told, timeout)
        said = (path.read_bytes().decode().replace("\r\n", "\n") for path in (output, errors))
        return subprocess.CompletedProcess(["catalogue", *told], code, *said)


class _Parent:
    """The process that forks, as seen from the test."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.processes"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        atexit.register(self._end)

    def _end(self) -> None:
        self._process.kill()
        self._process.communicate()

    def perform(self, task: Mapping[str, Any]) -> int | None:
        """The exit code of a child that does ``task``; None if it took too long."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._turn:
            self._process.stdin.write(json.dumps(task).encode() + b"\n")
            self._process.stdin.flush()
            code: int | None = json.loads(self._process.stdout.readline())
        return code


_parent = cache(_Parent)


# --- in the process that forks --------------------------------------------------------------------------------------


def _serve() -> None:
    """Fork for each line of stdin, await that child, and say how it ended."""
    import pipelines.cli
    import pipelines.defs.run
    import pipelines.reports.page
    import pipelines.reports.workbook  # noqa: F401 - imported before forking

    gc.freeze()
    for line in sys.stdin.buffer:
        task = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _be_the_executable(task)
        ending = os.pidfd_open(pid)
        is_over = bool(select.select([ending], [], [], task["seconds"])[0])
        os.close(ending)
        if not is_over:
            os.kill(pid, 9)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        sys.stdout.write(json.dumps(code if is_over else None) + "\n")
        sys.stdout.flush()


def _be_the_executable(task: Mapping[str, Any]) -> NoReturn:
    from pipelines.cli import main

    os.setsid()
    os.environ.clear()
    os.environ.update(task["environment"])
    os.chdir(task["folder"])
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, path in enumerate(task["files"], start=1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    for number, (name, mode) in enumerate({"stdin": "r", "stdout": "w", "stderr": "w"}.items()):
        errors = "backslashreplace" if name == "stderr" else "strict"
        stream = os.fdopen(number, mode, encoding="utf-8", errors=errors, closefd=False)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    sys.argv = [str(EXECUTABLE), *task["arguments"]]
    tempfile.tempdir = None
    time.tzset()
    code: Any = 0
    try:
        main()
    except SystemExit as end:
        code = end.code or 0
    except BaseException:
        traceback.print_exc()
        code = 1
    try:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code if isinstance(code, int) else 1)


if __name__ == "__main__":
    _serve()

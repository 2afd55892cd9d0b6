"""Processes by the hundred: forked in milliseconds from one that has imported everything and begun nothing.

Belongs here: starting, killing and awaiting processes. Does not belong here: what they do (`operations`), when they die
(`killing`).

The parent of the forks never opens DuckDB and never runs Polars, for neither outlives a fork; nor could a process that
has done so, such as a test, be that parent.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Self

from tests.torture.killing import NEVER, Instant, arm
from tests.torture.operations import OPERATIONS, Order

EXECUTABLE = Path(sys.executable).with_name("catalogue")
ROOT = Path(__file__).resolve().parents[2]

_PATIENCE_SECONDS = 120.0
_PAUSE_SECONDS = 0.0005


@dataclass(frozen=True)
class End:
    """How a process ended: killed or by itself, with its exit code and what it said.

    ``told`` are the captures that it called stored, ``counts`` the events of each kind, if it lived and counted.
    """

    is_killed: bool
    code: int
    seconds: float
    said: str
    told: tuple[str, ...]
    counts: Mapping[str, int]


class Forks:
    """Performs orders in processes of their own. A context manager; ``folder`` is for what they say.

    ``within`` is a command that starts another one in the place where they are to live.
    """

    def __init__(self, folder: Path, within: Sequence[str] = ()) -> None:
        self._said, self._told = folder / "said.txt", folder / "told.txt"
        self._within = within

    def __enter__(self) -> Self:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
        self._parent = subprocess.Popen(
            [*self._within, sys.executable, "-m", "tests.torture.forks"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env=environment,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._parent.kill()
        self._parent.communicate()

    def perform(
        self, order: Order, instant: Instant = NEVER, *, executable: bool = False, file_bytes: int | None = None
    ) -> End:
        """Do ``order`` in a process that dies at ``instant``, if it has not ended before.

        ``file_bytes`` are the most that a file may have which it writes to (not so for the executable).
        """
        for path in (self._said, self._told):
            path.write_bytes(b"")
        status, seconds = self._execute(order, instant) if executable else self._fork(order, instant, file_bytes)
        if instant.kind != "seconds" and seconds > _PATIENCE_SECONDS:
            raise TimeoutError(f"{order.operation} did not end within {_PATIENCE_SECONDS:.0f} s")
        lines = [json.loads(line) for line in self._told.read_text().splitlines()]
        return End(
            is_killed=os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL,
            code=os.waitstatus_to_exitcode(status),
            seconds=seconds,
            said=self._said.read_text(errors="replace"),
            told=tuple(line["stored"] for line in lines if "stored" in line),
            counts=next((line["counts"] for line in lines if "counts" in line), {}),
        )

    def _fork(self, order: Order, instant: Instant, file_bytes: int | None) -> tuple[int, float]:
        assert self._parent.stdin is not None
        assert self._parent.stdout is not None
        files = {"said": str(self._said), "told": str(self._told)}
        task = {"order": asdict(order), "instant": asdict(instant), "file_bytes": file_bytes, **files}
        self._parent.stdin.write(json.dumps(task).encode() + b"\n")
        self._parent.stdin.flush()
        answer = json.loads(self._parent.stdout.readline())
        return answer["status"], answer["seconds"]

    def _execute(self, order: Order, instant: Instant) -> tuple[int, float]:
        command = [*self._within, str(EXECUTABLE), *order.command_line()]
        with self._said.open("wb") as said:
            begun = time.monotonic()
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True
            )
            status = _await(process.pid, begun, instant)
            process.returncode = os.waitstatus_to_exitcode(status)
            return status, time.monotonic() - begun


def _await(pid: int, begun: float, instant: Instant) -> int:
    """The wait status of the child ``pid``, which is killed when its time has come.

    What it started and left behind is ended too: the processes by which Dagster follows its logs live on for a while.
    """
    try:
        return _end_of(pid, begun, instant)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)


def _end_of(pid: int, begun: float, instant: Instant) -> int:
    deadline = begun + (instant.seconds if instant.kind == "seconds" else _PATIENCE_SECONDS)
    while time.monotonic() < deadline:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return status
        time.sleep(_PAUSE_SECONDS)
    os.kill(pid, signal.SIGKILL)
    return os.waitpid(pid, 0)[1]


def _parent() -> None:
    """Fork for each line of stdin, await that child, and say how it ended."""
    import pipelines.defs.run  # noqa: F401 - imported before forking

    gc.freeze()
    for line in sys.stdin.buffer:
        task = json.loads(line)
        instant = Instant(**task["instant"])
        begun = time.monotonic()
        pid = os.fork()
        if pid == 0:
            _child(task, instant)
        status = _await(pid, begun, instant)
        sys.stdout.write(json.dumps({"status": status, "seconds": time.monotonic() - begun}) + "\n")
        sys.stdout.flush()


def _child(task: dict[str, Any], instant: Instant) -> NoReturn:
    os.setsid()
    said = os.open(task["said"], os.O_WRONLY | os.O_APPEND)
    told = os.open(task["told"], os.O_WRONLY | os.O_APPEND)
    for number in (1, 2):
        os.dup2(said, number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)

    def tell(**fact: Any) -> None:
        os.write(told, json.dumps(fact).encode() + b"\n")

    code: Any = 1
    order = Order(**task["order"])
    if task["file_bytes"] is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (task["file_bytes"], resource.RLIM_INFINITY))
    counts = arm(instant, order.path)
    try:
        OPERATIONS[order.operation](order, lambda snapshot_id: tell(stored=snapshot_id))
        code = 0
    except SystemExit as end:
        code = end.code or 0
        if isinstance(code, str):
            print(code, file=sys.stderr)
            code = 1
    except BaseException:
        traceback.print_exc()
    sys.setprofile(None)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    try:
        tell(counts=dict(counts))
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


if __name__ == "__main__":
    _parent()

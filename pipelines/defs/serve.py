"""The UI and the daemon: Dagster's web server and scheduler for this warehouse, in the foreground.

Belongs here: starting the two processes, seeing that they live, and stopping them together.
Does not belong here: what they run.
"""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType

from pipelines.defs.home import prepare
from pipelines.defs.job import definitions
from pipelines.errors import CatalogueError
from pipelines.settings import Settings

_MODULE = "pipelines.definitions"
_STOP_SECONDS = 20.0
_POLL_SECONDS = 0.25
_QUIET = ("--log-level", "warning", "--code-server-log-level", "warning")
_QUIET_UI = ("--dagster-log-level", "warning")

_Process = subprocess.Popen[bytes]


class _StopRequest(BaseException):
    """Ctrl-C, or somebody else who asked the process to end."""


def serve(settings: Settings, host: str, port: int, announce: Callable[[str], None] = print) -> int:
    """Run UI and daemon until Ctrl-C or SIGTERM, then stop both; the exit code.

    ``announce`` gets one line with the address once the UI answers. Raises :class:`CatalogueError` if the port is taken
    or either process ends by itself, :class:`pipelines.errors.UsageError` for settings that make no sense.
    To be called in the main thread, where signals arrive.
    """
    definitions(settings)
    _check_port(host, port)
    environment = _environment(settings)
    python = [sys.executable, "-m"]
    commands = {
        "UI": [*python, "dagster_webserver", "-m", _MODULE, "--host", host, "--port", str(port), *_QUIET, *_QUIET_UI],
        "daemon": [*python, "dagster._daemon", "run", "-m", _MODULE, *_QUIET],
    }
    with _stop_requests():
        try:
            with _processes(commands, environment) as processes:
                _wait_until_up(processes, host, port)
                announce(f"Dagster is at http://{_in_url(host)}:{port} (Ctrl-C stops it)")
                while True:
                    _check_alive(processes)
                    time.sleep(_POLL_SECONDS)
        except _StopRequest:
            return 0


def _environment(settings: Settings) -> dict[str, str]:
    """What makes the processes, and the runs that they start, see this installation whatever folder they work in."""
    configuration = settings.configuration
    chosen = {
        "DAGSTER_HOME": str(prepare(settings)),
        "CATALOGUE_WAREHOUSE": str(settings.warehouse.absolute()),
        "CATALOGUE_BASE_URL": settings.base_url or "",
        "CATALOGUE_CONFIG": str(configuration.path.absolute()) if configuration.path else "",
        # What the file says is left to it, so that a change takes effect when the definitions are loaded again.
        "CATALOGUE_SCHEDULE": "" if settings.schedule == configuration.schedule else settings.schedule,
        "CATALOGUE_TIME_ZONE": "" if settings.time_zone == configuration.time_zone else settings.time_zone,
        "CATALOGUE_FETCH_RETRIES": str(settings.fetch_retries),
        "CATALOGUE_FETCH_RETRY_SECONDS": str(settings.fetch_retry_seconds),
        "CATALOGUE_STALE_AFTER_HOURS": str(settings.stale_after_hours),
    }
    return {**os.environ, **chosen}


def _check_port(host: str, port: int) -> None:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as problem:
        raise CatalogueError(f"the UI cannot listen on {host}, port {port}: {problem.strerror}") from None


@contextmanager
def _stop_requests() -> Iterator[None]:
    """Within, SIGINT and SIGTERM raise :class:`_StopRequest`.

    SIGINT too, because a shell starts what it puts in the background with that signal ignored, and the processes
    started here would inherit that they cannot be stopped.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        raise _StopRequest

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _processes(
    commands: Mapping[str, Sequence[str]], environment: Mapping[str, str]
) -> Iterator[Mapping[str, _Process]]:
    """The running commands by name, each in a session of its own, so that Ctrl-C reaches them through us alone."""
    running: dict[str, _Process] = {}
    try:
        for name, command in commands.items():
            running[name] = subprocess.Popen(command, env=environment, start_new_session=True)
        yield running
    finally:
        _stop(running.values())


def _stop(processes: Collection[_Process]) -> None:
    """Asks all to end; those that do not in good time, or when somebody asks again, are killed."""
    try:
        for one in processes:
            one.send_signal(signal.SIGINT)
        end = time.monotonic() + _STOP_SECONDS
        for one in processes:
            one.wait(max(end - time.monotonic(), 0))
    except subprocess.TimeoutExpired:
        pass
    finally:
        for one in processes:
            if one.poll() is None:
                os.killpg(one.pid, signal.SIGKILL)
                one.wait()


def _check_alive(processes: Mapping[str, _Process]) -> None:
    for name, one in processes.items():
        if one.poll() is not None:
            raise CatalogueError(f"Dagster's {name} ended by itself (exit code {one.returncode}); it says why above")


def _wait_until_up(processes: Mapping[str, _Process], host: str, port: int) -> None:
    while not _answers(host, port):
        _check_alive(processes)
        time.sleep(_POLL_SECONDS)


def _answers(host: str, port: int) -> bool:
    connection = http.client.HTTPConnection(_reachable(host), port, timeout=5)
    try:
        connection.request("GET", "/server_info")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _reachable(host: str) -> str:
    """``host``, unless it stands for all addresses, which cannot be called."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)


def _in_url(host: str) -> str:
    reachable = _reachable(host)
    return f"[{reachable}]" if ":" in reachable else reachable

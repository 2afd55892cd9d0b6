"""What every test stands on: the environment it sees, the things outside the repository it may need.

Belongs here: fixtures and settings that tests of more than one folder use.
Does not belong here: fixtures of one folder, which lie beside its tests.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import hypothesis
import pytest

ROOT = Path(__file__).resolve().parents[1]

# Before anything imports dagster, and inherited by every process that a test starts.
os.environ["DAGSTER_DISABLE_TELEMETRY"] = "yes"
os.environ["DO_NOT_TRACK"] = "1"

# Warehouses by the hundred, and each commit waits for the disk several times: in memory it need not. What a test means
# to find out about disks it brings itself. Inherited by every process, and read before pytest makes its folders.
_MEMORY, _ENOUGH_BYTES = Path("/dev/shm"), 4 << 30
if "TMPDIR" not in os.environ and os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > _ENOUGH_BYTES:
    os.environ["TMPDIR"] = str(_MEMORY)

# No deadline: on a busy machine it measures the neighbours. `quick` looks elsewhere each time, `ci` never.
hypothesis.settings.register_profile("quick", max_examples=50, deadline=None)
hypothesis.settings.register_profile("ci", max_examples=200, deadline=None, derandomize=True)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))

MARKER_OF_FIXTURE = {"bundle": "bundle", "chromium": "browser"}
REQUIRED = {name.strip() for name in os.environ.get("CATALOGUE_REQUIRE", "").split(",")} - {""}


def pytest_configure() -> None:
    """Refuse a misspelt requirement, which would otherwise require nothing."""
    if unknown := REQUIRED - MARKER_OF_FIXTURE.keys():
        known = ", ".join(sorted(MARKER_OF_FIXTURE))
        raise pytest.UsageError(f"CATALOGUE_REQUIRE names {', '.join(sorted(unknown))}; known are {known}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by what they need, so that `-m "not browser"` leaves out whatever would open a page."""
    for item in items:
        for fixture, marker in MARKER_OF_FIXTURE.items():
            if fixture in getattr(item, "fixturenames", ()):
                item.add_marker(marker)


def _missing(name: str, reason: str) -> NoReturn:
    """Skip the test, or fail it where ``CATALOGUE_REQUIRE`` says that ``name`` has to be there."""
    if name in REQUIRED:
        pytest.fail(f"CATALOGUE_REQUIRE names {name}, but {reason}", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def bundle() -> Path:
    """The git bundle of two years of real captures: ``CATALOGUE_BUNDLE``, or beside the repository."""
    place = os.environ.get("CATALOGUE_BUNDLE")
    path = Path(place) if place else ROOT.parent / "shared" / "openrouter-models.bundle"
    if not path.is_file():
        _missing("bundle", f"there is no bundle at {path} (CATALOGUE_BUNDLE says where it is)")
    return path


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium or Chrome that can run head-less."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    _missing("chromium", "no chromium, chromium-browser or google-chrome is on the PATH")


@pytest.fixture(scope="session", autouse=True)
def _environment_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the tests away from the user's own warehouse and Dagster instance."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGSTER_HOME", str(tmp_path_factory.mktemp("dagster-home")))
        patch.delenv("CATALOGUE_WAREHOUSE", raising=False)
        yield

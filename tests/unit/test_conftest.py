"""That what is missing skips a test, and fails it where it was required."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).resolve().parents[1] / "conftest.py"
CONFIG = """
[pytest]
addopts = --strict-markers -ra -p no:cacheprovider
markers =
    bundle: reads the bundle
    browser: opens a page
"""
NEEDY = """
import os
from pathlib import Path

def test_bundle(bundle): assert bundle.name == "real.bundle"
def test_chromium(chromium): assert chromium.endswith("bin/chromium")
def test_neither():
    assert Path(os.environ["DAGSTER_HOME"]).is_dir()
    assert "CATALOGUE_WAREHOUSE" not in os.environ
"""


def run_elsewhere(folder: Path, *arguments: str, **environment: str) -> str:
    """What pytest prints of three tests beside a copy of the conftest; the PATH holds only ``folder/bin``."""
    (folder / "tests").mkdir()
    (folder / "tests/conftest.py").write_bytes(CONFTEST.read_bytes())
    (folder / "tests/test_needy.py").write_text(NEEDY)
    (folder / "pytest.ini").write_text(CONFIG)
    ours = ("CATALOGUE_", "HYPOTHESIS_", "PYTEST")
    outside = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    run = subprocess.run(
        [sys.executable, "-m", "pytest", *arguments],
        cwd=folder,
        env={**outside, "PATH": str(folder / "bin"), "CATALOGUE_WAREHOUSE": "/elsewhere", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    return run.stdout


def test_what_is_missing_skips_with_its_reason(tmp_path):
    output = run_elsewhere(tmp_path)
    assert "there is no bundle at" in output
    assert "no chromium, chromium-browser or google-chrome" in output
    assert "1 passed, 2 skipped" in output


def test_what_is_required_and_missing_fails(tmp_path):
    output = run_elsewhere(tmp_path, CATALOGUE_REQUIRE="bundle, chromium")
    assert "CATALOGUE_REQUIRE names bundle, but there is no bundle" in output
    assert "CATALOGUE_REQUIRE names chromium, but no chromium" in output
    assert "1 passed, 2 errors" in output


def test_what_is_there_is_used(tmp_path):
    browser = tmp_path / "bin/chromium"
    browser.parent.mkdir()
    browser.write_text("#!/bin/sh\n")
    browser.chmod(0o755)
    (tmp_path / "real.bundle").touch()
    output = run_elsewhere(
        tmp_path, CATALOGUE_BUNDLE=str(tmp_path / "real.bundle"), CATALOGUE_REQUIRE="bundle,chromium"
    )
    assert "3 passed" in output


@pytest.mark.parametrize(("marker", "left"), [("bundle", "test_bundle"), ("browser", "test_chromium")])
def test_tests_are_marked_by_what_they_use(tmp_path, marker, left):
    output = run_elsewhere(tmp_path, "--collect-only", "--quiet", "-m", marker)
    assert f"test_needy.py::{left}" in output
    assert "1/3 tests collected" in output


def test_a_misspelt_requirement_is_refused(tmp_path):
    output = run_elsewhere(tmp_path, CATALOGUE_REQUIRE="bundel")
    assert "CATALOGUE_REQUIRE names bundel; known are bundle, chromium" in output

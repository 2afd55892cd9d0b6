"""That what is built works where there is no checkout, and that the lock holds what the project asks for."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from configparser import ConfigParser
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source archive, and the wheel that was built from it, not from the checkout."""
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    run = subprocess.run(build, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert run.returncode == 0, run.stdout
    return folder


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    (path,) = dist.glob("*.whl")
    return path


def test_the_wheel_holds_every_module_and_every_sql_file(wheel):
    modules = {path.relative_to(ROOT).as_posix() for path in ROOT.glob("pipelines/**/*.py")}
    sql = {f"pipelines/{path.relative_to(ROOT).as_posix()}" for path in ROOT.glob("sql/**/*.sql")}
    packed = set(zipfile.ZipFile(wheel).namelist())
    assert modules
    assert sql
    assert (modules | sql | {"pipelines/py.typed"}) - packed == set()


def test_the_wheel_holds_code_and_sql_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    code = r"pipelines/([\w/]+\.(py|sql|yaml|css|js)|py\.typed)|openrouter_catalogue-[\d.]+\.dist-info/.+"
    assert [name for name in names if not re.fullmatch(code, name)] == []


def test_the_wheel_has_the_command_and_the_licence(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/entry_points.txt"))
        entry_points = ConfigParser()
        entry_points.read_string(archive.read(name).decode())
        assert dict(entry_points["console_scripts"]) == {"catalogue": "pipelines.cli:main"}
        assert any(name.endswith(".dist-info/licenses/LICENSE") for name in archive.namelist())


def test_the_source_archive_holds_no_data_and_no_secrets(dist):
    (path,) = dist.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        inside = [name.partition("/")[2] for name in archive.getnames()]
    assert "pyproject.toml" in inside
    assert [name for name in inside if name.startswith("warehouse/")] in ([], ["warehouse/README.md"])
    folders_and_files = r"(^|/)(\.env|\.git|\.venv|uv\.lock|__pycache__)(/|$)"
    endings = r"\.(duckdb|parquet|bundle|zst|pem|key)$"
    assert [name for name in inside if re.search(f"{folders_and_files}|{endings}", name)] == []


def test_an_unpacked_wheel_works_away_from_the_checkout(wheel, tmp_path):
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    program = (
        "import pipelines, pipelines.cli, pipelines.ledger.schema as schema\n"
        "print(pipelines.__file__)\n"
        "print(schema.SQL_DIR)\n"
        "print(len(list(schema.SQL_DIR.rglob('*.sql'))))\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    package, sql, count = run.stdout.splitlines()
    assert Path(package).resolve() == (site / "pipelines/__init__.py").resolve()
    assert Path(sql).resolve() == (site / "pipelines/sql").resolve()
    assert int(count) == len(list(ROOT.glob("sql/**/*.sql")))


# --- the lock ---


def locked() -> dict[str, Requirement]:
    """What the lock installs, by name."""
    entries = [line for line in LOCK.splitlines() if re.match(r"[A-Za-z0-9]", line)]
    requirements = [Requirement(entry.removesuffix("\\").strip()) for entry in entries]
    assert len({canonicalize_name(one.name) for one in requirements}) == len(requirements)
    return {canonicalize_name(one.name): one for one in requirements}


def asked_for() -> list[str]:
    extras = PROJECT["project"]["optional-dependencies"].values()
    groups = PROJECT["dependency-groups"].values()
    return [line for lines in (PROJECT["project"]["dependencies"], *extras, *groups) for line in lines]


@pytest.mark.parametrize("line", [*asked_for(), *PROJECT["build-system"]["requires"]])
def test_the_lock_has_what_the_project_asks_for(line):
    wanted = Requirement(line)
    (pinned,) = locked()[canonicalize_name(wanted.name)].specifier
    assert pinned.operator == "=="
    assert wanted.specifier.contains(pinned.version)


def test_the_lock_pins_the_engine_that_the_project_constrains():
    constraints = [Requirement(line) for line in PROJECT["tool"]["uv"]["constraint-dependencies"]]
    assert [one.name for one in constraints] == ["duckdb"]
    assert all(locked()[one.name].specifier == one.specifier for one in constraints)


def test_everything_in_the_lock_is_pinned_and_hashed():
    entries = re.split(r"\n(?=[A-Za-z0-9])", LOCK.strip())
    sound = r"==\S+.*\\\n    --hash=sha256:[0-9a-f]{64}\b"
    assert len(entries) == len(locked())
    assert [entry for entry in entries if not re.search(sound, entry)] == []


def test_the_lock_names_no_place():
    assert [line for line in LOCK.splitlines() if re.search(r"://|^\s*-(?!-hash=)| @ |file:", line)] == []

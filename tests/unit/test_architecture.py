"""That imports point one way, that each library has one owner, and that every module says what belongs in it.

The tables below are the architecture. The checks are functions of sources, so that each is also shown to
notice what it is there for.
"""

from __future__ import annotations

import ast
import graphlib
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "pipelines"

LAYERS: tuple[frozenset[str], ...] = (
    frozenset({"errors"}),
    frozenset({"scopes"}),
    frozenset({"captures"}),
    frozenset({"pricing", "groups"}),
    frozenset({"flatten"}),
    frozenset({"offers", "feed"}),
    frozenset({"judgement"}),
    frozenset({"history"}),
    frozenset({"sources", "ledger", "demo"}),
    frozenset({"configuration"}),
    frozenset({"snapshot", "backfill", "settings"}),
    frozenset({"sweep", "watch", "rounds"}),
    frozenset({"reports"}),
    frozenset({"defs"}),
    frozenset({"tour"}),
    frozenset({"definitions", "cli"}),
)
"""The units (modules or packages) of the package, lowest first. A unit imports from lower layers only, and so
nothing of those beside it: the sources know no ledger, the ledger no sources, the demo neither."""

OWNERS: Mapping[str, tuple[str, ...]] = {
    "duckdb": ("ledger",),
    "httpx": ("sources",),
    "dagster": ("defs", "definitions"),
    "click": ("cli*",),
    "rich": ("cli*",),
    "numpy": ("judgement", "history", "ledger"),
}
"""The units that may import a library that not everybody may, as patterns."""

LAZY: Mapping[str, tuple[str, ...]] = {"cli*": ("defs",)}
"""What a unit may import inside functions only, so that `catalogue --help` does not wait for it."""

TOP_LEVEL = frozenset(
    {
        ".ci",
        ".gitattributes",
        ".gitignore",
        "LICENSE",
        "Makefile",
        "README.md",
        "docs",
        "notebooks",
        "pipelines",
        "pyproject.toml",
        "requirements.lock",
        "sql",
        "tests",
        "warehouse",
    }
)
"""All that may lie at the top of the repository."""


@dataclass(frozen=True)
class Import:
    """One thing that one module imports; ``is_lazy`` when inside a function."""

    module: str
    imported: str
    line: int
    is_lazy: bool

    @property
    def library(self) -> str:
        return self.imported.partition(".")[0]

    def __str__(self) -> str:
        return f"{self.module}:{self.line} imports {self.imported}"


def unit_of(module: str) -> str:
    """`pipelines.ledger.schema` is of the unit `ledger`; the package itself is of none."""
    return f"{module}..".split(".")[1]


def is_owned_by(unit: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(unit, pattern) for pattern in patterns)


# --- reading the sources ---


@pytest.fixture(scope="module")
def sources() -> dict[str, str]:
    """The text of every module of the package; a package goes by its own name, not by `__init__`'s."""
    found = {}
    for path in sorted((ROOT / PACKAGE).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts).removesuffix(".__init__")] = path.read_text(encoding="utf-8")
    assert f"{PACKAGE}.captures" in found
    return found


def imports_of(module: str, sources: Mapping[str, str]) -> Iterator[Import]:
    """All imports of a module: of names, of modules, in functions, and by `import_module("…")`."""
    is_package = any(other.startswith(f"{module}.") for other in sources)

    def visit(node: ast.AST, is_lazy: bool) -> Iterator[Import]:
        for imported in _imported_by(node, module, is_package, sources):
            yield Import(module, imported, getattr(node, "lineno", 0), is_lazy)
        inside = is_lazy or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            yield from visit(child, inside)

    yield from visit(ast.parse(sources[module]), False)


def _imported_by(node: ast.AST, module: str, is_package: bool, sources: Mapping[str, str]) -> Iterator[str]:
    match node:
        case ast.Import(names=names):
            yield from (alias.name for alias in names)
        case ast.ImportFrom(module=origin, names=names, level=level):
            climbed = module.split(".")[: len(module.split(".")) - level + is_package] if level else []
            base = ".".join([*climbed, *([origin] if origin else [])])
            inner = [f"{base}.{alias.name}" for alias in names]
            yield from dict.fromkeys(name if name in sources else base for name in inner)
        case ast.Call(
            func=ast.Name(id="__import__" | "import_module") | ast.Attribute(attr="import_module"),
            args=[ast.Constant(value=str(name)), *_],
        ):
            yield name


def all_imports(sources: Mapping[str, str]) -> list[Import]:
    return [one for module in sources for one in imports_of(module, sources)]


# --- the checks: each gives what is wrong, a line for each case ---


def against_the_layers(sources: Mapping[str, str]) -> list[str]:
    height = {unit: number for number, layer in enumerate(LAYERS) for unit in layer}
    wrong = [f"{module} stands in no layer" for module in sources if unit_of(module) not in {*height, ""}]
    for one in all_imports(sources):
        here, there = unit_of(one.module), unit_of(one.imported)
        if one.library != PACKAGE or there in {here, ""}:
            continue
        if here == "" or height.get(there, -1) >= height.get(here, len(LAYERS)):
            wrong.append(f"{one}, which does not lie below it")
    return wrong


def against_the_owners(sources: Mapping[str, str]) -> list[str]:
    wrong = []
    for one in all_imports(sources):
        for library, patterns in OWNERS.items():
            is_of_library = one.library == library or one.library.startswith(f"{library}_")
            if is_of_library and not is_owned_by(unit_of(one.module), patterns):
                wrong.append(f"{one}, which only {', '.join(patterns)} may")
    return wrong


def too_eager(sources: Mapping[str, str]) -> list[str]:
    return [
        f"{one} when it is itself imported, not in a function"
        for one in all_imports(sources)
        for pattern, units in LAZY.items()
        if fnmatchcase(unit_of(one.module), pattern)
        and one.library == PACKAGE
        and unit_of(one.imported) in units
        and not one.is_lazy
    ]


def in_a_circle(sources: Mapping[str, str]) -> list[str]:
    graph: dict[str, set[str]] = {module: set() for module in sources}
    for one in all_imports(sources):
        if one.imported in sources and one.imported != one.module:
            graph[one.module].add(one.imported)
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return [" -> ".join(error.args[1])]
    return []


def unsaid(sources: Mapping[str, str]) -> list[str]:
    """Modules without a docstring, and modules with code whose docstring does not say what belongs there."""
    wrong = []
    for module, text in sources.items():
        tree = ast.parse(text)
        docstring = ast.get_docstring(tree) or ""
        has_code = len(tree.body) > 1
        if not docstring:
            wrong.append(f"{module} has no docstring")
        elif has_code and not ("Belongs here:" in docstring and "Does not belong here:" in docstring):
            wrong.append(f"{module} does not say what belongs there and what does not")
    return wrong


def undeclared(sources: Mapping[str, str], declared: Set[str]) -> list[str]:
    """Imports of a library that is no dependency of the project, though another may bring it along."""
    providers = packages_distributions()
    return [
        f"{one}, which pyproject.toml does not name"
        for one in all_imports(sources)
        if one.library != PACKAGE
        and one.library not in sys.stdlib_module_names
        and declared.isdisjoint(canonicalize_name(name) for name in providers.get(one.library, ()))
    ]


# --- the repository keeps to them ---


def test_imports_point_one_way(sources):
    assert against_the_layers(sources) == []


def test_a_library_is_imported_by_its_owners_alone(sources):
    assert against_the_owners(sources) == []


def test_the_terminal_does_not_wait_for_dagster(sources):
    assert too_eager(sources) == []


def test_no_modules_import_each_other_in_a_circle(sources):
    assert in_a_circle(sources) == []


def test_every_module_says_what_belongs_there(sources):
    assert unsaid(sources) == []


def test_every_imported_library_is_a_declared_dependency(sources):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {canonicalize_name(Requirement(line).name) for line in project["dependencies"]}
    assert undeclared(sources, declared) == []


def test_the_top_of_the_repository_holds_nothing_else():
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    entries = {path.partition("/")[0] for path in listing.stdout.split("\0") if path}
    if PACKAGE not in entries:
        pytest.skip("this is no git checkout with files in it")
    assert entries <= TOP_LEVEL


# --- and the checks notice ---


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("pipelines.captures", "import pipelines.ledger.schema"),
        ("pipelines.captures", "from pipelines import flatten"),
        ("pipelines.captures", "def late():\n    from pipelines.defs import assets"),
        ("pipelines.captures", "if TYPE_CHECKING:\n    from pipelines.cli import main"),
        ("pipelines.captures", "import importlib\nimportlib.import_module('pipelines.cli')"),
        ("pipelines.sources.openrouter", "from pipelines.ledger import append"),
        ("pipelines.sources.openrouter", "from ..ledger import append"),
        ("pipelines.sources", "from ..ledger.schema import append"),
        ("pipelines.ledger", "from pipelines.sources import openrouter"),
        ("pipelines.demo.server", "from pipelines.sources.openrouter import OpenRouter"),
        ("pipelines.demo.server", "from pipelines.ledger import append"),
        ("pipelines.cli", "from pipelines.definitions import defs"),
        ("pipelines.utils", "import math"),
        ("pipelines", "from pipelines.captures import Capture"),
    ],
)
def test_an_import_against_the_layers_is_noticed(module, text):
    family = dict.fromkeys(("pipelines", "pipelines.flatten", "pipelines.sources", "pipelines.sources.x"), "")
    assert against_the_layers({**family, module: text})


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("pipelines.captures", "from pipelines.errors import CatalogueError"),
        ("pipelines.sources.openrouter", "from ..captures import Capture"),
        ("pipelines.sources.openrouter", "from .http import fetch"),
        ("pipelines.sources", "from .http import fetch"),
        ("pipelines.sources", "from . import http"),
        ("pipelines.ledger", "import flatten_elsewhere, json"),
        ("pipelines.cli", "def main():\n    from pipelines.defs import jobs"),
    ],
)
def test_an_import_along_the_layers_is_none_of_its_business(module, text):
    family = dict.fromkeys(("pipelines", "pipelines.sources", "pipelines.sources.http"), "")
    assert not against_the_layers({**family, module: text})


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("pipelines.captures", "import duckdb"),
        ("pipelines.demo.server", "def late():\n    import httpx"),
        ("pipelines.cli", "from dagster import materialize"),
        ("pipelines.cli", "from dagster_webserver.app import create_app"),
        ("pipelines.cli", "__import__('dagster')"),
        ("pipelines.reports.excel", "from rich.table import Table"),
        ("pipelines.pricing", "import numpy.typing as npt"),
    ],
)
def test_a_library_at_a_strangers_is_noticed(module, text):
    assert against_the_owners({module: text})


def test_a_library_at_its_owners_is_none_of_its_business():
    kept = {
        "pipelines.ledger.schema": "import duckdb",
        "pipelines.sources.http": "import httpx",
        "pipelines.definitions": "import dagster as dg",
        "pipelines.cli.tables": "from rich.table import Table",
        "pipelines.captures": "import richness",
    }
    assert not against_the_owners(kept)


def test_an_eager_import_is_noticed():
    assert too_eager({"pipelines.cli": "from pipelines.defs.jobs import daily"})
    assert too_eager({"pipelines.cli": "class Command:\n    import pipelines.defs"})
    assert not too_eager({"pipelines.cli": "def run():\n    from pipelines.defs.jobs import daily"})


def test_a_circle_is_noticed():
    circle = {
        "pipelines.ledger": "from pipelines.ledger import schema",
        "pipelines.ledger.schema": "def late():\n    from pipelines.ledger.load import load",
        "pipelines.ledger.load": "from pipelines.ledger import connect",
    }
    assert in_a_circle(circle)
    assert not in_a_circle({**circle, "pipelines.ledger.load": "import json"})


@pytest.mark.parametrize(
    "text",
    ["", "import json", '"""Prices."""\nimport json', '"""Prices.\n\nBelongs here: prices.\n"""\nX = 1'],
)
def test_a_module_that_does_not_say_what_belongs_there_is_noticed(text):
    assert unsaid({"pipelines.pricing": text})


def test_a_library_that_is_not_declared_is_noticed():
    assert undeclared({"pipelines.flatten": "import pytest"}, {"polars"})
    assert not undeclared({"pipelines.flatten": "import json, polars"}, {"polars"})

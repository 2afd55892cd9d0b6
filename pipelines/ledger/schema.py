"""The objects of the warehouse as `sql/` describes them: tables in one file, views and macros by one file each.

Belongs here: finding and reading the files under `sql/`, making tables, building views with their comments.
Does not belong here: rows.

A mart's file opens with a comment that holds its meaning, its grain and each of its columns; `COMMENT ON`, the data
dictionary and the tests are made from it, so none can disagree with another.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import duckdb

from pipelines.errors import CatalogueError
from pipelines.ledger.connect import literal, rows

_PACKAGE = Path(__file__).resolve().parents[1]
SQL_DIR = _PACKAGE / "sql" if (_PACKAGE / "sql").is_dir() else _PACKAGE.parent / "sql"
"""`sql/` inside an installed wheel, or beside the package in a checkout."""

_VIEW_SCHEMAS = ("raw", "core", "marts")

_HEADER = re.compile(r"\A/\*\n(?P<header>.*?)\n\*/\n(?P<body>.*)\Z", re.DOTALL)
_NAMES = re.compile(rf"\b(?:{'|'.join(_VIEW_SCHEMAS)})\.\w+")


@dataclass(frozen=True)
class SqlObject:
    """One file under `sql/`: ``columns`` maps a column to what it means.

    ``parameters`` are those of a table macro or of a function (which has no columns), else None.
    """

    schema: str
    name: str
    meaning: str
    grain: str
    columns: dict[str, str]
    parameters: str | None
    body: str


@cache
def derivations() -> dict[str, str]:
    """The queries under `sql/core` that fill derived tables, by the name of the table."""
    return {one.name: one.body for one in _objects("core") if not one.columns and one.parameters is None}


@cache
def views() -> tuple[SqlObject, ...]:
    """Every view, table macro and function of the warehouse, sorted so that each comes after what it reads."""
    found = [one for schema in _VIEW_SCHEMAS for one in _objects(schema) if one.columns or one.parameters is not None]
    ordered: list[SqlObject] = []

    def place(one: SqlObject) -> None:
        named = set(_NAMES.findall(one.body))
        for other in found:
            if other is not one and f"{other.schema}.{other.name}" in named:
                place(other)
        if one not in ordered:
            ordered.append(one)

    for one in found:
        place(one)
    return tuple(ordered)


@cache
def marts() -> tuple[SqlObject, ...]:
    """The views and table macros of the public contract, by name."""
    return tuple(sorted((one for one in views() if one.schema == "marts"), key=lambda one: one.name))


def _objects(schema: str) -> list[SqlObject]:
    return [read_object(path) for path in sorted((SQL_DIR / schema).glob("*.sql"))]


@cache
def checks() -> tuple[SqlObject, ...]:
    """The invariants under `sql/checks`: each query gives the rows that break it."""
    return tuple(_objects("checks"))


def read_object(path: Path) -> SqlObject:
    """The object that the file at ``path`` describes. Raises ValueError if its header is missing or malformed."""
    match = _HEADER.match(path.read_text(encoding="utf-8"))
    if match is None:
        raise ValueError(f"{path} does not open with a /* header */")
    fields, columns = _header(match["header"])
    return SqlObject(
        path.parent.name,
        path.stem,
        fields["meaning"],
        fields["grain"],
        columns,
        fields.get("macro", fields.get("function")),
        match["body"].strip(),
    )


def _header(text: str) -> tuple[dict[str, str], dict[str, str]]:
    """Fields are ``name: text`` at the margin, columns the same below ``columns:``; deeper lines go on."""
    fields: dict[str, str] = {}
    columns: dict[str, str] = {}
    target, key = fields, ""
    for line in text.splitlines():
        indent, content = len(line) - len(line.lstrip()), line.strip()
        if indent == 0:
            key, _, value = content.partition(":")
            target = columns if key == "columns" else fields
            if target is fields:
                fields[key] = value.strip()
        elif indent == 2 and target is columns:
            key, _, value = content.partition(":")
            columns[key] = value.strip()
        else:
            target[key] += f" {content}"
    return fields, columns


class EarlierSchemaError(CatalogueError):
    """The ledger was filled by an earlier program, which this one's tables and derivations do not fit."""


def prepare(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the tables of an empty attached ledger ``catalogue``; build its views if they are not those of the files.

    Raises :class:`EarlierSchemaError` for a ledger to be built anew, :class:`CatalogueError` for one that a later
    program wrote.
    """
    connection.execute("CREATE TABLE IF NOT EXISTS catalogue.main.schema_version (version INTEGER, views VARCHAR)")
    version, tables = _tables()
    found = rows(connection, "SELECT version, views FROM catalogue.main.schema_version")
    stored, built = found[0] if found else (version, None)
    if stored < version:
        raise EarlierSchemaError(f"the ledger has schema {stored}, and this program writes schema {version}")
    if stored > version:
        raise CatalogueError(
            f"this warehouse has schema {stored}, and this program knows schemas up to {version}: update it"
        )
    wanted = fingerprint()
    if built == wanted:
        return
    connection.execute("BEGIN")
    connection.execute("USE catalogue")
    if not found:
        connection.execute(tables)
    _build_views(connection)
    connection.execute("DELETE FROM catalogue.main.schema_version")
    connection.execute("INSERT INTO catalogue.main.schema_version VALUES (?, ?)", [version, wanted])
    connection.execute("COMMIT")


def is_of_this_program(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether the attached ``catalogue`` has the tables and views that this program would give it."""
    try:
        found = rows(connection, "SELECT version, views FROM catalogue.main.schema_version")
    except duckdb.Error:
        return False
    return found == [(_tables()[0], fingerprint())]


def _tables() -> tuple[int, str]:
    """The version of the tables, and the statements that make them."""
    text = (SQL_DIR / "tables.sql").read_text(encoding="utf-8")
    return int(text.splitlines()[0].removeprefix("-- version:")), text


@cache
def fingerprint() -> str:
    """Changes when the definition of any view does."""
    return hashlib.sha256("\0".join(definition(view) for view in views()).encode()).hexdigest()


def _build_views(connection: duckdb.DuckDBPyConnection) -> None:
    for kind, schema, name in connection.execute(
        "SELECT 'VIEW', schema_name, view_name FROM duckdb_views() WHERE database_name = 'catalogue' AND NOT internal "
        "UNION ALL SELECT CASE function_type WHEN 'table_macro' THEN 'MACRO TABLE' ELSE 'MACRO' END, schema_name, "
        "function_name FROM duckdb_functions() WHERE database_name = 'catalogue' AND NOT internal"
    ).fetchall():
        connection.execute(f"DROP {kind} catalogue.{schema}.{name}")
    for view in views():
        connection.execute(definition(view))


def definition(view: SqlObject) -> str:
    """The statements that build ``view`` with its comments."""
    target = f"catalogue.{view.schema}.{view.name}"
    comment = literal(f"{view.meaning} Grain: {view.grain}.")
    if view.parameters is not None:
        macro, what = ("MACRO TABLE", " TABLE\n") if view.columns else ("MACRO", " (\n")
        end = "" if view.columns else "\n)"
        made = f"CREATE MACRO {target}({view.parameters}) AS{what}{view.body}{end}"
        return f"{made};\nCOMMENT ON {macro} {target} IS {comment}"
    statements = [f"CREATE VIEW {target} AS\n{view.body}", f"COMMENT ON VIEW {target} IS {comment}"]
    statements += [
        f"COMMENT ON COLUMN {target}.{column} IS {literal(meaning)}" for column, meaning in view.columns.items()
    ]
    return ";\n".join(statements)

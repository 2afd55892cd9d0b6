"""The data dictionary: the marts as their comments in a warehouse tell them, in Markdown.

Belongs here: reading comments back and writing them between two marks of a file.
Does not belong here: the words themselves, which stand at the head of each file under `sql/marts`.

Run as ``python -m pipelines.ledger.dictionary README.md``.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from pipelines.ledger.published import Published
from pipelines.ledger.schema import marts

BEGIN = "<!-- data dictionary: written by `make docs` from the comments in the warehouse -->"
END = "<!-- end of the data dictionary -->"

_RELATIONS = """
SELECT view_name, comment FROM duckdb_views() WHERE database_name = 'catalogue' AND schema_name = 'marts'
UNION ALL
SELECT function_name, comment FROM duckdb_functions() WHERE database_name = 'catalogue' AND schema_name = 'marts'
ORDER BY 1
"""

_COLUMNS = """
SELECT table_name, column_name, data_type, comment FROM duckdb_columns()
WHERE database_name = 'catalogue' AND schema_name = 'marts' ORDER BY table_name, column_index
"""


def dictionary(published: Published) -> str:
    """Every mart of ``published`` with its meaning, and each column with its type and meaning.

    A macro's columns have no comments in DuckDB; theirs come from the head of its file.
    """
    columns: dict[str, list[tuple[str, str, str]]] = {}
    for table, column, type_, comment in published.ask(_COLUMNS).rows:
        columns.setdefault(table, []).append((column, type_, comment))
    macros = {mart.name: mart for mart in marts() if mart.parameters is not None}
    parts = []
    for name, comment in published.ask(_RELATIONS).rows:
        title = name
        if name in macros:
            title = f"{name}({macros[name].parameters})"
            types = published.ask(f"DESCRIBE SELECT * FROM marts.{name}(TIMESTAMPTZ '2026-01-01 00:00:00+00')").rows
            columns[name] = [(one[0], one[1], macros[name].columns[one[0]]) for one in types]
        parts += [f"#### `{title}`", "", comment, "", "| column | type | meaning |", "|---|---|---|"]
        parts += [f"| {column} | {type_} | {meaning} |" for column, type_, meaning in columns[name]]
        parts.append("")
    return "\n".join(parts).rstrip()


def of_this_program() -> str:
    """The dictionary of the warehouse that this program builds."""
    from pipelines.ledger.ledger import Ledger

    with tempfile.TemporaryDirectory() as folder:
        with Ledger(Path(folder)) as ledger:
            ledger.publish()
        with Published(Path(folder)) as published:
            return dictionary(published)


def between_marks(text: str, content: str) -> str:
    """``text`` with what lies between the two marks replaced by ``content``."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{content}\n\n{END}{after}"


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.write_text(between_marks(target.read_text(), of_this_program()))

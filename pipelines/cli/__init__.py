"""The terminal: the executable `catalogue`.

Belongs here: the commands, their options, and how an error ends the process. Does not belong here: anything that
a program would want without a terminal.

Heavy libraries are imported within commands, so that `--help` answers at once.
"""

from __future__ import annotations

import os
import sys

import click

from pipelines.cli.ask import changes, expiring, new, offers, price, removed, sql, status
from pipelines.cli.call import count, get
from pipelines.cli.facets import facets, ranks
from pipelines.cli.finance import impact, reprice
from pipelines.cli.load import demo, import_, quarantine, rebuild, serve, sweep, verify
from pipelines.cli.report import cheapest, report
from pipelines.cli.scopes import scopes
from pipelines.cli.snapshot import snapshot
from pipelines.cli.tables import ReaderGoneError
from pipelines.errors import CatalogueError, UsageError


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="openrouter-catalogue", prog_name="catalogue")
def catalogue() -> None:
    """The history of OpenRouter's model catalogue: what every model was, what it cost, when that changed.

    \b
    Examples:
      catalogue demo                                     the whole product on ninety simulated days
      catalogue snapshot                                 take the live catalogue once
      catalogue sweep                                    ask who offers each model, and at what price
      catalogue import models.bundle --path models.json  load an archive of captures
      catalogue changes --since 7d                       what became dearer or cheaper
      catalogue price openai/gpt-4o --at 2025-06-01      what it cost then

    Exit codes: 0 done, 1 failed, 2 wrong usage, 3 something was quarantined (the rest is done).
    """


for command in (
    snapshot,
    scopes,
    sweep,
    import_,
    status,
    sql,
    changes,
    new,
    removed,
    expiring,
    price,
    offers,
    facets,
    ranks,
    get,
    count,
    reprice,
    impact,
    cheapest,
    report,
    quarantine,
    verify,
    rebuild,
    demo,
    serve,
):
    catalogue.add_command(command)


def main() -> None:
    """Run `catalogue` and end the process with its exit code; errors are one sentence on stderr."""
    _accept_any_terminal()
    try:
        code = catalogue.main(standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except UsageError as problem:
        _fail(str(problem), 2)
    except CatalogueError as problem:
        _fail(str(problem), 1)
    except click.exceptions.NoArgsIsHelpError as problem:
        click.echo(problem.format_message(), err=True)
        sys.exit(2)
    except click.ClickException as problem:
        _fail(problem.format_message(), problem.exit_code)
    except (click.Abort, KeyboardInterrupt):
        _fail("interrupted", 130)
    except RuntimeError as problem:
        if "interrupted" not in str(problem):
            raise
        _fail("interrupted", 130)  # as DuckDB says it where Ctrl-C meets a query
    except OSError as problem:
        _fail(f"the output cannot be written: {problem.strerror}", 1)
    except ReaderGoneError:
        # Python would complain again when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


def _accept_any_terminal() -> None:
    """One that is closed takes nothing, and one that cannot show a character shows a question mark."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def _fail(sentence: str, code: int) -> None:
    click.echo(f"catalogue: {sentence}", err=True)
    sys.exit(code)

"""Commands about facets: which models a filter has, and in which order a ranking puts them.

Belongs here: their queries over marts and how to show them. Does not belong here: taking facets (`snapshot`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipelines.cli.options import Since, format_option, warehouse_option
from pipelines.cli.tables import minute, print_records, print_table
from pipelines.errors import CatalogueError, UsageError

if TYPE_CHECKING:
    from pipelines.ledger.published import Answer, Published


@click.command()
@click.argument("facet", required=False)
@warehouse_option
@click.option("--model", help="Which facets have, or had, this model.")
@click.option("--since", type=Since(), help="What joined and left from then on: a date, a time, or a span such as 7d.")
@format_option("table", "csv", "json")
def facets(
    facet: str | None, warehouse: Path, model: str | None, since: datetime | timedelta | None, format_: str
) -> None:
    """Which models a facet has: a filter such as `zdr=true`, a ranking, or an account's `models/user`.

    \b
    Examples:
      catalogue facets                                   what was taken, and how many models each has
      catalogue facets zdr=true                          its models, and since when
      catalogue facets zdr=true --since 30d              what joined and what left
      catalogue facets --model anthropic/claude-sonnet-4.5
    """
    from pipelines.ledger.published import Published

    with Published(warehouse) as published:
        known = _known(published, facet, rankings=False)
        asked: dict[str, Any] = {"facet": facet, "model": model}
        if since is not None:
            last = max(one["last_at"] for one in known)
            asked["start"] = since if isinstance(since, datetime) else last - since
            _show(published.ask(_CHANGES, asked), format_, f"Facets since {minute(asked['start'])} UTC", _change)
        elif model is not None or facet is not None:
            members = published.ask(_MEMBERS, asked)
            if model is not None and not members.rows:
                raise CatalogueError(f"no facet{'' if facet is None else f' {facet}'} ever had {model}")
            _show(members, format_, f"Facets of {model}" if model else f"Models of {facet}", _member)
        else:
            _show(published.ask(_FACETS), format_, "Facets", _facet)


@click.command()
@click.argument("facet", required=False)
@warehouse_option
@click.option("--top", type=click.IntRange(min=1), default=20, show_default=True, help="How many places to show.")
@click.option("--model", help="The places that this model had over time.")
@format_option("table", "csv", "json")
def ranks(facet: str | None, warehouse: Path, top: int, model: str | None, format_: str) -> None:
    """In which order a ranking puts the models, and how they moved since the snapshot before and within a week.

    \b
    Examples:
      catalogue ranks category=programming
      catalogue ranks sort=top-weekly --top 50 --format csv
      catalogue ranks category=programming --model anthropic/claude-sonnet-4.5
    """
    from pipelines.ledger.published import Published

    with Published(warehouse) as published:
        known = sorted({one["facet"] for one in _known(published, facet, rankings=True)})
        if facet is None and len(known) > 1:
            raise UsageError(f"say which of {', '.join(known)}")
        chosen = facet or known[0]
        if model is not None:
            history = published.ask(_RANK_HISTORY, {"facet": chosen, "model": model})
            if not history.rows:
                raise CatalogueError(f"{model} was never ranked by {chosen}")
            _show(history, format_, f"{model} in {chosen}", _place)
            return
        answer = published.ask(_RANKS, {"facet": chosen, "top": top})
        latest = answer.records()[0]["observed_at"] if answer.rows else None
        _show(answer, format_, f"{chosen} at {minute(latest)} UTC", _rank)


def _known(published: Published, facet: str | None, *, rankings: bool) -> list[dict[str, Any]]:
    """The facets that were taken. Raises if there are none, or ``facet`` is none of them."""
    known = [one for one in published.ask(_FACETS).records() if one["is_ranking"] or not rankings]
    what, example = ("ranking", "category=programming") if rankings else ("facet", "zdr=true")
    if not known:
        how = f"take one with `catalogue snapshot --scope 'models?{example}'`"
        raise CatalogueError(f"{published.path} holds no snapshot of a {what} yet: {how}")
    names = sorted({one["facet"] for one in known})
    if facet is not None and facet not in names:
        raise UsageError(f"no {what} {facet!r} was taken; there are {', '.join(names)}")
    return known


def _show(answer: Answer, format_: str, title: str, row: _Row) -> None:
    if format_ != "table":
        print_records(format_, answer.columns, answer.rows)
        return
    headers, cells = row
    records = answer.records()
    if len({one["source"] for one in records}) > 1 and "source" not in headers:
        print_table(title, ("source", *headers), [(one["source"], *cells(one)) for one in records])
    else:
        print_table(title, headers, [cells(one) for one in records])


_FACETS = """
SELECT
    f.source, f.facet, f.is_ranking, min(f.observed_at) AS first_at, max(f.observed_at) AS last_at,
    count(DISTINCT f.observed_at) AS snapshots,
    (SELECT count(*) FROM marts.facet_membership AS m
        WHERE m.source = f.source AND m.facet = f.facet AND m.valid_to IS NULL) AS models
FROM core.facet_snapshots AS f
GROUP BY f.source, f.facet, f.is_ranking
ORDER BY f.source, f.facet
"""

_MEMBERS = """
SELECT source, facet, model_id, valid_from, valid_to, last_seen_at, is_left_censored
FROM marts.facet_membership
WHERE ($facet IS NULL OR facet = $facet) AND CASE WHEN $model IS NULL THEN valid_to IS NULL ELSE model_id = $model END
ORDER BY source, facet, model_id, valid_from
"""

_CHANGES = """
SELECT source, facet, model_id, event, happened_at, last_seen_at
FROM marts.facet_changes
WHERE happened_at >= $start AND ($facet IS NULL OR facet = $facet) AND ($model IS NULL OR model_id = $model)
ORDER BY happened_at, source, facet, event, model_id
"""

_RANKS = """
SELECT source, facet, rank, model_id, previous_rank, movement, week_before_rank, week_movement, valid_from, observed_at
FROM marts.ranks
WHERE facet = $facet AND rank <= $top
ORDER BY source, rank
"""

_RANK_HISTORY = """
SELECT
    source, facet, model_id, rank, valid_from, valid_to, last_seen_at, previous_rank, movement, week_before_rank,
    week_movement
FROM marts.rank_history
WHERE facet = $facet AND model_id = $model
ORDER BY source, valid_from
"""

_Row = tuple[Sequence[str], Any]
"""Headers, and what makes the cells of a record."""

_facet: _Row = (
    ("source", "facet", ">models", ">snapshots", "first taken", "last taken", "order"),
    lambda one: (
        one["source"],
        one["facet"],
        str(one["models"]),
        str(one["snapshots"]),
        minute(one["first_at"]),
        minute(one["last_at"]),
        "ranks" if one["is_ranking"] else "",
    ),
)

_member: _Row = (
    ("facet", "model", "since", "until"),
    lambda one: (one["facet"], one["model_id"], _since(one), minute(one["valid_to"])),
)

_change: _Row = (
    ("when", "facet", "model", "what"),
    lambda one: (minute(one["happened_at"]), one["facet"], one["model_id"], one["event"]),
)

_rank: _Row = (
    (">rank", "model", ">since the last", ">within a week", "in this place since"),
    lambda one: (
        str(one["rank"]),
        one["model_id"],
        _moved(one["movement"]),
        _moved(one["week_movement"]),
        minute(one["valid_from"]),
    ),
)

_place: _Row = (
    (">rank", "from", "until", ">moved", ">within a week"),
    lambda one: (
        str(one["rank"]),
        minute(one["valid_from"]),
        minute(one["valid_to"]),
        _moved(one["movement"]),
        _moved(one["week_movement"]),
    ),
)


def _since(one: dict[str, Any]) -> str:
    return f"before {minute(one['valid_from'])}" if one["is_left_censored"] else minute(one["valid_from"])


def _moved(places: int | None) -> str:
    """A movement as an arrow and its size; without an earlier place there is nothing to move from."""
    if places is None:
        return "new"
    return f"▲ {places}" if places > 0 else f"▼ {-places}" if places < 0 else "="

"""Commands that ask the published file.

Belongs here: one function a command, each a query over marts and how to show it.
Does not belong here: anything that writes to the warehouse (`load`).
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipelines.cli.options import Moment, format_option, since_option, warehouse_option
from pipelines.cli.tables import cell, count, day, minute, money, plain, print_records, print_table
from pipelines.errors import CatalogueError, UsageError

if TYPE_CHECKING:
    from pipelines.ledger.published import Answer, Published


def _open(warehouse: Path, known_at: datetime | None = None) -> Published:
    from pipelines.ledger.published import Published

    return Published(warehouse, known_at)


def _from(published: Published, since: datetime | timedelta) -> datetime:
    """The moment that ``--since`` means: a span counts back from the last snapshot, not from the wall clock."""
    if isinstance(since, datetime):
        return since
    last = published.ask("SELECT max(observed_at) FROM marts.snapshots").rows[0][0]
    if last is None:
        raise CatalogueError(f"{published.path} holds no snapshots yet")
    return datetime.fromisoformat(str(last)) - since


@click.command()
@warehouse_option
@format_option("table", "csv", "json")
def status(warehouse: Path, format_: str) -> None:
    """Tell what the warehouse holds.

    Snapshots, models, gaps, and what waits for a decision.

    \b
    Examples:
      catalogue status
      catalogue status --format json
    """
    with _open(warehouse) as published:
        answer = published.ask(_STATUS)
        gaps = published.ask(_GAPS).records()
        alterations = published.ask(_ALTERATIONS).records() if answer.records()[0]["altered_intervals"] else []
    if format_ != "table":
        print_records(format_, answer.columns, answer.rows)
        return
    facts = answer.records()[0]
    print_table(
        f"Warehouse {warehouse / 'catalogue.duckdb'}",
        ("", ""),
        [(name.replace("_", " "), cell(value)) for name, value in facts.items()],
    )
    print_table(
        "Longest gaps between snapshots of one scope",
        (">hours", "until", "scope"),
        [(f"{gap['hours_since_previous']:.1f}", minute(gap["observed_at"]), gap["scope"]) for gap in gaps],
    )
    if alterations:
        _show_alterations(facts["altered_intervals"], alterations)
    if facts["quarantined"]:
        click.echo(f"{facts['quarantined']} captures wait for a decision: catalogue quarantine list")


_STATUS = """
SELECT
    (SELECT count(*) FROM marts.snapshots) AS snapshots,
    (SELECT min(observed_at) FROM marts.snapshots) AS first_snapshot,
    (SELECT max(observed_at) FROM marts.snapshots) AS last_snapshot,
    (SELECT max(recorded_at) FROM marts.snapshots) AS last_recorded,
    (SELECT count(*) FROM marts.models) AS models_listed_now,
    (SELECT count(DISTINCT model_id) FROM marts.model_spells) AS models_ever_listed,
    (SELECT count(*) FROM marts.price_changes WHERE is_repricing) AS repricings,
    (SELECT count(*) FROM marts.expirations WHERE status = 'announced' AND NOT is_placeholder) AS expirations_ahead,
    (SELECT count(*) FROM marts.schema_drift) AS unknown_fields,
    (SELECT count(*) FROM marts.alterations WHERE alteration <> 'narrowed') AS altered_intervals,
    (SELECT count(*) FROM raw.quarantine WHERE verdict = 'quarantined') AS quarantined
"""


def _show_alterations(number: int, shown: list[dict[str, Any]]) -> None:
    print_table(
        "What later knowledge altered",
        ("learnt", "model", "what", "from", "until, before", "until, now", "how", "by capture", "observed"),
        [
            (
                minute(one["recorded_at"]),
                one["model_id"],
                " ".join([one["what"], *([one["price_kind"]] if one["price_kind"] else [])]),
                minute(one["valid_from"]),
                minute(one["former_valid_to"]),
                minute(one["valid_to"]),
                one["alteration"].replace("_", " "),
                one["snapshot_id"][:12] + (" (retracted)" if one["cause"] == "retraction" else ""),
                minute(one["observed_at"]),
            )
            for one in shown
        ],
        footer=f'the latest {len(shown)} of {number}: catalogue sql "FROM marts.alterations"'
        if number > len(shown)
        else "",
    )


_ALTERATIONS = """
SELECT * FROM marts.alterations WHERE alteration <> 'narrowed'
ORDER BY recorded_at DESC, valid_from DESC, model_id, what, price_kind, rule_no LIMIT 10
"""

_GAPS = """
SELECT scope, observed_at, hours_since_previous FROM marts.snapshots
WHERE hours_since_previous IS NOT NULL ORDER BY hours_since_previous DESC, observed_at LIMIT 3
"""


@click.command()
@click.argument("query")
@warehouse_option
@format_option("table", "csv", "json", "parquet")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="Write to this file.")
@click.option("--known-at", type=Moment(), metavar="TIME", help="Of what this warehouse knew at that time.")
def sql(query: str, warehouse: Path, format_: str, output: Path | None, known_at: datetime | None) -> None:
    """Ask the published file anything, read-only.

    \b
    Examples:
      catalogue sql "SELECT model_id, price_text FROM marts.prices WHERE price_kind = 'prompt'"
      catalogue sql "FROM marts.prices_at('2025-06-01T00:00:00Z')" --format csv
      catalogue sql "FROM marts.price_history" --format parquet --output prices.parquet
      catalogue sql "FROM marts.price_changes" --known-at 2026-08-03
    """
    if format_ == "parquet" and output is None:
        raise UsageError("Parquet is no text: say where to write it with --output FILE")
    with _open(warehouse, known_at) as published:
        if format_ == "parquet" and output is not None:
            published.write_parquet(query, output)
            return
        answer = published.ask(query)
    if output is not None and format_ == "table":
        raise UsageError("a table is for the terminal: with --output choose --format csv, json or parquet")
    if output is not None:
        with _writing(output) as file:
            print_records(format_, answer.columns, answer.rows, file)
    elif format_ == "table":
        print_table(count(len(answer.rows), "row"), answer.columns, [list(map(cell, row)) for row in answer.rows])
    else:
        print_records(format_, answer.columns, answer.rows)


def _writing(path: Path) -> Any:
    try:
        return path.open("w", encoding="utf-8", newline="")
    except OSError as problem:
        raise CatalogueError(f"{path} cannot be written: {problem.strerror}") from None


@click.command()
@warehouse_option
@since_option("7d")
@click.option("--model", help="Only this model.")
@click.option("--kind", help="Only this price kind, such as prompt.")
@click.option("--all", "everything", is_flag=True, help="Also prices listed and unlisted, schedule flips and aliases.")
@click.option(
    "--rules", "only_rules", is_flag=True, help="Only changes of rules, which csv and json leave out otherwise."
)
@format_option("table", "csv", "json")
def changes(
    warehouse: Path,
    since: datetime | timedelta,
    model: str | None,
    kind: str | None,
    everything: bool,
    only_rules: bool,
    format_: str,
) -> None:
    """What became dearer, cheaper, free or paid.

    A change of rules is told by what a request pays in a week before and after it.

    \b
    Examples:
      catalogue changes
      catalogue changes --since 2026-08-01 --kind prompt
      catalogue changes --since 4w --model deepseek/deepseek-chat --all --format csv
      catalogue changes --since 4w --rules --format json
    """
    with _open(warehouse) as published:
        start = _from(published, since)
        _check_known(published, model, kind)
        answer = published.ask(_CHANGES, {"start": start, "model": model, "kind": kind, "everything": everything})
        hidden = published.ask(
            "SELECT count(*) FROM marts.price_changes WHERE changed_at >= $start", {"start": start}
        ).rows[0][0]
        rules = published.ask(_RULE_CHANGES, {"start": start, "model": model, "kind": kind, "everything": everything})
    if format_ != "table":
        told = rules if only_rules else answer
        print_records(format_, told.columns, told.rows)
        return
    if only_rules:
        _show_rule_changes(rules)
        return
    rest = 0 if everything or model or kind else hidden - len(answer.rows)
    print_table(
        f"Price changes since {minute(start)} UTC",
        ("changed", "model", "price", "what", ">from", ">to", ">by", "exactly"),
        [_change_row(one) for one in answer.records()],
        footer=f"{rest} more rows are no repricings (listed, unlisted, flips, aliases): --all shows them"
        if rest
        else "",
    )

    if rules.rows:
        _show_rule_changes(rules)


def _show_rule_changes(rules: Answer) -> None:
    print_table(
        "Rules that changed, and what a request pays in a week before and after",
        ("changed", "model", "price", "requests of", ">from", ">to", ">on average by", ">hours of 168"),
        [_rule_change_row(one) for one in rules.records()],
    )


def _rule_change_row(one: dict[str, Any]) -> tuple[str, ...]:
    over, least, ratio = one["min_prompt_tokens"], one["least_threshold"], one["week_ratio"]
    tier = "any size" if least is None else f"up to {least:,} tokens" if over is None else f"over {over:,} tokens"
    return (
        minute(one["changed_at"]),
        one["model_id"],
        one["price_kind"],
        tier,
        _range(one, "old"),
        _range(one, "new"),
        f"{ratio:+.1%}" if ratio is not None else "",
        f"{one['changed_minutes'] / 60:.4g}",
    )


def _range(one: dict[str, Any], side: str) -> str:
    low, high = (one[f"{side}_{end}_usd"] for end in ("low", "high"))
    if low is None:
        return "no number"
    shown = [money(usd, "listed", one["unit"] or "unknown") for usd in (low, high)]
    return shown[0] if low == high else " to ".join(shown)


_RULE_CHANGES = """
SELECT
    c.*, h.unit,
    min(c.min_prompt_tokens) OVER (PARTITION BY c.source, c.model_id, c.price_kind, c.changed_at) AS least_threshold
FROM marts.price_rule_changes AS c
LEFT JOIN (
    SELECT source, model_id, price_kind, max_by(unit, valid_from) AS unit FROM marts.price_rule_history GROUP BY ALL
) AS h ON h.source = c.source AND h.model_id = c.model_id AND h.price_kind = c.price_kind
WHERE
    c.changed_at >= $start
    AND ($model IS NULL OR c.model_id = $model)
    AND ($kind IS NULL OR c.price_kind = $kind)
QUALIFY $everything OR (c.is_repricing AND NOT c.is_alias)
ORDER BY c.changed_at, c.model_id, c.price_kind, c.min_prompt_tokens NULLS FIRST
"""


def _check_known(published: Published, model: str | None, kind: str | None) -> None:
    """No rows for a model or kind that never was would be a misleading answer."""
    if model and not published.ask("SELECT 1 FROM marts.model_spells WHERE model_id = ? LIMIT 1", [model]).rows:
        raise CatalogueError(_unknown_model(published, model))
    kinds = [one for (one,) in published.ask(_KINDS).rows]
    if kind and kind not in kinds:
        raise CatalogueError(f"no price kind {kind!r} was ever listed; there are {', '.join(kinds)}")


_KINDS = """
SELECT price_kind FROM marts.price_history UNION SELECT price_kind FROM marts.price_rule_history ORDER BY price_kind
"""


def _change_row(one: dict[str, Any]) -> tuple[str, ...]:
    notes = [
        note
        for note, holds in (
            ("rules changed", one["has_rule_change"]),
            ("schedule flip", one["is_schedule_flip"]),
            ("after absence", one["after_absence"]),
            ("only routing", one["explained_by"] == "routing"),
            (f"back by {minute(one['reverted_at'])}", one["reverted_at"]),
        )
        if holds
    ]
    ratio = one["change_ratio"]
    return (
        minute(one["changed_at"]),
        one["model_id"],
        one["price_kind"],
        ", ".join([one["change_kind"].replace("_", " "), *notes]),
        _side(one, "old"),
        _side(one, "new"),
        f"{ratio:+.1%}" if ratio is not None else "",
        f"{one['old_price_text'] or 'absent'} → {one['new_price_text'] or 'absent'}",
    )


def _side(one: dict[str, Any], side: str) -> str:
    usd, text = one[f"{side}_price_usd"], one[f"{side}_price_text"]
    if usd is None:
        return "absent" if text is None else "dynamic" if text.startswith("-") else "unreadable"
    return money(usd, "listed", one["unit"])


_CHANGES = """
SELECT
    c.changed_at, c.last_seen_at, c.source, c.model_id, c.price_kind, h.unit, c.change_kind, c.old_price_text,
    c.new_price_text, c.old_price_usd, c.new_price_usd, c.change_ratio, c.is_alias, c.has_rule_change,
    c.is_schedule_flip, c.is_repricing, c.after_absence, c.reverted_at, c.explained_by
FROM marts.price_changes AS c
LEFT JOIN (
    SELECT source, model_id, price_kind, max_by(unit, valid_from) AS unit FROM marts.price_history GROUP BY ALL
) AS h ON h.source = c.source AND h.model_id = c.model_id AND h.price_kind = c.price_kind
WHERE
    c.changed_at >= $start
    AND ($model IS NULL OR c.model_id = $model)
    AND ($kind IS NULL OR c.price_kind = $kind)
    AND ($everything OR (NOT c.is_alias AND (c.is_repricing OR c.change_kind IN ('became_dynamic', 'became_fixed'))))
ORDER BY c.changed_at, c.model_id, c.price_kind
"""


@click.command()
@warehouse_option
@since_option("7d")
@format_option("table", "csv", "json")
def new(warehouse: Path, since: datetime | timedelta, format_: str) -> None:
    """Models that were added.

    \b
    Examples:
      catalogue new
      catalogue new --since 2026-08-01 --format json
    """
    _lives(warehouse, since, format_, "new_models", "first_seen_at", "first", "New models")


@click.command()
@warehouse_option
@since_option("7d")
@format_option("table", "csv", "json")
def removed(warehouse: Path, since: datetime | timedelta, format_: str) -> None:
    """Models that are listed no more.

    \b
    Examples:
      catalogue removed
      catalogue removed --since 4w --format csv
    """
    _lives(warehouse, since, format_, "removed_models", "removed_at", "last", "Removed models")


def _lives(
    warehouse: Path, since: datetime | timedelta, format_: str, mart: str, moment: str, which: str, title: str
) -> None:
    with _open(warehouse) as published:
        start = _from(published, since)
        answer = published.ask(f"SELECT * FROM marts.{mart} WHERE {moment} >= ? ORDER BY {moment}, model_id", [start])
    if format_ != "table":
        print_records(format_, answer.columns, answer.rows)
        return
    print_table(
        f"{title} since {minute(start)} UTC",
        (moment.removesuffix("_at").replace("_", " "), "model", "name", ">prompt", ">completion", "exactly"),
        [
            (
                minute(one[moment]),
                one["model_id"],
                one["name"] or "",
                *(_priced(one, which, kind) for kind in ("prompt", "completion")),
                " / ".join(one[f"{which}_{kind}_text"] or "absent" for kind in ("prompt", "completion")),
            )
            for one in answer.records()
        ],
    )


def _priced(one: dict[str, Any], which: str, kind: str) -> str:
    usd, text = one[f"{which}_{kind}_usd"], one[f"{which}_{kind}_text"]
    if usd is None:
        return "absent" if text is None else "dynamic" if text.startswith("-") else "unreadable"
    return money(usd, "listed", "token")


@click.command()
@warehouse_option
@click.option("--within", type=click.IntRange(min=0), metavar="DAYS", help="Only dates at most this many days ahead.")
@click.option("--all", "everything", is_flag=True, help="Every announcement ever, sentinels included.")
@click.option("--by-author", is_flag=True, help="How authors give notice, and what became of their dates.")
@format_option("table", "csv", "json")
def expiring(warehouse: Path, within: int | None, everything: bool, by_author: bool, format_: str) -> None:
    """Models with an announced end, the next first. Days count from the last snapshot.

    \b
    Examples:
      catalogue expiring
      catalogue expiring --within 30
      catalogue expiring --all --format csv
      catalogue expiring --by-author
    """
    if by_author:
        if everything or within is not None:
            raise UsageError("--by-author is about all announcements: leave out --all and --within")
        _show_notice(warehouse, format_)
        return
    with _open(warehouse) as published:
        answer = published.ask(_EXPIRING, {"everything": everything, "within": within})
    if format_ != "table":
        print_records(format_, answer.columns, answer.rows)
        return
    print_table(
        "Announced ends" if everything else "Models that expire next",
        ("date", ">days left", "model", "status", "announced", ">notice days", "before"),
        [
            (
                day(one["expiration_date"]),
                cell(one["days_left"]),
                one["model_id"],
                _fate(one),
                day(one["announced_at"]),
                cell(one["notice_days"]),
                day(one["previous_expiration_date"]),
            )
            for one in answer.records()
        ],
    )


def _fate(one: dict[str, Any]) -> str:
    """The status of an announcement in words, and how far from the day things happened."""
    words = str(one["status"]).replace("_", " ")
    if one["removal"]:
        words = "removed, unclear when" if one["removal"] == "unclear" else f"removed {one['removal']} the day"
    return f"{words}, outlived by {count(one['outlived_days'], 'day')}" if one["outlived_days"] else words


def _show_notice(warehouse: Path, format_: str) -> None:
    with _open(warehouse) as published:
        answer = published.ask("SELECT * FROM marts.expiration_notice ORDER BY announcements DESC, source, author")
    if format_ != "table":
        print_records(format_, answer.columns, answer.rows)
        return
    columns = {
        "announcements": ">dates",
        "least_notice_days": ">least notice, days",
        "median_notice_days": ">median",
        "moved": ">moved",
        "withdrawn": ">withdrawn",
        "outlived": ">outlived",
        "removed_before": ">gone before",
        "removed_on": ">on",
        "removed_after": ">after",
        "removed_unclear": ">unclear",
        "removed_without_notice": ">gone without notice",
    }
    print_table(
        "Notice by author",
        ("author", *columns.values()),
        [(one["author"], *(cell(one[name]) for name in columns)) for one in answer.records()],
    )


_EXPIRING = """
SELECT * FROM marts.expirations
WHERE
    $everything
    OR (
        status IN ('announced', 'passed_still_listed') AND NOT is_placeholder
        AND ($within IS NULL OR days_left <= $within)
    )
ORDER BY expiration_date, model_id, announced_at
"""


@click.command()
@click.argument("model")
@warehouse_option
@click.option("--at", type=Moment(), metavar="TIME", help="In force at this time; by default at the last snapshot.")
@click.option("--known-at", type=Moment(), metavar="TIME", help="As this warehouse knew it at that time.")
@click.option(
    "--prompt-tokens",
    type=click.IntRange(min=0, max=2**63 - 1),
    metavar="N",
    help="What a request of so many prompt tokens pays then, all rules applied.",
)
@format_option("table", "csv", "json")
def price(
    model: str,
    warehouse: Path,
    at: datetime | None,
    known_at: datetime | None,
    prompt_tokens: int | None,
    format_: str,
) -> None:
    """What a model costs, or cost at a time.

    \b
    Examples:
      catalogue price openai/gpt-4o
      catalogue price openai/gpt-4o --at 2025-06-01
      catalogue price openai/gpt-5.4 --at 2026-08-01T12:00:00+02:00 --prompt-tokens 300000
      catalogue price openai/gpt-4o --at 2025-06-01 --known-at 2025-07-01 --format json
    """
    with _open(warehouse) as published:
        moment = at or _from(published, timedelta())
        clocks = {"at": moment, "known_at": known_at, "model": model}
        if prompt_tokens is None:
            answer = published.ask(_PRICES, clocks)
            rules = published.ask(_RULES, clocks)
        else:
            answer = published.ask(_REQUEST_PRICES, {**clocks, "prompt_tokens": prompt_tokens})
        if not answer.rows:
            raise CatalogueError(_why_no_price(published, model, moment, known_at))
    if format_ != "table":
        print_records(format_, answer.columns, answer.rows)
    elif prompt_tokens is None:
        _show_prices(model, moment, answer, rules)
    else:
        _show_request_prices(f"{prompt_tokens:,} prompt tokens to {model}", moment, answer)


_PRICES = "SELECT * FROM marts.prices_at($at, known_at := $known_at) WHERE model_id = $model ORDER BY price_kind"

_REQUEST_PRICES = """
SELECT * FROM marts.request_prices_at($at, $prompt_tokens, known_at := $known_at)
WHERE model_id = $model ORDER BY price_kind
"""

_RULES = """
SELECT r.*
FROM core.listed_at($at, $known_at) AS l
JOIN core.model_ids AS m ON m.model_no = l.model_no
JOIN core.price_rules AS r ON r.price_list_no = l.price_list_no
WHERE m.model_id = $model
ORDER BY r.rule_no, r.price_kind
"""


def _show_request_prices(request: str, moment: datetime, answer: Answer) -> None:
    records = answer.records()
    print_table(
        f"{request} at {minute(moment)} UTC",
        ("price", ">costs", "exactly, $ per unit", "unit", "because"),
        [
            (
                one["price_kind"],
                money(one["price_usd"], one["price_status"], one["unit"]),
                one["price_text"] if one["price_usd"] is None else plain(one["price_usd"]),
                one["unit"],
                _because(one),
            )
            for one in records
        ],
        footer=_seen(records[0]),
    )


def _because(one: dict[str, Any]) -> str:
    if one["rule_no"] is not None:
        source = f"rule {one['rule_no']}"
    elif one["base_seen_at"] is not None:
        source = f"base, seen {minute(one['base_seen_at'])}"
    else:
        source = "headline: the base of its schedule was never captured"
    passed_over = one["unknown_conditions"]
    return f"{source}; not applied, not understood: {passed_over}" if passed_over else source


def _seen(one: dict[str, Any]) -> str:
    return f"seen {minute(one['last_seen_at'])}, next seen {minute(one['next_seen_at']) or 'not yet'}"


def _show_prices(model: str, moment: datetime, answer: Answer, rules: Answer) -> None:
    records = answer.records()
    print_table(
        f"{model} at {minute(moment)} UTC",
        ("price", ">costs", "exactly, $ per unit", "unit", "since", "until"),
        [
            (
                one["price_kind"],
                money(one["price_usd"], one["price_status"], one["unit"]),
                one["price_text"] if one["price_usd"] is None else plain(one["price_usd"]),
                one["unit"],
                minute(one["valid_from"]),
                minute(one["valid_to"]),
            )
            for one in records
        ],
        footer=_seen(records[0]),
    )
    if rules.rows:
        print_table(
            "Instead of these, where all conditions of a rule hold (a later rule wins)",
            (">rule", "when", "price", ">costs", "exactly"),
            [
                (
                    cell(one["rule_no"]),
                    _conditions(one),
                    one["price_kind"],
                    money(one["price_usd"], one["price_status"], one["unit"]),
                    one["price_text"],
                )
                for one in rules.records()
            ],
        )


def _conditions(one: dict[str, Any]) -> str:
    parts = []
    if one["min_prompt_tokens"] is not None:
        parts.append(f"more than {one['min_prompt_tokens']:,} prompt tokens")
    if one["utc_start"] is not None or one["utc_end"] is not None:
        start, end = one["utc_start"] or 0, 2400 if one["utc_end"] is None else one["utc_end"]
        parts.append(f"{start // 100:02}:{start % 100:02}-{end // 100:02}:{end % 100:02} UTC")
    if one["utc_days"]:
        parts.append(", ".join(one["utc_days"]))
    if one["unknown_conditions"]:
        parts.append(f"not applied, not understood: {one['unknown_conditions']}")
    return "; ".join(parts) or "always"


def _why_no_price(published: Published, model: str, moment: datetime, known_at: datetime | None) -> str:
    if known_at is not None:
        first = published.ask("SELECT min(recorded_at) FROM marts.snapshots").rows[0][0]
        since = f"; its knowledge begins at {minute(first)} UTC" if first else ""
        told = f"as this warehouse knew it at {minute(known_at)} UTC"
        return f"{told}, {model} was not listed at {minute(moment)} UTC{since}"
    spells = published.ask(
        "SELECT listed_from, listed_to FROM marts.model_spells WHERE model_id = ? ORDER BY listed_from", [model]
    ).rows
    if spells:
        told = ", ".join(f"{minute(start)} to {minute(end) or 'now'}" for start, end in spells)
        return f"{model} was not listed at {minute(moment)} UTC; it was listed {told}"
    return _unknown_model(published, model)


def _unknown_model(published: Published, model: str) -> str:
    ids = [one for (one,) in published.ask("SELECT DISTINCT model_id FROM marts.model_spells").rows]
    return f"no model {model!r} was ever listed{_nearest(model, ids)}"


def _nearest(given: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(given.lower(), known, n=3, cutoff=0.5)
    return f"; did you mean {' or '.join(near)}?" if near else ""


@click.command()
@click.argument("model", required=False)
@warehouse_option
@click.option("--kind", default="prompt", show_default=True, help="The price to rank by.")
@format_option("table", "csv", "json")
def offers(model: str | None, warehouse: Path, kind: str, format_: str) -> None:
    """Who offers a model now, the cheapest first.

    Without a model: those whose offers lie furthest apart.

    \b
    Examples:
      catalogue offers deepseek/deepseek-chat
      catalogue offers deepseek/deepseek-chat --kind completion
      catalogue offers --format csv
    """
    with _open(warehouse) as published:
        _check_known(published, model, kind)
        if model is None:
            _show_spreads(published, kind, format_)
        else:
            _show_offers(published, model, kind, format_)


def _show_offers(published: Published, model: str, kind: str, format_: str) -> None:
    answer = published.ask(_OFFERS, {"model": model, "kind": kind})
    if format_ != "table":
        print_records(format_, answer.columns, answer.rows)
        return
    rows = answer.records()
    title = f"Offers of {model}" + (f" at {minute(rows[0]['last_seen_at'])} UTC" if rows else "")
    print_table(
        title,
        ("offer", "provider", ">prompt", ">completion", ">context", "weights", "keeps no data", "since", "exactly"),
        [
            (
                one["tag"] if one["twin_no"] == 1 else f"{one['tag']} ({one['twin_no']})",
                one["provider_name"] or "",
                *(_offer_price(one, price) for price in ("prompt", "completion")),
                f"{one['context_length']:,}" if one["context_length"] else "",
                one["quantization"] or "",
                cell(one["is_zdr"]),
                minute(one["first_seen_at"]),
                " / ".join(one[f"{price}_text"] or "absent" for price in ("prompt", "completion")),
            )
            for one in rows
        ],
    )


def _offer_price(one: dict[str, Any], kind: str) -> str:
    return money(one[f"{kind}_usd"], one[f"{kind}_status"] or "unlisted", one[f"{kind}_unit"] or "token")


_OFFERS = """
WITH now AS (SELECT * FROM marts.offer_price_history WHERE model_id = $model AND valid_to IS NULL)
SELECT
    o.*,
    p.price_text AS prompt_text, p.price_usd AS prompt_usd, p.price_status AS prompt_status, p.unit AS prompt_unit,
    c.price_text AS completion_text, c.price_usd AS completion_usd, c.price_status AS completion_status,
    c.unit AS completion_unit, k.price_usd AS ranked_by_usd
FROM marts.offers AS o
LEFT JOIN now AS p ON p.source = o.source AND p.tag = o.tag AND p.twin_no = o.twin_no AND p.price_kind = 'prompt'
LEFT JOIN now AS c ON c.source = o.source AND c.tag = o.tag AND c.twin_no = o.twin_no AND c.price_kind = 'completion'
LEFT JOIN now AS k ON k.source = o.source AND k.tag = o.tag AND k.twin_no = o.twin_no AND k.price_kind = $kind
WHERE o.model_id = $model
ORDER BY k.price_usd NULLS LAST, c.price_usd NULLS LAST, o.source, o.tag, o.twin_no
"""


def _show_spreads(published: Published, kind: str, format_: str) -> None:
    answer = published.ask(_SPREADS, [kind])
    if format_ != "table":
        print_records(format_, answer.columns, answer.rows)
        return
    rows = answer.records()
    print_table(
        f"Models whose offers lie furthest apart by their {kind} price",
        ("model", ">offers", ">list", ">cheapest", ">median", ">dearest", ">apart", "cheapest offer"),
        [
            (
                one["model_id"],
                str(one["offer_count"]),
                money(one["list_price_usd"], "listed", one["unit"]),
                *(money(one[f"{which}_usd"], "listed", one["unit"]) for which in ("cheapest", "median", "dearest")),
                f"{one['dearest_to_cheapest_ratio']:+.1%}" if one["dearest_to_cheapest_ratio"] is not None else "",
                one["cheapest_tag"],
            )
            for one in rows[:_SPREADS_SHOWN]
        ],
        footer=f"{len(rows) - _SPREADS_SHOWN} more models have offers: --format csv has all"
        if len(rows) > _SPREADS_SHOWN
        else "",
    )


_SPREADS_SHOWN = 20

_SPREADS = """
SELECT * FROM marts.price_spread WHERE price_kind = ?
ORDER BY dearest_to_cheapest_ratio DESC NULLS LAST, model_id, source
"""

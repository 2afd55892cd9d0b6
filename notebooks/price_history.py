"""The price history of a few models: a step chart of what they cost, and every change beneath it.

Belongs here: choosing models and price kinds, drawing their intervals, listing their changes.
Does not belong here: deriving history (`sql/`), opening the published file (`pipelines.ledger.published`).

Open it with `marimo edit notebooks/price_history.py`, show it to others with `marimo run` or `marimo export html`,
or run it as a script for its figures. It reads the published file of the warehouse that `CATALOGUE_WAREHOUSE`
names, else of `warehouse/` where it is started or beside this folder.

Names, kinds and prices are foreign text. They reach the page as data of charts and tables, never as Markdown or HTML.
"""

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Price history")

with app.setup:
    import os
    import re
    import sys
    from datetime import datetime, timedelta
    from decimal import Context, Decimal
    from html import escape
    from pathlib import Path
    from typing import Any

    import altair as alt
    import marimo as mo
    import polars as pl

    from pipelines.errors import CatalogueError
    from pipelines.ledger.published import PUBLISHED, Published

    DEFAULT_MODELS = 3
    # Ten colours can be told apart.
    MOST_MODELS = 10
    DEFAULT_KINDS = ("prompt", "completion")
    # A price has up to 38 digits; the default context would round the product to 28.
    EXACT = Context(prec=60)
    # Those of the table below that hold what the source wrote.
    FOREIGN_COLUMNS = ("model", "price kind", "old price", "new price")


@app.cell
def _():
    mo.md("""
    # Price history

    What models cost, from snapshot to snapshot. A step is a change of the list price, a gap a time in which the price
    was not listed. All times are UTC.
    """)
    return


@app.cell
def _():
    warehouse = find_warehouse()
    try:
        published = Published(warehouse)
        sources = published.frame(
            "SELECT source, max(last_seen_at) AS last_seen_at FROM marts.price_history "
            "GROUP BY source ORDER BY count(*) DESC, source"
        )
        trouble = "" if sources.height else f"{published.path} holds no prices yet: take a snapshot first"
    except CatalogueError as error:
        trouble = str(error)
    if trouble and not mo.running_in_notebook():
        print(trouble, file=sys.stderr)
    mo.stop(bool(trouble), mo.callout(mo.Html(f"<p>There is nothing to show: {escape(trouble)}.</p>"), kind="warn"))
    return published, sources


@app.cell
def _(sources):
    source_names = sources["source"].to_list()
    source_picker = mo.ui.dropdown(source_names, value=source_names[0], label="Source", allow_select_none=False)
    # One source needs no choosing.
    source_picker if len(source_names) > 1 else None
    return (source_picker,)


@app.cell
def _(published, source_picker):
    ranked = published.frame(
        # An alias repeats the repricings of its target.
        "SELECT p.model_id, any_value(p.model_id LIKE '~%') AS is_alias, "
        "coalesce(any_value(c.repricings), 0) AS repricings, coalesce(any_value(c.changes), 0) AS changes "
        "FROM marts.price_history AS p LEFT JOIN ("
        "    SELECT model_id, count(*) FILTER (WHERE is_repricing) AS repricings, count(*) AS changes"
        "    FROM marts.price_changes WHERE source = $source GROUP BY model_id"
        ") AS c ON c.model_id = p.model_id WHERE p.source = $source GROUP BY p.model_id "
        "ORDER BY is_alias, repricings DESC, changes DESC, p.model_id",
        {"source": source_picker.value},
    )
    kinds = published.frame(
        "SELECT price_kind FROM marts.price_history WHERE source = ? GROUP BY price_kind "
        "ORDER BY count(DISTINCT model_id) DESC, price_kind",
        [source_picker.value],
    )["price_kind"].to_list()
    model_ids = ranked["model_id"].to_list()
    model_picker = mo.ui.multiselect(
        model_ids,
        value=model_ids[:DEFAULT_MODELS],
        label=f"Models, most repricings first (up to {MOST_MODELS})",
        max_selections=MOST_MODELS,
        full_width=True,
    )
    kind_picker = mo.ui.multiselect(
        kinds,
        value=[kind for kind in DEFAULT_KINDS if kind in kinds] or kinds[:1],
        label="Price kinds",
        full_width=True,
    )
    log_switch = mo.ui.switch(label="Logarithmic scale")
    mo.vstack([model_picker, kind_picker, log_switch])
    return kind_picker, log_switch, model_picker


@app.cell
def _(kind_picker, model_picker, published, source_picker):
    mo.stop(
        not (model_picker.value and kind_picker.value),
        mo.callout("Pick at least one model and one price kind.", kind="neutral"),
    )
    chosen = {"source": source_picker.value, "models": model_picker.value, "kinds": kind_picker.value}
    where = "WHERE source = $source AND model_id IN (SELECT unnest($models)) AND price_kind IN (SELECT unnest($kinds)) "
    prices = published.frame(
        f"SELECT * FROM marts.price_history {where} ORDER BY price_kind, unit, model_id, valid_from", chosen
    )
    changes = published.frame(
        f"SELECT * FROM marts.price_changes {where} ORDER BY changed_at DESC, model_id, price_kind", chosen
    )
    if not mo.running_in_notebook():
        print(f"{prices.height} prices and {changes.height} changes of {', '.join(map(repr, model_picker.value))}")
    return changes, prices


@app.cell
def _(kind_picker, log_switch, model_picker, prices):
    drawn = prices.filter(is_drawable(log_switch.value))
    charts = draw(drawn, model_picker.value, kind_picker.value, is_log=log_switch.value)
    mo.vstack([*charts, mo.md(left_out(prices, is_log=log_switch.value))])
    return


@app.cell
def _(changes):
    change_table = mo.ui.table(
        tabulate(changes),
        selection=None,
        page_size=15,
        show_column_summaries=False,
        show_data_types=False,
        format_mapping={"change": as_percent} | dict.fromkeys(FOREIGN_COLUMNS, as_plain_text),
        text_justify_columns=dict.fromkeys(("old price", "new price", "change"), "right"),
        wrapped_columns=["notes"],
    )
    heading = mo.md("## Changes\n\nPrices as listed, in US dollars per unit (one token, one image, …).")
    mo.vstack([heading, change_table])
    return


@app.function
def find_warehouse() -> Path:
    """What ``CATALOGUE_WAREHOUSE`` names, else ``warehouse/``: here, if it is published, or beside this folder."""
    if named := os.environ.get("CATALOGUE_WAREHOUSE"):
        return Path(named)
    here, beside = Path("warehouse"), (mo.notebook_dir() or Path.cwd()).parent / "warehouse"
    return here if (here / PUBLISHED).exists() else beside


@app.function
def is_per_million(unit: str) -> bool:
    """Whether prices of this unit are shown for a million of them: tokens of any sort are."""
    return unit.endswith("token")


@app.function
def shown_unit(unit: str) -> str:
    """``$ per million tokens``, ``$ per image``."""
    return f"$ per million {unit}s" if is_per_million(unit) else f"$ per {unit.replace('unknown', 'unit')}"


@app.function
def shown_price(usd: Decimal, unit: str) -> Decimal:
    """A price in its shown unit, exact and without trailing zeros."""
    return EXACT.normalize(EXACT.scaleb(usd, 6) if is_per_million(unit) else usd)


@app.function
def moment(at: datetime) -> str:
    """``2026-05-20 12:00 UTC``; seconds where there are any."""
    return f"{at:%Y-%m-%d %H:%M:%S}".removesuffix(":00") + " UTC"


@app.function
def milliseconds(at: datetime) -> int:
    """Since 1970, which is how Vega counts time."""
    return round(at.timestamp() * 1000)


@app.function
def is_drawable(is_log: bool) -> pl.Expr:
    """Which prices have a place on the scale: dynamic and unreadable ones have no number, zero has no logarithm."""
    return pl.col("price_status").is_in(["listed"] if is_log else ["listed", "free"])


@app.function
def left_out(prices: pl.DataFrame, *, is_log: bool) -> str:
    """A sentence on the prices that the chart cannot draw; empty if there are none."""
    count = prices.filter(~is_drawable(is_log)).height
    kinds_of = "dynamic, unreadable or zero" if is_log else "dynamic or unreadable"
    return f"Not drawn, as the scale has no place for them: {count} prices that were {kinds_of}." if count else ""


@app.function
def points(intervals: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What is drawn of one panel: a point where a price begins, and one where a stretch of prices ends.

    ``intervals`` are rows of ``marts.price_history`` by model and time. Intervals that touch are of one stretch and so
    of one line; what lies between two stretches stays empty. Money becomes a float here and nowhere before.
    """
    rows: list[dict[str, Any]] = []
    stretch = 0
    for row, following in zip(intervals, [*intervals[1:], None], strict=True):
        price = shown_price(row["price_usd"], row["unit"])
        end = row["valid_to"] or row["last_seen_at"]
        point = {
            "stretch": stretch,
            "model": row["model_id"],
            "at": milliseconds(row["valid_from"]),
            "until": milliseconds(end),
            "price": float(price),
            "begins": True,
            "exact": f"{price:f}",
            "listed": row["price_text"],
            "since": moment(row["valid_from"]),
            "to": moment(end) if row["valid_to"] else f"still in force at {moment(end)}",
        }
        rows.append(point)
        if not (following and following["model_id"] == row["model_id"] and following["valid_from"] == row["valid_to"]):
            rows.append({**point, "at": point["until"], "begins": False})
            stretch += 1
    return rows


@app.function
def draw(drawn: pl.DataFrame, models: list[str], kinds: list[str], *, is_log: bool) -> list[alt.LayerChart]:
    """A chart for each price kind and unit, in the order of ``kinds``, all over the same time; none without prices."""
    if drawn.is_empty():
        return []
    ends = drawn.select(pl.coalesce("valid_to", "last_seen_at")).to_series()
    first, last = drawn["valid_from"].min(), ends.max()
    # A single snapshot has no extent.
    span = first, max(last, first + timedelta(hours=1))
    panels = drawn.partition_by("price_kind", "unit", maintain_order=True)
    panels.sort(key=lambda panel: kinds.index(panel["price_kind"][0]))
    return [draw_panel(panel, models, span, is_log=is_log, has_legend=panel is panels[0]) for panel in panels]


@app.function
def draw_panel(
    panel: pl.DataFrame, models: list[str], span: tuple[datetime, datetime], *, is_log: bool, has_legend: bool
) -> alt.LayerChart:
    """The steps of one price kind in one unit; ``span`` is what the time axis covers."""
    kind, unit = panel["price_kind"][0], panel["unit"][0]
    legend = alt.Legend(title=None, orient="top", columns=1, labelLimit=320, symbolType="stroke", symbolStrokeWidth=3)
    days = (span[1] - span[0]) / timedelta(days=1)
    x = alt.X(
        "at:T",
        title=None,
        scale=alt.Scale(type="utc", domain=[milliseconds(at) for at in span]),
        axis=alt.Axis(format="%Y-%m-%d" if days > 6 else "%m-%d %H:%M", labelOverlap=True, tickCount=6),
    )
    y = alt.Y(
        "price:Q",
        title=None,
        scale=alt.Scale(type="log" if is_log else "linear", nice=5),
        # The same room for labels everywhere, so that the time axes stand below each other.
        axis=alt.Axis(minExtent=44, tickCount=5),
    )
    base = alt.Chart().encode(
        x=x,
        y=y,
        color=alt.Color("model:N", scale=alt.Scale(domain=models), legend=legend if has_legend else None),
        tooltip=[
            alt.Tooltip("model:N"),
            alt.Tooltip("exact:N", title=shown_unit(unit)),
            alt.Tooltip("listed:N", title="as listed"),
            alt.Tooltip("since:N", title="from"),
            alt.Tooltip("to:N", title="until"),
        ],
    )
    lines = base.mark_line(interpolate="step-after", strokeWidth=2).encode(detail="stretch:N", tooltip=alt.value(None))
    starts = base.mark_point(filled=True, size=24, opacity=1).transform_filter("datum.begins")
    # A line knows only its first price, so an unseen bar over each interval answers the pointer; Vega would not find it
    # if it had no opacity at all.
    bars = base.mark_rule(strokeWidth=14, opacity=0.001).encode(x2="until").transform_filter("datum.begins")
    return alt.layer(lines, starts, bars, data=alt.Data(values=points(panel.to_dicts()))).properties(
        width="container",
        height=200,
        title=alt.TitleParams(kind, subtitle=shown_unit(unit), anchor="start", limit=320),
    )


@app.function
def tabulate(changes: pl.DataFrame) -> pl.DataFrame:
    """Changes as a person reads them, in their order: texts exact, times in UTC, what is special in words."""
    at = "%Y-%m-%d %H:%M:%S"
    return changes.select(
        pl.col("changed_at").dt.strftime(at).alias("changed by (UTC)"),
        pl.col("model_id").alias("model"),
        pl.col("price_kind").alias("price kind"),
        pl.col("change_kind").str.replace_all("_", " ").alias("what"),
        pl.col("old_price_text").fill_null("–").alias("old price"),
        pl.col("new_price_text").fill_null("–").alias("new price"),
        pl.col("change_ratio").alias("change"),
        pl.concat_str(
            pl.when("is_schedule_flip").then(pl.lit("schedule flip")),
            pl.when("has_rule_change").then(pl.lit("rules changed")),
            pl.when("after_absence").then(pl.lit("after absence")),
            pl.when("is_alias").then(pl.lit("alias")),
            pl.lit("reverted ") + pl.col("reverted_at").dt.strftime(at),
            separator=", ",
            ignore_nulls=True,
        ).alias("notes"),
        pl.col("last_seen_at").dt.strftime(at).alias("old price last seen (UTC)"),
    )


@app.function
def as_percent(ratio: float | None) -> str:
    """``+12.50 %``, ``-2e-13 %`` for what rounds to nothing; ``–`` where a price is zero, absent or no number."""
    if ratio is None:
        return "–"
    percent = ratio * 100
    return f"{percent:+,.2f} %" if abs(percent) >= 0.01 else f"{percent:+.0e} %"


@app.function
def as_plain_text(text: str) -> str:
    """``text`` so that a table of marimo, which would make links and pictures of addresses, shows it as it is."""
    return re.sub(r"(?i)(https?|data)(?=:)", "\\1\N{WORD JOINER}", text)


if __name__ == "__main__":
    app.run()

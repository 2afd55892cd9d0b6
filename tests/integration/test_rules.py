"""What requests pay and what changes of rules mean, in cases whose answers are known by hand.

Belongs here: `request_prices_at` and `price_rule_changes` on histories of one model and a few captures.
Does not belong here: histories in which chance chooses (`tests/property/test_rules.py`), flips of the headline
(`test_schedules`), how one price list is read (`tests/unit/test_pricing.py`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from pipelines.ledger.ledger import Ledger
from tests.compare import assert_marts_equal, ledger_marts
from tests.oracle import Answer, tell
from tests.property.small import load, warehouse_of

Rule = dict[str, Any]
Row = dict[str, Any]

WEEK = 7 * 24 * 60
"""Minutes."""

DAYTIME: Rule = {"utc_start": 900, "utc_end": 1700, "prompt": "0.2"}
"""A third of the day."""

OTHERS = [{"id": f"c/{number}", "pricing": {}} for number in range(5)]
"""Listed always, so that the absence of one model is no collapse."""


def at(day: int, hour: int, minute: int = 0) -> datetime:
    """A moment of August 2026; the third is a Monday."""
    return datetime(2026, 8, day, hour, minute, tzinfo=UTC)


def shown(day: int, hour: int, prompt: str | None = "0.1", rules: Sequence[Rule] = (), **pricing: str | None) -> Answer:
    """A capture in which the model has this price list."""
    model = {"id": "a/b", "pricing": {"prompt": prompt, **pricing, "overrides": list(rules)}}
    return Answer(at(day, hour), True, json.dumps({"data": [model, *OTHERS]}).encode())


def absent(day: int, hour: int) -> Answer:
    """A capture in which the model is not listed."""
    return Answer(at(day, hour), True, json.dumps({"data": OTHERS}).encode())


def paid(
    ledger: Ledger, moment: datetime, prompt_tokens: int = 0, kind: str = "prompt", known_at: datetime | None = None
) -> tuple[Any, ...] | None:
    """The price of a request as text, the rule that gives it, and the capture that shows the base."""
    found = ledger.rows(
        "SELECT price_text, rule_no, base_seen_at FROM catalogue.marts.request_prices_at(?, ?, known_at := ?) "
        "WHERE model_id = 'a/b' AND price_kind = ?",
        [moment, prompt_tokens, known_at, kind],
    )
    assert len(found) <= 1
    return found[0] if found else None


def text_paid(ledger: Ledger, moment: datetime, prompt_tokens: int = 0, kind: str = "prompt") -> str | None:
    found = paid(ledger, moment, prompt_tokens, kind)
    return str(found[0]) if found else None


def changes(*answers: Answer) -> list[Row]:
    """The rows of `price_rule_changes`, the smallest requests of a price first, which the oracle tells too."""
    with warehouse_of([answers]) as ledger:
        marts = ledger_marts(ledger, ("price_rule_changes",))
    assert_marts_equal(marts, {"price_rule_changes": tell(answers)["price_rule_changes"]})
    return sorted(marts["price_rule_changes"], key=_place)


def _place(row: Row) -> tuple[Any, ...]:
    return row["changed_at"], row["price_kind"], row["min_prompt_tokens"] is not None, row["min_prompt_tokens"]


def picked(rows: Iterable[Row], *columns: str) -> list[tuple[Any, ...]]:
    return [tuple(row[column] for column in columns) for row in rows]


def weeks(rows: Iterable[Row]) -> list[Row]:
    """What rows say of the weeks before and after: the range of prices, the minutes."""
    return [
        {
            "old": (_text(row["old_low_usd"]), _text(row["old_high_usd"])),
            "new": (_text(row["new_low_usd"]), _text(row["new_high_usd"])),
            "changed_minutes": row["changed_minutes"],
            "unknown_minutes": row["unknown_minutes"],
            "is_repricing": row["is_repricing"],
        }
        for row in rows
    ]


def _text(price: Decimal | None) -> str | None:
    return None if price is None else f"{price.normalize():f}"


def week(old: Any, new: Any, changed_minutes: int, is_repricing: bool, unknown_minutes: int = 0) -> Row:
    """A row as :func:`weeks` shows it. A price that is the same all week is given once."""
    old, new = (side if isinstance(side, tuple) else (side, side) for side in (old, new))
    return {
        "old": old,
        "new": new,
        "changed_minutes": changed_minutes,
        "unknown_minutes": unknown_minutes,
        "is_repricing": is_repricing,
    }


# --- what a request pays --------------------------------------------------------------------------------------------


def test_a_real_schedule_covers_the_day() -> None:
    """Truth 11, on a schedule that was captured: each band begins at its minute, and the headline at none.

    Seen red with windows that hold at their end, and with windows that do not wrap midnight.
    """
    low, high = "0.00000066", "0.00000132"
    rules: list[Rule] = [
        {"utc_start": 1000, "utc_end": 100, "prompt": low},
        {"utc_start": 100, "utc_end": 400, "prompt": high},
        {"utc_start": 400, "utc_end": 600, "prompt": low},
        {"utc_start": 600, "utc_end": 1000, "prompt": high},
    ]
    with warehouse_of([[shown(3, 12, low, rules, completion="0.000002")]]) as ledger:
        times = {
            (0, 59): 1,
            (1, 0): 2,
            (3, 59): 2,
            (4, 0): 3,
            (5, 59): 3,
            (6, 0): 4,
            (9, 59): 4,
            (10, 0): 1,
            (23, 59): 1,
        }
        for time, rule_no in times.items():
            assert paid(ledger, at(4, *time)) == (rules[rule_no - 1]["prompt"], rule_no, None)
            assert paid(ledger, at(4, *time), kind="completion") == ("0.000002", None, at(3, 12))


def test_a_window_wraps_midnight() -> None:
    """Truth 11. Seen red with windows that hold at their end, and with windows that do not wrap midnight."""
    with warehouse_of([[shown(3, 12, rules=[{"utc_start": 2200, "utc_end": 300, "prompt": "0.2"}])]]) as ledger:
        for time, price in {(21, 59): "0.1", (22, 0): "0.2", (23, 59): "0.2", (2, 59): "0.2", (3, 0): "0.1"}.items():
            assert text_paid(ledger, at(4, *time)) == price


def test_a_window_that_ends_where_it_starts_never_opens() -> None:
    """Half-open: there is no minute in [500, 500). Seen red with windows that hold at their end."""
    with warehouse_of([[shown(3, 12, rules=[{"utc_start": 500, "utc_end": 500, "prompt": "0.2"}])]]) as ledger:
        assert {text_paid(ledger, at(4, hour)) for hour in range(24)} == {"0.1"}


def test_days_are_those_of_utc() -> None:
    with warehouse_of([[shown(3, 12, rules=[{"utc_days": ["sunday", "saturday"], "prompt": "0.2"}])]]) as ledger:
        days = {(7, 23, 59): "0.1", (8, 0): "0.2", (9, 23, 59): "0.2", (10, 0): "0.1"}
        assert {day: text_paid(ledger, at(*day)) for day in days} == days


def test_after_midnight_a_window_is_one_of_the_next_day() -> None:
    """Each condition is held against the request's own minute. Seen red with windows that do not wrap midnight."""
    rule = {"utc_days": ["saturday"], "utc_start": 2200, "utc_end": 300, "prompt": "0.2"}
    with warehouse_of([[shown(3, 12, rules=[rule])]]) as ledger:
        times = {(8, 1): "0.2", (8, 12): "0.1", (8, 23): "0.2", (9, 1): "0.1", (9, 23): "0.1"}
        assert {time: text_paid(ledger, at(*time)) for time in times} == times


def test_a_threshold_itself_is_below_the_tier() -> None:
    """ "Strictly greater", on a tier that was captured. Seen red with `>=` for `>` in `request_prices_at`."""
    tier = {"min_prompt_tokens": 272000, "prompt": "0.00001", "completion": "0.000045"}
    with warehouse_of([[shown(3, 12, "0.000005", [tier], completion="0.0000225")]]) as ledger:
        for kind, below, above in (("prompt", "0.000005", "0.00001"), ("completion", "0.0000225", "0.000045")):
            assert text_paid(ledger, at(4, 0), 272_000, kind) == below
            assert text_paid(ledger, at(4, 0), 272_001, kind) == above


def test_all_conditions_of_a_rule_must_hold() -> None:
    """Seen red with `>=` for `>` in `request_prices_at`."""
    rule = {"utc_start": 900, "utc_end": 1700, "min_prompt_tokens": 900, "prompt": "0.2"}
    with warehouse_of([[shown(3, 12, rules=[rule])]]) as ledger:
        cases = {(10, 901): "0.2", (10, 900): "0.1", (8, 901): "0.1", (8, 900): "0.1"}
        assert {case: text_paid(ledger, at(4, case[0]), case[1]) for case in cases} == cases


def test_a_later_rule_wins_for_the_prices_that_it_names() -> None:
    """Seen red with an earlier rule winning."""
    rules = [DAYTIME | {"completion": "0.7"}, {"min_prompt_tokens": 900, "prompt": "0.3"}]
    with warehouse_of([[shown(3, 8, rules=rules, completion="0.5")]]) as ledger:
        assert paid(ledger, at(3, 10), 901) == ("0.3", 2, None)
        assert paid(ledger, at(3, 10), 901, "completion") == ("0.7", 1, None)
    with warehouse_of([[shown(3, 8, rules=rules[::-1], completion="0.5")]]) as ledger:
        assert paid(ledger, at(3, 10), 901) == ("0.2", 2, None)


def test_what_nobody_understands_is_not_applied_but_told() -> None:
    """Truth 10: where it could have won. Seen red with rules applied that nobody understands."""
    rules = [
        {"region": "eu", "prompt": "0.3"},
        DAYTIME,
        {"load": {"above": 9}, "prompt": "0.4"},
        {"prompt": "0.1", "x": []},
    ]
    with warehouse_of([[shown(3, 8, rules=rules)]]) as ledger:
        query = "SELECT price_text, unknown_conditions FROM catalogue.marts.request_prices_at(?) WHERE model_id = 'a/b'"
        told = {hour: ledger.rows(query, [at(3, hour)])[0] for hour in (10, 18)}
        assert {hour: (text, json.loads(unknown)) for hour, (text, unknown) in told.items()} == {
            10: ("0.2", [{"load": {"above": 9}}, {"x": []}]),
            18: ("0.1", [{"region": "eu"}, {"load": {"above": 9}}, {"x": []}]),
        }


def test_the_base_is_the_last_headline_outside_every_window() -> None:
    """Truth 11: whichever rules the windows belonged to.

    Seen red with windows that hold at their end, and with the base the first headline instead of the last.
    """
    evening = {"utc_start": 1700, "utc_end": 2300, "prompt": "0.6"}
    answers = [
        shown(3, 8, "0.1", [DAYTIME]),
        shown(4, 8, "0.15", [DAYTIME]),
        shown(5, 8, "0.17", [evening]),
        shown(5, 18, "0.6", [evening]),
        shown(6, 10, "0.2", [DAYTIME]),
        shown(6, 12, "0.2", [DAYTIME]),
    ]
    with warehouse_of([answers]) as ledger:
        assert paid(ledger, at(3, 20)) == ("0.1", None, at(3, 8))
        assert paid(ledger, at(4, 17)) == ("0.15", None, at(4, 8))
        assert paid(ledger, at(5, 23)) == ("0.17", None, at(5, 8))
        assert paid(ledger, at(6, 12)) == ("0.2", 1, None)
        assert paid(ledger, at(6, 18)) == ("0.17", None, at(5, 8))
    assert weeks(changes(*answers)) == [
        week(("0.15", "0.2"), ("0.17", "0.6"), WEEK, True),
        week(("0.17", "0.6"), ("0.17", "0.2"), (8 + 6) * 60 * 7, True),
    ]


def test_a_base_that_was_never_captured_is_the_headline_and_says_so() -> None:
    """Seen red with windows that hold at their end."""
    with warehouse_of([[shown(3, 10, "0.2", [DAYTIME]), shown(4, 18, "0.1", [DAYTIME])]]) as ledger:
        assert paid(ledger, at(3, 18)) == ("0.2", None, None)
        assert paid(ledger, at(4, 17)) == ("0.2", None, None)
        assert paid(ledger, at(4, 18)) == ("0.1", None, at(4, 18))


def test_a_price_that_is_not_listed_outside_the_windows_has_no_base() -> None:
    with warehouse_of([[shown(3, 8, None, [DAYTIME]), shown(3, 10, "0.2", [DAYTIME])]]) as ledger:
        assert paid(ledger, at(3, 12)) == ("0.2", 1, None)
        assert paid(ledger, at(3, 18)) is None


def test_a_price_may_be_in_rules_alone() -> None:
    """Seen red with `>=` for `>` in `request_prices_at`."""
    rules = [{"min_prompt_tokens": 900, "audio": "7"}, DAYTIME | {"image": "8"}]
    with warehouse_of([[shown(3, 10, "0.2", rules)]]) as ledger:
        assert paid(ledger, at(3, 12), 900, "audio") is None
        assert paid(ledger, at(3, 12), 901, "audio") == ("7", 1, None)
        assert paid(ledger, at(3, 12), kind="image") == ("8", 2, None)
        assert paid(ledger, at(3, 18), kind="image") is None


def test_a_base_may_be_older_than_an_absence() -> None:
    """A model that returns with other rules: the base is what was last seen outside the windows of its own time.

    Seen red with windows that do not wrap midnight, and with the base the first headline instead of the last.
    """
    night = {"utc_start": 2000, "utc_end": 600, "prompt": "0.05"}
    answers = [
        shown(3, 8, "0.1", [DAYTIME]),
        shown(3, 22, "0.12", [DAYTIME]),
        absent(4, 8),
        shown(5, 21, "0.05", [night]),
    ]
    with warehouse_of([answers]) as ledger:
        assert paid(ledger, at(3, 23)) == ("0.12", None, at(3, 22))
        assert paid(ledger, at(4, 9)) is None
        assert paid(ledger, at(6, 5)) == ("0.05", 1, None)
        assert paid(ledger, at(6, 12)) == ("0.12", None, at(3, 22))


def test_a_late_capture_is_not_known_before_it_came() -> None:
    """Truth 7."""
    with warehouse_of([[shown(3, 10, "0.2", [DAYTIME]), shown(4, 10, "0.2", [DAYTIME])]]) as ledger:
        before = ledger.rows("SELECT max(recorded_at) FROM catalogue.core.commits")[0][0]
        load(ledger, [shown(3, 18, "0.1", [DAYTIME])])
        assert paid(ledger, at(4, 18)) == ("0.1", None, at(3, 18))
        assert paid(ledger, at(4, 18), known_at=before) == ("0.2", None, None)


def test_the_answer_says_between_which_sights_it_lies() -> None:
    with warehouse_of(
        [[shown(3, 8, rules=[DAYTIME]), shown(3, 18, rules=[DAYTIME]), absent(4, 8), shown(9, 8)]]
    ) as ledger:
        columns = "DISTINCT last_seen_at, next_seen_at"
        query = f"SELECT {columns} FROM catalogue.marts.request_prices_at(?) WHERE model_id = 'a/b'"
        for moment, seen in {
            at(3, 8): (at(3, 8), at(3, 18)),
            at(3, 17): (at(3, 8), at(3, 18)),
            at(3, 19): (at(3, 18), at(9, 8)),
            at(10, 0): (at(9, 8), None),
        }.items():
            assert ledger.rows(query, [moment]) == [seen]


def test_the_clock_is_utc_whatever_the_reader_has_set(tmp_path: Path) -> None:
    """Windows and days are of UTC in every session that opens the published file."""
    rules = [DAYTIME, {"utc_days": ["tuesday"], "completion": "7"}]
    with Ledger(tmp_path) as ledger:
        load(ledger, [shown(3, 8, rules=rules, completion="5")])
        ledger.publish()
    for zone in ("UTC", "America/New_York", "Asia/Kolkata"):
        with duckdb.connect(str(tmp_path / "catalogue.duckdb"), read_only=True) as connection:
            connection.execute(f"SET TimeZone = '{zone}'")
            for moment, prices in {
                "2026-08-03 16:59:00+00": ("0.2", "5"),
                "2026-08-03 23:59:00+00": ("0.1", "5"),
                "2026-08-04 00:00:00+00": ("0.1", "7"),
                "2026-08-04 23:59:00+00": ("0.1", "7"),
            }.items():
                found = connection.execute(
                    "SELECT price_kind, price_text FROM marts.request_prices_at(CAST(? AS TIMESTAMPTZ))", [moment]
                ).fetchall()
                assert dict(found) == dict(zip(("prompt", "completion"), prices, strict=True)), (zone, moment)


def test_an_image_price_has_the_unit_of_the_price_list_in_force() -> None:
    """Where its base was last seen it equalled the prompt price, and now it is not listed beside one."""
    rules = [{"utc_start": 900, "utc_end": 1700, "image": "0.5"}]
    with warehouse_of([[shown(3, 8, "0.1", rules, image="0.1"), shown(3, 10, "0.1", rules)]]) as ledger:
        query = "SELECT unit, price_text FROM catalogue.marts.request_prices_at(?) WHERE price_kind = 'image'"
        assert ledger.rows(query, [at(3, 8)]) == [("token", "0.1")]
        assert ledger.rows(query, [at(3, 18)]) == [("image", "0.1")]


# --- what a change of rules means -----------------------------------------------------------------------------------


def test_a_schedule_begins_changes_and_ends() -> None:
    """Truth 11: the true size, in the hours that change alone.

    Seen red with windows that hold at their end, with Mondays compared alone, and with ends of windows that part no
    segment.
    """
    dearer = DAYTIME | {"prompt": "0.3"}
    longer = dearer | {"utc_end": 1830}
    answers = [
        shown(3, 8, "0.1"),
        shown(3, 10, "0.2", [DAYTIME]),
        shown(3, 12, "0.3", [dearer]),
        shown(4, 12, "0.3", [longer]),
        shown(4, 19, "0.1"),
    ]
    rows = changes(*answers)
    assert weeks(rows) == [
        week("0.1", ("0.1", "0.2"), WEEK // 3, True),
        week(("0.1", "0.2"), ("0.1", "0.3"), WEEK // 3, True),
        week(("0.1", "0.3"), ("0.1", "0.3"), 7 * 90, True),
        week(("0.1", "0.3"), "0.1", WEEK // 3 + 7 * 90, True),
    ]
    # hours times price, of a day that costs 2.4 without a schedule
    assert [row["week_ratio"] for row in rows] == pytest.approx(
        [3.2 / 2.4 - 1, 4.0 / 3.2 - 1, 4.3 / 4.0 - 1, 2.4 / 4.3 - 1]
    )


def test_the_base_may_move_while_its_schedule_begins() -> None:
    """The headline outside the windows was last seen under other rules: by it the change is measured.

    Seen red with windows that hold at their end, with the base the first headline instead of the last, with Mondays
    compared alone, and with ends of windows that part no segment.
    """
    answers = [shown(3, 8, "0.1"), shown(3, 10, "0.2", [DAYTIME]), shown(3, 18, "0.15", [DAYTIME]), shown(4, 10, "0.2")]
    assert weeks(changes(*answers)) == [
        week("0.1", ("0.1", "0.2"), WEEK // 3, True),
        week(("0.15", "0.2"), "0.2", WEEK * 2 // 3, True),
    ]


def test_what_the_change_itself_shows_is_under_the_new_rules() -> None:
    """It is the base after, and not the one before."""
    dearer = DAYTIME | {"prompt": "0.3"}
    assert weeks(changes(shown(3, 8, "0.1", [DAYTIME]), shown(4, 8, "0.15", [dearer]))) == [
        week(("0.1", "0.2"), ("0.15", "0.3"), WEEK, True)
    ]


def test_a_time_that_no_clock_shows_is_the_next_that_one_does() -> None:
    """A window from 175 opens at two."""
    odd = {"utc_start": 175, "utc_end": 399, "prompt": "0.2"}
    assert weeks(changes(shown(3, 8), shown(4, 8, rules=[odd]))) == [week("0.1", ("0.1", "0.2"), 7 * 2 * 60, True)]
    with warehouse_of([[shown(3, 8, rules=[odd])]]) as ledger:
        times = {(1, 59): "0.1", (2, 0): "0.2", (3, 59): "0.2", (4, 0): "0.1"}
        assert {time: text_paid(ledger, at(4, *time)) for time in times} == times


def test_an_order_of_rules_without_effect_is_no_repricing() -> None:
    """The rules are others, what requests pay is not.

    Seen red with windows that hold at their end, with an earlier rule winning, with Mondays compared alone, and
    with ends of windows that part no segment.
    """
    rules = [DAYTIME, {"utc_start": 1700, "utc_end": 1800, "prompt": "0.3"}]
    assert weeks(changes(shown(3, 8, rules=rules), shown(4, 8, rules=rules[::-1]))) == [
        week(("0.1", "0.3"), ("0.1", "0.3"), 0, False)
    ]
    rules[1] |= {"utc_start": 1600}
    assert weeks(changes(shown(3, 8, rules=rules), shown(4, 8, rules=rules[::-1]))) == [
        week(("0.1", "0.3"), ("0.1", "0.3"), 7 * 60, True)
    ]


def test_another_spelling_is_no_change() -> None:
    """Truth 6: "0.10" is "0.1", and days are a set."""
    first = DAYTIME | {"prompt": "0.10", "utc_days": ["monday", "sunday"], "image": "-0"}
    second = DAYTIME | {"prompt": "0.1", "utc_days": ["sunday", "monday"], "image": "0.0"}
    assert changes(shown(3, 8, rules=[first]), shown(4, 8, "0.10", rules=[second])) == []


def test_minus_one_respelled_goes_on() -> None:
    """Truth 6, in `price_rule_history`: "-1.0" is "-1" under a rule as it is in a headline."""
    answers = [shown(3, 8, rules=[{"min_prompt_tokens": 5, "prompt": one}]) for one in ("-1", "-1.0")]
    answers[1] = answers[1]._replace(observed_at=at(4, 8))
    with warehouse_of([answers]) as ledger:
        found = ledger_marts(ledger, ("price_rule_history",))
    assert [(row["price_text"], row["valid_to"]) for row in found["price_rule_history"]] == [("-1", None)]


def test_a_rule_that_is_no_longer_understood_is_not_applied() -> None:
    """Truth 10. With it goes the schedule, so that the headline is the base.

    Seen red with windows that hold at their end, with rules applied that nobody understands, with Mondays compared
    alone, and with ends of windows that part no segment.
    """
    odd = DAYTIME | {"region": "eu"}
    assert weeks(changes(shown(3, 8, "0.1", [DAYTIME]), shown(3, 18, "0.1", [odd]))) == [
        week(("0.1", "0.2"), "0.1", WEEK // 3, True)
    ]


def test_an_unknown_rule_that_appears_changes_nothing_that_is_known() -> None:
    """Seen red with rules applied that nobody understands."""
    odd = {"region": "eu", "prompt": "0.5", "completion": "0.5"}
    assert weeks(changes(shown(3, 8, rules=[DAYTIME]), shown(3, 18, rules=[DAYTIME, odd]))) == [
        week(("0.1", "0.2"), ("0.1", "0.2"), 0, False)
    ]


def test_a_base_that_was_never_captured_is_unknown() -> None:
    """The hours of the windows are compared all the same.

    Seen red with windows that hold at their end, with Mondays compared alone, and with ends of windows that part no
    segment.
    """
    dearer = DAYTIME | {"prompt": "0.3"}
    answers = [shown(3, 10, "0.2", [DAYTIME]), shown(4, 10, "0.3", [dearer]), shown(5, 10, "0.3", [dearer, dearer])]
    rows = changes(*answers)
    assert weeks(rows) == [
        week("0.2", "0.3", WEEK // 3, True, unknown_minutes=WEEK * 2 // 3),
        week("0.3", "0.3", 0, False, unknown_minutes=WEEK * 2 // 3),
    ]
    assert picked(rows, "week_ratio") == [(None,), (None,)]


def test_a_price_that_begins_with_a_schedule_is_no_repricing() -> None:
    """It was not listed, which is no number, and outside the windows it is not listed yet.

    Seen red with windows that hold at their end, with Mondays compared alone, and with ends of windows that part no
    segment.
    """
    assert weeks(changes(shown(3, 8, None), shown(3, 10, "0.2", [DAYTIME]))) == [
        week((None, None), "0.2", WEEK // 3, False)
    ]


def test_a_tier_that_begins_is_a_tier_of_its_own() -> None:
    """Small requests go on paying what they paid.

    Seen red with an earlier rule winning, with the smallest requests compared alone, and with Mondays compared
    alone.
    """
    tiers = [{"min_prompt_tokens": 200, "prompt": "0.3"}, {"min_prompt_tokens": 900, "prompt": "0.1", "audio": "5"}]
    rows = changes(shown(3, 8, "0.1"), shown(4, 8, "0.1", tiers))
    assert picked(rows, "price_kind", "min_prompt_tokens", "week_ratio", "is_repricing") == [
        ("audio", None, None, False),
        ("audio", 900, None, False),
        ("prompt", None, 0.0, False),
        ("prompt", 200, pytest.approx(2.0), True),
        ("prompt", 900, 0.0, False),
    ]


def test_a_tier_may_begin_above_no_tokens_at_all() -> None:
    """The smallest requests are those without a token."""
    rows = changes(shown(3, 8, "0.1"), shown(4, 8, "0.1", [{"min_prompt_tokens": 0, "prompt": "0.2"}]))
    assert picked(rows, "min_prompt_tokens", "is_repricing") == [(None, False), (0, True)]


def test_tiers_have_their_own_hours() -> None:
    """A rule of tier and clock is no schedule: the headline never shows it.

    Seen red with windows that hold at their end, with the smallest requests compared alone, with Mondays compared
    alone, and with ends of windows that part no segment.
    """
    rule = DAYTIME | {"min_prompt_tokens": 900}
    assert weeks(changes(shown(3, 10, "0.1"), shown(3, 12, "0.1", [rule]))) == [
        week("0.1", "0.1", 0, False),
        week("0.1", ("0.1", "0.2"), WEEK // 3, True),
    ]


def test_days_are_compared_as_days() -> None:
    """Seen red with `utc_days` passed over, and with Mondays compared alone."""
    weekend = {"utc_days": ["saturday", "sunday"], "prompt": "0.2"}
    assert weeks(changes(shown(3, 8, rules=[weekend]), shown(4, 8, rules=[weekend | {"utc_days": ["sunday"]}]))) == [
        week(("0.1", "0.2"), ("0.1", "0.2"), 24 * 60, True)
    ]


def test_a_headline_that_moves_with_the_rules_is_told_beside_them() -> None:
    """A price that neither the rules nor the change concern is not.

    Seen red with the smallest requests compared alone, and with Mondays compared alone.
    """
    prices: dict[str, Any] = {"completion": "0.5", "image": "3"}
    after = shown(4, 8, rules=[{"min_prompt_tokens": 5, "prompt": "0.1"}], **prices | {"completion": "0.6"})
    rows = changes(shown(3, 8, **prices), after)
    assert picked(rows, "price_kind", "min_prompt_tokens", "changed_minutes") == [
        ("completion", None, WEEK),
        ("prompt", None, 0),
        ("prompt", 5, 0),
    ]


def test_a_model_may_return_with_other_rules() -> None:
    """Seen red with windows that hold at their end, with Mondays compared alone, and with ends of windows that part no
    segment.
    """
    answers = [shown(3, 8, "0.1", [DAYTIME]), shown(3, 20, "0.1", [DAYTIME]), absent(4, 8), shown(5, 8, "0.1")]
    assert picked(changes(*answers), "last_seen_at", "changed_at", "after_absence", "changed_minutes") == [
        (at(3, 20), at(5, 8), True, WEEK // 3)
    ]


@pytest.mark.parametrize(
    "rules_after", [[], [{"min_prompt_tokens": 5, "prompt": "0.3"}], [DAYTIME | {"prompt": "0.3"}]]
)
def test_a_late_look_outside_the_windows_tells_changes_anew(rules_after: list[Rule]) -> None:
    """Truths 3 and 11: it shows the base of a schedule that ends later, though no run of the model changes.

    Seen red with windows that hold at their end, with the smallest requests compared alone, with Mondays compared
    alone, and with ends of windows that part no segment.
    """
    answers = [shown(3, 10, "0.2", [DAYTIME]), shown(4, 10, "0.2", [DAYTIME]), shown(4, 12, "0.3", rules_after)]
    late = shown(3, 18, "0.2", [DAYTIME])
    told = {"price_rule_changes": tell([*answers, late])["price_rule_changes"]}
    with warehouse_of([answers, [late]]) as ledger:
        assert_marts_equal(ledger_marts(ledger, tuple(told)), told)
    told = {"price_rule_changes": tell([*answers, late._replace(decision="reject")])["price_rule_changes"]}
    with warehouse_of([[*answers, late], [late._replace(decision="reject")]]) as ledger:
        assert_marts_equal(ledger_marts(ledger, tuple(told)), told)


def test_a_change_is_told_the_same_whoever_else_changes() -> None:
    """Truth 3, to the last digit: three models change alike, and later one of them is told anew alone.

    Seen red with the smallest requests compared alone.
    """
    tier = {"utc_days": ["monday", "tuesday"], "utc_end": 900, "min_prompt_tokens": 900, "prompt": "0.3"}

    def listing(day: int, name: str, prompt: str, rules: Sequence[Rule]) -> Answer:
        pricing = {"prompt": prompt, "overrides": list(rules)}
        models = [{"id": f"a/{one}", "pricing": pricing, "name": name if one == "b" else "-"} for one in "bcd"]
        return Answer(at(day, 10), True, json.dumps({"data": models}).encode())

    before, after = listing(4, "B", "0.0000000208333333333333", [tier]), listing(5, "B", "0.2", [])
    query = "SELECT * FROM catalogue.marts.price_rule_changes ORDER BY ALL"
    with warehouse_of([[before, after]]) as ledger:
        told = ledger.rows(query)
        load(ledger, [listing(6, "Renamed", "0.2", [])])
        assert len(told) == 6
        assert ledger.rows(query) == told


def test_no_threshold_is_too_large_to_load() -> None:
    """Whatever a source writes, captures are loaded."""
    rule = {"min_prompt_tokens": 2**63 - 1, "prompt": "0.2"}
    with warehouse_of([[shown(3, 8)], [shown(4, 8, rules=[rule])]]) as ledger:
        assert text_paid(ledger, at(4, 9), 2**63 - 1) == "0.1"
        found = ledger.rows(
            "SELECT is_repricing FROM catalogue.marts.price_rule_changes WHERE min_prompt_tokens IS NULL"
        )
        assert found == [(False,)]

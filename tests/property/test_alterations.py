"""That every interval which later knowledge altered is told, and none that merely goes on.

Belongs here: `marts.alterations` against two oracles' difference. Does not belong here: history itself (`test_order`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given

from pipelines.ledger.ledger import Ledger
from tests.oracle import Answer, judge, tell
from tests.property.small import START, History, capture_of, histories, load, warehouse_of
from tests.property.test_order import examples

KEY = ("what", "model_id", "price_kind", "rule_no", "valid_from")

TIMES = ("valid_from", "valid_to", "first_seen_at", "last_seen_at")

Ends = dict[tuple[Any, ...], tuple[Any, datetime | None, datetime | None]]
"""By the key of an interval: its value, its end and its last sight, the two as far as they lie in what was known."""


def told(answers: list[Answer], horizon: datetime) -> Ends:
    """The intervals that begin by ``horizon``, as the oracle tells them from ``answers``."""
    marts = tell(answers)
    rows: list[tuple[tuple[Any, ...], Any, datetime | None, datetime]] = []
    for one in marts["model_spells"]:
        key = ("listing", one["model_id"], None, None, one["listed_from"])
        rows.append((key, None, one["listed_to"], one["last_seen_at"]))
    for one in marts["model_history"]:
        key = ("attributes", one["model_id"], None, None, one["valid_from"])
        state = {name: value for name, value in one.items() if name not in TIMES}
        rows.append((key, state, one["valid_to"], one["last_seen_at"]))
    for one in marts["price_history"]:
        key = ("price", one["model_id"], one["price_kind"], None, one["valid_from"])
        rows.append((key, worth(one), one["valid_to"], one["last_seen_at"]))
    for one in marts["price_rule_history"]:
        key = ("rule", one["model_id"], one["price_kind"], one["rule_no"], one["valid_from"])
        conditions = (one["min_prompt_tokens"], one["utc_start"], one["utc_end"], sorted(one["utc_days"] or []))
        value = worth(one), conditions, one["unknown_conditions"]
        rows.append((key, value, one["valid_to"], one["last_seen_at"]))
    return {
        key: (value, *((end, seen) if end is not None and end <= horizon else (None, None)))
        for key, value, end, seen in rows
        if key[-1] <= horizon
    }


def worth(row: dict[str, Any]) -> tuple[Any, ...]:
    text = row["price_text"] if row["price_status"] == "unreadable" else None
    return row["price_status"], row["price_usd"], text


def differences(before: Ends, after: Ends) -> Iterator[tuple[tuple[Any, ...], str]]:
    """The key of each interval that is told otherwise, and how."""
    for key in before.keys() | after.keys():
        if key not in before:
            yield key, "appeared"
        elif key not in after:
            yield key, "vanished"
        else:
            (old, old_end, old_seen), (new, new_end, new_seen) = before[key], after[key]
            if old != new:
                yield key, "other_value"
            elif old_end != new_end:
                yield key, "ends_otherwise"
            elif old_seen != new_seen:
                yield key, "narrowed"


def found(ledger: Ledger) -> Iterator[tuple[tuple[Any, ...], str]]:
    """What the mart tells; an interval in which a price is unlisted is none for `price_history`."""
    for *key, alteration, former, value in ledger.rows(
        f"SELECT {', '.join(KEY)}, alteration, former_value, value FROM marts.alterations"
    ):
        key[-1] = key[-1].astimezone(UTC)
        is_now, was_before = value not in (None, "unlisted"), former not in (None, "unlisted")
        if key[0] != "price" or (is_now and was_before):
            yield tuple(key), alteration
        elif is_now or was_before:
            yield tuple(key), "appeared" if is_now else "vanished"


@examples(15)
@given(history=histories)
def test_what_later_knowledge_alters_is_told(history: History) -> None:
    """Truth 7.

    Seen red with ends beyond what was known counted as news, and with captures of the last instant not counted as late.
    """
    answers = [one._replace(decision=None) for one in history.answers]
    answers.sort(key=lambda one: one.observed_at)
    reached = history.chance.randrange(len(answers) // 2, len(answers))
    late = {place for place in range(reached) if history.chance.random() < 0.3}
    first = [one for place, one in enumerate(answers[:reached]) if place not in late]
    later = [one for place, one in enumerate(answers) if place >= reached or place in late]
    accepted = {a.observed_at for a, _, verdict in judge(first) if verdict == "accepted"}
    with warehouse_of([first]) as ledger:
        assert ledger.rows("SELECT count(*) FROM marts.alterations") == [(0,)]
        before = turned_of(ledger)
        load(ledger, later)
        after = turned_of(ledger)
        if not accepted:
            assert ledger.rows("SELECT count(*) FROM marts.alterations") == [(0,)]
            return
        horizon = max(accepted)
        expected = sorted(differences(told(first, horizon), told(answers, horizon)), key=str)
        assert sorted(found(ledger), key=str) == expected
        causes = ledger.rows("SELECT DISTINCT snapshot_id, cause, observed_at FROM marts.alterations")
        for snapshot_id, cause, observed_at in causes:
            assert observed_at <= horizon
            assert snapshot_id in (after - before if cause == "late_capture" else before - after)


def turned_of(ledger: Ledger) -> set[str]:
    """The accepted captures."""
    return {one for (one,) in ledger.rows("SELECT snapshot_id FROM marts.snapshots")}


def test_the_capture_named_is_the_one_that_did_it(tmp_path) -> None:
    """A late capture between two others splits an interval where it shows another price, and nothing else."""

    def answer(hours: float, prompt: str) -> Answer:
        listed = [{"id": "a/one", "architecture": {"output_modalities": ["text"]}, "pricing": {"prompt": prompt}}]
        return Answer(START + timedelta(hours=hours), True, json.dumps({"data": listed}).encode(), None)

    early, middle, late = answer(0, "1"), answer(24, "2"), answer(48, "1")
    with Ledger(tmp_path) as ledger:
        load(ledger, [early, late])
        load(ledger, [middle])
        query = "SELECT what, price_kind, alteration, valid_from, valid_to, former_value, value, snapshot_id, cause"
        name = capture_of(middle).snapshot_id
        why = name, "late_capture"
        assert ledger.rows(f"{query} FROM marts.alterations ORDER BY valid_from") == [
            ("price", "prompt", "ends_otherwise", early.observed_at, middle.observed_at, "1", "1", *why),
            ("price", "prompt", "appeared", middle.observed_at, late.observed_at, None, "2", *why),
            ("price", "prompt", "appeared", late.observed_at, None, None, "1", *why),
        ]
        ledger.commit(decisions=[{"snapshot_id": name, "decision": "reject", "reason": "no"}])
        query += " FROM marts.alterations WHERE cause = 'retraction' ORDER BY valid_from"
        why = name, "retraction"
        assert ledger.rows(query) == [
            ("price", "prompt", "ends_otherwise", early.observed_at, None, "1", "1", *why),
            ("price", "prompt", "vanished", middle.observed_at, None, "2", None, *why),
            ("price", "prompt", "vanished", late.observed_at, None, "1", None, *why),
        ]

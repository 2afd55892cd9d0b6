"""Small handcrafted histories, each with one trap, against the oracle.

Belongs here: what a simulation does not play and Hypothesis would be long in finding.
Does not belong here: histories in which chance chooses (`tests/property`).
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.compare import assert_marts_equal, ledger_marts
from tests.oracle import Answer, judge, tell
from tests.property.small import warehouse_of

START = datetime(2026, 8, 3, 8, tzinfo=UTC)
"""A Monday."""

WINDOW = {"utc_start": 900, "utc_end": 1700, "prompt": "0.002"}


def model(
    model_id: str = "a/b", *, prompt: str = "0.001", rules: Any = None, output: str = "text", **fields: Any
) -> Any:
    pricing = {"prompt": prompt, **({"overrides": rules} if rules is not None else {})}
    return {"id": model_id, "architecture": {"output_modalities": [output]}, "pricing": pricing, **fields}


def answer(hours: float, *models: Any, text_only: bool = False) -> Answer:
    return Answer(START + timedelta(hours=hours), not text_only, json.dumps({"data": models}).encode())


def assert_told(*batches: list[Answer]) -> None:
    """The warehouse into which ``batches`` were loaded is as the oracle tells."""
    answers = [one for batch in batches for one in batch]
    with warehouse_of(batches) as ledger:
        assert_marts_equal(ledger_marts(ledger), tell(answers))


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("supported_voices", [["x"], ["x", "y"]]),
        ("unheard_of", [None, "null", {"deep": [1.5]}]),
        ("per_request_limits", [None, {"prompt_tokens": 5}]),
        ("reasoning", [{"mandatory": True}, {"mandatory": False}]),
    ],
)
def test_values_outside_columns_change_as_they_are(field: str, values: list[Any]) -> None:
    """Truth 10: `attribute_changes` has the value itself, and null for a field that is not there.

    Was red with `element_at`, which wraps the value of a map in a list, and at null fails altogether.
    """
    shown = [answer(hours, model(**{field: value})) for hours, value in enumerate(values)]
    assert_told([*shown, answer(len(values), model())])


def test_order_of_an_array_in_extra_is_no_change() -> None:
    """Was red with `element_at`: a list around the array hid that it is an array of strings."""
    voices = [["x", "y"], ["y", "x"]]
    assert_told([answer(at, model(supported_voices=one, tier=at)) for at, one in enumerate(voices)])


@pytest.mark.parametrize("field", ["expiration_date", "hugging_face_id", "supported_parameters"])
def test_a_value_that_its_column_cannot_hold_has_a_history(field: str) -> None:
    """Truth 10. Was red with null columns hiding the value of the same name in `extra` from a state's meaning."""
    values = [None, {"odd": 1}, {"odd": 2}, None]
    shown: list[dict[str, Any]] = [{field: value} for value in values]
    assert_told([answer(hours, model(**one)) for hours, one in enumerate(shown)])


def test_a_number_that_nobody_knows_is_a_condition() -> None:
    """Truth 10: a rule with an unknown condition is not applied.

    Was red with every number in a rule read as a price.
    """
    assert_told([answer(0, model(rules=[{"max_latency_ms": 500, "prompt": "0.002", "completion": 0.1}]))])


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"min_prompt_tokens": 900}, {"utc_start": 900}),
        ({"utc_start": 900}, {"utc_end": 900}),
        ({"utc_days": []}, {}),
    ],
)
def test_rules_are_told_apart_by_their_conditions(first: dict[str, Any], second: dict[str, Any]) -> None:
    """Was red with conditions joined without saying which is which."""
    assert_told([answer(at, model(rules=[rule | {"prompt": "2"}])) for at, rule in enumerate((first, second))])


def test_a_late_look_between_windows_tells_flips_anew() -> None:
    """Truths 3 and 11: it shows that the base has changed, though no run of the model does.

    Was red with flips told anew only for models of which a run changed.
    """
    hours = {0: "0.001", 2: "0.002", 10.5: "0.002", 26: "0.002", 34.5: "0.001"}
    before, dear, late, dear_again, after = (
        answer(at, model(prompt=price, rules=[WINDOW])) for at, price in hours.items()
    )
    assert_told([before, dear, dear_again, after], [late])
    assert_told([late, dear_again], [before, after, dear])


def test_a_snapshot_that_does_not_list_a_model_shows_no_price_of_it() -> None:
    """Truths 5 and 11. Was red with text-only snapshots as sightings of models without text output."""
    hours = {0: "0.001", 2: "0.002", 25: "0.002", 35: "0.001"}
    shown = [answer(at, model(prompt=one, rules=[WINDOW], output="image"), model("c/d")) for at, one in hours.items()]
    assert_told([*shown, answer(11, model("c/d"), text_only=True)])


@pytest.mark.parametrize(
    ("hours", "lost", "verdict"), [(168, 1, "accepted"), (168, 2, "quarantined"), (168.01, 2, "accepted")]
)
def test_a_collapse_is_one_of_more_than_a_fifth_within_seven_days(hours: float, lost: int, verdict: str) -> None:
    """Truth 8. Seen red with a fifth itself a collapse, and with seven days a little less."""
    models = [model(f"a/{number}") for number in range(5)]
    answers = [answer(0, *models), answer(hours, *models[lost:])]
    assert [found for *_, found in judge(answers)] == ["accepted", verdict]
    assert_told(answers)


@pytest.mark.parametrize("is_first_longer", [True, False])
def test_twins_are_not_judged_against_each_other(is_first_longer: bool) -> None:
    """Truths 4 and 8: of two captures at one instant the other is superseded, even where it lists far fewer.

    Was red with the one called a collapse of the other, "0.0 days before".
    """
    short = answer(0, *(model(f"a/{number}") for number in range(3)))
    longer = (answer(0, *(model(f"a/{number}", nonce=nonce) for number in range(5))) for nonce in range(100))
    twins = [short, next(one for one in longer if (one.sha256 < short.sha256) == is_first_longer)]
    with warehouse_of([twins]) as ledger:
        found = ledger.rows("SELECT verdict FROM catalogue.core.verdicts WHERE known_to IS NULL")
        assert sorted(verdict for (verdict,) in found) == sorted(verdict for *_, verdict in judge(twins))

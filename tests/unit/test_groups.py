"""A gateway's grouped list, brought to the form of OpenRouter's."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.flatten import flatten


def model(model_id: str, price: str = "0.1", **fields: object) -> dict:
    return {"id": model_id, "pricing": {"prompt": price, "completion": "0"}, **fields}


def group(provider: str, *models: dict, configured: object = True, **fields: object) -> dict:
    return {"provider": provider, "configured": configured, "models": list(models), **fields}


def frames_of(document: object):
    return flatten([orjson.dumps(document)])


def test_the_same_model_under_two_modalities_is_one():
    frames = frames_of({"text": [group("a", model("x/y"))], "image": [group("a", model("x/y"))]})
    assert frames.listings[0].model_ids == ("x/y",)
    assert frames.listings[0].defects == ()
    assert [(one.modality, one.model_ids) for one in frames.listings[0].groups] == [
        ("image", ("x/y",)),
        ("text", ("x/y",)),
    ]


def price_of(frames) -> str:
    return str(frames.prices.filter(price_kind="prompt")["price_text"].to_list()[0])


GROUPS = [
    ("text", group("b", model("x/y", "2"))),
    ("image", group("b", model("x/y", "3"))),
    ("text", group("a", model("x/y", "1"), configured=False)),
    ("text", group("c", model("x/y", "4"))),
    ("rerank", group("c", model("z/z", "5"), configured="yes")),
]


@given(st.permutations(GROUPS))
def test_of_differing_objects_the_choice_does_not_depend_on_the_order(groups):
    """Configured first, then provider, then modality: 3, whatever comes first in the answer.

    Red with an unconfigured group that counts as a configured one does, and with the first in the answer chosen.
    """
    document: dict[str, list] = {}
    for modality, one in groups:
        document.setdefault(modality, []).append(one)
    frames = frames_of(document)
    assert sorted(frames.listings[0].model_ids) == ["x/y", "z/z"]
    assert frames.listings[0].defects == ()
    names = frames.models.filter(model_id="x/y").join(frames.prices, on="price_list_key").filter(price_kind="prompt")
    assert names["price_text"].to_list() == ["3"]
    assert [one.is_configured for one in frames.listings[0].groups] == [True, None, False, True, True]


def test_an_id_that_one_group_lists_twice_is_a_defect():
    listing = frames_of({"text": [group("a", model("x/y"), model("x/y"))]}).listings[0]
    assert [one.code for one in listing.defects] == ["duplicate_ids"]


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ({"text": [group("a", configured=False)], "image": []}, "no_models"),
        ({"text": [], "image": []}, "wrong_shape"),
        ({"text": [group("a", {"id": "x/y"})]}, "wrong_shape"),
        ({"text": [group("a", model("x/y")), "b"]}, "wrong_shape"),
        ({"text": [{"provider": 1, "models": []}]}, "wrong_shape"),
    ],
)
def test_what_is_quarantined(document, code):
    assert [one.code for one in frames_of(document).listings[0].defects] == [code]


def test_a_modality_may_have_any_name():
    listing = frames_of({"data": [group("a", model("x/y"))], "smell": [group("a", model("x/z"))]}).listings[0]
    assert (listing.model_ids, listing.defects) == (("x/y", "x/z"), ())


def test_top_provider_is_known_by_both_names():
    """camelCase outside, snake_case inside; the limit outside is told once, or reported if it is another."""
    inner = {"is_moderated": True, "context_length": 7, "max_completion_tokens": 5}
    frames = frames_of(
        {
            "text": [
                group("a", model("x/same", topProvider=inner, max_completion_tokens=5)),
                group("a", model("x/outside", max_completion_tokens=6)),
                group("a", model("x/other", topProvider=inner, max_completion_tokens=9)),
            ]
        }
    )
    columns = frames.models.select("model_id", "max_completion_tokens", "is_moderated")
    assert columns.rows() == [("x/same", 5, True), ("x/outside", 6, None), ("x/other", 5, True)]
    assert frames.unknown_fields.select("path", "example").rows() == [("max_completion_tokens", "9")]


def test_what_is_unknown_beside_models_is_told():
    listing = frames_of({"at": 3, "text": [group("a", model("x/y"), region="eu")]}).listings[0]
    assert listing.unknown_fields == (("$.at", "number", "3"), ("$.*[].region", "string", '"eu"'))


def test_prices_that_are_numbers_are_read_as_written():
    exact = b'{"id":"x/y","pricing":{"prompt":0.10000000000000000001}}'
    body = b'{"text":[{"provider":"a","configured":true,"models":[' + exact + b"]}]}"
    assert price_of(flatten([body])) == "0.10000000000000000001"

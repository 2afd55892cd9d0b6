"""Parameters of a list: what reaches an address, and what is refused before anything is sent."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import UsageError
from pipelines.scopes import Scope
from pipelines.sources.openrouter import ModelsQuery, listing_scope
from pipelines.sources.openrouter.query import PARAMETERS

DOCUMENTED = [
    "output_modalities",
    "supported_parameters",
    "category",
    "sort",
    "q",
    "input_modalities",
    "context",
    "min_price",
    "max_price",
    "min_output_price",
    "max_output_price",
    "min_age_days",
    "max_age_days",
    "min_intelligence_index",
    "max_intelligence_index",
    "min_coding_index",
    "max_coding_index",
    "min_agentic_index",
    "max_agentic_index",
    "min_tool_success_rate",
    "max_tool_success_rate",
    "arch",
    "model_authors",
    "providers",
    "distillable",
    "zdr",
    "region",
    "offset",
    "limit",
]


def test_every_documented_parameter_is_known():
    assert sorted(PARAMETERS) == sorted(DOCUMENTED)


def test_nothing_asked_is_nothing_sent():
    assert ModelsQuery().params() == {}


def test_values_are_spelled_as_the_api_reads_them():
    query = ModelsQuery(
        output_modalities=["text", "image"],
        supported_parameters="tools, reasoning",
        min_price=Decimal("0.10"),
        max_price="1E+1",
        context=128_000,
        distillable=False,
        zdr=True,
        region="eu",
        sort="top-weekly",
        limit=1000,
    )
    assert query.params() == {
        "output_modalities": "text,image",
        "supported_parameters": "tools,reasoning",
        "min_price": "0.10",
        "max_price": "10",
        "context": "128000",
        "distillable": "false",
        "zdr": "true",
        "region": "eu",
        "sort": "top-weekly",
        "limit": "1000",
    }


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("output_modalities", "smell", "output_modalities must be one or more of text, image"),
        ("output_modalities", "", "output_modalities must be names"),
        ("output_modalities", 7, "output_modalities must be names"),
        ("input_modalities", ["text", "all"], "input_modalities must be one or more of text"),
        ("sort", "cheapest", "sort must be one of pricing-low-to-high"),
        ("sort", None, None),
        ("region", "mars", "region must be one of eu, us"),
        ("category", "  ", "category must be text"),
        ("q", "two\nlines", "q must be text"),
        ("context", -1, "context must be a whole number of at least 0"),
        ("context", True, "context must be a whole number"),
        ("min_price", 0.1, "min_price must be a decimal number as text, Decimal or int"),
        ("min_price", "-1", "min_price must be a decimal number of at least 0"),
        ("max_price", "cheap", "max_price must be a decimal number"),
        ("max_price", Decimal("NaN"), "max_price must be a decimal number"),
        ("max_price", "1e400", "max_price must be a decimal number"),
        ("min_age_days", "3", "min_age_days must be a whole number"),
        ("distillable", "true", "distillable must be True or False"),
        ("zdr", False, "zdr can only be True"),
        ("offset", -1, "offset must be a whole number of at least 0"),
        ("limit", 0, "limit must be a whole number from 1 to 1000"),
        ("limit", 1001, "limit must be a whole number from 1 to 1000"),
        ("supported_parameters", ["a b"], "supported_parameters must be names"),
        ("use_rss", "true", "use_rss asks for the feed and not for a list: use rss()"),
        ("colour", "red", "colour is no parameter of /models that is documented; known are output_modalities"),
    ],
)
def test_a_value_that_cannot_be_meant_is_refused_with_its_name(name, value, said):
    """Fails for `limit` once its upper bound is dropped."""
    if said is None:
        assert ModelsQuery.of(**{name: value}).params() == {}
        return
    with pytest.raises(UsageError) as refused:
        ModelsQuery.of(**{name: value})
    assert str(refused.value).startswith(said)
    assert str(refused.value).endswith(".")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["price", "output_price", "age_days", "coding_index", "tool_success_rate"])
def test_bounds_that_leave_nothing_are_refused(name):
    with pytest.raises(UsageError, match=rf"^min_{name} must not be above max_{name}, but 10 is above 9\.$"):
        ModelsQuery.of(is_lenient=False, **{f"min_{name}": 10, f"max_{name}": 9})


def test_what_the_api_may_have_learnt_is_sent_when_asked_for():
    query = ModelsQuery.of(is_lenient=True, sort="sweetest", output_modalities="smell", colour="red")
    assert query.params() == {"output_modalities": "smell", "sort": "sweetest", "colour": "red"}


def test_a_lenient_query_still_refuses_what_no_address_can_hold():
    with pytest.raises(UsageError, match=r"^colour must be text"):
        ModelsQuery.of(is_lenient=True, colour="")


@given(st.decimals(0, 10**9, places=24))
def test_a_price_reaches_the_address_to_its_last_digit(price):
    spelled = ModelsQuery(min_price=price).params()["min_price"]
    assert Decimal(spelled) == price
    assert "E" not in spelled


# --- questions spelled as a scope ---


REFUSED = {
    "models?zdr=no": "zdr can only be True",
    "models?zdr=true&zdr=true": "more than once",
    "models?region": "no list of parameters",
    "models?colour=red": "colour is no parameter of /models that is documented",
    "models?sort=sweetest": "sort must be one of pricing-low-to-high",
    "models?context=many": "context must be a whole number",
    "models?limit=5": "limit cuts a list into pages",
    "models?use_rss=true": "`catalogue snapshot --feed` takes it",
    "models/user?zdr=true": "models/user has no parameters",
    "models/count": "'models/count' is no list of models",
    "programming": "'programming' is no list of models",
}


@pytest.mark.parametrize("question", REFUSED)
def test_what_is_no_question_is_refused(question):
    with pytest.raises(UsageError, match=re.escape(REFUSED[question])):
        listing_scope(question)


@pytest.mark.parametrize(
    ("question", "name"),
    [
        ("models", "openrouter/models"),
        ("models/user", "openrouter/models/user"),
        ("openrouter/models?zdr=true&region=eu", "openrouter/models?region=eu&zdr=true"),
        ("models?output_modalities=text", "openrouter/models"),
        ("models?context=0128000&max_price=1E%2B1", "openrouter/models?context=128000&max_price=10"),
        ("models?q=a%20b&distillable=false", "openrouter/models?distillable=false&q=a+b"),
    ],
)
def test_a_question_has_one_spelling(question, name):
    scope = listing_scope(question)
    assert scope.name == name
    assert listing_scope(name) == scope == Scope.parse(name)

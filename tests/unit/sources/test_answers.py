"""Typed answers: exact, complete, and an error of one sentence for what is no answer."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import SourceError
from pipelines.pricing import Price
from pipelines.sources.openrouter import (
    parse_count,
    parse_endpoints,
    parse_model,
    parse_models,
    parse_providers,
    parse_zdr_endpoints,
)

CAPTURES = Path(__file__).resolve().parents[4] / "shared" / "captures"

PARSERS = (parse_models, parse_model, parse_count, parse_endpoints, parse_zdr_endpoints, parse_providers)

MODEL = {
    "id": "a/x:free",
    "name": "A: X",
    "canonical_slug": "a/x-2026",
    "created": 1_700_000_000,
    "context_length": 4096,
    "architecture": {"input_modalities": ["text"], "output_modalities": ["text", "image"]},
    "pricing": {
        "prompt": "0.0000000208333333333333",
        "completion": "-1",
        "request": "-0",
        "discount": 0.1,
        "shiny": 3,
        "overrides": [{"min_prompt_tokens": 10, "prompt": "1"}],
    },
    "top_provider": {"max_completion_tokens": 1024},
    "supported_parameters": ["tools"],
    "colour": {"new": [1.25]},
}


def real(name: str) -> bytes:
    path = CAPTURES / name
    if not path.exists():
        pytest.skip(f"the real answer {name} is not here")
    return path.read_bytes()


def test_a_model_is_read_exactly_and_nothing_is_dropped():
    """Fails for the discount once numbers are read as floats."""
    model = parse_model(json.dumps({"data": MODEL}).encode())
    assert (model.id, model.name, model.canonical_slug) == ("a/x:free", "A: X", "a/x-2026")
    assert model.created_at == datetime.fromtimestamp(1_700_000_000, UTC)
    assert (model.context_length_tokens, model.max_completion_tokens) == (4096, 1024)
    assert (model.input_modalities, model.output_modalities) == (("text",), ("text", "image"))
    assert model.pricing.usd("prompt") == Decimal("0.0000000208333333333333")
    assert model.pricing.prices["completion"] == Price("dynamic", None)
    assert model.pricing.prices["request"] == Price("free", Decimal(0))
    assert model.pricing.usd("image") is None
    assert model.pricing.discount == Decimal("0.1")
    assert model.pricing.overrides == [{"min_prompt_tokens": 10, "prompt": "1"}]
    assert model.pricing.extra == {"shiny": 3}
    assert model.extra["colour"] == {"new": [Decimal("1.25")]}
    assert model.extra["top_provider"] == {"max_completion_tokens": 1024}


def test_a_field_of_another_type_is_kept_as_it_came():
    odd = parse_model(json.dumps({"data": {**MODEL, "created": "soon", "context_length": "4k"}}).encode())
    assert odd.created_at is None
    assert odd.context_length_tokens is None
    assert odd.extra["created"] == "soon"
    assert odd.extra["context_length"] == "4k"


def test_pages_that_were_joined_are_one_list():
    pages = [json.dumps({"data": [{"id": f"a/{n}"}], "total_count": 2}).encode() for n in range(2)]
    listed = parse_models(b"".join(b"\x1e" + page + b"\n" for page in pages))
    assert [model.id for model in listed.models] == ["a/0", "a/1"]
    assert listed.total_count == 2


def test_real_models_are_read_whole():
    body = real("models-all-2026-08-05.json")
    listed = parse_models(body)
    raw = json.loads(body)["data"]
    assert listed.total_count == len(raw) == 457
    assert [model.id for model in listed.models] == [item["id"] for item in raw]
    for model, item in zip(listed.models, raw, strict=True):
        texts = {kind: text for kind, text in item["pricing"].items() if isinstance(text, str)}
        assert model.pricing.prices.keys() == texts.keys()
        assert len(model.pricing.overrides) == len(item["pricing"].get("overrides", []))
        assert model.pricing.extra == {}


def test_real_offers_are_read_whole():
    for line in real("endpoints-2026-05-18.jsonl").splitlines():
        answer = json.loads(line)["response"]
        offers = parse_endpoints(json.dumps(answer).encode())
        assert offers.id == answer["data"]["id"]
        assert [one.tag for one in offers.endpoints] == [one["tag"] for one in answer["data"]["endpoints"]]


def test_real_providers_are_read_whole():
    body = real("providers.json")
    providers = parse_providers(body)
    assert [one.slug for one in providers] == [one["slug"] for one in json.loads(body)["data"]]
    assert all(one.extra == {} for one in providers)


@pytest.mark.parametrize("parse", PARSERS)
@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "is not JSON (it is empty)"),
        (b"<!DOCTYPE html><title>\x1b[2JLogin</title>", "is not JSON (it begins with '<!DOCTYPE html><title> "),
        ('{"data": "ü"}'.encode("latin-1"), "is not JSON"),
        ('{"data": []}'.encode("utf-16"), "is not JSON"),
        (b"[" * 200_000, "is nested too deeply"),
        (b'{"data": NaN}', "is not JSON"),
        (b"[]", "is JSON, but no object"),
    ],
)
def test_what_is_no_answer_is_refused_in_one_sentence(parse, body, said):
    with pytest.raises(SourceError) as refused:
        parse(body)
    sentence = str(refused.value)
    assert said in sentence
    assert sentence.isprintable()
    assert sentence.endswith("ask again later.")


@pytest.mark.parametrize("parse", PARSERS)
@given(body=st.binary(max_size=60) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["data", "id", "slug", "pricing", "endpoints", "count", "created"]), inner),
    max_leaves=12,
).map(lambda value: json.dumps(value).encode()))  # fmt: skip
def test_any_body_gives_a_value_or_a_source_error(parse, body):
    with suppress(SourceError):
        parse(body)

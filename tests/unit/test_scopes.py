from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.scopes import ALL_MODELS, ALL_MODELS_COUNT, TEXT_MODELS, Scope

words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)


def test_a_scope_is_spelt_as_it_is_asked():
    assert TEXT_MODELS.name == "openrouter/models"
    assert ALL_MODELS.name == "openrouter/models?output_modalities=all"
    assert ALL_MODELS_COUNT.name == "openrouter/models/count?output_modalities=all"


def test_the_order_of_parameters_does_not_matter():
    assert Scope.of("openrouter", "models", b="2", a="1") == Scope.of("openrouter", "models", a="1", b="2")
    assert Scope.parse("openrouter/models?b=2&a=1").name == "openrouter/models?a=1&b=2"


@given(st.dictionaries(words, st.text(st.characters(exclude_categories=["Cs"]), max_size=8), max_size=4))
def test_a_name_reads_back_as_its_scope(params):
    scope = Scope("openrouter", "models", tuple(sorted(params.items())))
    assert Scope.parse(scope.name) == scope


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("openrouter/models", "catalogue"),
        ("openrouter/models?output_modalities=all", "catalogue"),
        ("openrouter/models?zdr=true", "facet"),
        ("openrouter/models?category=programming", "facet"),
        ("openrouter/models?output_modalities=all&region=eu", "facet"),
        ("openrouter/models?limit=5", "facet"),
        ("openrouter/models/user", "facet"),
        ("openrouter/models/count?output_modalities=all", "other"),
        ("openrouter/providers", "other"),
    ],
)
def test_a_scope_is_a_catalogue_a_facet_or_no_listing(name, kind):
    assert Scope.parse(name).kind == kind


@pytest.mark.parametrize("modalities", ["image", "embeddings", "image,audio"])
def test_a_listing_without_text_models_does_not_pass_for_the_text_catalogue(modalities):
    """Else its silence about text models would count as their removal."""
    scope = Scope.of("openrouter", "models", output_modalities=modalities)
    assert scope.kind != "catalogue"


def test_only_all_modalities_list_every_modality():
    assert ALL_MODELS.lists_every_modality
    assert not TEXT_MODELS.lists_every_modality
    assert not Scope.of("openrouter", "models", output_modalities="text").lists_every_modality

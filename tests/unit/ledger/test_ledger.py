from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import duckdb
import pytest

from pipelines.captures import Capture, DamagedPackError, RawStore
from pipelines.errors import CatalogueError
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.published import Published
from pipelines.ledger.verify import verify
from pipelines.scopes import ALL_MODELS_COUNT, TEXT_MODELS, Scope

ROOT = Path(__file__).resolve().parents[3]

TEN = [f"a/{number}" for number in range(10)]

HISTORY_MARTS = (
    "models",
    "prices",
    "price_history",
    "price_rule_history",
    "price_changes",
    "model_spells",
    "model_events",
    "model_history",
    "new_models",
    "removed_models",
    "expirations",
    "attribute_changes",
    "schema_drift",
)


def history(ledger: Ledger) -> dict[str, list[tuple]]:
    """The public history, which does not tell when it was learnt."""
    return {mart: sorted(ledger.rows(f"FROM marts.{mart}"), key=repr) for mart in HISTORY_MARTS}


def decide(ledger: Ledger, capture, decision: str, reason: str = "looked at it") -> None:
    ledger.commit(decisions=[{"snapshot_id": capture.snapshot_id, "decision": decision, "reason": reason}])


@pytest.fixture
def story(capture, model) -> list:
    """A short life of everything: changes, rules, absence, a quarantine, two scopes, a twin, a count."""
    rule = {"utc_start": 0, "utc_end": 600, "prompt": "0.05"}
    ruled = {"prompt": "0.1", "completion": "0.2", "overrides": [rule]}
    image = model("i/i", architecture={"output_modalities": ["image"]})
    return [
        capture(0, *TEN, image),
        capture(1, *TEN[1:], model(TEN[0], "0.15"), image, scope=TEXT_MODELS),
        capture(2, *TEN[2:], image, model("new/one", expiration_date="2026-09-01")),
        capture(3, *TEN[:3]),
        capture(4, *TEN, model("new/one", expiration_date=None), model("i/i", pricing=ruled)),
        capture(4, *TEN, model("new/one", "7")),
        capture(4, body=b'{"data":{"count":12}}', scope=ALL_MODELS_COUNT),
        capture(5, body=b"<html>", scope=TEXT_MODELS),
        capture(6, *TEN[:9], model("new/one", unheard_of=None), shiny=True),
        capture(7, *TEN[:9], model("new/one", unheard_of=1, context_length=5)),
    ]


# --- loading ---


def test_loading_tells_what_became_of_each_new_capture(tmp_path, capture):
    with Ledger(tmp_path) as ledger:
        sound, broken = capture(0, *TEN), capture(1, body=b"<html>")
        first, second = ledger.load([broken, sound])
        assert (first.snapshot_id, first.verdict, first.codes) == (sound.snapshot_id, "accepted", ())
        assert (second.snapshot_id, second.verdict, second.codes) == (broken.snapshot_id, "quarantined", ("not_json",))
        assert second.reasons[0].startswith("the answer is not JSON")


def test_nothing_to_load_is_nothing(tmp_path):
    with Ledger(tmp_path) as ledger:
        assert ledger.load([]) == []
        assert ledger.rows("FROM core.commits") == []


def test_twice_is_once(tmp_path, story, contents):
    with Ledger(tmp_path) as ledger:
        ledger.load(story)
        once = contents(ledger)
        assert ledger.load(story) == []
        assert contents(ledger) == once
        assert len(ledger.raw.packs()) == 1
        assert len(ledger.raw.journal.entries()) == 1


def test_neither_order_nor_batches_matter(tmp_path, story):
    told = []
    for number, order in enumerate([story[::-1], random.Random(5).sample(story, len(story))]):
        with Ledger(tmp_path / f"each{number}") as ledger:
            for one in order:
                ledger.load([one])
            told.append(history(ledger))
    with Ledger(tmp_path / "together") as ledger:
        ledger.load(story)
        told.append(history(ledger))
    for other in told[1:]:
        assert other == told[0]
    assert told[0]["price_changes"]
    assert told[0]["expirations"]
    assert told[0]["removed_models"]


def test_the_same_capture_from_elsewhere_adds_its_provenance_once(tmp_path, capture):
    here, there = capture(0, *TEN), capture(0, *TEN, origin="archive:x")
    with Ledger(tmp_path) as ledger:
        ledger.load([here])
        assert ledger.load([there, there]) == []
        ledger.load([there])
        assert sorted(ledger.rows("SELECT origin FROM raw.provenance")) == [("archive:x",), ("live",)]
        assert len(ledger.rows("FROM marts.snapshots")) == 1


def test_a_capture_that_comes_twice_in_a_batch_keeps_both_origins(tmp_path, capture):
    with Ledger(tmp_path) as ledger:
        ledger.load([capture(0, *TEN), capture(0, *TEN, origin="archive:x")])
        assert sorted(ledger.rows("SELECT origin FROM raw.provenance")) == [("archive:x",), ("live",)]


def test_a_commit_is_later_than_the_one_before(tmp_path, capture):
    with Ledger(tmp_path) as ledger:
        for hours in range(3):
            ledger.load([capture(hours, *TEN)])
        moments = [moment for (moment,) in ledger.rows("SELECT recorded_at FROM core.commits")]
        assert moments == sorted(set(moments))
        snapshots = ledger.rows("SELECT recorded_at FROM marts.snapshots ORDER BY observed_at")
        assert [moment for (moment,) in snapshots] == moments


def test_a_preview_changes_nothing(tmp_path, capture, contents):
    with Ledger(tmp_path) as ledger:
        ledger.load([capture(0, *TEN)])
        late = capture(1, *TEN[:5])
        pack = ledger.raw.write([late])
        ledger.append(pack)
        before = contents(ledger)
        (verdict,) = ledger.preview([late.snapshot_id])
        assert (verdict.verdict, verdict.codes) == ("quarantined", ("collapse",))
        assert contents(ledger) == before


# --- people decide ---


def test_a_person_s_word_counts_and_the_last_one_most(tmp_path, capture):
    half = capture(1, *TEN[:5])
    with Ledger(tmp_path) as ledger:
        ledger.load([capture(0, *TEN), half])
        before = history(ledger)
        assert len(before["models"]) == 10
        decide(ledger, half, "accept")
        assert len(history(ledger)["models"]) == 5
        decide(ledger, half, "reject", "it was wrong after all")
        assert history(ledger) == before
        verdict, reason = ledger.rows("SELECT verdict, decision_reason FROM raw.quarantine")[0]
        assert (verdict, reason) == ("rejected", "it was wrong after all")


def test_an_accepted_snapshot_may_be_rejected_later(tmp_path, capture):
    first, second = capture(0, *TEN), capture(1, *TEN, "b/b")
    with Ledger(tmp_path / "a") as ledger, Ledger(tmp_path / "b") as without:
        without.load([second])
        ledger.load([first, second])
        decide(ledger, first, "reject")
        assert history(ledger) == history(without)


def test_a_snapshot_is_known_from_the_commit_that_accepted_it(tmp_path, capture):
    """Also when a late capture changes what would have spoken against it."""
    half = capture(10, *TEN[:5])
    known = "SELECT recorded_at FROM marts.snapshots WHERE snapshot_id = ?"
    with Ledger(tmp_path) as ledger:
        ledger.load([capture(0, *TEN), half])
        decide(ledger, half, "accept")
        accepted = ledger.rows(known, [half.snapshot_id])
        ledger.load([capture(5, *TEN)])
        assert ledger.rows(known, [half.snapshot_id]) == accepted


def test_a_report_can_be_read_as_it_was_known(tmp_path, capture, model, at):
    at_noon = (
        "SELECT model_id, price_text FROM marts.prices_at(?, known_at := ?) WHERE price_kind = 'prompt' ORDER BY 1"
    )
    with Ledger(tmp_path) as ledger:
        ledger.load([capture(0, "a/a"), capture(24, model("a/a", "9"))])
        known = ledger.rows("SELECT max(recorded_at) FROM marts.snapshots")[0][0]
        ledger.load([capture(6, model("a/a", "3"), "b/b")])
        assert ledger.rows(at_noon, [at(12), known]) == [("a/a", "0.1")]
        assert ledger.rows(at_noon, [at(12), None]) == [("a/a", "3"), ("b/b", "0.1")]


# --- what unusual input must not do ---


def test_an_unknown_field_of_a_known_model_is_told_with_its_values(tmp_path, capture, model):
    steps: list[dict[str, Any]] = [
        {},
        {"shiny": "new"},
        {"shiny": {"a": [1]}},
        {"shiny": None, "other": 5},
        {"other": None, "name": "x"},
    ]
    with Ledger(tmp_path) as ledger:
        ledger.load([capture(hours, model(**fields)) for hours, fields in enumerate(steps)])
        told = ledger.rows("SELECT attribute, old_value, new_value FROM marts.attribute_changes ORDER BY changed_at, 1")
    assert told == [
        ("shiny", None, '"new"'),
        ("shiny", '"new"', '{"a":[1]}'),
        ("other", None, "5"),
        ("shiny", '{"a":[1]}', None),
        ("name", '"a/a"', '"x"'),
        ("other", "5", None),
    ]


def test_a_field_that_is_null_does_not_stop_a_load(tmp_path, capture, model):
    with Ledger(tmp_path) as ledger:
        ledger.load([capture(0, model(shiny=None)), capture(1, model(shiny=None, context_length=5))])
        changes = ledger.rows("SELECT attribute, old_value, new_value FROM marts.attribute_changes")
        assert changes == [("context_length", None, "5")]


def test_an_array_in_another_order_is_no_change(tmp_path, capture, model):
    with Ledger(tmp_path) as ledger:
        one, other = {"supported_voices": ["a", "b"]}, {"supported_voices": ["b", "a"], "context_length": 5}
        ledger.load([capture(0, model(**one)), capture(1, model(**other))])
        assert ledger.rows("SELECT attribute FROM marts.attribute_changes") == [("context_length",)]


def test_odd_names_of_fields_are_told_as_they_are(tmp_path, capture, model):
    names = ['a"b', "c\\d", "e'f", "", "é", "$.g", "h.i", "j k"]
    with Ledger(tmp_path) as ledger:
        ledger.load([capture(0, model()), capture(1, model(**dict.fromkeys(names, 1)))])
        told = ledger.rows("SELECT attribute, new_value FROM marts.attribute_changes")
        assert sorted(told) == sorted((name, "1") for name in names)


def test_a_date_that_becomes_a_text_is_one_change(tmp_path, capture, model):
    dates = ["2026-10-01", "soon", "later"]
    with Ledger(tmp_path) as ledger:
        ledger.load([capture(hours, model(expiration_date=text)) for hours, text in enumerate(dates)])
        told = ledger.rows("SELECT attribute, old_value, new_value FROM marts.attribute_changes ORDER BY changed_at")
    assert told == [("expiration_date", '"2026-10-01"', '"soon"'), ("expiration_date", '"soon"', '"later"')]


@pytest.mark.parametrize(
    "body",
    [
        ('{"data":[{"id":"a/a","pricing":{"prompt":"1"},"deep":%s}]}' % ("[" * 300 + "]" * 300)).encode(),
        b'{"data":[{"id":"a/a","pricing":{"prompt":"1"}}],"total_count":18446744073709551615}',
        b'{"x":[{"id":5,"pricing":{}}],"y":[{"id":"a/a","pricing":{"prompt":0.1}}]}',
    ],
    ids=["deep", "great", "literal"],
)
def test_no_answer_locks_the_warehouse_up(tmp_path, capture, body):
    with Ledger(tmp_path) as ledger:
        ledger.load([capture(0, body=body)])
    with Ledger(tmp_path) as ledger:
        assert ledger.load([capture(24 * 8, *TEN)])[0].verdict == "accepted"


def test_a_listing_without_text_models_removes_none_of_them(tmp_path, capture, model):
    image = model("i/i", architecture={"output_modalities": ["image"]})
    only_images = Scope.of("openrouter", "models", output_modalities="image")
    with Ledger(tmp_path) as ledger:
        ledger.load([capture(0, "a/a", image)])
        ledger.load([capture(1, image, scope=only_images)])
        assert ledger.rows("FROM marts.removed_models") == []


@pytest.mark.parametrize("order", [1, -1])
def test_of_two_text_listings_at_one_instant_the_same_counts_in_any_order(tmp_path, capture, model, order):
    twins = [
        capture(0, model(prompt="1"), scope=TEXT_MODELS),
        capture(0, model(prompt="2"), scope=Scope.of("openrouter", "models", output_modalities="text")),
    ]
    with Ledger(tmp_path / "one") as ledger, Ledger(tmp_path / "together") as together:
        together.load(twins)
        for one in twins[::order]:
            ledger.load([one])
        assert history(ledger) == history(together)


def test_a_model_that_a_text_listing_shows_without_covering_it_was_seen(tmp_path, capture, model, at):
    """Whether it is loaded at once or one by one."""
    image = {"architecture": {"output_modalities": ["image"]}}
    story = [
        capture(0, "a/a", model("i/i", **image)),
        capture(1, "a/a", model("i/i", **image), scope=TEXT_MODELS),
        capture(2, "a/a", model("i/i", "9", **image), scope=TEXT_MODELS),
        capture(3, "a/a", model("i/i", "9", **image), scope=TEXT_MODELS),
    ]
    seen = "SELECT valid_from, last_seen_at FROM marts.price_history WHERE model_id = 'i/i' AND price_kind = 'prompt'"
    with Ledger(tmp_path / "together") as ledger:
        ledger.load(story)
        assert sorted(ledger.rows(seen)) == [(at(0), at(1)), (at(2), at(3))]
    with Ledger(tmp_path / "each") as ledger:
        for one in story:
            ledger.load([one])
        assert sorted(ledger.rows(seen)) == [(at(0), at(1)), (at(2), at(3))]


@pytest.mark.parametrize("outputs", [["image"], ["image", "text"]])
def test_a_spell_goes_on_with_text_listings_once_they_cover_its_model(tmp_path, capture, model, at, outputs):
    """Because one showed it, or because it came to output text; one of every modality may show it in other words later.

    Seen red with `altered_models` not comparing whether listings of text cover a model.
    """
    first, then = (
        model("i/i", architecture={"output_modalities": ["image"]}),
        model("i/i", architecture={"output_modalities": outputs}),
    )
    renamed = model("i/i", name="Other", architecture={"output_modalities": ["image"]})
    story = [
        capture(0, "a/a", first),
        capture(1, "a/a", then, scope=TEXT_MODELS),
        capture(2, "a/a", then, scope=TEXT_MODELS),
        capture(3, "a/a", renamed),
        capture(4, "a/a", scope=TEXT_MODELS),
    ]
    seen = "SELECT listed_to, last_seen_at FROM marts.model_spells WHERE model_id = 'i/i'"
    told = []
    with Ledger(tmp_path) as ledger:
        for one in story:
            ledger.load([one])
            told += ledger.rows(seen)
        assert told == [(None, at(0)), (None, at(1)), (None, at(2)), (None, at(3)), (None, at(3))]


def test_a_model_that_a_text_listing_showed_is_seen_no_longer_once_that_is_rejected(tmp_path, capture, model, at):
    """Its run is the same but for what listings of text say of it. Seen red with only those models taken for touched of
    which a run began or ended since the rejected listing.
    """
    image = model("i/i", architecture={"output_modalities": ["image"]})
    shown = capture(2, "a/a", image, scope=TEXT_MODELS)
    seen = "SELECT last_seen_at FROM marts.model_spells WHERE model_id = 'i/i'"
    with Ledger(tmp_path) as ledger:
        ledger.load([capture(0, "a/a", image), capture(1, "a/a", image), shown, capture(3, "a/a", scope=TEXT_MODELS)])
        ledger.commit(decisions=[{"snapshot_id": shown.snapshot_id, "decision": "reject", "reason": "wrong"}])
        assert ledger.rows(seen) == [(at(1),)]
        ledger.load([capture(4, "a/a", scope=TEXT_MODELS)])
        assert ledger.rows(seen) == [(at(1),)]


def test_no_rules_came_before_a_models_first_prices(tmp_path, capture, model):
    """Not those of another model that is derived beside it. Seen red with the rules of the row before taken for the
    model's own, which no mart shows and which would follow from what else was loaded.
    """
    listed = [model(one, pricing={"prompt": "1", "overrides": [{"utc_start": 600, "prompt": "2"}]}) for one in "abc"]
    with Ledger(tmp_path) as ledger:
        ledger.load([capture(0, *listed), capture(1, *listed)])
        told = ledger.rows("SELECT rules_key IS NULL, previous_rules_key FROM catalogue.core.price_intervals")
        assert told == [(False, None)] * 3


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"min_prompt_tokens": 100}, {"utc_start": 100}),
        ({"utc_start": 600}, {"utc_end": 600}),
        ({"utc_days": ["monday"]}, {"utc_days": ["friday"]}),
        ({"min_prompt_tokens": 100}, {"min_prompt_tokens": 100, "region": "eu"}),
    ],
)
def test_a_rule_under_other_conditions_is_another_interval(tmp_path, capture, model, at, one, other):
    def listing(hours: float, rule: dict[str, Any]) -> Capture:
        answer: Capture = capture(hours, model(pricing={"prompt": "1", "overrides": [{**rule, "prompt": "2"}]}))
        return answer

    with Ledger(tmp_path) as ledger:
        ledger.load([listing(0, one), listing(1, other)])
        intervals = ledger.rows("SELECT valid_from, valid_to FROM marts.price_rule_history ORDER BY 1")
        assert intervals == [(at(0), at(1)), (at(1), None)]


def test_days_in_another_order_or_none_at_all_are_no_other_conditions(tmp_path, capture, model, at):
    def listing(hours: float, **rule: Any) -> Capture:
        answer: Capture = capture(hours, model(pricing={"prompt": "1", "overrides": [{**rule, "prompt": "2"}]}))
        return answer

    for number, days in enumerate([(["monday", "friday"], ["friday", "monday"]), ([], None)]):
        with Ledger(tmp_path / str(number)) as ledger:
            ledger.load([listing(hours, utc_days=one) for hours, one in enumerate(days)])
            assert ledger.rows("SELECT valid_from, valid_to FROM marts.price_rule_history") == [(at(0), None)]


def test_the_unit_of_a_price_in_force_is_that_of_the_list_in_force(tmp_path, capture, model):
    with Ledger(tmp_path) as ledger:
        ledger.load([capture(0, model(pricing={"prompt": "0.1", "image": "0.1"}))])
        ledger.load([capture(1, model(pricing={"prompt": "0.2", "image": "0.1"}))])
        assert ledger.rows("SELECT unit FROM marts.prices WHERE price_kind = 'image'") == [("image",)]


def test_another_unreadable_text_is_another_interval(tmp_path, capture, model, at):
    with Ledger(tmp_path, limits={"unreadable_share": 1}) as ledger:
        ledger.load([capture(0, model(prompt="ask us")), capture(1, model(prompt="ask them"))])
        query = "SELECT price_text, valid_from FROM marts.price_history WHERE price_kind = 'prompt' ORDER BY valid_from"
        assert ledger.rows(query) == [("ask us", at(0)), ("ask them", at(1))]


# --- rules ---


def test_a_threshold_that_no_request_can_pass_is_harmless(tmp_path, capture, model):
    tier = {"prompt": "1", "overrides": [{"min_prompt_tokens": 2**63 - 1, "prompt": "2"}]}
    with Ledger(tmp_path) as ledger:
        ledger.load([capture(0, model(pricing={"prompt": "1"})), capture(1, model(pricing=tier))])
        query = "SELECT min_prompt_tokens, is_repricing FROM marts.price_rule_changes"
        assert ledger.rows(query) == [(None, False)]


def test_a_schedule_goes_by_utc_whatever_the_reader_s_time_zone(tmp_path, capture, model, at):
    rule = {"utc_start": 800, "utc_end": 1200, "utc_days": ["saturday"], "prompt": "0.5"}
    with Ledger(tmp_path) as ledger:
        ledger.load([capture(0, model(pricing={"prompt": "1", "overrides": [rule]}))])
        ledger.publish()
    for zone in ("UTC", "Asia/Tokyo", "America/New_York"):
        with duckdb.connect(str(tmp_path / "catalogue.duckdb"), read_only=True) as reader:
            reader.execute(f"SET TimeZone = '{zone}'")
            query = "SELECT rule_no FROM marts.request_prices_at(?) WHERE price_kind = 'prompt'"
            assert reader.execute(query, [at(9)]).fetchall() == [(1,)]
            assert reader.execute(query, [at(13)]).fetchall() == [(None,)]


def test_a_late_snapshot_bears_on_a_later_change_to_rules_without_times(tmp_path, capture, model):
    """It shows the base of the schedule that ended. Seen red with models left alone whose runs begin before it."""
    window = {"prompt": "1", "overrides": [{"utc_start": 800, "utc_end": 1200, "prompt": "0.5"}]}
    tier = {"prompt": "1", "overrides": [{"min_prompt_tokens": 1000, "prompt": "2"}]}
    told = [(9, window), (15, window), (33, window), (34, tier)]
    captures = [capture(hours, model(pricing={"completion": "2", **pricing})) for hours, pricing in told]
    query = "SELECT * EXCLUDE (last_seen_at) FROM marts.price_rule_changes ORDER BY ALL"
    found = []
    for number, order in enumerate([(0, 1, 2, 3), (0, 2, 3, 1)]):
        with Ledger(tmp_path / str(number)) as ledger:
            for place in order:
                ledger.load([captures[place]])
            found.append(ledger.rows(query))
    assert found[0] == found[1] != []


# --- limits ---


def verdicts(ledger: Ledger) -> list[str]:
    query = "SELECT v.verdict FROM core.verdicts AS v JOIN raw.captures USING (capture_no) WHERE known_to IS NULL"
    return [verdict for (verdict,) in ledger.rows(f"{query} ORDER BY observed_at")]


def test_new_limits_judge_every_capture_anew_and_stay(tmp_path, capture, at, contents):
    """Also in a warehouse built anew. Seen red with `limits` left out of the journal."""
    told: list[str] = []
    with Ledger(tmp_path) as ledger:
        ledger.load([capture(0, *TEN), capture(1, *TEN[:7]), capture(2, *TEN[:6])])
        assert verdicts(ledger) == ["accepted", "quarantined", "quarantined"]
        first = ledger.rows("SELECT max(recorded_at) FROM core.commits")[0][0]
    with Ledger(tmp_path, limits={"gone_share": 0.3}, tell=told.append) as ledger:
        assert verdicts(ledger) == ["accepted"] * 3
        assert len(ledger.rows("FROM marts.models_at(?, known_at := ?)", [at(3), first])) == 10
        assert len(ledger.rows("FROM marts.models_at(?)", [at(3)])) == 6
    assert told == [
        "captures are judged by new limits, of which 2 otherwise than before: "
        "unreadable_share 0.01, gone_share 0.3, gone_within_days 7"
    ]
    for limits in ({}, {"gone_share": 0.3}):
        with Ledger(tmp_path, limits=limits, tell=told.append) as ledger:
            ledger.load([capture(5, *TEN[:6])])
            before = contents(ledger)
    assert len(told) == 1
    assert before["core.limits"][0][:3] == (0.01, 0.3, 7.0)
    assert rebuilt(tmp_path, contents) == before


# --- killed at any instant ---


def rebuilt(folder: Path, contents):
    (folder / "ledger.duckdb").unlink()
    with Ledger(folder) as ledger:
        return contents(ledger)


def test_a_ledger_can_be_built_anew(tmp_path, story, capture, contents):
    with Ledger(tmp_path) as ledger:
        ledger.load(story[4:])
        ledger.load(story[:4])
        decide(ledger, story[3], "accept")
        ledger.load([capture(0, *TEN, body=story[0].body, origin="archive:x")])
        decide(ledger, story[0], "reject")
        ledger.load([capture(8, *TEN)])
        before = contents(ledger)
    assert rebuilt(tmp_path, contents) == before
    assert any(row[-1] is not None for row in before["core.verdicts"])
    assert len(before["core.commits"]) == 6


def test_a_pack_without_a_commit_is_taken_up(tmp_path, capture, contents):
    with Ledger(tmp_path) as ledger:
        ledger.load([capture(0, *TEN)])
        ledger.raw.write([capture(1, *TEN, "b/b")])
    with Ledger(tmp_path) as ledger:
        assert len(ledger.rows("FROM marts.snapshots")) == 2
        before = contents(ledger)
    with Ledger(tmp_path) as ledger:
        assert contents(ledger) == before
    assert rebuilt(tmp_path, contents) == before


def test_a_pack_that_was_appended_but_not_committed_is_taken_up(tmp_path, capture, contents):
    with Ledger(tmp_path) as ledger:
        ledger.load([capture(0, *TEN)])
        ledger.append(ledger.raw.write([capture(1, *TEN, "b/b")]))
        assert len(ledger.rows("FROM marts.snapshots")) == 1
    with Ledger(tmp_path) as ledger:
        assert len(ledger.rows("FROM marts.snapshots")) == 2
        before = contents(ledger)
    assert rebuilt(tmp_path, contents) == before


def test_a_commit_that_reached_only_the_journal_is_made_good(tmp_path, story, contents):
    with Ledger(tmp_path) as ledger:
        ledger.load(story[:5])
    spare = (tmp_path / "ledger.duckdb").read_bytes()
    with Ledger(tmp_path) as ledger:
        ledger.load(story[5:])
        decide(ledger, story[3], "accept")
        before = contents(ledger)
    (tmp_path / "ledger.duckdb").write_bytes(spare)
    with Ledger(tmp_path) as ledger:
        assert contents(ledger) == before


def test_a_torn_journal_line_was_never_a_commit(tmp_path, capture, contents):
    with Ledger(tmp_path) as ledger:
        ledger.load([capture(0, *TEN)])
    with ledger.raw.journal.path.open("ab") as file:
        file.write(b'{"recorded_at":"2999')
    with Ledger(tmp_path) as ledger:
        ledger.load([capture(1, *TEN)])
        before = contents(ledger)
    assert rebuilt(tmp_path, contents) == before


def test_packs_in_hand_wait_for_who_holds_them(tmp_path, capture):
    with Ledger(tmp_path) as ledger:
        ledger.load([capture(0, *TEN)])
        pack = ledger.raw.write([capture(1, *TEN, "b/b")])
    with Ledger(tmp_path, in_hand=[pack]) as ledger:
        assert len(ledger.rows("FROM raw.captures")) == 1
        ledger.append(pack)
        ledger.append(pack)
        assert len(ledger.rows("FROM raw.captures")) == 2
        assert len(ledger.rows("FROM marts.snapshots")) == 1
        ledger.commit([pack])
        assert len(ledger.rows("FROM marts.snapshots")) == 2


def test_a_commit_s_journal_line_names_every_pack_that_it_judged(tmp_path, capture, contents):
    """A step that appended its pack was killed; the next one finds another pack waiting beside its own."""
    with Ledger(tmp_path) as ledger:
        ledger.load([capture(0, *TEN)])
        pack = ledger.raw.write([capture(1, *TEN, "b/b")])
    with Ledger(tmp_path, in_hand=[pack]) as ledger:
        ledger.append(pack)
    RawStore(tmp_path / "raw").write([capture(2, *TEN, "c/c")])
    with Ledger(tmp_path, in_hand=[pack]) as ledger:
        ledger.append(pack)
        ledger.commit([pack])
        before = ledger.rows("SELECT observed_at, recorded_at FROM marts.snapshots ORDER BY 1")
    (tmp_path / "ledger.duckdb").unlink()
    with Ledger(tmp_path) as ledger:
        assert ledger.rows("SELECT observed_at, recorded_at FROM marts.snapshots ORDER BY 1") == before


class FailsToCommit:
    """A connection on whose disk there is no room just once."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection, self.is_full = connection, True

    def __getattr__(self, name):
        return getattr(self.connection, name)

    def execute(self, query, *arguments):
        if query == "COMMIT" and self.is_full:
            self.is_full = False
            raise duckdb.IOException("no space left on device")
        return self.connection.execute(query, *arguments)


def test_a_decision_survives_a_commit_that_failed_after_its_journal_line(tmp_path, capture, contents, monkeypatch):
    first = capture(0, *TEN)
    with Ledger(tmp_path) as ledger:
        ledger.load([first])
        with monkeypatch.context() as patch:
            patch.setattr(ledger, "_connection", FailsToCommit(ledger._connection))
            with pytest.raises(CatalogueError, match="no space left"):
                decide(ledger, first, "reject")
        with suppress(CatalogueError):  # to refuse further commits is an answer too
            ledger.load([capture(1, *TEN, "b/b")])
    with Ledger(tmp_path) as ledger:
        assert [row[1] for row in ledger.rows("FROM core.decisions")] == ["reject"]
        before = contents(ledger)
    assert rebuilt(tmp_path, contents) == before


def test_a_rebuild_from_a_damaged_pack_does_not_pass_it_over(tmp_path, capture):
    with Ledger(tmp_path) as ledger:
        ledger.load([capture(hours, *TEN, str(hours * 7919)) for hours in range(5)])
    (pack,) = ledger.raw.packs()
    path = tmp_path / "raw" / pack
    path.write_bytes(path.read_bytes()[:-4])
    (tmp_path / "ledger.duckdb").unlink()
    with pytest.raises(DamagedPackError, match=pack), Ledger(tmp_path):
        pass


def test_a_copy_of_a_known_capture_is_read_once_and_its_origin_kept(tmp_path, capture, monkeypatch):
    """A pack from another warehouse, put among ours."""
    with Ledger(tmp_path) as ledger:
        ledger.load([capture(0, *TEN)])
        ledger.raw.write([capture(0, *TEN, origin="archive:x"), capture(0, *TEN, origin="archive:x")])
    with Ledger(tmp_path) as ledger:
        assert sorted(set(ledger.rows("SELECT origin FROM raw.provenance"))) == [("archive:x",), ("live",)]

    def refuse(_: RawStore, pack: str) -> list[Capture]:
        raise AssertionError(f"{pack} is read again")

    monkeypatch.setattr(RawStore, "read", refuse)
    with Ledger(tmp_path):
        pass


# --- one writer ---

HOLD = """
import sys
from pathlib import Path
from typing import Any
from pipelines.ledger.ledger import Ledger
with Ledger(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the warehouse until its standard input is closed."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_second_writer_gives_up_with_a_sentence(tmp_path, holder):
    waited: list[str] = []
    with (
        pytest.raises(CatalogueError, match=r"another process has been writing to .* for 0 s: try again later"),
        Ledger(tmp_path, lock_timeout=0.2, tell=waited.append),
    ):
        pass
    assert waited == [f"another process is writing to {tmp_path}: waiting up to 0 s"]


def test_a_second_writer_waits_for_the_first(tmp_path, holder, capture):
    release = threading.Timer(0.5, holder.stdin.close)
    begun = time.monotonic()
    release.start()
    with Ledger(tmp_path, lock_timeout=20) as ledger:
        assert time.monotonic() - begun > 0.4
        assert ledger.load([capture(0, *TEN)])
    release.join()


def test_the_lock_of_a_killed_process_is_free(tmp_path, holder):
    holder.kill()
    holder.wait()
    with Ledger(tmp_path, lock_timeout=0.2):
        pass


def test_the_lock_is_free_after_a_failure(tmp_path):
    with pytest.raises(ZeroDivisionError), Ledger(tmp_path):
        _ = 1 / 0
    (tmp_path / "ledger.duckdb").write_bytes(b"x" * 5000)
    for _ in range(2):
        with pytest.raises(CatalogueError, match="cannot be opened as a DuckDB database"), Ledger(tmp_path):
            pass


# --- publishing ---


def test_a_published_file_is_the_ledger(tmp_path, story, contents):
    with Ledger(tmp_path) as ledger:
        ledger.load(story)
        path = ledger.publish()
        assert path == tmp_path / "catalogue.duckdb"
        told = history(ledger)
        ledger.load([])
    with Published(tmp_path) as published:
        for mart, rows in told.items():
            assert sorted(published.ask(f"FROM marts.{mart}").rows, key=repr) == rows
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == [
        ".lock",
        "catalogue.duckdb",
        "ledger.duckdb",
    ]


def test_an_open_reader_keeps_what_it_reads(tmp_path, capture):
    with Ledger(tmp_path) as ledger:
        ledger.load([capture(0, *TEN)])
        ledger.publish()
        with Published(tmp_path) as reader:
            open_file = reader.path.stat().st_ino
            ledger.load([capture(1, *TEN, "b/b")])
            ledger.publish()
            assert reader.path.stat().st_ino != open_file
            assert reader.ask("SELECT count(*) FROM marts.models").rows == [(10,)]
            with Published(tmp_path) as later:
                assert later.ask("SELECT count(*) FROM marts.models").rows == [(11,)]


def test_what_is_not_published_is_not_read(tmp_path, capture):
    with Ledger(tmp_path) as ledger:
        ledger.load([capture(0, *TEN)])
        ledger.publish()
        ledger.load([capture(1, *TEN, "b/b")])
    with Published(tmp_path) as reader:
        assert reader.ask("SELECT count(*) FROM marts.models").rows == [(10,)]


def test_a_failed_publication_leaves_the_file_and_the_ledger(tmp_path, capture, monkeypatch):
    def refuse(*_):
        raise OSError(28, "No space left on device")

    with Ledger(tmp_path) as ledger:
        ledger.load([capture(0, *TEN)])
        ledger.publish()
        ledger.load([capture(1, *TEN, "b/b")])
        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", refuse)
            with pytest.raises(CatalogueError, match=r"cannot be written: No space left on device"):
                ledger.publish()
        with Published(tmp_path) as reader:
            assert reader.ask("SELECT count(*) FROM marts.models").rows == [(10,)]
        assert not list(tmp_path.glob(".catalogue*"))
        ledger.load([capture(2, *TEN)])
        ledger.publish()


# --- what is wrong outside ---


def test_a_file_where_the_warehouse_should_be_is_an_error(tmp_path):
    (tmp_path / "warehouse").write_text("")
    with pytest.raises(CatalogueError, match="cannot be made: File exists"), Ledger(tmp_path / "warehouse"):
        pass


def test_a_folder_in_the_way_of_the_lock_is_an_error(tmp_path):
    (tmp_path / ".lock").mkdir()
    with pytest.raises(CatalogueError, match="cannot be written to"), Ledger(tmp_path):
        pass


@pytest.mark.parametrize("thing", ["a file in place of raw", "a folder in place of the journal"])
def test_a_raw_store_that_cannot_be_written_is_an_error(tmp_path, capture, thing):
    if thing.startswith("a file"):
        (tmp_path / "raw").write_text("")
    else:
        (tmp_path / "raw" / "journal.jsonl").mkdir(parents=True)
    with pytest.raises(CatalogueError), Ledger(tmp_path) as ledger:
        ledger.load([capture(0, *TEN)])


def test_a_damaged_ledger_is_an_error(tmp_path, capture):
    with Ledger(tmp_path) as ledger:
        ledger.load([capture(0, *TEN)])
    whole = (tmp_path / "ledger.duckdb").read_bytes()
    for damage in (b"not a database" * 1000, whole[:5000]):
        (tmp_path / "ledger.duckdb").write_bytes(damage)
        with pytest.raises(CatalogueError, match=r"ledger\.duckdb cannot be opened"), Ledger(tmp_path):
            pass


def test_a_damaged_journal_is_an_error(tmp_path, capture):
    with Ledger(tmp_path) as ledger:
        ledger.load([capture(0, *TEN)])
    journal = ledger.raw.journal.path
    whole = journal.read_bytes()
    journal.write_bytes(whole + b"garbage\n")
    with pytest.raises(CatalogueError, match=r"line 2 of .*journal"), Ledger(tmp_path):
        pass
    # What came before the ledger's last commit is read by those alone who need it.
    journal.write_bytes(b"garbage\n" + whole)
    with Ledger(tmp_path) as ledger, pytest.raises(CatalogueError, match=r"line 1 of .*journal"):
        verify(ledger)
    with pytest.raises(CatalogueError, match=r"line 1 of .*journal"), Ledger(tmp_path, anew=True):
        pass


def test_a_pack_in_hand_is_not_lost_where_the_ledger_is_built_anew_meanwhile(tmp_path, capture):
    """Seen red with a commit that takes its packs' facts for granted."""
    pack = RawStore(tmp_path / "raw").write([capture(0, *TEN)])
    with Ledger(tmp_path, in_hand=[pack]) as ledger:
        ledger.append(pack)
    (tmp_path / "ledger.duckdb").unlink()
    with Ledger(tmp_path, in_hand=[pack]) as ledger:
        ledger.commit([pack])
        assert verdicts(ledger) == ["accepted"]
        assert verify(ledger).findings == ()


def test_a_proof_leaves_alone_what_is_stored_meanwhile(tmp_path, capture):
    """Seen red with a second ledger that commits what no commit took."""
    with Ledger(tmp_path) as ledger:
        ledger.load([capture(0, *TEN)])
        ledger.raw.write([capture(1, *TEN)])
        assert verify(ledger).findings == ()
        assert len(ledger.raw.journal.entries()) == 1
    with Ledger(tmp_path) as ledger:
        assert ledger.is_news
        assert verdicts(ledger) == ["accepted", "accepted"]


def test_what_killed_processes_left_is_removed(tmp_path, capture):
    with Ledger(tmp_path) as ledger:
        ledger.load([capture(0, *TEN)])
    for name in (".catalogue.7.tmp", ".ledger.duckdb.7.tmp", ".ledger.duckdb.7.tmp.wal"):
        (tmp_path / name).write_bytes(b"half")
    (tmp_path / ".verify-x").mkdir()
    with Ledger(tmp_path):
        pass
    assert {path.name for path in tmp_path.iterdir()} == {".lock", "ledger.duckdb", "raw"}


def test_captures_that_opening_quarantines_are_told(tmp_path, capture):
    with Ledger(tmp_path) as ledger:
        ledger.load([capture(0, *TEN)])
        ledger.raw.write([capture(1, TEN[0])])
    with Ledger(tmp_path, limits={"unreadable_share": 0.5}) as ledger:
        assert [one.codes for one in ledger.quarantined_at_opening()] == [("collapse",)]


def test_a_reason_that_is_no_unicode_is_an_error_or_kept(tmp_path, capture):
    """As a terminal hands it over that is set to another encoding."""
    first = capture(0, *TEN)
    with Ledger(tmp_path) as ledger:
        ledger.load([first])
        try:
            decide(ledger, first, "reject", "caf\udce9")
        except CatalogueError:
            assert len(ledger.raw.journal.entries()) == 1
    assert json.loads(ledger.raw.journal.path.read_bytes().splitlines()[0])["packs"]

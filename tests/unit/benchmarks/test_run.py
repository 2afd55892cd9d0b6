"""The benchmark as a command, and that the README's tables hold every bar."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from pipelines.captures import RawStore
from tests.benchmarks import daily, others, run, sizes
from tests.benchmarks.lives import Change, Life, churn_of, simulated
from tests.benchmarks.measure import Bar, Finding, Plan
from tests.benchmarks.ten_years import Catalogue

ROOT = Path(__file__).resolve().parents[3]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_readme_has_a_row_for_every_bar():
    """A bar that was added without a row in the README would be neither met nor missed."""
    for block, names in run.BLOCKS.items():
        shown = README.partition(f"<!-- {block}: ")[2].partition(f"<!-- end of {block} -->")[0]
        for bar in run.bars_of(names):
            assert re.search(rf"^\| {re.escape(bar.what)}[ (]", shown, re.MULTILINE), f"{block}: {bar.what}"


def test_keys_of_bars_are_unique():
    keys = [bar.key for names in run.BLOCKS.values() for bar in run.bars_of(names)]
    assert len(set(keys)) == len(keys)


def test_a_quick_run_shows_figures_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    """The smallest family through the command line. Red where a run of one round was written as a median."""
    readme, results = tmp_path / "README.md", tmp_path / "results.json"
    readme.write_text(README)
    monkeypatch.setattr(daily, "MODELS", 20)
    arguments = ["--only", "daily", "--rounds", "1", "--small", "--readme", str(readme), "--results", str(results)]
    assert run.main(arguments) == 0
    shown = capsys.readouterr().out
    assert "one more snapshot" in shown
    assert "not measured" not in shown
    assert readme.read_text() == README
    assert not results.exists()


def test_a_block_is_written_once_all_of_it_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Red where a run of some families put "not measured" over the figures of an earlier, whole run."""
    readme, results = tmp_path / "README.md", tmp_path / "results.json"
    readme.write_text(README)
    arguments = ["--rounds", "5", "--readme", str(readme), "--results", str(results), "--only"]
    monkeypatch.setitem(run.BLOCKS, "peers", ("others",))

    def measured(bars: Sequence[Bar], seconds: float) -> Callable[[Plan], Iterator[Finding]]:
        return lambda plan: iter([Finding(bar.key, [seconds] * plan.rounds, [1.0] * plan.rounds) for bar in bars])

    monkeypatch.setattr(others, "measure", measured(others.BARS[1:], 0.0123))
    assert run.main([*arguments, "others"]) == 0
    assert readme.read_text() == README
    monkeypatch.setattr(others, "measure", measured(others.BARS[:1], 0.0456))
    assert run.main([*arguments, "others"]) == 0
    written = readme.read_text()
    assert f"| {others.DLT.what} | 12.3 ms |" in written
    assert f"| {others.GIT_HISTORY.what} | 45.6 ms |" in written
    assert written.partition("<!-- peers")[0] == README.partition("<!-- peers")[0]


def test_a_damaged_byte_costs_the_captures_of_its_pack_and_is_put_back(tmp_path: Path):
    """Red where the byte was left damaged, and where a store without damage lost captures."""
    taken = daily.simulated_days(4)
    store = RawStore(tmp_path)
    packs = [store.write(taken[:3]), store.write(taken[3:])]
    whole = sizes.readable(store)
    assert whole == {one.snapshot_id for one in taken}
    left = sizes.readable_with_damage(store, tmp_path / packs[0], 0.5)
    assert left < whole
    assert sizes.readable(store) == whole


def test_apparent_bytes_are_those_of_all_files_below(tmp_path: Path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "one").write_bytes(b"123")
    (tmp_path / "a" / "b" / "two").write_bytes(b"45")
    assert sizes.apparent_bytes(tmp_path) == 5


def model(name: str, text: str) -> bytes:
    return (
        f'{{"id":"{name}","name":"{name}","description":"{text}","pricing":{{"prompt":"1","completion":"2"}}}}'
    ).encode()


LIVES = [
    Life("a/long", [(0, model("a/long", "one")), (30, model("a/long", "two words")), (60, None)], 200),
    Life("b/short:free", [(0, model("b/short:free", "three"))], 10),
]


def test_places_of_a_simulated_catalogue_are_always_taken():
    """Every place begins at hour 0, goes on with another life at the end of one, and changes are in order."""
    changes = list(simulated(LIVES, places=20, hours=500))
    assert changes == list(simulated(LIVES, places=20, hours=500))
    assert [change.hour for change in changes] == sorted(change.hour for change in changes)
    assert {change.place for change in changes if change.hour == 0} == set(range(20))
    assert max(change.hour for change in changes) < 500
    assert any(b":free" in (change.version or b"") for change in changes)


def test_churn_is_counted_in_a_listed_models_days():
    churn = churn_of(LIVES)
    days = 210 / 24
    assert churn.changes == pytest.approx(2 / days)
    assert churn.additions == pytest.approx(2 / days)


def test_simulated_hours_are_frames_of_what_is_new_and_listings_of_all():
    """Red where an hour in which nothing changes lost its listing, and where an absent model stayed listed."""
    first, second = model("a/one", "x"), model("b/two", "y")
    changes = [Change(0, 0, first), Change(0, 1, second), Change(2, 1, None), Change(3, 0, second)]
    catalogue = Catalogue(iter(changes))
    batch = catalogue.next_hours(3)
    assert [listing.model_ids for listing in batch.frames.listings] == [("a/one", "b/two")] * 2 + [("a/one",)]
    assert batch.frames.models["model_id"].to_list() == ["a/one", "b/two"]
    assert [one.observed_at.hour for one in batch.captures] == [0, 1, 2]
    following = catalogue.next_hours(1)
    assert following.frames.listings[0].model_ids == ("b/two",)
    assert following.frames.models.is_empty()
    assert (catalogue.hour, catalogue.versions) == (4, 2)

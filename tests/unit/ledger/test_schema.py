from __future__ import annotations

import itertools
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from pipelines.errors import CatalogueError
from pipelines.ledger import schema
from pipelines.ledger.connect import attach
from pipelines.ledger.ledger import Ledger

NEW_MODELS = """model_id name author first_seen_at last_seen_at removed_at first_prompt_text first_completion_text
first_prompt_usd first_completion_usd last_prompt_text last_completion_text last_prompt_usd last_completion_usd"""
MODELS = """model_id author base_model_id variant is_alias alias_target name canonical_slug hugging_face_id created_at
description context_length modality input_modalities output_modalities tokenizer instruct_type max_completion_tokens
is_moderated supported_parameters default_parameters expiration_date knowledge_cutoff first_seen_at last_seen_at
extra"""
PRICES = "model_id price_kind unit price_text price_usd price_status valid_from"

CONTRACT = {
    "snapshots": """snapshot_id source scope scope_kind origin observed_at recorded_at model_count reported_count
        sha256""",
    "models": MODELS,
    "prices": PRICES,
    "price_history": f"{PRICES} valid_to last_seen_at",
    "price_rule_history": """model_id rule_no min_prompt_tokens utc_start utc_end utc_days price_kind price_text
        price_usd valid_from valid_to""",
    "price_changes": """changed_at last_seen_at model_id price_kind change_kind old_price_text new_price_text
        old_price_usd new_price_usd change_ratio is_alias has_rule_change is_schedule_flip is_repricing after_absence
        reverted_at explained_by""",
    "model_spells": "model_id spell_no listed_from listed_to last_seen_at is_left_censored",
    "model_events": "happened_at model_id event",
    "model_history": f"{MODELS} valid_from valid_to last_seen_at",
    "new_models": NEW_MODELS,
    "removed_models": NEW_MODELS,
    "expirations": """model_id expiration_date status is_placeholder announced_at previous_expiration_date days_left
        notice_days removed_at""",
    "attribute_changes": "changed_at last_seen_at model_id attribute old_value new_value after_absence",
    "schema_drift": "first_seen_at path json_type example",
    "offers": """model_id tag twin_no provider_name quantization context_length max_completion_tokens max_prompt_tokens
        supported_parameters supports_implicit_caching is_zdr discount first_seen_at last_seen_at extra""",
    "offer_price_history": f"{PRICES} tag twin_no valid_to last_seen_at",
    "offer_price_changes": """changed_at last_seen_at model_id tag twin_no price_kind change_kind old_price_text
        new_price_text old_price_usd new_price_usd change_ratio has_rule_change is_schedule_flip is_repricing
        after_absence reverted_at""",
    "offer_events": "happened_at model_id tag twin_no event",
    "offer_measurements": "observed_at model_id tag twin_no status uptime_last_5m uptime_last_30m uptime_last_1d",
    "providers": """source slug name privacy_policy_url terms_of_service_url status_page_url headquarters datacenters
        first_seen_at last_seen_at""",
    "provider_history": """source slug name privacy_policy_url terms_of_service_url status_page_url headquarters
        datacenters valid_from valid_to last_seen_at""",
    "cheapest_offers": """model_id price_kind price_usd tag provider_name quantization context_length is_zdr""",
    "price_spread": "model_id price_kind list_price_usd cheapest_usd median_usd dearest_usd offer_count",
    "offer_differences": "model_id price_kind list_price_usd nearest_usd list_seen_at offers_seen_at is_settled",
    "models_at": f"{MODELS} next_seen_at",
    "prices_at": f"{PRICES} valid_to last_seen_at next_seen_at",
}
"""The public contract: columns that every warehouse has. More may be added; these stay."""

PRICE_COLUMNS = re.compile(r".*_usd")
MOMENT_COLUMNS = re.compile(r".*_at|valid_from|valid_to|listed_from|listed_to")


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty published warehouse."""
    folder = tmp_path_factory.mktemp("warehouse")
    with Ledger(folder) as ledger:
        ledger.publish()
    return folder


@pytest.fixture(scope="module")
def opened(warehouse: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """The published file as an analyst opens it."""
    with duckdb.connect(str(warehouse / "catalogue.duckdb"), read_only=True) as connection:
        yield connection


def relation(mart: schema.SqlObject) -> str:
    call = "" if mart.parameters is None else "(TIMESTAMPTZ '2026-08-01 00:00:00+00')"
    return f"{mart.schema}.{mart.name}{call}"


def columns(connection: duckdb.DuckDBPyConnection, mart: schema.SqlObject) -> dict[str, str]:
    described = connection.execute(f"DESCRIBE SELECT * FROM {relation(mart)}").fetchall()
    return {name: kind for name, kind, *_ in described}


every_mart = pytest.mark.parametrize("mart", schema.marts(), ids=lambda mart: mart.name)
every_view = pytest.mark.parametrize(
    "view", [view for view in schema.views() if view.columns], ids=lambda view: f"{view.schema}.{view.name}"
)


# --- the contract ---


@pytest.mark.parametrize("name", CONTRACT)
def test_a_mart_has_the_columns_of_the_contract(opened, name):
    (mart,) = [one for one in schema.marts() if one.name == name]
    promised = set(CONTRACT[name].split())
    if "model_id" in promised:
        promised.add("source")
    assert promised <= columns(opened, mart).keys()


@every_mart
def test_prices_are_exact_and_times_have_a_zone(opened, mart):
    for name, kind in columns(opened, mart).items():
        if PRICE_COLUMNS.fullmatch(name):
            assert kind == "DECIMAL(38,24)", name
        if MOMENT_COLUMNS.fullmatch(name):
            assert kind == "TIMESTAMP WITH TIME ZONE", name


@every_mart
def test_no_money_is_a_float(opened, mart):
    floats = {name for name, kind in columns(opened, mart).items() if kind in {"DOUBLE", "FLOAT"}}
    ratios = {name for name in floats if name.endswith("_ratio")}
    measured = set(mart.columns) if mart.name == "offer_measurements" else set()
    assert floats <= ratios | measured | {"hours_since_previous"}


# --- headers and comments ---


@every_view
def test_a_header_names_the_columns_in_their_order(opened, view):
    assert list(columns(opened, view)) == list(view.columns)
    assert view.meaning
    assert view.grain
    assert all(view.columns.values())


@every_view
def test_comments_are_those_of_the_header(opened, view):
    comment = f"{view.meaning} Grain: {view.grain}."
    if view.parameters is not None:
        query = "SELECT comment FROM duckdb_functions() WHERE schema_name = ? AND function_name = ?"
        assert opened.execute(query, [view.schema, view.name]).fetchall() == [(comment,)]
        return
    query = "SELECT comment FROM duckdb_views() WHERE schema_name = ? AND view_name = ?"
    assert opened.execute(query, [view.schema, view.name]).fetchall() == [(comment,)]
    query = "SELECT column_name, comment FROM duckdb_columns() WHERE schema_name = ? AND table_name = ?"
    assert dict(opened.execute(query, [view.schema, view.name]).fetchall()) == view.columns


QUERIES = sorted(schema.SQL_DIR.glob("*/*.sql"))


@pytest.mark.parametrize("path", QUERIES, ids=lambda path: f"{path.parent.name}.{path.stem}")
def test_a_header_names_all_that_its_query_reads(path):
    header, _, body = path.read_text(encoding="utf-8").partition("\n*/\n")
    first, *lines = header.partition("\nreads:")[2].splitlines() or [""]
    told = [first, *itertools.takewhile(lambda line: line.startswith("    "), lines)]
    named = set(re.findall(r"[\w.]+", " ".join(told)))
    own = r"\b(?:FROM|JOIN) ((?:fresh|former|affected|altered)_\w+|commit_time)"
    read = re.findall(r"\bcatalogue\.(\w+\.\w+)", body) + re.findall(own, body)
    assert set(read) == named


@pytest.mark.parametrize(
    ("text", "match"),
    [("SELECT 1", "does not open with"), ("-- no\n/*\nmeaning: x\n*/\nSELECT 1", "does not open with")],
)
def test_a_file_without_a_header_is_refused(tmp_path, text, match):
    path = tmp_path / "x.sql"
    path.write_text(text)
    with pytest.raises(ValueError, match=match):
        schema.read_object(path)


def test_a_header_is_read(tmp_path):
    path = tmp_path / "marts" / "thing.sql"
    path.parent.mkdir()
    path.write_text(
        "/*\nmeaning: A thing,\n    or two: more.\ngrain: one\n"
        "columns:\n  a: First.\n    And on.\n  b: B.\n*/\n\nSELECT 1\n"
    )
    found = schema.read_object(path)
    assert (found.schema, found.name, found.meaning, found.grain) == ("marts", "thing", "A thing, or two: more.", "one")
    assert (found.columns, found.parameters, found.body) == ({"a": "First. And on.", "b": "B."}, None, "SELECT 1")


def test_a_view_comes_after_what_it_reads():
    places = {f"{view.schema}.{view.name}": place for place, view in enumerate(schema.views())}
    for view in schema.views():
        for other, place in places.items():
            if re.search(rf"\b{re.escape(other)}\b", view.body):
                assert place < places[f"{view.schema}.{view.name}"]


# --- both ways of opening ---


@every_mart
def test_a_mart_answers_when_attached_under_its_own_name(warehouse, mart):
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{warehouse / 'catalogue.duckdb'}' (READ_ONLY)")
        assert connection.execute(f"SELECT * FROM catalogue.{relation(mart)}").fetchall() == []


@every_mart
def test_a_mart_answers_when_opened_directly(opened, mart):
    assert opened.execute(f"SELECT * FROM {relation(mart)}").fetchall() == []


def test_macros_take_both_clocks_in_both_ways(opened, warehouse):
    call = "marts.{}(TIMESTAMPTZ '2026-08-01 00:00:00+00', known_at := TIMESTAMPTZ '2026-08-02 00:00:00+00')"
    for name in ("models_at", "prices_at"):
        assert opened.execute(f"FROM {call.format(name)}").fetchall() == []
        with attach(warehouse / "catalogue.duckdb", read_only=True) as connection:
            assert connection.execute(f"FROM catalogue.{call.format(name)}").fetchall() == []


# --- other versions of the schema ---


@pytest.fixture
def own_sql(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of `sql/` that a test may alter and that is read anew each time."""
    folder = tmp_path / "sql"
    shutil.copytree(schema.SQL_DIR, folder)
    monkeypatch.setattr(schema, "SQL_DIR", folder)
    forget()
    yield folder
    forget()


def forget() -> None:
    for cached in (schema.derivations, schema.views, schema.marts, schema.checks, schema.fingerprint):
        cached.cache_clear()


def add_a_table(own_sql: Path, statements: str) -> None:
    """Another version of the tables, with ``statements`` at their end."""
    path = own_sql / "tables.sql"
    first, rest = path.read_text().split("\n", 1)
    version = int(first.removeprefix("-- version: "))
    path.write_text(f"-- version: {version + 1}\n{rest}\n{statements}")


def test_a_ledger_of_an_earlier_schema_is_built_anew(tmp_path, own_sql, capture, contents):
    with Ledger(tmp_path) as ledger:
        ledger.load([capture(0, "a/a"), capture(1, "a/a", "a/b")])
        ledger.commit(
            decisions=[{"snapshot_id": capture(1, "a/a", "a/b").snapshot_id, "decision": "reject", "reason": "no"}]
        )
        before = contents(ledger)
    add_a_table(own_sql, "CREATE TABLE core.more AS SELECT 5 AS x;")
    told: list[str] = []
    packs: list[tuple[int, int]] = []
    for _ in range(2):
        with Ledger(tmp_path, tell=told.append, on_pack=lambda done, total: packs.append((done, total))) as ledger:
            assert contents(ledger) == {**before, "core.more": [(5,)]}
    assert [sentence.partition(":")[2] for sentence in told] == [" building it anew from the captures"]
    assert packs == [(1, 1)]


def test_tables_that_cannot_be_made_leave_the_earlier_ledger(tmp_path, own_sql, capture, contents):
    with Ledger(tmp_path) as ledger:
        ledger.load([capture(0, "a/a")])
        before = contents(ledger)
    good = (own_sql / "tables.sql").read_text()
    add_a_table(own_sql, "INSERT INTO core.nowhere VALUES (5);")
    with pytest.raises((duckdb.Error, CatalogueError), match="nowhere"), Ledger(tmp_path):
        pass
    (own_sql / "tables.sql").write_text(good)
    with Ledger(tmp_path) as ledger:
        assert contents(ledger) == before
    assert {path.name for path in tmp_path.iterdir()} == {".lock", "ledger.duckdb", "raw", "sql"}


def test_a_later_program_s_warehouse_is_refused(tmp_path):
    with Ledger(tmp_path):
        pass
    with attach(tmp_path / "ledger.duckdb") as connection:
        connection.execute("UPDATE main.schema_version SET version = 99")
    with (
        pytest.raises(CatalogueError, match=r"has schema 99, and this program knows schemas up to \d+: update"),
        Ledger(tmp_path),
    ):
        pass


def test_views_are_built_anew_when_a_file_changes(tmp_path, own_sql):
    with Ledger(tmp_path):
        pass
    path = own_sql / "marts" / "model_events.sql"
    text = path.read_text()
    path.write_text(text.replace("Models that came, went and came back.", "It's new."))
    (own_sql / "marts" / "removed_models.sql").unlink()
    forget()
    with Ledger(tmp_path) as ledger:
        comment = ledger.rows("SELECT comment FROM duckdb_views() WHERE view_name = 'model_events'")
        assert comment[0][0].startswith("It's new. Grain:")
        assert ledger.rows("SELECT view_name FROM duckdb_views() WHERE view_name = 'removed_models'") == []


def test_views_are_left_alone_while_no_file_changes(tmp_path):
    with Ledger(tmp_path):
        pass
    with attach(tmp_path / "ledger.duckdb") as connection:
        connection.execute("CREATE OR REPLACE VIEW marts.model_events AS SELECT 1 AS mine")
    with Ledger(tmp_path) as ledger:
        assert ledger.rows("FROM marts.model_events") == [(1,)]

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import duckdb
import polars as pl
import pytest

from pipelines.errors import CatalogueError, UsageError
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.published import Published


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory, capture, model):
    folder = tmp_path_factory.mktemp("warehouse")
    with Ledger(folder) as ledger:
        ledger.load([capture(0, "a/a", model("b/b", "0.0000000208333333333333"))])
        ledger.publish()
    return folder


@pytest.fixture
def published(warehouse):
    with Published(warehouse) as opened:
        yield opened


PROMPTS = "SELECT model_id, price_usd FROM marts.prices WHERE price_kind = 'prompt' ORDER BY model_id"


def test_an_answer_has_names_and_exact_values(published):
    answer = published.ask(PROMPTS)
    assert answer.columns == ("model_id", "price_usd")
    assert answer.rows == [("a/a", Decimal("0.1")), ("b/b", Decimal("0.0000000208333333333333"))]
    assert answer.records()[0] == {"model_id": "a/a", "price_usd": Decimal("0.1")}


def test_parameters_go_by_place_and_by_name(published):
    assert published.ask("SELECT ?, ?", [1, "x"]).rows == [(1, "x")]
    assert published.ask("SELECT $b, $a", {"a": 1, "b": "x"}).rows == [("x", 1)]
    assert published.frame("SELECT $b AS b", {"b": "x"}).rows() == [("x",)]


def test_a_frame_keeps_decimals_and_times(published):
    assert published.frame(PROMPTS).schema["price_usd"] == pl.Decimal(38, 24)
    frame = published.frame("SELECT valid_from FROM marts.prices LIMIT 1")
    assert frame.rows() == [(datetime(2026, 8, 1, tzinfo=UTC),)]


@pytest.mark.parametrize("query", ["SELECT nothing", "SELEC 1", "FROM nowhere.x", "SELECT CAST('x' AS INTEGER)"])
def test_a_query_that_cannot_be_is_wrong_usage_in_one_line(published, query):
    for ask in (published.ask, published.frame):
        with pytest.raises(UsageError) as problem:
            ask(query)
        assert "\n" not in str(problem.value)


def test_the_file_cannot_be_written_through_a_reader(published):
    before = published.path.read_bytes()
    for statement in ("DELETE FROM core.commits", "DROP VIEW marts.models", "CREATE TABLE core.x (y INTEGER)"):
        with pytest.raises(UsageError, match="read-only"):
            published.ask(statement)
    assert published.path.read_bytes() == before


@pytest.mark.parametrize("ending", ["", ";", " ; \n", " -- all of them"])
def test_a_parquet_file_holds_the_rows(published, tmp_path, ending):
    path = tmp_path / "it's here.parquet"
    published.write_parquet(PROMPTS + ending, path)
    frame = pl.read_parquet(path)
    assert frame.rows() == published.ask(PROMPTS).rows
    assert frame.schema["price_usd"] == pl.Decimal(38, 24)


def test_parquet_of_a_wrong_query_is_wrong_usage(published, tmp_path):
    with pytest.raises(UsageError):
        published.write_parquet("SELECT nothing", tmp_path / "x.parquet")


def test_before_the_first_publication_it_says_what_to_do(tmp_path):
    with pytest.raises(CatalogueError, match=r"there is no .*catalogue\.duckdb yet: run `catalogue snapshot`"):
        Published(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_file_is_an_error(tmp_path):
    (tmp_path / "catalogue.duckdb").write_bytes(b"x" * 20_000)
    with pytest.raises(CatalogueError, match="cannot be opened as a DuckDB database"):
        Published(tmp_path)


def test_a_closed_reader_lets_go(published):
    published.__exit__(None, None, None)
    with duckdb.connect(str(published.path)) as connection:
        assert connection.execute("SELECT count(*) FROM marts.models").fetchall() == [(2,)]


def test_a_folder_with_a_quote_in_its_name_is_no_matter(tmp_path):
    with Ledger(tmp_path / "it's") as ledger:
        ledger.publish()
    with Published(tmp_path / "it's") as opened:
        assert opened.ask("FROM marts.models").rows == []


def test_what_another_version_published_says_so(tmp_path, capture):
    with Ledger(tmp_path) as ledger:
        ledger.load([capture(0, "a/a")])
        ledger.publish()
    with duckdb.connect(str(tmp_path / "catalogue.duckdb")) as connection:
        connection.execute("UPDATE main.schema_version SET version = 1")
        connection.execute("DROP VIEW marts.alterations")
    with Published(tmp_path) as published:
        assert published.ask("SELECT count(*) FROM marts.models").rows == [(1,)]
        with pytest.raises(CatalogueError, match=r"another version .*`catalogue rebuild`.*alterations") as refused:
            published.ask("FROM marts.alterations")
        assert not isinstance(refused.value, UsageError)

"""`catalogue reprice` and `catalogue impact` as a person runs them: what they print, refuse and exit with.

Belongs here: bad logs, options, rounding, currencies, substitutions, effects that add up.
Does not belong here: whether each cost is right (`test_reprice`).
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import subprocess
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pipelines.cli import finance
from pipelines.ledger.ledger import Ledger
from pipelines.reports.repricing import ASSUMPTIONS, Question, reprice
from pipelines.reports.summaries import rounded
from tests import processes
from tests.ledgers import START
from tests.oracle import Answer
from tests.property.small import load

HEADER = "time,model,prompt_tokens,completion_tokens,tag,billed_usd\n"


def day(number: float) -> datetime:
    return START + timedelta(days=number)


def shown(number: int, prompt: str, **others: Any) -> Answer:
    """A day on which `a/one` has this prompt price; everything else stays."""
    pricing = {
        "a/one": {"prompt": prompt, "completion": "0.00002"},
        "a/two": {"prompt": "0.000001", "completion": "0.000002"},
        "a/three": {"prompt": "0.0000005", "completion": "0.000001"},
        "a/dear": {"prompt": "99999999999999", "completion": "1"},
        "a/auto": {"prompt": "-1", "completion": "-1"},
    }
    models = [
        {
            "id": model_id,
            "canonical_slug": f"{model_id}-2026",
            "context_length": 1000 if model_id == "a/three" else 8000,
            "architecture": {"input_modalities": ["text"], "output_modalities": ["text"]},
            "pricing": prices,
            **({"expiration_date": "2026-12-01"} if model_id == "a/one" else {}),
        }
        for model_id, prices in pricing.items()
    ]
    return Answer(day(number), True, json.dumps({"data": models}).encode())


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory) -> Path:
    """Twenty days; the prompt price of `a/one` doubles on the tenth."""
    folder: Path = tmp_path_factory.mktemp("finance")
    with Ledger(folder) as ledger:
        load(ledger, [shown(number, "0.00001" if number < 10 else "0.00002") for number in range(20)])
        ledger.publish()
    return folder


@pytest.fixture
def run(warehouse):
    def catalogue(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return processes.catalogue(*arguments, "--warehouse", warehouse)

    return catalogue


@pytest.fixture
def log(tmp_path):
    def write(*lines: str, name: str = "usage.csv", header: str = HEADER) -> Path:
        path: Path = tmp_path / name
        path.write_text(header + "".join(f"{line}\n" for line in lines), encoding="utf-8")
        return path

    return write


def totals(told: subprocess.CompletedProcess[str]) -> dict[tuple[str, str], dict[str, str]]:
    assert told.returncode == 0, told.stderr
    return {(row["dimension"], row["value"]): row for row in csv.DictReader(io.StringIO(told.stdout))}


GOOD = f"{day(1.5).isoformat()},a/one,1000,100,red,0.02"


def test_a_log_is_told_by_month_model_author_and_tag(run, log):
    told = totals(run("reprice", log(GOOD, f"{day(2).isoformat()},a/two,10,1,,0.001"), "--format", "csv"))
    assert told["model", "a/one"]["cost_usd"] == "0.012"
    assert told["model", "a/two"]["cost_usd"] == "0.000012"
    assert told["total", ""]["cost_usd"] == told["author", "a"]["cost_usd"] == told["month", "2026-07"]["cost_usd"]
    assert told["total", ""]["cost_usd"] == "0.012012"
    assert told["tag", "red"]["variance_usd"] == "0.008"


def test_rows_without_a_cost_are_counted_and_fail_under_strict(run, log):
    """Broken once by adding nothing for them and saying nothing either."""
    path = log(GOOD, f"{day(2).isoformat()},a/onw,10,1,,", f"{day(2).isoformat()},a/auto,10,1,,")
    told = run("reprice", path)
    assert told.returncode == 0
    assert "a/onw  a/one" in told.stdout
    assert run("reprice", path, "--strict").returncode == 1
    by = totals(run("reprice", path, "--format", "csv"))
    assert by["total", ""]["no_cost"] == "2"
    assert by["confidence", "unknown_model"]["no_cost"] == by["confidence", "dynamic"]["no_cost"] == "1"
    assert run("reprice", log(GOOD), "--strict").returncode == 0


def test_the_costs_between_two_prices_have_bounds(run, log, tmp_path):
    path = log(f"{day(9.5).isoformat()},a/one,1000,0,,")
    told = totals(run("reprice", path, "--format", "csv"))
    assert told["confidence", "changed_within_gap"]["lower_usd"] == "0.01"
    assert told["confidence", "changed_within_gap"]["upper_usd"] == "0.02"


@pytest.mark.parametrize("name", ["usage.csv", "usage.jsonl", "usage.parquet", "usage.csv.gz"])
def test_each_kind_of_file_and_a_frame_say_the_same(run, warehouse, tmp_path, name):
    rows = [
        {"time": day(number / 7).isoformat(), "model": model, "prompt_tokens": 10 * number, "completion_tokens": number}
        for number in range(100)
        for model in ("a/one", "a/two-2026")
    ]
    frame = pl.DataFrame(rows)
    path = tmp_path / name
    if name.endswith(".gz"):
        path.write_bytes(gzip.compress(frame.write_csv().encode()))
    elif name.endswith(".csv"):
        frame.write_csv(path)
    elif name.endswith(".jsonl"):
        frame.write_ndjson(path)
    else:
        frame.with_columns(pl.col("time").str.to_datetime(time_zone="UTC")).write_parquet(path)
    told = run("reprice", path, "--output", tmp_path / "priced.parquet")
    assert told.returncode == 0, told.stderr
    priced = pl.read_parquet(tmp_path / "priced.parquet").sort("row_no")
    assert priced["row_no"].to_list() == list(range(1, 201))
    assert priced.equals(reprice(frame, warehouse))


# --- bad logs ---


def test_times_without_an_offset_are_refused_unless_their_zone_is_named(run, log):
    """Broken once by reading them as UTC."""
    path = log(GOOD, "2026-07-08 02:00:00,a/one,1000,0,,")
    told = run("reprice", path)
    assert told.returncode == 2
    assert "row 2 has the time 2026-07-08 02:00:00 without an offset: say with --time-zone" in told.stderr
    assert run("reprice", path, "--time-zone", "Europe/Berlin").returncode == 0
    assert "no time zone 'Mars'" in run("reprice", path, "--time-zone", "Mars").stderr


def test_a_local_time_is_of_its_zone(warehouse):
    frame = pl.DataFrame({"time": ["2026-07-08 02:00:00"], "model": ["a/one"], "prompt_tokens": [1]})
    found = reprice(frame, warehouse, Question(time_zone="Europe/Berlin"))
    assert found["time"][0] == datetime.fromisoformat("2026-07-08T00:00:00+00:00")


def test_a_time_that_clocks_skip_is_no_time(run, log):
    told = run("reprice", log("2026-03-29 02:30:00,a/one,1,0,,"), "--time-zone", "Europe/Berlin")
    assert "row 1 has no time that can be read" in told.stderr


BAD = {
    "-5": "which is negative",
    "1.5": "which is a fraction",
    "many": "which is no whole number",
    "1000000000000000000": "which is too large",
}


@pytest.mark.parametrize(("count", "reason"), BAD.items())
def test_counts_that_are_none_are_named_and_the_rest_is_priced(run, log, tmp_path, count, reason):
    """Broken once by casting texts, which rounds fractions."""
    path = log(GOOD, f"{day(1).isoformat()},a/one,{count},0,,", GOOD)
    told = run("reprice", path, "--format", "csv")
    assert f"  row 2 has prompt tokens {count}, {reason}" in told.stderr
    assert totals(told)["total", ""]["requests"] == "2"
    output = tmp_path / "priced.csv"
    strict = run("reprice", path, "--strict", "--output", output)
    assert strict.returncode == 1
    assert "1 row cannot be read, and --strict was asked for" in strict.stderr
    assert not output.exists()


def test_counts_may_be_empty_or_written_as_whole_floats(run, log):
    told = totals(run("reprice", log(f"{day(1).isoformat()},a/two,1000.0,,,"), "--format", "csv"))
    assert told["total", ""]["cost_usd"] == "0.001"


def test_more_cached_tokens_than_prompt_tokens_cannot_be(run, log):
    path = log(
        f"{day(1).isoformat()},a/one,10,0,11", header="time,model,prompt_tokens,completion_tokens,cached_tokens\n"
    )
    assert "row 1 has more cache read tokens than prompt tokens" in run("reprice", path).stderr
    assert "cannot be read" not in run("reprice", path, "--cached", "exclusive").stderr


def test_columns_that_mean_nothing_are_named_with_what_they_are_near_to(run, log):
    header = "time,model,prompt_tokens,cache_raed_tokens,mood\n"
    told = run("reprice", log(f"{day(1).isoformat()},a/one,10,5,fine", header=header))
    assert "'cache_raed_tokens' means nothing here and is left out (did you mean cache_read_tokens or " in told.stderr
    assert "'mood' means nothing here and is left out\n" in told.stderr


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        ("time=when", "no column 'when' for time"),
        ("time=modle", "no column 'modle' for time; did you mean model?"),
        ("tiem=time", "no field 'tiem'; did you mean time?"),
        ("time", "takes FIELD=COLUMN"),
    ],
)
def test_columns_that_are_not_there_are_refused(run, log, columns, sentence):
    told = run("reprice", log(GOOD), "--columns", columns)
    assert told.returncode == 2
    assert sentence in told.stderr


@pytest.mark.parametrize(
    ("header", "sentence"),
    [
        ("when,model,prompt_tokens,a,b,c\n", "no column that is its time"),
        ("time,model,input_tokens,tokens_prompt,a,b\n", "input_tokens and tokens_prompt could both be prompt_tokens"),
        ("time,model,x,y,z,w\n", "no column that counts anything"),
        ("time,model,prompt_tokens,time,a,b\n", "a name of its own: ['time']"),
        ("", "no column that is its time"),
    ],
)
def test_a_header_that_says_too_little_is_refused(run, log, header, sentence):
    told = run("reprice", log(GOOD, header=header))
    assert told.returncode == 2
    assert sentence in told.stderr


def test_lines_in_another_encoding_are_named_and_the_rest_is_priced(run, tmp_path):
    """Mixed encodings: the second line is Latin-1. Broken once by letting the reader give up on the file."""
    path = tmp_path / "usage.csv"
    line = f"{day(1).isoformat()},a/two,1000,0,"
    path.write_bytes(
        HEADER.encode() + f"{line}café,\n".encode() + f"{line}café,\n".encode("latin-1") + f"{line}x,\n".encode()
    )
    told = run("reprice", path, "--format", "csv")
    assert "row 2 is not in the file's encoding" in told.stderr
    assert totals(told)["total", ""]["requests"] == "2"
    assert ("tag", "cafÃ©") in totals(run("reprice", path, "--format", "csv", "--encoding", "latin-1"))


def test_a_large_file_with_one_bad_line_and_mixed_line_ends(run, tmp_path):
    path = tmp_path / "usage.csv"
    line = f"{day(1).isoformat()},a/two,1000,0,red,\n"
    lines = [line] * 300_000
    lines[200_000] = "not a line\n"
    lines[100_000] = line.replace("\n", "\r\n")
    lines[250_000] = line.replace("1000", "-1")
    path.write_text(HEADER + "".join(lines), newline="")
    output = tmp_path / "priced.parquet"
    told = run("reprice", path, "--output", output, "--format", "csv")
    assert "row 200001 has 1 cells and not 6" in told.stderr
    assert "row 250001 has prompt tokens -1" in told.stderr
    assert totals(told)["total", ""]["cost_usd"] == f"{Decimal(299_998) * Decimal('0.001'):f}".rstrip("0")
    numbers = sorted(pl.read_parquet(output)["row_no"])
    assert numbers == [one for one in range(1, 300_001) if one not in (200_001, 250_001)]


def test_lines_that_are_no_json_are_named(run, tmp_path):
    path = tmp_path / "usage.jsonl"
    good = {"time": day(1).isoformat(), "model": "a/two", "prompt_tokens": 1000}
    late = {**good, "web_searches": 1}
    path.write_text("\n".join([json.dumps(good), "{", "[1]", json.dumps(late)]))
    told = run("reprice", path, "--format", "csv")
    assert "row 2 is no JSON object" in told.stderr
    assert "row 3 is no JSON object" in told.stderr
    assert totals(told)["confidence", "unlisted_price"]["no_cost"] == "1"


def test_names_and_tags_cannot_be_formulas(run, log, tmp_path):
    """Broken once by writing texts as they are."""
    path = log(f'{day(1).isoformat()},"=HYPERLINK(""x"")",1,0,@SUM(A1),', GOOD.replace("red", "-2+3"))
    output, summary = tmp_path / "priced.csv", tmp_path / "totals.csv"
    assert run("reprice", path, "--output", output, "--summary", summary).returncode == 0
    rows = list(csv.DictReader(io.StringIO(output.read_text())))
    assert [rows[0]["model"], rows[0]["tag"], rows[1]["tag"]] == ['\'=HYPERLINK("x")', "'@SUM(A1)", "'-2+3"]
    assert not any(
        cell[:1] in ("=", "+", "@", "-") for row in csv.reader(io.StringIO(summary.read_text())) for cell in row[:2]
    )
    parquet = tmp_path / "priced.parquet"
    run("reprice", path, "--output", parquet)
    assert pl.read_parquet(parquet).sort("row_no")["tag"].to_list() == ["@SUM(A1)", "-2+3"]


def test_an_amount_beyond_the_type_is_an_error_of_its_row_alone(run, log):
    """Broken once by a product that ends the whole query."""
    told = totals(run("reprice", log(GOOD, f"{day(1).isoformat()},a/dear,2,0,,"), "--format", "csv"))
    assert told["confidence", "beyond_decimal"]["no_cost"] == "1"
    assert told["total", ""]["cost_usd"] == "0.012"


def test_a_total_beyond_the_type_is_an_error_of_that_total_alone(run, log):
    """Broken once by one sum: 120 million millions are told as a number that the type does not hold."""
    path = log(GOOD, *[f"{day(1).isoformat()},a/dear,1,0,blue,"] * 3)
    told = run("reprice", path, "--format", "csv")
    assert told.returncode == 1
    assert "catalogue: model a/dear: the amount is larger than DECIMAL(38, 24) holds\n" in told.stderr
    assert "catalogue: tag blue:" in told.stderr
    assert "tag red" not in told.stderr
    rows = {(row["dimension"], row["value"]): row["cost_usd"] for row in csv.DictReader(io.StringIO(told.stdout))}
    assert rows["model", "a/one"] == "0.012"
    assert rows["model", "a/dear"] == rows["total", ""] == ""


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["--known-at", "2100-01-01"], 2, "later than all that this warehouse knows"),
        (["--what-if", "a/one"], 2, "takes MODEL=OTHER"),
        (["--what-if", "a/one=a/tow"], 2, "was never listed; did you mean a/two"),
        (["--what-if", "a/tow=a/one"], 2, "the log does not use"),
        (["--currency", "EUR"], 2, "no exchange rate is built in"),
        (["--output", "x.xls"], 2, "ends in .parquet or .csv"),
        (["--output", "/nowhere/x.csv"], 1, "cannot be written"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(run, log, arguments, code, sentence):
    told = run("reprice", log(GOOD), *arguments)
    assert told.returncode == code, told.stderr
    assert sentence in told.stderr
    assert "Traceback" not in told.stderr
    assert told.stderr.startswith("catalogue: ")


def test_a_log_that_is_not_there_or_no_log(run, tmp_path):
    (tmp_path / "x.xlsx").write_bytes(b"PK")
    (tmp_path / "x.parquet").write_bytes(b"no parquet")
    for name, sentence in (("no.csv", "there is no file"), ("x.xlsx", "no log by its name"), ("x.parquet", "")):
        told = run("reprice", tmp_path / name)
        assert told.returncode in (1, 2)
        assert sentence in told.stderr
        assert "Traceback" not in told.stderr


# --- what else one can ask ---


def test_a_substitution_is_told_beside_what_it_replaces(run, log):
    path = log(GOOD)
    told = run("reprice", path, "--what-if", "a/one=a/two", "--round", "6")
    assert "What if a/one=a/two: $0.001200 instead of $0.012000, a difference of $-0.010800" in told.stdout


def test_rounding_is_said_and_never_before_the_sum(run, log):
    """Broken once by rounding each row: two halves of a cent are nothing then, or two cents."""
    row = f"{day(1).isoformat()},a/three,10000,0,red,"
    for rounding, one, two in (("half-even", "0", "0.01"), ("half-up", "0.01", "0.01")):
        for rows, expected in (([row], one), ([row] * 2, two)):
            told = run("reprice", log(*rows), "--round", "2", "--rounding", rounding, "--format", "csv")
            assert totals(told)["total", ""]["cost_usd"] == expected
    assert "rounded half-even" in run("reprice", log(row)).stdout


@pytest.mark.parametrize(
    ("amount", "digits", "rounding", "expected"),
    [
        ("0.125", 2, "half-even", "0.12"),
        ("0.135", 2, "half-even", "0.14"),
        ("0.125", 2, "half-up", "0.13"),
        ("-0.125", 2, "half-up", "-0.13"),
        ("-0.125", 2, "half-even", "-0.12"),
        ("-0.001", 2, "half-up", "0.00"),
        ("0.1250000000000000000000001", 2, "half-even", "0.13"),
        ("99999999999999.999999999999999999999999", 0, "half-even", "100000000000000"),
    ],
)
def test_rounding_is_to_the_nearest(amount, digits, rounding, expected):
    """Broken once by rounding what was rounded to a float's digits before."""
    assert f"{rounded(Decimal(amount), digits, rounding):f}" == expected


def test_another_currency_takes_the_rate_of_each_day(run, log, tmp_path):
    rates = tmp_path / "rates.csv"
    rates.write_text(f"date,currency,rate\n{day(1).date()},EUR,0.5\n{day(3).date()},EUR,0.8\n")
    path = log(*(f"{day(number).isoformat()},a/two,1000000,0,," for number in (1, 2, 3)))
    told = totals(run("reprice", path, "--currency", "EUR", "--rates", rates, "--format", "csv", "--round", "2"))
    assert told["total", ""]["cost_eur"] == "1.8"
    shown_text = run("reprice", path, "--currency", "eur", "--rates", rates).stdout
    assert "at most 1 day older" in shown_text
    early = run("reprice", log(f"{day(0).isoformat()},a/two,1,0,,"), "--currency", "EUR", "--rates", rates)
    assert early.returncode == 1
    assert f"no EUR rate for {day(0).date()}" in early.stderr


def test_closed_books_stay_closed(run, log, warehouse):
    """A log priced as known before the history was loaded has no prices; as known since, it has."""
    first = totals(run("reprice", log(GOOD), "--known-at", "2020-01-01", "--format", "csv"))
    assert first["total", ""]["no_cost"] == "1"


def test_the_help_offers_every_assumption():
    assert set(finance._ASSUMPTIONS) == set(ASSUMPTIONS)


@pytest.mark.parametrize("name", [*ASSUMPTIONS])
def test_each_assumption_can_be_switched_off(run, log, name):
    assert run("reprice", log(GOOD), "--assume-not", name).returncode == 0


# --- impact ---


def effects(told: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    assert told.returncode == 0, told.stderr
    return json.loads(told.stdout)  # type: ignore[no-any-return]


def impact_log(log: Any) -> Path:
    """Before the tenth day three requests to `a/one` and one to `a/two`, since then two and five, larger ones."""
    rows = [(2, "a/one", 1000)] * 3 + [(3, "a/two", 777)] + [(12, "a/one", 1500)] * 2 + [(13, "a/two", 333)] * 5
    made: Path = log(*(f"{day(number).isoformat()},{model},{tokens},7,," for number, model, tokens in rows))
    return made


def test_the_effects_add_up_to_the_change(run, log):
    """Broken once by rounding the mix effect on its own."""
    path = impact_log(log)
    found = effects(run("impact", path, "--from", day(9).isoformat(), "--to", day(18).isoformat(), "--format", "json"))
    for one in found:
        parts = [Fraction(one[name]) for name in ("price_usd", "mix_usd", "volume_usd")]
        assert sum(parts) == Fraction(one["change_usd"]) == Fraction(one["spend_usd"]) - Fraction(one["former_usd"])
    by_model = {one["model"]: one for one in found}
    assert by_model["a/one"]["price_usd"] == "0.03"
    assert by_model["a/two"]["price_usd"] == "0"
    exact = Fraction("0.03042") * Fraction(-1, 3)
    assert abs(Fraction(by_model["a/one"]["volume_usd"]) - exact) < Fraction(1, 10**24)
    assert by_model[""]["requests"] == 7
    assert Fraction(by_model["a/one"]["month_at_end_usd"]) - Fraction(
        by_model["a/one"]["month_at_start_usd"]
    ) == Fraction("0.06")


def test_models_that_go_away_are_told_with_the_cheapest_that_could_replace_them(run, log):
    """Broken once by letting the cheaper `a/three` in, whose context is too short."""
    told = run("impact", impact_log(log), "--from", day(9).isoformat(), "--to", day(18).isoformat())
    assert told.returncode == 0, told.stderr
    line = next(line for line in told.stdout.splitlines() if line.startswith("2026-12-01"))
    assert "a/one" in line
    assert "a/two" in line
    assert "a/three" not in line


def test_a_period_that_ends_before_it_begins(run, log):
    told = run("impact", impact_log(log), "--from", "2026-07-02", "--to", "2026-07-01")
    assert (told.returncode, told.stderr) == (2, "catalogue: --from must lie before --to\n")

"""The file `catalogue.toml`: what it means, and that what cannot be meant is refused with its line."""

from __future__ import annotations

from pathlib import Path

import pytest
from dagster._utils.schedules import is_valid_cron_schedule
from hypothesis import given
from hypothesis import strategies as st

from pipelines.configuration import (
    AFTER_THE_CATALOGUE,
    NO_FILE,
    Configuration,
    NamedGateway,
    NamedScope,
    Timing,
    find,
    is_cron,
    read,
)
from pipelines.errors import CatalogueError, UsageError
from pipelines.scopes import Scope
from pipelines.settings import Settings

WHOLE = """\
time_zone = "Europe/Berlin"

[catalogue]
schedule = "5 */6 * * *"

[offers]
schedule = "0 3 * * *"

[feed]
schedule = "*/30 * * * *"
time_zone = "UTC"

[scopes.programming]
ask = "models?category=programming"  # its order is a usage ranking
schedule = "0 2 * * mon-fri"

[scopes]
mine = {ask = "models/user", time_zone = "America/New_York"}

[gateways.gateway]
url = "https://gateway.example.com/"

[gateways.office-2]
url = "http://127.0.0.1:8000"
token_variable = "OFFICE_TOKEN"
"""


def written(text: str | bytes, folder: Path) -> Path:
    path = folder / "catalogue.toml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_everything_that_a_file_may_say(tmp_path):
    path = written(WHOLE, tmp_path)
    assert read(path) == Configuration(
        path=path,
        time_zone="Europe/Berlin",
        schedule="5 */6 * * *",
        offers=Timing("0 3 * * *"),
        feed=Timing("*/30 * * * *", "UTC"),
        scopes=(
            NamedScope(
                "programming",
                Scope.of("openrouter", "models", category="programming"),
                Timing("0 2 * * mon-fri"),
            ),
            NamedScope("mine", Scope.of("openrouter", "models/user"), Timing(AFTER_THE_CATALOGUE, "America/New_York")),
        ),
        gateways=(
            NamedGateway("gateway", "https://gateway.example.com/", "GATEWAY_TOKEN", Timing(AFTER_THE_CATALOGUE)),
            NamedGateway("office-2", "http://127.0.0.1:8000", "OFFICE_TOKEN", Timing(AFTER_THE_CATALOGUE)),
        ),
    )


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "\ufeff[scopes]\n[gateways]\n[catalogue]\n"])
def test_a_file_need_not_say_anything(text, tmp_path):
    path = written(text, tmp_path)
    assert read(path) == Configuration(path=path)


SCOPE = "[scopes.a]\nask = 'models?zdr=true'\n"
GATEWAY = "[gateways.gateway]\nurl = 'https://a.example'\n"

REFUSED: dict[str, tuple[str | bytes, int, str]] = {
    "no value": ("\n\ntime_zone =\n", 3, "this is no TOML: invalid value"),
    "an open text": ("a = 1\nb = 'x\n", 2, "this is no TOML: "),
    "an open array": ("[scopes]\n\na = [\n 1,\n 2,\n", 3, "this is no TOML: "),
    "an open text of many lines": (f'{SCOPE}b = """\nschedule = 1\n\n', 3, "this is no TOML: "),
    "deep nesting": ("\na = " + "[" * 990, 2, "nested too deeply"),
    "a long line": ("\n# x\na = " + "1" * 5_000, 3, "longer than 1000 characters"),
    "many keys in one": (f"{SCOPE}a{'.a' * 400} = 1", 3, "nested too deeply"),
    "keys in a table of many keys": (f"[a{'.a' * 450}]\nb{'.b' * 450} = 1", 1, "nested too deeply"),
    "a text that never ends": (f"{SCOPE}a = '''" + "\n" * 60_000, 3, "no TOML"),
    "a list that never ends": (f"{SCOPE}a = [" + "\n1," * 15_000, 3, "no TOML"),
    "a long list": (f"{SCOPE}a = [" + "\n1," * 15_000 + "]\n", 3, "no such key as 'a'"),
    "no UTF-8": (b"# one\n# tw\xf6\n", 2, "not written in UTF-8"),
    "too long": ("#" * 70_000, 1, "larger than 64 KiB"),
    "a table twice": (f"{SCOPE}\n[scopes.b]\nask='models'\n[scopes.a]\n", 6, "given before"),
    "a key twice": (f"{SCOPE}schedule = '1 1 * * *'\nschedule = '2 1 * * *'", 4, "given before"),
    "an unknown key": ("zone = 'UTC'", 1, "no such key as 'zone' here; known are time_zone, catalogue"),
    "an unknown table": (f"{SCOPE}\n[scope.b]\n", 4, "no such table as 'scope'"),
    "an unknown key of a scope": (f"\n\n{SCOPE}# x\n\ncron = '1 1 * * *'", 7, "'cron' here; known are ask, schedule"),
    "a table in a scope": (f"{SCOPE}[scopes.a.parameters]\nzdr = true", 3, "no such table as 'parameters'"),
    "an unknown key of a gateway": (f"{GATEWAY}ask = 'models'", 3, "no such key as 'ask'"),
    "an unknown key of the catalogue": ("[catalogue]\nask = 'models'", 2, "known are schedule"),
    "an array of tables": ("\n[[scopes]]\nname = 'a'", 2, "scopes must be a table, that is [scopes]"),
    "a scope that is no table": ("[scopes]\na = 'models?zdr=true'", 2, "a table of its own"),
    "a scope without a question": (f"{SCOPE}[scopes.b]\nschedule = '1 1 * * *'", 3, "does not say what it asks"),
    "a question that is a number": ("[scopes.a]\n\nask = 5", 3, "ask must be text"),
    "a question of several lines": ('[scopes.a]\nask = """models\n?zdr=true"""', 2, "ask must be text"),
    "a scope that is none": ("[scopes.a]\nask = 'models/count'", 2, "'models/count' is no list of models"),
    "a parameter that is none": ("[scopes.a]\nask = 'models?colour=red'", 2, "colour is no parameter"),
    "a parameter that cannot be meant": ("[scopes.a]\nask='models?region=mars'", 2, "region must be one of eu, us"),
    "the feed": ("[scopes.a]\nask = 'models?use_rss=true'", 2, "`catalogue snapshot --feed`"),
    "the catalogue": ("[scopes.a]\nask = 'models?output_modalities=all'", 2, "stands under [catalogue]"),
    "one scope under two names": (f"{SCOPE}[scopes.b]\n\nask='openrouter/models?zdr=true'", 5, "scope a asks the same"),
    "two names that are alike": ("[scopes.x-y]\nask='models?zdr=true'\n[scopes.x_y]\nask='models'", 3, "too much like"),
    "a name that is none": ("[scopes.'a b']\nask = 'models'", 1, "'a b' is no name"),
    "a name that is taken": ("\n[scopes.catalogue]\nask = 'models'", 2, "choose another name"),
    "a scope and a gateway of one name": (f"[scopes.gateway]\nask='models'\n{GATEWAY}", 3, "too much like"),
    "a cron of four fields": (f"{SCOPE}\nschedule = '1 1 * *'", 4, "'1 1 * *' is no cron expression"),
    "a cron that is no text": (f"{SCOPE}schedule = 1", 3, "schedule must be text"),
    "a cron out of bounds": ("[catalogue]\n\n\nschedule = '61 * * * *'", 4, "no cron expression"),
    "a cron that never is": ("[catalogue]\nschedule = '0 0 30 2 *'", 2, "that ever comes true"),
    "no time": ("\n[offers]", 2, "does not say when"),
    "a time zone that is none": (f"{SCOPE}time_zone = 'Mars/Olympus'", 3, "'Mars/Olympus' is no time zone"),
    "a path for a time zone": ("time_zone = '../etc'", 1, "no time zone"),
    "a gateway without an address": (f"{SCOPE}[gateways.gateway]", 3, "does not say where it is"),
    "an address that is none": ("[gateways.gateway]\nurl = 'gateway'", 2, "no web address"),
    "an address in the open": ("[gateways.gateway]\nurl = 'http://a.example'", 2, "over https only"),
    "an address with a name": ("[gateways.gateway]\nurl = 'https://me:pw-123@a.example'", 2, "looks like a secret"),
    "OpenRouter as a gateway": ("[gateways.openrouter]\nurl = 'https://a.example'", 1, "not that of another source"),
    "a gateway without a variable": ("[gateways.b]\nurl = 'https://a.example'", 1, "does not say where its token is"),
    "a token for its variable": (f"{GATEWAY}token_variable = 'pw-123'", 3, "and not the token"),
    "a token": (f"{GATEWAY}\ntoken = 'pw-123'", 4, "set GATEWAY_TOKEN, or the variable that token_variable names"),
    "a key": ("api_key = 'pw-123'", 1, "api_key looks like a secret, and no secret may stand here: set OPENROUTER"),
    "a password deep down": (f"{SCOPE}x = [1, {{y = {{password = 'pw-123'}}}}]", 3, "looks like a secret"),
    "a key in a question": ("[scopes.a]\nask = 'models/user?k=sk-or-v1-pw-123'", 2, "looks like a secret"),
    "a name in a question": ("[scopes.a]\nask = 'https://me:pw-123@a.example/models'", 2, "looks like a secret"),
    "a secret for a key": (f"{SCOPE}sk-or-v1-pw-123 = 1", 3, "looks like a secret"),
    "a header for a key": (f"{GATEWAY}'Bearer pw-123' = 1", 3, "looks like a secret"),
    "a secret for a name": ("\n[gateways.sk-or-v1-pw-123]\nurl = 'https://a.example'", 2, "looks like a secret"),
    "a header": (f"{GATEWAY}header = 'Bearer pw-123'", 3, "looks like a secret"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_meant_is_refused_with_its_line(name, tmp_path):
    text, line, says = REFUSED[name]
    path = written(text, tmp_path)
    with pytest.raises(UsageError) as refused:
        read(path)
    sentence = str(refused.value)
    assert sentence.startswith(f"{path}, line {line}: "), sentence
    assert says in sentence
    assert "pw-123" not in sentence
    assert "\n" not in sentence


@given(st.integers(0, 30), st.sampled_from(["a = [1,\n2]\n", 'b = """\n[c]\nd = 1\n"""\n', "[e]\n", "\n# f\n"]))
def test_the_line_is_right_whatever_stands_before_it(tmp_path_factory, number, filling):
    """Where what stands before is refused itself, by name, the line is that of the first such statement."""
    path = tmp_path_factory.mktemp("file") / "catalogue.toml"
    before = "\n" * number + "# x\n" * number
    path.write_text(f"{before}{SCOPE}{filling}")
    if filling.strip().startswith("#"):
        assert len(read(path).scopes) == 1
        return
    with pytest.raises(UsageError, match=rf", line {2 * number + 3}: there is no such"):
        read(path)


def test_the_file_is_found_where_one_says_or_where_one_works(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find({}) == NO_FILE
    other = tmp_path / "other.toml"
    other.write_text(SCOPE)
    named = {"CATALOGUE_CONFIG": str(other)}
    assert [one.name for one in find(named).scopes] == ["a"]
    (tmp_path / "catalogue.toml").write_text("time_zone = 'Asia/Tokyo'")
    assert find({}).time_zone == "Asia/Tokyo"
    assert find(named).path == other
    with pytest.raises(UsageError, match=r"CATALOGUE_CONFIG is 'nowhere\.toml', and there is no such file"):
        find({"CATALOGUE_CONFIG": "nowhere.toml"})
    with pytest.raises(UsageError, match="there is no such file"):
        find({"CATALOGUE_CONFIG": "a" * 5_000})
    with pytest.raises(CatalogueError, match="cannot be read"):
        read(tmp_path)


def test_the_environment_wins_over_the_file(tmp_path):
    configuration = read(written(WHOLE, tmp_path))
    assert Settings.from_environment({}) == Settings()
    of_file = Settings.from_environment({}, configuration)
    assert (of_file.schedule, of_file.time_zone) == ("5 */6 * * *", "Europe/Berlin")
    assert of_file.gateways == configuration.gateways
    chosen = {
        "CATALOGUE_CONFIG": str(configuration.path),
        "CATALOGUE_SCHEDULE": "0 1 * * *",
        "CATALOGUE_TIME_ZONE": "UTC",
        "CATALOGUE_GATEWAY_URL": "https://other.example",
    }
    of_both = Settings.of_installation(chosen)
    assert (of_both.schedule, of_both.time_zone) == ("0 1 * * *", "UTC")
    assert [one.url for one in of_both.gateways] == ["https://other.example", "http://127.0.0.1:8000"]


PARTS = st.sampled_from(
    [
        "*",
        "*/15",
        "0",
        "7",
        "59",
        "5,10",
        "1-5",
        "1-5/2",
        "0-23/4",
        "mon",
        "MON-FRI",
        "jan,mar-may",
        "31",
        "29",
        "x",
        "5/2",
    ]
)


@given(st.lists(PARTS, min_size=5, max_size=5))
def test_a_cron_expression_is_one_to_dagster_too(parts):
    cron = " ".join(parts)
    assert not is_cron(cron) or is_valid_cron_schedule(cron)


@pytest.mark.parametrize(
    "cron",
    ["5 0 * * *", "*/30 * * * *", "0 2 * * mon-fri", "0 0 29 2 *", "0 0 31 jan-mar *", "0 0 * * 7"],
)
def test_cron_expressions(cron):
    assert is_cron(cron)
    assert is_valid_cron_schedule(cron)


@pytest.mark.parametrize(
    "cron",
    ["", "* * * *", "* * * * * *", "@daily", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8",
     "*/0 * * * *", "5-1 * * * *", "0 0 31 4,6 *", "0 0 31 2 1", "a * * * *", "1,,2 * * * *", "² * * * *"],
)  # fmt: skip
def test_what_is_no_cron_expression(cron):
    assert not is_cron(cron)

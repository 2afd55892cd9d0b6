"""What names say, for every spelling of a time and for what only looks like one.

Belongs here: tests of `pipelines.sources.archives.names`. Does not belong here: reading archives.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.sources.archives.names import compression_named, is_capture, printable, time_in


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "time"),
    [
        ("2026-08-05T03:15:28Z.json", "2026-08-05T03:15:28"),
        ("2026-08-05T03-15-28Z.json.gz", "2026-08-05T03:15:28"),
        ("20260805T031528Z.json", "2026-08-05T03:15:28"),
        ("20260805_031528.JSON.ZST", "2026-08-05T03:15:28"),
        ("2026-08-05_03-15-28.json", "2026-08-05T03:15:28"),
        ("2026_08_05_03_15_28.json", "2026-08-05T03:15:28"),
        ("2026-08-05 03:15:28.123456+00:00.json", "2026-08-05T03:15:28.123456"),
        ("2026-08-05_03-15-28-123456.json", "2026-08-05T03:15:28.123456"),
        ("2026-08-05T03:15:28.123456789Z.json", "2026-08-05T03:15:28.123456"),
        ("2026-08-05T03:15:28.5Z.json", "2026-08-05T03:15:28.500000"),
        ("2026-08-05T01:15:28+02:00.json", "2026-08-04T23:15:28"),
        ("2026-08-05T01:15:28+0200.json", "2026-08-04T23:15:28"),
        ("2026-08-05T01-15-28+02-00.json", "2026-08-04T23:15:28"),
        ("2026-08-05 23:15:28 -0500.json", "2026-08-06T04:15:28"),
        ("2026-08-05 23:15:28-05.json", "2026-08-06T04:15:28"),
        ("2026-08-05T03%3A15%3A28Z.json", "2026-08-05T03:15:28"),
        ("2026-08-05T03:15Z.json", "2026-08-05T03:15:00"),
        ("2026-08-05T03Z.json", "2026-08-05T03:00:00"),
        ("2026-08-05 at 03.15.28.json", "2026-08-05T03:15:28"),
        ("models_2026-08-05_text_031528.json", "2026-08-05T03:15:28"),
        ("models20260805.json", "2026-08-05T00:00:00"),
        ("models-2026-08-05.json", "2026-08-05T00:00:00"),
        ("20260805031528.json", "2026-08-05T03:15:28"),
        ("202608050315.json", "2026-08-05T03:15:00"),
        ("web/20260805031528id_/models.json", "2026-08-05T03:15:28"),
        ("models-1787400534.json", "2026-08-22T12:08:54"),
        ("1787400534.25.json", "2026-08-22T12:08:54.250000"),
        ("1787400534123/models.json", "2026-08-22T12:08:54.123000"),
        ("2026/08/05/03.json", "2026-08-05T03:00:00"),
        ("2026/08/05/03/15/models.json", "2026-08-05T03:15:00"),
        ("2026/08/05.json", "2026-08-05T00:00:00"),
        ("2026-08-05/0315.json", "2026-08-05T03:15:00"),
        ("2026-08-05/models-0315.json", "2026-08-05T03:15:00"),
        ("2026-08-05\\03-15-28.json", "2026-08-05T03:15:28"),
        ("2026-08-05T03-15-28Z/models.json", "2026-08-05T03:15:28"),
    ],
)
def test_a_usual_spelling_is_read(name, time):
    assert time_in(name) == utc(time)


@pytest.mark.parametrize(
    ("name", "time"),
    [
        ("2026-08-05T03:15:28Z/2026-08-06.json", "2026-08-06T00:00:00"),
        ("2026-08-05/2026-08-06T01:02:03Z.json", "2026-08-06T01:02:03"),
        ("2026/08/05/2026-08-06T01.json", "2026-08-06T01:00:00"),
        ("2026/2026-08-05.json", "2026-08-05T00:00:00"),
        ("2026/08/2026-08-05T03.json", "2026-08-05T03:00:00"),
        ("2026-08-05/1787400534.json", "2026-08-22T12:08:54"),
        ("2026-08-05_1787400534.json", "2026-08-22T12:08:54"),
        ("2026-08-05_2026-08-06T03-15-28.json", "2026-08-06T03:15:28"),
        ("2026-08-05_2026-08-15.json", "2026-08-05T00:00:00"),
        ("2026-02-28/2026-02-30.json", "2026-02-28T00:00:00"),
    ],
)
def test_of_several_times_the_files_own_and_most_specific_counts(name, time):
    assert time_in(name) == utc(time)


@pytest.mark.parametrize(
    ("name", "time"),
    [
        ("2026-08-05-1234abcd.json", "2026-08-05T00:00:00"),
        ("2026-08-05-12345678.json", "2026-08-05T00:00:00"),
        ("2026-08-05/page-02.json", "2026-08-05T00:00:00"),
        ("20260805_031528-01.json", "2026-08-05T03:15:28"),
        ("2026-08-05T03-15-28Z-1234abcd.json", "2026-08-05T03:15:28"),
        ("2026-08-05T03-15-28-1234abcd.json", "2026-08-05T03:15:28"),
    ],
)
def test_hashes_and_running_numbers_are_no_part_of_a_time(name, time):
    assert time_in(name) == utc(time)


@pytest.mark.parametrize(
    "name",
    [
        "models.json",
        "gpt-4-0314.json",
        "03.json",
        "2026-13-05.json",
        "2026-02-30.json",
        "2026-08-05T25:00:00Z.json",
        "2026-08-05T03:15:61Z.json",
        "2026-08-05 03:15:28+99:00.json",
        "20260805031528123.json",
        "2026080503.json",
        "2026-08-051.json",
        "9a17874005340f.json",
        "1026-08-05.json",
    ],
)
def test_what_only_looks_like_a_time_is_none(name):
    assert time_in(name) is None


moments = st.datetimes(datetime(2010, 1, 1), datetime(2033, 1, 1)).map(lambda moment: moment.replace(tzinfo=UTC))
offsets = st.sampled_from([-720, -570, -300, -60, 0, 60, 120, 330, 345, 840])
before = st.sampled_from(["", "models-", "models_", "openrouter ", "a.b_", "captures/", "v2/all-"])
after = st.sampled_from(["", "-models", "_all", " copy", ".text", "-a1b2c3"])


@given(
    moments,
    before,
    after,
    st.sampled_from(
        [
            "%Y-%m-%dT%H:%M:%S.%fZ",
            "%Y-%m-%dT%H-%M-%S.%fZ",
            "%Y%m%dT%H%M%S.%fZ",
            "%Y-%m-%d %H:%M:%S.%f",
            "%Y-%m-%d_%H-%M-%S-%f",
            "%Y.%m.%d_%H.%M.%S.%f",
        ]
    ),
)
def test_every_spelling_to_the_microsecond_comes_back(moment, start, end, spelling):
    assert time_in(f"{start}{moment.strftime(spelling)}{end}.json") == moment


@given(
    moments,
    before,
    after,
    st.sampled_from(
        [
            "%Y-%m-%dT%H:%M:%SZ",
            "%Y-%m-%dT%H-%M-%SZ",
            "%Y%m%dT%H%M%SZ",
            "%Y%m%dT%H%M%S",
            "%Y%m%d_%H%M%S",
            "%Y%m%d-%H%M%S",
            "%Y%m%d%H%M%S",
            "%Y-%m-%d_%H-%M-%S",
            "%Y-%m-%d-%H%M%S",
            "%Y/%m/%d/%H%M%S",
            "%Y/%m/%d/%H-%M-%S",
            "%Y-%m-%d/%H%M%S",
            "%Y/%m/%d/models-%H%M%S",
        ]
    ),
)
def test_every_spelling_to_the_second_comes_back(moment, start, end, spelling):
    assert time_in(f"{start}{moment.strftime(spelling)}{end}.json") == moment.replace(microsecond=0)


@given(moments, before, offsets, st.sampled_from(["%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y%m%dT%H%M%S"]))
def test_every_offset_comes_back(moment, start, offset, spelling):
    local = moment.astimezone(timezone(timedelta(minutes=offset)))
    basic = local.strftime(f"{spelling}%z")
    for name in (basic, f"{basic[:-2]}:{basic[-2:]}"):
        assert time_in(f"{start}{name}.json") == moment.replace(microsecond=0)


@given(moments, before, after)
def test_unix_times_and_dates_come_back(moment, start, end):
    second = moment.replace(microsecond=0)
    milliseconds = int(second.timestamp()) * 1000 + moment.microsecond // 1000
    assert time_in(f"{start}{int(second.timestamp())}{end}.json") == second
    assert time_in(f"{start}{milliseconds}{end}.json") == second + timedelta(milliseconds=milliseconds % 1000)
    for spelling in ("%Y-%m-%d", "%Y%m%d", "%Y/%m/%d", "%Y_%m_%d"):
        midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
        assert time_in(f"{start}{moment.strftime(spelling)}{end}.json") == midnight


@given(st.text(alphabet="0123456789-_:./TZ+ ae", max_size=60))
def test_no_name_is_too_strange(name):
    time = time_in(f"{name}.json")
    assert time is None or time.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    "name",
    ["a.json", "A.JSON", "a.json.gz", "x/a.json.zst", "a.Json.Bz2", "./a.json.xz", "../a.json", "/a.json"],
)
def test_these_are_captures(name):
    assert is_capture(name)


@pytest.mark.parametrize(
    "name",
    [
        "a.txt",
        "a.jsonl",
        "json",
        "a.json.zip",
        "a.json.meta",
        ".a.json",
        "x/.hidden/a.json",
        "__MACOSX/a.json",
        "__MACOSX\\a.json",
        "x/__MACOSX/._a.json",
    ],
)
def test_these_are_not(name):
    assert not is_capture(name)


def test_the_suffix_names_the_compression():
    assert [compression_named(name) for name in ("a.json", "a.json.GZ", "a.zst", "gz")] == [
        None,
        "gz",
        "zst",
        None,
    ]


def test_printable_names_keep_their_letters_and_lose_their_tricks():
    assert printable("Modèles 2026.json") == "Modèles 2026.json"
    assert printable("a\x1b[31m\n\udcff.json") == "a\\x1b[31m\\n\\udcff.json"

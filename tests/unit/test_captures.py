from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
import stat
import subprocess
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.captures import PACK_SIZE, Capture, DamagedPackError, Journal, RawStore, iso, write_durably
from pipelines.errors import CatalogueError
from pipelines.scopes import ALL_MODELS, ALL_MODELS_COUNT, TEXT_MODELS, Scope

NOON = datetime(2026, 8, 5, 12, 0, 0, 123456, tzinfo=UTC)
REAL = Path(__file__).resolve().parents[2].parent / "shared" / "captures" / "models-all-2026-08-05.json"


def capture(body: bytes = b'{"data":[]}', minutes: int = 0, **changes) -> Capture:
    values = {"scope": ALL_MODELS, "origin": "live", "provenance": {"url": "https://example.org/é", "status": 200}}
    return Capture(observed_at=NOON + timedelta(minutes=minutes), body=body, **{**values, **changes})


def captures(count: int) -> list[Capture]:
    bodies = (
        b'{"data":[{"id":"a/%d","hash":"%s"}]}' % (n, hashlib.sha256(b"%d" % n).hexdigest().encode())
        for n in range(count)
    )
    return [capture(body, n) for n, body in enumerate(bodies)]


@pytest.fixture
def raw(tmp_path: Path) -> RawStore:
    return RawStore(tmp_path / "raw")


# --- identity ---


def test_the_identity_is_scope_time_and_bytes():
    one = capture()
    assert one.snapshot_id == capture().snapshot_id
    assert len(one.snapshot_id) == 32
    assert one.snapshot_id == capture(origin="archive:x", provenance={}).snapshot_id
    assert one.snapshot_id != capture(minutes=1).snapshot_id
    assert one.snapshot_id != capture(b'{"data":[ ]}').snapshot_id
    assert one.snapshot_id != capture(scope=TEXT_MODELS).snapshot_id
    assert one.snapshot_id != capture(scope=dataclasses.replace(ALL_MODELS, source="elsewhere")).snapshot_id


def test_a_time_is_an_instant_whatever_its_zone():
    east = NOON.astimezone(timezone(timedelta(hours=9)))
    assert iso(east) == iso(NOON) == "2026-08-05T12:00:00.123456Z"
    assert dataclasses.replace(capture(), observed_at=east).snapshot_id == capture().snapshot_id


def test_a_time_without_a_zone_is_refused():
    with pytest.raises(ValueError, match="time zone"):
        dataclasses.replace(capture(), observed_at=datetime(2026, 8, 5))


# --- packs ---


def contents(found: list[Capture]) -> list[tuple]:
    return [(one.scope, one.observed_at, one.body, one.origin, one.provenance) for one in found]


def test_a_pack_gives_back_what_it_took(raw):
    taken = [*captures(3), capture(b"", 9), capture(b"\x00\xff\r\n", 10), capture(b"{}", 11, scope=ALL_MODELS_COUNT)]
    assert contents(raw.read(raw.write(taken))) == contents(taken)


@given(
    body=st.binary(max_size=200), query=st.dictionaries(st.text("aé&=?/ ", min_size=1), st.text("aé&=+"), max_size=2)
)
def test_any_bytes_and_any_scope_survive(tmp_path_factory, body, query):
    raw = RawStore(tmp_path_factory.mktemp("raw"))
    one = capture(body, scope=Scope("a source", "models", tuple(sorted(query.items()))))
    assert contents(raw.read(raw.write([one]))) == contents([one])


def test_a_real_answer_survives(raw):
    if not REAL.is_file():
        pytest.skip(f"there is no {REAL}")
    (back,) = raw.read(raw.write([capture(REAL.read_bytes())]))
    assert back.body == REAL.read_bytes()


def test_captures_that_repeat_each_other_cost_little(raw):
    filler = "".join(hashlib.sha256(b"%d" % n).hexdigest() for n in range(400))
    same = [capture(json.dumps({"n": n, "filler": filler}).encode(), n) for n in range(PACK_SIZE)]
    assert (raw.root / raw.write(same)).stat().st_size < 3 * len(filler)


def test_writing_again_gives_the_same_file(raw, tmp_path):
    other = RawStore(tmp_path / "other")
    names = [raw.write(captures(3)), raw.write(captures(3)), other.write(captures(3))]
    assert len(set(names)) == 1
    assert names[0].startswith("packs/openrouter/2026/20260805T120000Z-")
    assert raw.packs() == [names[0]]
    assert (raw.root / names[0]).read_bytes() == (other.root / names[0]).read_bytes()


def test_packs_are_listed_by_name(raw):
    names = [raw.write([capture(minutes=minutes)]) for minutes in (60 * 24 * 400, 0, 5)]
    assert raw.packs() == sorted(names)


@pytest.mark.parametrize(
    "taken",
    [
        [],
        [capture(minutes=n) for n in range(PACK_SIZE + 1)],
        [capture(), capture(scope=Scope.of("elsewhere", "models"))],
    ],
)
def test_a_pack_takes_some_captures_of_one_source(raw, taken):
    with pytest.raises(ValueError, match="a pack takes"):
        raw.write(taken)
    assert raw.packs() == []


def test_a_source_s_name_cannot_leave_the_folder(raw):
    name = raw.write([capture(scope=Scope("../..", "models"))])
    assert (raw.root / name).resolve().is_relative_to(raw.root.resolve())


def test_public_tools_unpack_a_pack(raw, tmp_path):
    if not (shutil.which("tar") and shutil.which("zstd")):
        pytest.skip("tar and zstd are not both on the PATH")
    taken = captures(2)
    pack = raw.root / raw.write(taken)
    unpacked = tmp_path / "unpacked"
    unpacked.mkdir()
    plain = subprocess.run(["zstd", "-dc", pack], capture_output=True, check=True).stdout
    subprocess.run(["tar", "-xf", "-"], input=plain, cwd=unpacked, check=True)
    for one in taken:
        (body,) = unpacked.glob(f"*-{one.snapshot_id}.json")
        assert body.read_bytes() == one.body
        meta = json.loads(body.with_name(body.name.replace(".json", ".meta.json")).read_text(encoding="utf-8"))
        assert meta["sha256"] == one.sha256
        assert meta["observed_at"] == iso(one.observed_at)


# --- damage ---


def test_a_missing_pack_is_named(raw):
    with pytest.raises(DamagedPackError, match=r"pack packs/x/2026/y\.tar\.zst is missing"):
        raw.read("packs/x/2026/y.tar.zst")


def read_or_complaint(raw: RawStore, name: str) -> list[tuple] | str:
    try:
        return contents(raw.read(name))
    except DamagedPackError as problem:
        return str(problem)


def test_no_changed_byte_goes_unnoticed(raw):
    """Also not one after which fewer captures can be read: those would be lost in silence."""
    taken = captures(6)
    name = raw.write(taken)
    whole = (raw.root / name).read_bytes()
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 0x01
        (raw.root / name).write_bytes(damaged)
        found = read_or_complaint(raw, name)
        # A bit of a frame header may mean nothing; but what can be read is what was written.
        assert name in found if isinstance(found, str) else found == contents(taken), f"{place} of {len(whole)}"


def test_no_missing_end_goes_unnoticed(raw):
    taken = captures(6)
    name = raw.write(taken)
    whole = (raw.root / name).read_bytes()
    for size in [*range(0, len(whole) - 40, 11), *range(len(whole) - 40, len(whole))]:
        (raw.root / name).write_bytes(whole[:size])
        with pytest.raises(DamagedPackError, match=name):
            pytest.fail(f"{len(raw.read(name))} captures read from {size} of {len(whole)} bytes")


# --- durability ---


def refuse(*_: object, **__: object) -> None:
    raise OSError("pulled plug")


def test_before_it_is_whole_nothing_of_a_pack_is_visible(raw, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", refuse)
        patch.setattr(os, "replace", refuse)
        patch.setattr(Path, "replace", refuse)
        with pytest.raises(CatalogueError, match="pulled plug"):
            raw.write(captures(1))
    assert raw.packs() == []
    assert [path for path in raw.root.rglob("*") if path.is_file()] == []


def test_a_file_left_by_a_killed_process_is_no_pack(raw):
    name = raw.write(captures(1))
    (raw.root / name).with_name(f".{Path(name).name}.99.tmp").write_bytes(b"half")
    assert raw.packs() == [name]


def test_a_file_keeps_its_content_when_its_replacement_fails(tmp_path, monkeypatch):
    path = tmp_path / "a" / "b"
    write_durably(path, b"old")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", refuse)
        with pytest.raises(OSError, match="pulled plug"):
            write_durably(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(path.parent) == ["b"]


def test_the_bytes_reach_the_disk_before_the_name_and_the_folder_after_it(tmp_path, monkeypatch):
    told: list[str] = []
    sync, replace = os.fsync, Path.replace

    def fsync(handle):
        told.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "bytes")
        sync(handle)

    def rename(self, target):
        told.append("name")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", rename)
    write_durably(tmp_path / "new" / "file", b"x")
    assert told == ["folder", "bytes", "name", "folder"]


# --- the journal ---


LINE: dict = {"recorded_at": "2026-08-01T00:00:00.000000Z", "packs": []}
WRITTEN = b'{"recorded_at":"2026-08-01T00:00:00.000000Z","packs":[]}\n'


@pytest.mark.parametrize(
    "damaged", [b"oh", b"5", b"{}", WRITTEN[:-2] + b"x", b'{"recorded_at":"?","packs":[]}', b"\xff"]
)
def test_a_damaged_line_is_named(tmp_path, damaged):
    journal = Journal(tmp_path / "journal.jsonl")
    journal.path.write_bytes(WRITTEN + damaged + b"\n" + WRITTEN)
    with pytest.raises(CatalogueError, match=r"line 2 of .*journal.jsonl is damaged"):
        journal.entries()


def test_a_journal_gives_back_its_lines_in_order(tmp_path):
    journal = Journal(tmp_path / "raw" / "journal.jsonl")
    assert journal.entries() == []
    lines = [LINE, LINE | {"text": "line\nbreak \u2028 é"}, LINE | {"nested": {"a": [1]}}]
    for line in lines:
        journal.append(line)
    assert journal.entries() == lines
    assert journal.path.read_bytes().count(b"\n") == 3


@pytest.mark.parametrize("torn", [b"{", b'{"n":2', b'{"n":2}', '{"é'.encode()[:-1]])
def test_a_torn_last_line_does_not_count_and_is_repaired(tmp_path, torn):
    journal = Journal(tmp_path / "journal.jsonl")
    journal.append(LINE)
    with journal.path.open("ab") as file:
        file.write(torn)
    assert journal.entries() == [LINE]
    journal.append(LINE)
    assert journal.path.read_bytes() == WRITTEN + WRITTEN


def test_an_appended_line_is_on_the_disk(tmp_path, monkeypatch):
    journal = Journal(tmp_path / "journal.jsonl")
    synced: list[bytes] = []
    sync = os.fsync

    def fsync(handle):
        synced.append(b"folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else journal.path.read_bytes())
        sync(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    journal.append(LINE)
    assert synced == [WRITTEN, b"folder"]


@pytest.mark.parametrize("torn", [b"", b'{"recorded_at":"2027'])
@pytest.mark.parametrize("length", [1, 100, 70_000])
def test_a_journal_is_read_from_its_end(tmp_path, monkeypatch, length, torn):
    """Seen red with lines that lie across two blocks read in part."""
    journal = Journal(tmp_path / "journal.jsonl")
    times = [datetime(2026, 8, 1, tzinfo=UTC) + timedelta(hours=hour) for hour in range(40)]
    lines = [{"recorded_at": iso(one), "packs": ["x" * length * (number % 3)]} for number, one in enumerate(times)]
    for line in lines:
        journal.append(line)
    with journal.path.open("ab") as file:
        file.write(torn)
    assert journal.entries() == lines
    for number in (0, 1, 38, 39):
        assert journal.entries(after=times[number]) == lines[number + 1 :]
    assert journal.entries(after=times[0] - timedelta(seconds=1)) == lines
    journal.path.write_bytes(b"damaged\n" + journal.path.read_bytes())
    assert journal.entries(after=times[30]) == lines[31:]


def test_a_damaged_line_near_the_end_is_named_by_its_number(tmp_path):
    journal = Journal(tmp_path / "journal.jsonl")
    journal.path.write_bytes(WRITTEN * 5000 + b"oh\n")
    with pytest.raises(CatalogueError, match=r"line 5001 of .*journal.jsonl is damaged"):
        journal.entries(after=datetime(2026, 8, 1, tzinfo=UTC))

"""Archives of every kind give the same captures, and no archive, however damaged or hostile, does harm.

Belongs here: tests of `pipelines.sources.archives` as others use it. Does not belong here: spellings of times
(`archives/test_names.py`).
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import re
import struct
import subprocess
import tarfile
import time
import tracemalloc
import zipfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
import zstandard

from pipelines.captures import Capture
from pipelines.errors import SourceError, UsageError
from pipelines.scopes import TEXT_MODELS
from pipelines.sources.archives import Unreadable, open_archive

MIB = 2**20

COMPRESS = {
    "": lambda data: data,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstandard.compress,
}

DAYS = {
    "late/2026-08-05T03-15-28Z.json": b'{"data": [3], "twin": true}',
    "2026-08-06T03-15-28Z.json": b'{"data": [2]}',
    "2026-08-05T03-15-28Z.json": b'{"data": [1]}',
    "2026-08-07/0315.json": b"\xff not JSON, but that is for others to say \x00",
    "2026-08-08.json": b"",
}
OTHERS = {
    "README.md": b"#",
    ".hidden.json": b"{}",
    "__MACOSX/._2026-08-05.json": b"{}",
    "2026-08-05.csv": b"",
}

IN_ORDER = [
    ("2026-08-05T03:15:28+00:00", "2026-08-05T03-15-28Z.json"),
    ("2026-08-05T03:15:28+00:00", "late/2026-08-05T03-15-28Z.json"),
    ("2026-08-06T03:15:28+00:00", "2026-08-06T03-15-28Z.json"),
    ("2026-08-07T03:15:00+00:00", "2026-08-07/0315.json"),
    ("2026-08-08T00:00:00+00:00", "2026-08-08.json"),
]


def read(path, **options) -> list[Capture | Unreadable]:
    with open_archive(path, scope=TEXT_MODELS, **options) as archive:
        things = list(archive)
        assert len(things) == archive.total
    return things


def captures(path, **options) -> list[Capture]:
    things = read(path, **options)
    assert not [thing for thing in things if isinstance(thing, Unreadable)]
    return [thing for thing in things if isinstance(thing, Capture)]


def unreadable(path, **options) -> dict[str, str]:
    return {thing.name: thing.reason for thing in read(path, **options) if isinstance(thing, Unreadable)}


def facts(things) -> list[tuple[datetime, bytes]]:
    assert all(isinstance(thing, Capture) for thing in things)
    return [(thing.observed_at, thing.body) for thing in things]


def fill(folder: Path, contents: Mapping[str, bytes]) -> Path:
    for name, body in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(body)
    return folder


def zipped(path: Path, contents: Mapping[str, bytes], **options) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, **options) as archive:
        for name, body in contents.items():
            archive.writestr(name, body)
    return path


def tar_of(contents: Mapping[str, bytes], mtime: float = 0, file_format: int = tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=file_format) as archive:
        for name, body in contents.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(body), mtime
            archive.addfile(info, io.BytesIO(body))
    return buffer.getvalue()


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


class Repository:
    """A git repository whose every commit is at a given time."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        self.git("init", "--quiet", "--initial-branch=main", *options)

    def git(self, *arguments: str, at: str = "2026-01-01T00:00:00Z") -> str:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")} | {
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_AUTHOR_DATE": "2001-01-01T00:00:00Z",
            "GIT_COMMITTER_DATE": at,
            **{f"GIT_{role}_{what}": "a@b" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
        }
        command = ["git", "-C", str(self.folder), *arguments]
        return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.strip()

    def commit(self, at: str, **contents: bytes | None) -> str:
        """Commit files, named with ``__`` for the dot of their suffix; None deletes one."""
        for key, body in contents.items():
            path = self.folder / key.replace("__", ".")
            if body is None:
                path.unlink()
            else:
                path.write_bytes(body)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message=capture", at=at)
        return self.git("rev-parse", "HEAD")

    def bundle(self, path: Path, *what: str) -> Path:
        self.git("bundle", "create", "--quiet", str(path), *(what or ("--all",)))
        return path


@pytest.fixture
def repository(tmp_path) -> Repository:
    return Repository(tmp_path / "repository")


# --- the same captures from every kind ---


def packed(kind: str, place: Path, contents: Mapping[str, bytes]) -> Path:
    if kind == "folder":
        return fill(place / "captures", contents)
    if kind == "zip":
        return zipped(place / "captures.zip", contents)
    return written(place / f"captures.{kind}", COMPRESS[kind.removeprefix("tar")](tar_of(contents)))


@pytest.mark.parametrize("kind", ["folder", "zip", "tar", "tar.gz", "tar.bz2", "tar.xz", "tar.zst"])
def test_every_kind_gives_the_same_captures_in_time_order(kind, tmp_path):
    path = packed(kind, tmp_path, DAYS | OTHERS)
    with open_archive(path, scope=TEXT_MODELS) as archive:
        found = [thing for thing in archive if isinstance(thing, Capture)]
        assert archive.description == f"{kind.partition('.')[0]} {path.name}"
        assert archive.total == len(DAYS)
        assert archive.ignored == len(OTHERS)
        assert facts(archive) == facts(found)  # a second reading is as good as the first
    members = [(one.observed_at.isoformat(), one.provenance["member"]) for one in found]
    assert members == IN_ORDER
    assert [one.body for one in found] == [DAYS[name] for _, name in IN_ORDER]
    assert {one.origin for one in found} == {f"archive:{path.name}"}
    assert {one.scope for one in found} == {TEXT_MODELS}
    assert found[0].provenance == {"archive": path.name, "member": IN_ORDER[0][1], "time_from": "name"}


@pytest.mark.parametrize("kind", ["folder", "zip", "tar", "tar.zst"])
@pytest.mark.parametrize("suffix", COMPRESS)
def test_compressed_captures_come_out_as_they_went_in(suffix, kind, tmp_path):
    contents = {f"{name}{suffix}": COMPRESS[suffix](body) for name, body in DAYS.items()}
    found = captures(packed(kind, tmp_path, contents))
    assert [one.body for one in found] == [DAYS[name] for _, name in IN_ORDER]


@pytest.mark.parametrize("name", ["captures", "captures.json", "captures.dat"])
@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz", "tar.zst", "bundle"])
def test_the_content_tells_the_kind_whatever_the_name(kind, name, tmp_path, repository):
    if kind == "bundle":
        repository.commit("2026-08-05T03:15:28Z", models__json=b"[]")
        original = repository.bundle(tmp_path / "captures.bundle")
    else:
        original = packed(kind, tmp_path, DAYS)
    (tmp_path / "elsewhere").mkdir()
    renamed = written(tmp_path / "elsewhere" / name, original.read_bytes())
    assert facts(captures(renamed)) == facts(captures(original))


@pytest.mark.parametrize("suffix", COMPRESS)
def test_a_single_file_is_an_archive_of_one(suffix, tmp_path):
    path = written(tmp_path / f"2026-08-05T03:15:28Z.json{suffix}", COMPRESS[suffix](b"[1]"))
    (one,) = captures(path)
    assert (one.observed_at, one.body) == (datetime(2026, 8, 5, 3, 15, 28, tzinfo=UTC), b"[1]")
    assert one.provenance == {"archive": path.name, "member": path.name, "time_from": "name"}
    nameless = written(tmp_path / "2026-08-05T03:15:28Z", path.read_bytes())
    assert facts(captures(nameless)) == facts([one])


def test_git_and_bundle_give_what_a_folder_of_their_versions_gives(tmp_path, repository):
    days = {f"2026-08-0{day}T03:15:28Z": b'{"data": [%d]}' % day for day in (1, 2, 4, 3)}
    for moment, body in days.items():
        repository.commit(moment, models__json=body)
    repository.git("clone", "--quiet", "--bare", ".", str(tmp_path / "bare"))
    expected = facts(captures(fill(tmp_path / "folder", {f"{name}.json": body for name, body in days.items()})))
    for path in (repository.folder, tmp_path / "bare", repository.bundle(tmp_path / "models.bundle")):
        assert facts(captures(path, member="models.json")) == expected
        assert facts(captures(path, time_from="git")) == expected


# --- times ---


def test_a_file_without_a_time_is_reported_and_the_rest_goes_on(tmp_path):
    things = read(fill(tmp_path / "captures", {"models.json": b"[]", **DAYS}))
    assert isinstance(things[0], Unreadable)
    assert things[0].name == "models.json"
    assert "--time-from mtime" in things[0].reason
    assert len(things) == 1 + len(DAYS)


def test_the_folder_that_is_read_has_no_say_in_the_times(tmp_path):
    folder = fill(tmp_path / "backup-2026-08-05", {"models.json": b"[]"})
    assert list(unreadable(folder)) == ["models.json"]


def test_modification_times(tmp_path):
    moment = datetime(2026, 8, 5, 3, 15, 28, tzinfo=UTC)
    folder = fill(tmp_path / "captures", {"models.json": b"[]"})
    os.utime(folder / "models.json", ns=(0, int(moment.timestamp()) * 10**9 + 123456789))
    (one,) = captures(folder, time_from="mtime")
    assert one.observed_at == moment.replace(microsecond=123456)
    assert one.provenance["time_from"] == "mtime"
    (one,) = captures(folder / "models.json", time_from="mtime")
    assert one.observed_at == moment.replace(microsecond=123456)

    tarred = written(tmp_path / "captures.tar.gz", gzip.compress(tar_of({"a.json": b""}, moment.timestamp() + 0.25)))
    assert captures(tarred, time_from="mtime")[0].observed_at == moment.replace(microsecond=250000)


def test_modification_times_in_a_zip_are_utc_unless_it_knows_better(tmp_path):
    moment = datetime(2026, 8, 5, 3, 15, 28, tzinfo=UTC)
    plain, exact, impossible = (zipfile.ZipInfo(f"{name}.json") for name in ("plain", "exact", "impossible"))
    plain.date_time = exact.date_time = (2026, 8, 5, 5, 15, 28)
    impossible.date_time = (2026, 15, 5, 5, 15, 28)
    other_field = struct.pack("<HH2s", 0x9999, 2, b"--")
    exact.extra = other_field + struct.pack("<HHBi", 0x5455, 5, 1, int(moment.timestamp()))
    with zipfile.ZipFile(tmp_path / "captures.zip", "w") as archive:
        for info in (plain, exact, impossible):
            archive.writestr(info, b"[]")
    refused, first, second = read(tmp_path / "captures.zip", time_from="mtime")
    assert isinstance(refused, Unreadable)
    assert refused.name == "impossible.json"
    assert [observed_at for observed_at, _ in facts([first, second])] == [moment, moment.replace(hour=5)]


def test_commit_times_of_the_files_in_a_work_tree(repository):
    fill(repository.folder, {"days/old.json": b"1", "days/touched.json": b"1", "days/deep/ünï.json": b"1"})
    repository.commit("2026-08-05T03:15:28+02:00")
    fill(repository.folder, {"days/touched.json": b"2", "elsewhere.json": b"1"})
    repository.commit("2026-08-06T03:15:28Z")
    fill(repository.folder, {"days/new.json": b"1"})
    expected = {
        "deep/ünï.json": "2026-08-05T01:15:28+00:00",
        "old.json": "2026-08-05T01:15:28+00:00",
        "touched.json": "2026-08-06T03:15:28+00:00",
    }
    things = read(repository.folder / "days", time_from="git")
    found = [thing for thing in things if isinstance(thing, Capture)]
    assert {one.provenance["member"]: one.observed_at.isoformat() for one in found} == expected
    assert "new.json" in unreadable(repository.folder / "days", time_from="git")
    assert len(captures(repository.folder / "days" / "old.json", time_from="git")) == 1
    # The top of the work tree has more than one JSON file, and so no one history to take.
    top = {
        thing.name if isinstance(thing, Unreadable) else thing.provenance["member"]
        for thing in read(repository.folder, time_from="git")
    }
    assert top == {
        "days/deep/ünï.json",
        "days/new.json",
        "days/old.json",
        "days/touched.json",
        "elsewhere.json",
    }


# --- histories ---


def test_every_version_is_a_capture_but_deletions_and_changes_of_mode_are_none(repository):
    first = repository.commit("2026-08-01T00:00:00Z", models__json=b"1")
    repository.commit("2026-08-02T00:00:00Z", other__txt=b"-")
    repository.commit("2026-08-03T00:00:00Z", models__json=None)
    again = repository.commit("2026-08-04T00:00:00Z", models__json=b"1")
    (repository.folder / "models.json").chmod(0o755)
    repository.commit("2026-08-05T00:00:00Z")
    twin = repository.commit("2026-08-06T00:00:00Z", models__json=b"2")
    other_twin = repository.commit("2026-08-06T00:00:00Z", models__json=b"1")
    (repository.folder / "models.json").unlink()
    (repository.folder / "models.json").symlink_to("other.txt")
    repository.commit("2026-08-07T00:00:00Z")
    found = captures(repository.folder, member="./models.json")
    assert [(one.provenance["commit"], one.body) for one in found] == [
        (first, b"1"),
        (again, b"1"),
        (twin, b"2"),
        (other_twin, b"1"),
    ]
    assert found[0].provenance["member"] == "models.json"
    assert found[0].provenance["time_from"] == "git"


def test_both_sides_of_a_merge_count_and_the_merge_only_where_it_says_something_new(repository):
    repository.commit("2026-08-01T00:00:00Z", models__json=b"1")
    repository.git("switch", "--quiet", "--create=side")
    repository.commit("2026-08-02T00:00:00Z", models__json=b"side")
    repository.git("switch", "--quiet", "main")
    repository.commit("2026-08-03T00:00:00Z", models__json=b"main")
    repository.git("merge", "--quiet", "--strategy=ours", "side", at="2026-08-04T00:00:00Z")
    assert [one.body for one in captures(repository.folder)] == [b"1", b"side", b"main"]
    repository.git("switch", "--quiet", "side")
    repository.commit("2026-08-05T00:00:00Z", models__json=b"side again")
    repository.git("switch", "--quiet", "main")
    repository.git("merge", "--quiet", "--no-commit", "--strategy=ours", "side")
    repository.commit("2026-08-06T00:00:00Z", models__json=b"neither")
    bodies = [one.body for one in captures(repository.folder)]
    assert bodies == [b"1", b"side", b"main", b"side again", b"neither"]


def test_a_bundle_is_read_from_all_its_heads_and_a_repository_from_its_own(tmp_path, repository):
    repository.commit("2026-08-01T00:00:00Z", models__json=b"1")
    repository.git("switch", "--quiet", "--create=side")
    repository.commit("2026-08-02T00:00:00Z", models__json=b"2")
    repository.git("tag", "--annotate", "--message=tag", "v1")
    repository.git("switch", "--quiet", "main")
    assert [one.body for one in captures(repository.folder)] == [b"1"]
    assert [one.body for one in captures(repository.bundle(tmp_path / "all.bundle"))] == [b"1", b"2"]
    assert [one.body for one in captures(repository.bundle(tmp_path / "a.bundle", "main"))] == [b"1"]
    assert [one.body for one in captures(repository.bundle(tmp_path / "b.bundle", "v1"))] == [b"1", b"2"]


def test_the_only_json_file_needs_no_naming_and_of_several_one_is_asked_for(repository):
    repository.commit("2026-08-01T00:00:00Z", models__json=b"1", notes__txt=b"")
    assert len(captures(repository.folder)) == 1
    repository.git("switch", "--quiet", "--create=side")
    repository.commit("2026-08-02T00:00:00Z", dropped__json=b"1")
    repository.git("switch", "--quiet", "main")
    repository.git("merge", "--quiet", "--no-ff", "--strategy=ours", "side")
    with pytest.raises(UsageError, match=re.escape("it holds dropped.json, models.json.")):
        read(repository.folder)
    repository.commit("2026-08-02T00:00:00Z", models__json=b"2", more__json=b"1")
    with pytest.raises(
        UsageError,
        match=re.escape("--path which file of repository to read; it holds models.json, dropped.json, more.json."),
    ):
        read(repository.folder)


def test_a_path_that_never_was_is_answered_with_those_that_were(repository):
    repository.commit("2026-08-01T00:00:00Z", **{f"m{number}__json": b"1" for number in range(7)})
    some = "it holds m0.json, m1.json, m2.json, m3.json, m4.json and 2 more."
    with pytest.raises(SourceError, match=re.escape(f"has never held the file models.json; {some}")):
        read(repository.folder, member="models.json")
    fill(repository.folder, {"data/x.json": b""})
    repository.commit("2026-08-02T00:00:00Z")
    with pytest.raises(SourceError, match="has never held the file data;"):
        read(repository.folder, member="data")


def test_a_repository_of_no_json_says_so(repository):
    repository.commit("2026-08-01T00:00:00Z", notes__txt=b"1")
    with pytest.raises(UsageError, match="it holds no JSON files"):
        read(repository.folder)


def test_a_path_is_no_pattern(repository):
    repository.commit("2026-08-01T00:00:00Z", models__json=b"1")
    fill(repository.folder, {"[m]*.json": b"2", ":(top)models.json": b"3"})
    repository.commit("2026-08-02T00:00:00Z")
    assert [one.body for one in captures(repository.folder, member="[m]*.json")] == [b"2"]
    assert [one.body for one in captures(repository.folder, member=":(top)models.json")] == [b"3"]


def test_compressed_versions_are_decompressed_and_damaged_ones_reported(repository):
    repository.commit("2026-08-01T00:00:00Z", models__json__gz=gzip.compress(b"1"))
    commit = repository.commit("2026-08-02T00:00:00Z", models__json__gz=gzip.compress(b"2")[:-1])
    good, bad = read(repository.folder)
    assert isinstance(good, Capture)
    assert good.body == b"1"
    assert isinstance(bad, Unreadable)
    assert commit in bad.reason
    assert "cut short" in bad.reason


def test_a_version_that_is_too_large_is_reported_and_the_next_one_read(repository):
    repository.commit("2026-08-01T00:00:00Z", models__json=bytes(64 * MIB + 1))
    repository.commit("2026-08-02T00:00:00Z", models__json=b"2")
    bad, good = read(repository.folder)
    assert isinstance(bad, Unreadable)
    assert "larger than 64 MiB" in bad.reason
    assert isinstance(good, Capture)
    assert good.body == b"2"


def test_a_history_may_be_read_out_of_turn(repository):
    """Seen red with the next answer taken whatever was asked."""
    for day in range(1, 7):
        repository.commit(f"2026-08-0{7 - day}T00:00:00Z", models__json=f"of day {7 - day}".encode())
    with open_archive(repository.folder, scope=TEXT_MODELS) as archive:
        one, other = iter(archive), iter(archive)
        told = [next(one), next(one), next(other), next(one), next(other), *one, *other]
    days = [1, 2, 1, 3, 2, 4, 5, 6, 3, 4, 5, 6]
    assert [body for _, body in facts(told)] == [f"of day {day}".encode() for day in days]


def test_a_history_may_be_left_in_the_middle(repository):
    for day in range(1, 9):
        repository.commit(f"2026-08-0{day}T00:00:00Z", models__json=os.urandom(300_000))
    with open_archive(repository.folder, scope=TEXT_MODELS) as archive:
        bodies = [thing.body for thing, _ in zip(archive, range(2), strict=False) if isinstance(thing, Capture)]
        assert facts(archive)[1][1] == bodies[1]


def test_a_repository_with_sha256_names_and_a_shallow_one_are_read(tmp_path):
    repository = Repository(tmp_path / "sha256", "--object-format=sha256")
    for day in (1, 2, 3):
        repository.commit(f"2026-08-0{day}T00:00:00Z", models__json=b"%d" % day)
    assert [one.body for one in captures(repository.folder)] == [b"1", b"2", b"3"]
    assert len(captures(repository.bundle(tmp_path / "sha256.bundle"))) == 3
    repository.git("clone", "--quiet", "--depth=2", f"file://{repository.folder}", str(tmp_path / "shallow"))
    assert [one.body for one in captures(tmp_path / "shallow")] == [b"2", b"3"]


def test_nothing_that_a_foreign_repository_names_is_run(tmp_path, repository, monkeypatch):
    repository.commit("2026-08-01T00:00:00Z", models__json=b"1")
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/was-run\n")
    program.chmod(0o755)
    (repository.folder / ".git" / "hooks").mkdir(exist_ok=True)
    for hook in ("post-checkout", "reference-transaction", "fsmonitor-watchman", "post-index-change"):
        (repository.folder / ".git" / "hooks" / hook).symlink_to(program)
    for key in ("core.fsmonitor", "core.pager", "diff.external", "gpg.program", "core.sshCommand"):
        repository.git("config", key, str(program))
    repository.git("config", "log.showSignature", "true")
    repository.git("config", "log.showRoot", "false")
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", str(program))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "misleading"))
    assert [one.body for one in captures(repository.folder)] == [b"1"]
    assert len(captures(repository.folder, time_from="git")) == 1
    assert not (tmp_path / "was-run").exists()


def test_a_repository_is_not_looked_for_above_its_folder(tmp_path):
    outer = Repository(tmp_path / "outer")
    outer.commit("2026-08-01T00:00:00Z", models__json=b"1")
    (outer.folder / "broken" / ".git").mkdir(parents=True)
    with pytest.raises(SourceError, match="git cannot read broken"):
        read(outer.folder / "broken", member="models.json")


def test_an_incremental_bundle_is_refused(tmp_path, repository):
    repository.commit("2026-08-01T00:00:00Z", models__json=b"1")
    repository.commit("2026-08-02T00:00:00Z", models__json=b"2")
    with pytest.raises(SourceError, match="incremental bundle"):
        read(repository.bundle(tmp_path / "part.bundle", "HEAD~1..main"))


def test_a_damaged_bundle_is_refused(tmp_path, repository):
    repository.commit("2026-08-01T00:00:00Z", models__json=os.urandom(3000))
    whole = repository.bundle(tmp_path / "whole.bundle").read_bytes()
    for part in (whole[:30], whole[:-1000], whole[:-1500] + b"\0" + whole[-1499:], b"not a bundle"):
        with pytest.raises(SourceError, match=r"(git cannot read|is damaged or cut short)[^\n]*\.$"):
            read(written(tmp_path / "damaged.bundle", part))


def test_a_damaged_object_ends_the_reading_with_an_error(repository):
    repository.commit("2026-08-01T00:00:00Z", models__json=os.urandom(3000))
    blob = repository.git("rev-parse", "HEAD:models.json")
    loose = repository.folder / ".git" / "objects" / blob[:2] / blob[2:]
    loose.chmod(0o644)
    damaged = bytearray(loose.read_bytes())
    damaged[1000:1010] = bytes(10)
    loose.write_bytes(damaged)
    with pytest.raises(SourceError, match="git cannot read repository"):
        read(repository.folder)
    loose.unlink()
    assert "partial clone" in unreadable(repository.folder)["models.json"]


def test_an_empty_repository_is_refused(repository):
    with pytest.raises(SourceError, match="holds no commits"):
        read(repository.folder)


def test_without_git_the_error_says_so(repository, tmp_path, monkeypatch):
    repository.commit("2026-08-01T00:00:00Z", models__json=b"1")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SourceError, match="needs git, which is not installed"):
        read(repository.folder)
    with pytest.raises(SourceError, match="needs git, which is not installed"):
        read(fill(tmp_path / "folder", DAYS), time_from="git")


def test_two_years_of_real_captures(bundle):
    started = time.monotonic()
    with open_archive(bundle, scope=TEXT_MODELS, member="models.json") as archive:
        assert archive.description == f"git bundle {bundle.name}"
        assert archive.total == 1107
        times, size = [], 0
        for one in archive:
            assert isinstance(one, Capture)
            times.append(one.observed_at)
            size += len(one.body)
    assert times == sorted(times)
    assert len(set(times)) == 1107
    assert times[0] == datetime(2024, 9, 21, 2, 9, 31, tzinfo=UTC)
    assert times[-1] == datetime(2026, 8, 22, 12, 8, 54, tzinfo=UTC)
    assert size > 400 * MIB
    assert time.monotonic() - started < 30  # two seconds on a quiet machine


# --- arguments that do not fit ---


def test_arguments_that_do_not_fit_the_kind(tmp_path, repository):
    repository.commit("2026-08-01T00:00:00Z", models__json=b"1")
    with pytest.raises(UsageError, match=r"captures\.zip is a zip"):
        read(packed("zip", tmp_path, DAYS), member="models.json")
    with pytest.raises(UsageError, match="captures is a folder"):
        read(packed("folder", tmp_path, DAYS), member="models.json")
    with pytest.raises(UsageError, match="A tar has no commits"):
        read(packed("tar", tmp_path, DAYS), time_from="git")
    with pytest.raises(UsageError, match="is a git bundle, whose times"):
        read(repository.bundle(tmp_path / "a.bundle"), time_from="mtime")
    with open_archive(repository.folder, scope=TEXT_MODELS, time_from="name") as work_tree:
        assert work_tree.description == "folder repository"
        assert (work_tree.total, work_tree.ignored) == (1, 0)


def test_a_folder_outside_any_work_tree_has_no_commit_times(tmp_path):
    with pytest.raises(SourceError, match="git cannot read captures: not a git repository"):
        read(fill(tmp_path / "captures", DAYS), time_from="git")


def test_what_is_no_archive_is_refused(tmp_path):
    with pytest.raises(SourceError, match=r"missing\.zip cannot be read: No such file"):
        read(tmp_path / "missing.zip")
    with pytest.raises(SourceError, match=r"notes\.txt is no archive of captures"):
        read(written(tmp_path / "notes.txt", b"2026-08-05: nothing"))


# --- damage and malice ---


@pytest.mark.parametrize("kind", ["folder", "zip", "tar", "tar.zst"])
@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz", ".zst"])
def test_a_damaged_capture_is_reported_and_the_rest_goes_on(suffix, kind, tmp_path):
    whole = COMPRESS[suffix](os.urandom(5000))
    contents = {
        f"2026-08-01.json{suffix}": whole,
        f"2026-08-02.json{suffix}": whole[:-1],
        f"2026-08-03.json{suffix}": whole[: len(whole) // 2],
        f"2026-08-04.json{suffix}": b"[]",
        f"2026-08-05.json{suffix}": b"",
        f"2026-08-06.json{suffix}": whole + b"[]",
        f"2026-08-07.json{suffix}": whole,
    }
    things = read(packed(kind, tmp_path, contents))
    days = [thing.observed_at.day for thing in things if isinstance(thing, Capture)]
    # The reader of bz2 ignores what follows the end of its data.
    assert days == ([1, 6, 7] if suffix == ".bz2" else [1, 7])


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz", ".zst"])
def test_several_streams_in_one_file_are_one_body(suffix, tmp_path):
    parts = [b"[" + b"1," * 200_000, b"2]"]
    path = written(tmp_path / f"2026-08-01.json{suffix}", b"".join(COMPRESS[suffix](part) for part in parts))
    assert captures(path)[0].body == b"".join(parts)


def test_zstd_may_begin_with_a_skippable_frame(tmp_path):
    skippable = struct.pack("<II", 0x184D2A53, 3) + b"abc"
    tarred = written(tmp_path / "captures.tar.zst", skippable + zstandard.compress(tar_of(DAYS)))
    assert len(captures(tarred)) == len(DAYS)


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz", "tar.bz2", "tar.xz", "tar.zst"])
def test_an_archive_cut_short_is_refused_wherever_it_is_cut(kind, tmp_path):
    contents = {f"2026-08-{day:02}.json": os.urandom(700) for day in range(1, 11)}
    whole = packed(kind, tmp_path, contents).read_bytes()
    assert len(captures(written(tmp_path / f"cut.{kind}", whole))) == 10
    end = tarfile.RECORDSIZE if kind == "tar" else 0  # the padding of a plain tar may go
    for size in range(0, len(whole) - end, 512 if kind == "tar" else 509):
        with pytest.raises(SourceError, match=r"^cut\.[a-z.0-9]+ is damaged or cut short: [^\n]*\.$"):
            read(written(tmp_path / f"cut.{kind}", whole[:size]))


@pytest.mark.parametrize("compression", ["", ".gz"])
def test_a_damaged_header_within_a_tar_is_not_taken_for_its_end(compression, tmp_path):
    whole = bytearray(tar_of({f"2026-08-0{day}.json": b"[]" for day in range(1, 5)}))
    whole[2048 + 3] ^= 0x10
    with pytest.raises(SourceError, match="before the end mark"):
        read(written(tmp_path / f"a.tar{compression}", COMPRESS[compression](bytes(whole))))


def test_names_and_comments_of_a_tar_have_a_limit(tmp_path):
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, 2 * MIB
    path = written(tmp_path / "a.tar", info.tobuf(tarfile.USTAR_FORMAT) + bytes(3 * MIB))
    with pytest.raises(SourceError, match="a header of 2,097,152 bytes"):
        read(path)


def test_a_wrong_checksum_in_a_zip_costs_one_capture(tmp_path):
    path = tmp_path / "captures.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("2026-08-01.json", b"[1111]")
        archive.writestr("2026-08-02.json", b"[2222]")
    path.write_bytes(path.read_bytes().replace(b"[1111]", b"[1112]"))
    bad, good = read(path)
    assert isinstance(bad, Unreadable)
    assert bad.name == "2026-08-01.json"
    assert "CRC" in bad.reason
    assert isinstance(good, Capture)


def test_encrypted_and_unknown_zip_members_are_reported(tmp_path):
    whole = zipped(tmp_path / "captures.zip", {"2026-08-01.json": b"[]"}).read_bytes()
    entry, local = whole.index(b"PK\x01\x02"), 0
    encrypted, unknown = bytearray(whole), bytearray(whole)
    encrypted[entry + 8] |= 1
    encrypted[local + 6] |= 1
    unknown[entry + 10] = unknown[local + 8] = 97
    assert unreadable(written(tmp_path / "a.zip", bytes(encrypted))) == {"2026-08-01.json": "encrypted"}
    assert "not supported" in unreadable(written(tmp_path / "b.zip", bytes(unknown)))["2026-08-01.json"]


@pytest.mark.parametrize("kind", ["folder", "zip", "tar", "tar.gz"])
def test_a_body_has_a_limit(kind, tmp_path):
    zeros = bytes(64 * MIB + 1)
    contents = {
        "2026-08-01.json": zeros,
        "2026-08-02.json.zst": zstandard.compress(zeros),
        "2026-08-03.json.zst": zstandard.compress(zeros[1:]),
    }
    things = read(packed(kind, tmp_path, contents))
    assert [isinstance(thing, Capture) for thing in things] == [False, False, True]
    assert {thing.reason for thing in things if isinstance(thing, Unreadable)} == {"larger than 64 MiB"}


def test_links_are_not_followed_and_only_regular_files_count(tmp_path):
    secret = fill(tmp_path / "outside", {"2026-08-01.json": b"secret"})
    folder = fill(tmp_path / "captures", {"2026-08-02.json": b"[]"})
    (folder / "2026-08-03.json").symlink_to(secret / "2026-08-01.json")
    (folder / "2026-08-04.json").symlink_to("2026-08-02.json")
    (folder / "linked").symlink_to(secret)
    os.mkfifo(folder / "2026-08-05.json")
    assert [one.body for one in captures(folder)] == [b"[]"]

    with tarfile.open(tmp_path / "captures.tar", "w") as archive:
        archive.add(folder / "2026-08-02.json", "./2026-08-02.json")
        for number, kind in enumerate((tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE), 3):
            info = tarfile.TarInfo(f"2026-08-0{number}.json")
            info.type, info.linkname = kind, str(secret / "2026-08-01.json")
            archive.addfile(info)
    with open_archive(tmp_path / "captures.tar", scope=TEXT_MODELS) as tar:
        assert facts(tar) == [(datetime(2026, 8, 2, tzinfo=UTC), b"[]")]
        assert tar.ignored == 4

    link = zipfile.ZipInfo("2026-08-03.json")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "captures.zip", "w") as zip_:
        zip_.writestr(link, str(secret / "2026-08-01.json"))
    assert captures(tmp_path / "captures.zip") == []


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_names_that_lead_out_of_an_archive_write_nothing(kind, tmp_path):
    place = tmp_path / "a" / "b"
    place.mkdir(parents=True)
    names = [
        "../../2026-08-01.json",
        f"{tmp_path}/2026-08-02.json",
        "./2026-08-03.json",
        "x/../2026-08-04.json",
    ]
    path = packed(kind, place, dict.fromkeys(names, b"[]"))
    assert len(captures(path)) == 4
    assert [found for found in tmp_path.rglob("*") if found.is_file()] == [path]


def test_two_members_of_one_name_are_both_read(tmp_path):
    first, second = tar_of({"2026-08-01.json": b"1"}), tar_of({"2026-08-01.json": b"2"})
    both = written(tmp_path / "both.tar", first[:1024] + second)
    assert [one.body for one in captures(both)] == [b"1", b"2"]
    with zipfile.ZipFile(tmp_path / "both.zip", "w") as archive:
        archive.writestr("2026-08-01.json", b"1")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("2026-08-01.json", b"2")
    assert [one.body for one in captures(tmp_path / "both.zip")] == [b"1", b"2"]


def test_strange_names_are_fit_for_a_terminal(tmp_path):
    folder = tmp_path / "captures"
    folder.mkdir()
    for name in (b"2026-08-01\x1b[31m.json", b"2026-08-02 \xff.json"):
        Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).write_bytes(b"[]")
    members = [one.provenance["member"] for one in captures(folder)]
    assert members == ["2026-08-01\\x1b[31m.json", "2026-08-02 \\udcff.json"]


def test_a_file_that_vanishes_is_reported(tmp_path):
    folder = fill(tmp_path / "captures", DAYS)
    with open_archive(folder, scope=TEXT_MODELS) as archive:
        (folder / "2026-08-08.json").unlink()
        *_, last = archive
    assert last == Unreadable("2026-08-08.json", "not readable: No such file or directory")


def test_an_empty_archive_gives_nothing(tmp_path):
    for kind in ("zip", "tar", "tar.gz", "folder"):
        path = packed(kind, tmp_path, {})
        path.mkdir(exist_ok=True) if kind == "folder" else None
        assert read(path) == []


@pytest.mark.parametrize("kind", ["folder", "zip", "tar", "tar.zst"])
def test_bodies_are_read_one_at_a_time(kind, tmp_path):
    contents = {f"2026-08-{day:02}.json": os.urandom(MIB) for day in range(1, 31)}
    path = packed(kind, tmp_path, contents)
    del contents
    tracemalloc.start()
    with open_archive(path, scope=TEXT_MODELS) as archive:
        assert sum(len(one.body) for one in archive if isinstance(one, Capture)) == 30 * MIB
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10 * MIB

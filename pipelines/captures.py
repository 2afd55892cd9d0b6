"""The raw store: the bytes of every answer, and the journal of what bytes cannot tell.

Belongs here: what a capture is, writing captures durably, reading them back, the journal.
Does not belong here: what the bytes mean (`flatten`) and what follows from them (`ledger`).

``raw/packs/<source>/<year>/<pack>.tar.zst`` holds up to :data:`PACK_SIZE` captures. A pack is an ordinary tar in
an ordinary zstd frame: for each capture ``<name>.json`` (the bytes, untouched) and ``<name>.meta.json`` (where
they came from). ``raw/journal.jsonl`` holds a line for each commit, decision and repeated sighting.
Packs are written whole and never changed; the journal is only appended to.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import orjson
import zstandard

from pipelines.errors import CatalogueError
from pipelines.scopes import Scope

PACK_SIZE = 64
"""Captures in a pack at most, and so the most that one damaged byte can cost."""

_BLOCK = 1 << 16

_LEVEL = 7
_WINDOW_LOG = 26
"""64 MiB: long enough that a capture is coded against all earlier ones of its pack; `zstd -d` accepts up to 27."""
_LONG_MATCH = 128
"""Repetitions of at least as many bytes are found at any distance: captures repeat whole models."""


def iso(moment: datetime) -> str:
    """``moment`` in UTC to the microsecond, as identities and file names spell it: ``2026-08-22T12:08:54.000000Z``."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


@dataclass(frozen=True)
class Capture:
    """The bytes of one answer, and where they came from.

    ``observed_at`` is when the source said it (for a live answer: receipt less the CDN's ``age``).
    ``origin`` names the way it came, such as ``live`` or ``archive:models.bundle``.
    ``provenance`` is JSON: the request without secrets, the status, the useful headers, the time of receipt.
    Identity is (scope, observed_at, SHA-256); origin and provenance do not take part in it.
    """

    scope: Scope
    observed_at: datetime
    body: bytes = field(repr=False)
    origin: str
    provenance: Mapping[str, Any] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        if self.observed_at.tzinfo is None:
            raise ValueError("observed_at needs a time zone")

    @cached_property
    def sha256(self) -> str:
        """Of the bytes, in hex."""
        return hashlib.sha256(self.body).hexdigest()

    @cached_property
    def snapshot_id(self) -> str:
        """A hash of the identity, 32 hex digits; never a sequence number."""
        identity = "\n".join((self.scope.name, iso(self.observed_at), self.sha256))
        return hashlib.sha256(identity.encode()).hexdigest()[:32]


class DamagedPackError(CatalogueError):
    """A pack's bytes are not those that were written."""


class RawStore:
    """The packs below ``root`` (``warehouse/raw``) and the journal beside them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.journal = Journal(root / "journal.jsonl")

    def packs(self) -> list[str]:
        """The names of all packs, relative to ``root``, sorted."""
        return sorted(path.relative_to(self.root).as_posix() for path in self.root.glob("packs/*/*/*.tar.zst"))

    def clear_leftovers(self) -> None:
        """Remove half-written packs of processes that are gone."""
        for path in self.root.glob("packs/*/*/.*.tmp"):
            pid = path.name.split(".")[-2]
            if pid.isdigit() and not Path(f"/proc/{pid}").exists():
                path.unlink(missing_ok=True)

    def write(self, captures: Sequence[Capture]) -> str:
        """Store up to :data:`PACK_SIZE` captures of one source durably, and name their pack.

        When this returns, the bytes outlive a crash; before, no part of them is visible. The name depends on the
        captures alone, so writing them again replaces a pack by its equal.
        """
        if not 0 < len(captures) <= PACK_SIZE or len({capture.scope.source for capture in captures}) != 1:
            raise ValueError(f"a pack takes 1 to {PACK_SIZE} captures of one source")
        first = min(captures, key=lambda capture: capture.observed_at)
        digest = hashlib.sha256("".join(capture.snapshot_id for capture in captures).encode()).hexdigest()[:12]
        stamp = first.observed_at.astimezone(UTC)
        name = f"packs/{_file_safe(first.scope.source)}/{stamp:%Y}/{stamp:%Y%m%dT%H%M%SZ}-{digest}.tar.zst"
        try:
            write_durably(self.root / name, _compress(_tar(captures)))
        except OSError as problem:
            raise CatalogueError(f"{self.root / name} cannot be written: {problem.strerror or problem}") from problem
        return name

    def read(self, pack: str) -> list[Capture]:
        """The captures of a pack, in the order in which they were written.

        Raises :class:`DamagedPackError` if the pack is missing or any of its bytes changed.
        """
        path = self.root / pack
        try:
            return list(_untar(_decompress(path.read_bytes())))
        except FileNotFoundError:
            raise DamagedPackError(f"the pack {pack} is missing from {self.root}") from None
        except (zstandard.ZstdError, tarfile.TarError, ValueError, KeyError, EOFError) as problem:
            raise DamagedPackError(f"the pack {pack} in {self.root} is damaged: {problem}") from None


class Journal:
    """One JSON object a line, each a commit: when it was recorded, which packs it took, what people decided."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def entries(self, after: datetime | None = None) -> list[dict[str, Any]]:
        """All whole lines, or those recorded later than ``after``, oldest first; these are read from the end.

        A last line without its end was never acknowledged and does not count.
        """
        try:
            with self.path.open("rb") as file:
                return list(reversed(list(self._later(file, after))))
        except FileNotFoundError:
            return []
        except OSError as problem:
            raise CatalogueError(f"{self.path} cannot be read: {problem.strerror}") from None

    def _later(self, file: BinaryIO, after: datetime | None) -> Iterator[dict[str, Any]]:
        end = _end_of_lines(file)
        for start, line in _lines_backwards(file, end):
            entry = self._entry(line, start)
            if after is not None and datetime.fromisoformat(entry["recorded_at"]) <= after:
                return
            yield entry

    def _entry(self, line: bytes, start: int) -> dict[str, Any]:
        try:
            entry = orjson.loads(line)
            if not isinstance(entry["packs"], list):
                raise TypeError
            datetime.fromisoformat(entry["recorded_at"])
        except (ValueError, KeyError, TypeError):
            number = self.path.read_bytes()[:start].count(b"\n") + 1
            raise CatalogueError(
                f"line {number} of {self.path} is damaged: restore the journal from a backup"
            ) from None
        return dict(entry)

    def append(self, entry: Mapping[str, Any]) -> None:
        """Add one line durably. The caller holds the warehouse's lock."""
        line = json.dumps(entry, separators=(",", ":")).encode() + b"\n"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a+b") as file:
                file.truncate(_end_of_lines(file))
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
            _sync_folder(self.path.parent)
        except OSError as problem:
            raise CatalogueError(f"{self.path} cannot be written: {problem.strerror or problem}") from problem


def _end_of_lines(file: BinaryIO) -> int:
    """Where the last whole line ends."""
    end = file.seek(0, os.SEEK_END)
    while end:
        start = max(0, end - _BLOCK)
        file.seek(start)
        found = file.read(end - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0


def _lines_backwards(file: BinaryIO, end: int) -> Iterator[tuple[int, bytes]]:
    """The lines before ``end``, where one ends, the last first, each with the place of its first byte."""
    start, tail = end, b""
    while start:
        start, stop = max(0, start - _BLOCK), start
        file.seek(start)
        tail = file.read(stop - start) + tail
        cut = tail.find(b"\n") + 1 if start else 0  # what comes before it may not be all of its line
        place = start + len(tail)
        for line in reversed(tail[cut:].split(b"\n")[:-1]):
            place -= len(line) + 1
            yield place, line
        tail = tail[:cut]


def write_durably(path: Path, content: bytes) -> None:
    """Put ``content`` at ``path`` so that after a crash there is all of it or what was there before."""
    _make_folder(path.parent)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(path.parent)


def _make_folder(folder: Path) -> None:
    """``mkdir -p`` that outlives a crash."""
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _tar(captures: Iterable[Capture]) -> bytes:
    parts: list[bytes] = []
    for capture in captures:
        name = f"{capture.observed_at.astimezone(UTC):%Y%m%dT%H%M%SZ}-{capture.snapshot_id}"
        meta = {
            "scope": capture.scope.name,
            "observed_at": iso(capture.observed_at),
            "sha256": capture.sha256,
            "origin": capture.origin,
            "provenance": capture.provenance,
        }
        moment = int(capture.observed_at.timestamp())
        parts += _member(f"{name}.meta.json", json.dumps(meta).encode(), moment)
        parts += _member(f"{name}.json", capture.body, moment)
    size = sum(map(len, parts)) + 2 * tarfile.BLOCKSIZE
    return b"".join([*parts, bytes(2 * tarfile.BLOCKSIZE + -size % tarfile.RECORDSIZE)])


def _member(name: str, content: bytes, moment: int) -> tuple[bytes, bytes, bytes]:
    """Head, content and padding, to be joined with all others at once: a file would copy each byte three times."""
    member = tarfile.TarInfo(name)
    member.size, member.mtime, member.mode = len(content), moment, 0o644
    return member.tobuf(tarfile.PAX_FORMAT), content, bytes(-len(content) % tarfile.BLOCKSIZE)


def _untar(content: bytes) -> Iterator[Capture]:
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as archive:
        meta: dict[str, Any] = {}
        for member in archive:
            file = archive.extractfile(member)
            if file is None:
                raise ValueError(f"{member.name} is no file")
            content = file.read()
            if member.name.endswith(".meta.json"):
                meta = json.loads(content)
                continue
            capture = Capture(
                Scope.parse(meta["scope"]),
                datetime.fromisoformat(meta["observed_at"]),
                content,
                meta["origin"],
                meta["provenance"],
            )
            if capture.sha256 != meta["sha256"]:
                raise ValueError(f"the bytes of {member.name} are not those that were captured")
            yield capture


def _compress(content: bytes) -> bytes:
    parameters = zstandard.ZstdCompressionParameters.from_level(
        _LEVEL, window_log=_WINDOW_LOG, enable_ldm=True, ldm_min_match=_LONG_MATCH, write_checksum=True
    )
    return zstandard.ZstdCompressor(compression_params=parameters).compress(content)


def _decompress(content: bytes) -> bytes:
    """All at once: only then are length and checksum of the frame checked, before a damaged tar is read in part."""
    return zstandard.ZstdDecompressor(max_window_size=2**27).decompress(content, allow_extra_data=False)


def _file_safe(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "_", text) or "_"

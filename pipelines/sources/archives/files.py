"""Archives made of files: a folder, a zip or tar of one, a single capture.

Belongs here: finding the files in each, with their modification times. Does not belong here: what a name says
(`names`), and histories (`git`).

Nothing is ever written under a name from an archive, links are not followed, and only regular files count.
"""

from __future__ import annotations

import io
import os
import stat
import struct
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

import zstandard

from pipelines.errors import SourceError
from pipelines.sources.archives import names
from pipelines.sources.archives.compressed import (
    DAMAGE,
    MAX_BODY,
    compression_of,
    damage,
    decompressed,
    read_body,
    too_large,
)
from pipelines.sources.archives.items import Contents, Item, Unfit, Unreadable

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_TEXT = 2**20
"""Bytes of a tar header's names and comments, which are read into memory as one."""


@dataclass(frozen=True)
class File:
    """A regular file, somewhere.

    ``name`` is its path with ``/`` between folders; ``modified_at`` is None where it has no valid such time;
    ``open`` gives its bytes as stored.
    """

    name: str
    modified_at: datetime | None
    open: Callable[[], IO[bytes]]
    compression: str | None

    def read(self) -> bytes:
        """The bytes, decompressed; raises Unfit."""
        try:
            stream = self.open()
        except DAMAGE as error:
            raise Unfit(damage(error)) from error
        with stream:
            return read_body(stream, self.compression)


@dataclass
class Found:
    """The captures among the files of a container, what of it cannot be read, and how much else there is."""

    files: list[File]
    unreadable: list[Unreadable]
    ignored: int = 0

    @classmethod
    def nothing(cls) -> Found:
        """An empty container."""
        return cls([], [])

    def wants(self, name: str, *, is_regular: bool = True) -> bool:
        """Whether the file of this name is a capture; it is counted as ignored where not."""
        if is_regular and names.is_capture(name):
            return True
        self.ignored += 1
        return False

    def add(self, name: str, modified_at: datetime | None, open_: Callable[[], IO[bytes]]) -> None:
        """Take in a capture."""
        self.files.append(File(name, modified_at, open_, names.compression_named(name)))

    def dated(self, time_of: Callable[[File], datetime]) -> Contents:
        """The contents, each file observed at ``time_of`` it, or Unreadable where that raises Unfit."""
        contents = Contents([], list(self.unreadable), self.ignored)
        for file in self.files:
            name = names.printable(file.name)
            try:
                contents.items.append(Item(name, time_of(file), file.read))
            except Unfit as unfit:
                contents.unreadable.append(Unreadable(name, str(unfit)))
        return contents


def time_in_name(file: File) -> datetime:
    """The time that the file's path spells; raises Unfit."""
    time = names.time_in(file.name)
    if time is None:
        raise Unfit("no time in its name; --time-from mtime takes the file's modification time")
    return time


def time_modified(file: File) -> datetime:
    """The file's modification time; raises Unfit."""
    if file.modified_at is None:
        raise Unfit("no valid modification time")
    return file.modified_at


def time_committed(commits: Mapping[str, datetime], file: File) -> datetime:
    """The time of the last commit that touched the file, out of ``commits``; raises Unfit."""
    if file.name not in commits:
        raise Unfit("no commit holds it, or none with a valid time")
    return commits[file.name]


def in_folder(folder: Path) -> Found:
    """The files under ``folder``. Symbolic links are ignored, wherever they lead."""
    found = Found.nothing()

    def not_listed(error: OSError) -> None:
        name = os.path.relpath(error.filename, folder)
        found.unreadable.append(Unreadable(names.printable(name), damage(error)))

    for root, folders, filenames in os.walk(folder, onerror=not_listed):
        folders[:] = [name for name in folders if name != ".git"]  # the history beside the files, not one of them
        for path in (Path(root, filename) for filename in filenames):
            name = path.relative_to(folder).as_posix()
            try:
                status = path.lstat()
            except OSError as error:
                found.unreadable.append(Unreadable(names.printable(name), damage(error)))
                continue
            if found.wants(name, is_regular=stat.S_ISREG(status.st_mode)):
                found.add(name, _moment(status.st_mtime_ns // 1000), _opener(path))
    return found


def _opener(path: Path) -> Callable[[], IO[bytes]]:
    return lambda: path.open("rb")


def alone(path: Path) -> Found:
    """The single capture ``path``."""
    found = Found.nothing()
    compression = names.compression_named(path.name)
    if not names.is_capture(path.name):
        with path.open("rb") as stream:
            compression = compression_of(stream.read(8))
    modified_at = _moment(path.stat().st_mtime_ns // 1000)
    found.files.append(File(path.name, modified_at, _opener(path), compression))
    return found


def in_zip(path: Path, stack: ExitStack) -> Found:
    """The files in the zip ``path``, which stays open as long as ``stack``.

    A zip's own modification times have no zone and only even seconds, and are taken as UTC; where a member
    carries the extended timestamp (unix seconds), that counts instead.
    """
    found = Found.nothing()
    try:
        archive = stack.enter_context(zipfile.ZipFile(path))
    except (NotImplementedError, ValueError, struct.error, *DAMAGE) as error:
        raise _damaged(path, error) from error
    for info in archive.infolist():
        mode = info.external_attr >> 16
        is_regular = stat.S_IFMT(mode) in (0, stat.S_IFREG)
        if not info.filename.endswith("/") and found.wants(info.filename, is_regular=is_regular):
            found.add(info.filename, _zip_time(info), partial(_open_zipped, archive, info))
    return found


def _open_zipped(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> IO[bytes]:
    if info.flag_bits & 0x1:
        raise Unfit("encrypted")
    if info.file_size > MAX_BODY:
        raise too_large()
    try:
        return archive.open(info)
    except NotImplementedError as error:
        raise Unfit(f"not supported: {error}") from error
    except (RuntimeError, ValueError, struct.error, *DAMAGE) as error:
        raise Unfit(damage(error)) from error


def _zip_time(info: zipfile.ZipInfo) -> datetime | None:
    extra = info.extra
    while len(extra) >= 4:
        tag, size = struct.unpack("<HH", extra[:4])
        if tag == 0x5455 and size >= 5 and len(extra) >= 9 and extra[4] & 1:
            return _moment(struct.unpack("<i", extra[5:9])[0] * 1_000_000)
        extra = extra[4 + size :]
    try:
        return datetime(*info.date_time, tzinfo=UTC)
    except ValueError:
        return None


def in_tar(path: Path, stack: ExitStack) -> Found:
    """The files in the tar ``path``; raises SourceError where it is damaged or cut short.

    A compressed tar can only be read from front to back, so its captures are set aside in a temporary file.
    """
    found = Found.nothing()
    source = stack.enter_context(path.open("rb"))
    compression = compression_of(source.read(8))
    source.seek(0)
    take = _Spool(stack).take if compression else _in_place
    try:
        tar = stack.enter_context(
            tarfile.open(  # noqa: SIM115 (the stack closes it)
                fileobj=decompressed(source, compression),
                mode="r|" if compression else "r:",
                tarinfo=_StrictTarInfo,
            )
        )
        for info in tar:
            name = info.name.removeprefix("./")
            if not info.isdir() and found.wants(name, is_regular=info.isreg()):
                found.add(name, _tar_time(info), take(tar, info))
    except (ValueError, *DAMAGE) as error:
        raise _damaged(path, error) from error
    return found


class _StrictTarInfo(tarfile.TarInfo):
    """The header of a tar's member, or its end mark, or else damage.

    By default a bad header in the middle passes for the end of the archive, and so does a missing end mark.
    """

    _TEXTS = (
        tarfile.XHDTYPE,
        tarfile.XGLTYPE,
        tarfile.SOLARIS_XHDTYPE,
        tarfile.GNUTYPE_LONGNAME,
        tarfile.GNUTYPE_LONGLINK,
    )

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _StrictTarInfo:
        try:
            info = super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if len(buf) == tarfile.BLOCKSIZE and not any(buf):
                raise  # the end mark
            raise tarfile.ReadError(f"{error}, before the end mark") from error
        if info.type in cls._TEXTS and info.size > _MAX_TEXT:
            raise tarfile.ReadError(f"a header of {info.size:,} bytes")
        return info


def _in_place(tar: tarfile.TarFile, info: tarfile.TarInfo) -> Callable[[], IO[bytes]]:
    return partial(_open_tarred, tar, info)


def _open_tarred(tar: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    if info.size > MAX_BODY:
        raise too_large()
    stream = tar.extractfile(info)
    if stream is None:
        raise Unfit("not a regular file")
    return stream


class _Spool:
    """Captures set aside in a temporary file, lightly compressed, to be read in any order."""

    def __init__(self, stack: ExitStack) -> None:
        self._file = stack.enter_context(TemporaryFile(prefix="catalogue-"))  # noqa: SIM115 (the stack closes it)
        self._squeeze = zstandard.ZstdCompressor(level=1)
        self._expand = zstandard.ZstdDecompressor()

    def take(self, tar: tarfile.TarFile, info: tarfile.TarInfo) -> Callable[[], IO[bytes]]:
        """Set aside the member that ``tar`` has just come to; the answer opens it."""
        if info.size > MAX_BODY:
            return partial(_open_tarred, tar, info)  # which says that it is too large
        with _open_tarred(tar, info) as stream:
            squeezed = self._squeeze.compress(stream.read())
        start = self._file.seek(0, os.SEEK_END)
        self._file.write(squeezed)
        return partial(self._open, start, len(squeezed))

    def _open(self, start: int, size: int) -> IO[bytes]:
        self._file.seek(start)
        return io.BytesIO(self._expand.decompress(self._file.read(size)))


def _tar_time(info: tarfile.TarInfo) -> datetime | None:
    try:
        return _moment(round(info.mtime * 1_000_000))
    except (ValueError, OverflowError):
        return None


def _moment(microseconds: int) -> datetime | None:
    try:
        return _EPOCH + timedelta(microseconds=microseconds)
    except OverflowError:
        return None


def _damaged(path: Path, error: Exception) -> SourceError:
    return SourceError(f"{names.printable(path.name)} is {damage(error)}.")


def begins_tar(stream: IO[bytes]) -> bool:
    """Whether ``stream`` begins with a tar header."""
    try:
        tarfile.TarInfo.frombuf(stream.read(tarfile.BLOCKSIZE), "utf-8", "surrogateescape")
    except DAMAGE:
        return False
    return True

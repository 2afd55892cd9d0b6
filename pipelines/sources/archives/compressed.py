"""Decompressing, with bounds: no body may fill the memory, no truncated stream may pass for a whole one.

Belongs here: compressions and their magic numbers. Does not belong here: what is inside.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
import zlib
from typing import IO, cast

import zstandard

from pipelines.sources.archives.items import Unfit

MAX_BODY = 64 * 2**20
"""Bytes, decompressed: some hundred times a listing of today."""

DAMAGE = (
    EOFError,
    OSError,
    zlib.error,
    lzma.LZMAError,
    zstandard.ZstdError,
    zipfile.BadZipFile,
    tarfile.TarError,
)
"""What reading a damaged or truncated stream raises."""

_MAGIC = {b"\x1f\x8b": "gz", b"BZh": "bz2", b"\xfd7zXZ\0": "xz", b"\x28\xb5\x2f\xfd": "zst"}
_PIECE = 2**20
_ZSTD_INPUT = 1024
"""Bytes fed to zstd at once. It returns all that they expand to, at worst 32 MiB for this many."""


def damage(error: Exception) -> str:
    """What has befallen a file whose reading raised ``error``, to follow "is" or to stand alone."""
    if isinstance(error, OSError) and error.strerror:  # the system's own, not a decompressor's
        return f"not readable: {error.strerror}"
    return f"damaged or cut short: {error}".rstrip(".")


def compression_of(head: bytes) -> str | None:
    """The compression whose magic number ``head`` begins with, if any."""
    if head[1:4] == b"\x2a\x4d\x18" and head[0] & 0xF0 == 0x50:
        return "zst"  # a skippable frame, with which parallel zstd writers begin
    return next((name for magic, name in _MAGIC.items() if head.startswith(magic)), None)


def decompressed(stream: IO[bytes], compression: str | None) -> IO[bytes]:
    """``stream`` decompressed as it is read. Reading raises one of :data:`DAMAGE` where it is damaged."""
    match compression:
        case "gz":
            return cast(IO[bytes], gzip.GzipFile(fileobj=stream))
        case "bz2":
            return cast(IO[bytes], bz2.BZ2File(stream))
        case "xz":
            return cast(IO[bytes], lzma.LZMAFile(stream))
        case "zst":
            return cast(IO[bytes], io.BufferedReader(_ZstdFrames(stream), 2**20))
    return stream


def read_body(stream: IO[bytes], compression: str | None) -> bytes:
    """All of ``stream``, decompressed. Raises Unfit where that is damaged or larger than :data:`MAX_BODY`."""
    try:
        body = _at_most(MAX_BODY, stream)
        if compression is None:
            return body
        if not body:
            raise Unfit(f"an empty file, no {compression} data")  # which gzip would take for an empty body
        return _at_most(MAX_BODY, decompressed(io.BytesIO(body), compression))
    except DAMAGE as error:
        raise Unfit(damage(error)) from error


def too_large() -> Unfit:
    """The refusal of a body above :data:`MAX_BODY`."""
    return Unfit(f"larger than {MAX_BODY // 2**20} MiB")


def _at_most(limit: int, stream: IO[bytes]) -> bytes:
    """All of ``stream``, read piecewise: asked for ``limit`` bytes at once it would set aside that much."""
    parts, size = [], 0
    while part := stream.read(_PIECE):
        parts.append(part)
        size += len(part)
        if size > limit:
            raise too_large()
    return b"".join(parts)


class _ZstdFrames(io.RawIOBase):
    """Every frame of a zstd stream. The library's own reader takes a truncated frame for a whole one."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self._zstd = zstandard.ZstdDecompressor()
        self._frame: zstandard.ZstdDecompressionObj | None = None
        self._input = b""
        self._output = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        while not self._output:
            if not self._input:
                self._input = self._source.read(_ZSTD_INPUT)
            if not self._input:
                if self._frame is not None:
                    raise EOFError("the zstd data ends within a frame")
                return 0
            self._output = memoryview(self._decompress())
        given = min(len(buffer), len(self._output))
        buffer[:given] = self._output[:given]
        self._output = self._output[given:]
        return given

    def _decompress(self) -> bytes:
        """What the pending input expands to, up to the end of a frame."""
        frame = self._frame = self._frame or self._zstd.decompressobj()
        output = frame.decompress(self._input)
        self._input = b""
        if frame.eof:
            self._input, self._frame = frame.unused_data, None
        return output

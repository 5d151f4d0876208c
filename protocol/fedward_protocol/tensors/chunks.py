"""Files in chunks for the wire: read, optionally compressed one by one, and unpacked within a bound."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import zstandard

from fedward_protocol.reasons import Reason, RefusedError
from fedward_protocol.wire import federation_pb2 as pb

CHUNK = 1 << 20
"""Bytes of the file in a chunk at most; the last one is shorter."""

Compression = Literal["none", "zstd"]

_ZSTD_LEVEL = 1  # Weights hardly shrink further at higher ones, and the processor is the bottleneck.


class Chunk(NamedTuple):
    """A piece of a file, ready for the wire: `offset` in the uncompressed file, bytes, and "zstd" or ""."""

    offset: int
    data: bytes
    compression: str = ""


def read_chunks(
    source: Path | int,
    offset: int = 0,
    compression: Compression = "none",
    size: Callable[[], int] = lambda: CHUNK,
) -> Iterator[Chunk]:
    """Yield the file's chunks from `offset` to its end.

    With "zstd" each chunk is a frame of its own, except where that would not make it smaller.

    Args:
        source: a path, or a file descriptor that stays open.
        offset: where to begin.
        compression: of each chunk.
        size: asked before each chunk how many bytes of the file it may hold.

    Raises:
        OSError: the file cannot be read.
    """
    fd = source if isinstance(source, int) else os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    try:
        compressor = zstandard.ZstdCompressor(_ZSTD_LEVEL) if compression == "zstd" else None
        while data := _pread(fd, offset, size()):
            yield _pack(offset, data, compressor)
            offset += len(data)
    finally:
        if fd is not source:
            os.close(fd)


def chunk_data(chunk: pb.Chunk | Chunk) -> bytes:
    """Return a chunk's bytes of the file, 1 MiB at most.

    Raises:
        RefusedError: MALFORMED, they are more, or cannot be unpacked.
    """
    data = chunk.data
    if chunk.compression == "zstd":
        data = _decompress(data)
    elif chunk.compression:
        raise RefusedError(Reason.MALFORMED, f"unknown compression {chunk.compression[:40]!r}")
    if len(data) > CHUNK:
        raise RefusedError(Reason.MALFORMED, f"a chunk holds more than {CHUNK} bytes")
    return data


def pack_chunk(offset: int, data: bytes, compression: Compression) -> Chunk:
    """Make a chunk of `data`, which is the file's from `offset` on; compressed as `read_chunks` does."""
    return _pack(offset, data, zstandard.ZstdCompressor(_ZSTD_LEVEL) if compression == "zstd" else None)


def _pread(fd: int, offset: int, size: int) -> bytes:
    data = os.pread(fd, size, offset)
    # A file that ends inside a chunk gives a short one too, so only the next read tells that from a short read.
    while 0 < len(data) < size and (more := os.pread(fd, size - len(data), offset + len(data))):
        data += more
    return data


def _pack(offset: int, data: bytes, compressor: zstandard.ZstdCompressor | None) -> Chunk:
    if compressor is not None:
        packed = compressor.compress(data)
        if len(packed) < len(data):
            return Chunk(offset, packed, "zstd")
    return Chunk(offset, data)


def _decompress(frame: bytes) -> bytes:
    try:
        # Asked before unpacking, because the library trusts a frame that says how much it holds.
        if zstandard.frame_content_size(frame) > CHUNK:
            raise RefusedError(Reason.MALFORMED, f"a chunk holds more than {CHUNK} bytes")
        return zstandard.ZstdDecompressor().decompress(frame, max_output_size=CHUNK, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise RefusedError(Reason.MALFORMED, "a chunk cannot be decompressed") from error

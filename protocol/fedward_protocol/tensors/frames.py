"""The bytes of the messages that carry chunks, put together by hand.

The protobuf library copies a chunk several times on the way out, and each copy costs as much as encrypting it. Two or
more such sendings lie on the way of a model and of an update, so the fields are framed here with a single copy.
https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

_PART_CHUNK = b"\x12"  # UpdatePart.chunk = 2, length-delimited
_OFFSET = b"\x08"  # Chunk.offset = 1, varint
_DATA = b"\x12"  # Chunk.data = 2, length-delimited
_COMPRESSION = b"\x1a"  # Chunk.compression = 3, length-delimited


def chunk_message(offset: int, data: bytes | memoryview, compression: str = "") -> bytes:
    """Serialise a `Chunk`: these bytes of the file, from `offset` on."""
    head, tail = _around(offset, len(data), compression)
    return b"".join((head, data, tail))


def update_part(offset: int, data: bytes | memoryview, compression: str = "") -> bytes:
    """Serialise an `UpdatePart` that holds such a chunk."""
    head, tail = _around(offset, len(data), compression)
    length = len(head) + len(data) + len(tail)
    return b"".join((_PART_CHUNK, _varint(length), head, data, tail))


def _around(offset: int, nbytes: int, compression: str) -> tuple[bytes, bytes]:
    head = _OFFSET + _varint(offset) + _DATA + _varint(nbytes)
    tail = _COMPRESSION + _varint(len(compression)) + compression.encode("ascii") if compression else b""
    return head, tail


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)

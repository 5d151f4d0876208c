"""The bytes of an `UpdatePart` that holds a chunk, put together by hand.

The protobuf library copies a chunk four times on the way out, at half a millisecond for each: as much as encrypting it.
Two such sendings lie on an update's way, so the three fields are framed here with a single copy.
https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

_PART_CHUNK = b"\x12"  # UpdatePart.chunk = 2, length-delimited
_OFFSET = b"\x08"  # Chunk.offset = 1, varint
_DATA = b"\x12"  # Chunk.data = 2, length-delimited
_COMPRESSION = b"\x1a"  # Chunk.compression = 3, length-delimited


def chunk_part(offset: int, data: bytes | memoryview, compression: str = "") -> bytes:
    """Serialise an update's part that holds these bytes of the file, from `offset` on."""
    head = _OFFSET + _varint(offset) + _DATA + _varint(len(data))
    tail = _COMPRESSION + _varint(len(compression)) + compression.encode("ascii") if compression else b""
    length = len(head) + len(data) + len(tail)
    return b"".join((_PART_CHUNK, _varint(length), head, data, tail))


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)

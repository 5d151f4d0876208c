"""Files in chunks: whole, from any offset, compressed or not, and no bomb unpacked."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fedward_protocol.reasons import Reason, RefusedError
from fedward_protocol.tensors.chunks import CHUNK, Compression, chunk_data, read_chunks
from fedward_protocol.wire import federation_pb2 as pb

CONTENTS = np.random.default_rng(0).bytes(CHUNK) + b"\x00" * CHUNK + b"the end"


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("chunks") / "file"
    path.write_bytes(CONTENTS)
    return path


def refusal(chunk: pb.Chunk) -> Reason:
    with pytest.raises(RefusedError) as caught:
        chunk_data(chunk)
    return caught.value.reason


@given(st.integers(0, len(CONTENTS)), st.sampled_from(["none", "zstd"]))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_chunks_from_any_offset_add_up_to_the_rest(path: Path, offset: int, compression: Compression) -> None:
    chunks = list(read_chunks(path, offset, compression))
    assert b"".join(map(chunk_data, chunks)) == CONTENTS[offset:]
    assert [chunk.offset for chunk in chunks] == list(range(offset, len(CONTENTS), CHUNK))


def test_all_but_the_last_chunk_are_exactly_one_mebibyte(path: Path) -> None:
    assert [len(chunk.data) for chunk in read_chunks(path)] == [CHUNK, CHUNK, 7]


def test_a_descriptor_serves_as_well_and_stays_open_where_it_was(path: Path) -> None:
    with path.open("rb") as file:
        assert b"".join(map(chunk_data, read_chunks(file.fileno(), CHUNK))) == CONTENTS[CHUNK:]
        assert file.tell() == 0
        os.fstat(file.fileno())


def test_only_what_shrinks_is_compressed(path: Path) -> None:
    assert [chunk.compression for chunk in read_chunks(path, 0, "zstd")] == ["", "zstd", ""]


def test_the_same_file_gives_the_same_chunks(path: Path) -> None:
    assert list(read_chunks(path, 0, "zstd")) == list(read_chunks(path, 0, "zstd"))


def test_nothing_follows_the_end(path: Path) -> None:
    assert list(read_chunks(path, len(CONTENTS))) == []


BOMB = zstandard.ZstdCompressor().compress(b"\x00" * (CHUNK + 1))
UNSIZED = zstandard.ZstdCompressor(write_content_size=False)
LYING = bytearray(zstandard.ZstdCompressor().compress(b"ab" * 200))
LYING[5:7] = b"\x00\x00"


@pytest.mark.parametrize(
    "chunk",
    [
        pb.Chunk(data=b"x" * (CHUNK + 1)),
        pb.Chunk(data=BOMB, compression="zstd"),
        pb.Chunk(data=UNSIZED.compress(b"\x00" * (50 * CHUNK)), compression="zstd"),
        pb.Chunk(data=bytes(LYING), compression="zstd"),
        pb.Chunk(data=zstandard.compress(b"x") + b"and more", compression="zstd"),
        pb.Chunk(data=zstandard.compress(b"x" * 100)[:-2], compression="zstd"),
        pb.Chunk(data=b"not a frame", compression="zstd"),
        pb.Chunk(data=b"", compression="zstd"),
        pb.Chunk(data=b"x", compression="gzip"),
    ],
    ids=[
        "too long",
        "a bomb that says so",
        "a bomb that does not",
        "a frame that lies about its length",
        "bytes after the frame",
        "a cut-off frame",
        "no frame",
        "nothing",
        "another compression",
    ],
)
def test_refuses_a_chunk_as_malformed(chunk: pb.Chunk) -> None:
    assert refusal(chunk) is Reason.MALFORMED


@given(st.binary(max_size=200))
def test_whatever_is_called_a_frame_is_unpacked_or_refused(data: bytes) -> None:
    for frame in (data, zstandard.MAGIC_NUMBER.to_bytes(4, "little") + data):
        try:
            assert len(chunk_data(pb.Chunk(data=frame, compression="zstd"))) <= CHUNK
        except RefusedError:
            continue

"""Messages framed by hand are what protobuf makes of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fedward_protocol.tensors.frames import chunk_message, update_part
from fedward_protocol.wire import federation_pb2 as pb


@given(st.integers(0, 2**63), st.binary(max_size=400), st.sampled_from(["", "zstd"]))
def test_a_framed_chunk_is_read_as_it_was_meant(offset, data, compression):
    chunk = pb.Chunk(offset=offset, data=data, compression=compression)
    assert pb.Chunk.FromString(chunk_message(offset, data, compression)) == chunk
    assert pb.UpdatePart.FromString(update_part(offset, data, compression)) == pb.UpdatePart(chunk=chunk)


def test_a_whole_chunk_is_framed_too():
    data = bytes(range(256)) * 4096
    part = pb.UpdatePart.FromString(update_part(5 << 20, memoryview(data)))
    assert (part.chunk.offset, part.chunk.data) == (5 << 20, data)

"""Brings models in and updates out through the gateway, digest-checked, going on where a broken transfer stopped."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import grpc

from fedward_node.sending import send_update, submitter
from fedward_protocol import refusals
from fedward_protocol.reasons import Reason, RefusedError
from fedward_protocol.tensors.chunks import Compression, chunk_data
from fedward_protocol.wire import federation_pb2 as pb
from fedward_protocol.wire.federation_pb2_grpc import FederationStub

if TYPE_CHECKING:  # the class exists for type checkers alone
    from fedward_protocol.wire.federation_pb2_grpc import FederationAsyncStub

Metadata = tuple[tuple[str, str | bytes], ...]


class Transfer:
    """Moves files to the gateway.

    Files are written and hashed on the event loop: a chunk costs about a millisecond, less than handing it to a
    thread and back would delay the next one.

    Args:
        channel: gives the channel to the gateway for each call.
        metadata: makes the metadata of a call, the work order in it.
        compression: "none" or "zstd", as the plan says.
    """

    def __init__(
        self, channel: Callable[[], grpc.aio.Channel], metadata: Callable[[], Metadata], compression: Compression
    ) -> None:
        self._channel = channel
        self._metadata = metadata
        self._compression = compression
        self._known: set[Path] = set()

    async def fetch(self, job: pb.JobRef, model: pb.ModelRef, path: Path) -> None:
        """Bring `model` to `path`; what an earlier, broken call brought is kept beside it and gone on from.

        Raises:
            RefusedError: it was refused, or what came has another digest (then it is thrown away).
            grpc.aio.AioRpcError: the transfer broke.
            OSError: the disk is full or broken.
        """
        if path in self._known:
            return
        part = _unverified(path)
        with part.open("a+b") as file:
            sha256 = _hash_so_far(file.fileno())
            offset = file.tell()
            if offset < model.nbytes:
                accept = [self._compression] if self._compression != "none" else []
                request = pb.FetchModelRequest(job=job, digest=model.digest, offset=offset, accept_compression=accept)
                stub: FederationAsyncStub = FederationStub(self._channel())
                async for chunk in stub.FetchModel(request, metadata=self._metadata()):
                    if chunk.offset != offset:
                        raise RefusedError(Reason.WRONG_OFFSET, f"chunk at {chunk.offset}, expected {offset}")
                    data = chunk_data(chunk)
                    sha256.update(data)
                    file.write(data)
                    offset += len(data)
        if sha256.digest() != model.digest:
            if offset >= model.nbytes:
                part.unlink()
            raise RefusedError(Reason.WRONG_DIGEST, f"model of round {model.round}, {offset} bytes")
        part.replace(path)
        self._known = {path}

    async def submit(self, header: pb.UpdateHeader, path: Path) -> pb.Receipt:
        """Send the update at `path`, from wherever the gateway wants it, and wait for the receipt.

        Raises:
            RefusedError: it was refused.
            grpc.aio.AioRpcError: the transfer broke.
            ConnectionError: the stream ended without an answer.
            OSError: the file cannot be read.
        """
        call = submitter(self._channel())(metadata=self._metadata())
        try:
            reply = await send_update(call, header, path, self._compression)
        finally:
            call.cancel()
        if reply.WhichOneof("body") == "refusal":
            raise refusals.from_message(reply.refusal)
        return reply.receipt


def _unverified(path: Path) -> Path:
    """Name the file in which a model is gathered; one that an earlier process completed is taken back into it.

    A power cut may have spoiled it since, so it is hashed again before it is believed.
    """
    part = path.with_suffix(".part")
    if path.exists():
        path.replace(part)
    return part


def _hash_so_far(descriptor: int) -> hashlib._Hash:
    with open(descriptor, "rb", closefd=False) as file:
        file.seek(0)
        return hashlib.file_digest(file, "sha256")

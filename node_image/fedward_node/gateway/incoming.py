"""An update's bytes as they come from the trainer: each chunk in its place, and in the end the digest announced."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import grpc

from fedward_protocol.reasons import Reason, RefusedError
from fedward_protocol.tensors.chunks import chunk_data
from fedward_protocol.wire import federation_pb2 as pb

STALL_S = 60.0
"""A trainer that sends nothing for so long in the middle of an update has lost its turn."""

SubmitContext = grpc.aio.ServicerContext[pb.UpdatePart, pb.UpdateReply]


@dataclass
class Incoming:
    """Reads one update from its first byte, and hashes it on the way.

    The way from the trainer is short and the digest needs every byte, so each attempt starts at the beginning; what
    resumes is the long way to the aggregator. Chunks are hashed on the event loop: at a millisecond each that is less
    than it costs to hand them to a thread.
    """

    context: SubmitContext
    header: pb.UpdateHeader
    received: int = field(default=0, init=False)

    async def chunks(self) -> AsyncIterator[tuple[pb.Chunk, bytes]]:
        """Yield each chunk, and its bytes of the file.

        The last one is yielded only when the digest of them all has been found right.

        Raises:
            RefusedError: WRONG_OFFSET, TOO_LARGE, WRONG_DIGEST or MALFORMED.
        """
        await self.context.write(pb.UpdateReply(resume_from=0))
        sha256 = hashlib.sha256()
        while self.received < self.header.nbytes:
            chunk = await self._next()
            if chunk.offset != self.received:
                raise RefusedError(Reason.WRONG_OFFSET, f"a chunk at {chunk.offset}, expected at {self.received}")
            data = chunk_data(chunk)
            self.received += len(data)
            if not data or self.received > self.header.nbytes:
                raise RefusedError(Reason.TOO_LARGE, "an empty chunk, or more bytes than were announced")
            sha256.update(data)
            if self.received == self.header.nbytes and sha256.digest() != self.header.digest:
                raise RefusedError(Reason.WRONG_DIGEST)
            yield chunk, data

    async def _next(self) -> pb.Chunk:
        try:
            async with asyncio.timeout(STALL_S):
                part = await self.context.read()
        except TimeoutError as error:
            raise RefusedError(Reason.WRONG_OFFSET, f"the trainer stalled after {self.received} bytes") from error
        if not isinstance(part, pb.UpdatePart) or part.WhichOneof("body") != "chunk":
            raise RefusedError(Reason.MALFORMED, f"no chunk after {self.received} bytes")
        return part.chunk

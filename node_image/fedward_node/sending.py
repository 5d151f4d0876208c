"""Sends an update over one `SubmitUpdate` call, from wherever the receiver wants it, and brings back the answer."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, cast

import grpc

from fedward_protocol.tensors.chunks import Compression, read_chunks
from fedward_protocol.tensors.frames import update_part
from fedward_protocol.tensors.pace import Pace
from fedward_protocol.wire import federation_pb2 as pb

UpdateCall = grpc.aio.StreamStreamCall[bytes, pb.UpdateReply]
SubmitUpdate = grpc.aio.StreamStreamMultiCallable[bytes, pb.UpdateReply]


def submitter(channel: grpc.aio.Channel) -> SubmitUpdate:
    """Return `SubmitUpdate` on a channel, to be written with parts that are serialised already."""
    method = "/fedward.v1.Federation/SubmitUpdate"
    callable_: object = channel.stream_stream(method, response_deserializer=pb.UpdateReply.FromString)
    return cast("SubmitUpdate", callable_)


class Line:
    """The way that one call's chunks take."""

    def __init__(
        self,
        call: UpdateCall,
        sending: Callable[[int], object] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin.

        Args:
            call: where to send.
            sending: told how many bytes are about to go, each time before they do.
            clock: seconds from anywhere.
        """
        self._call, self._sending, self._clock, self._pace = call, sending, clock, Pace()

    @property
    def size(self) -> int:
        """How many bytes of the file the next chunk may hold."""
        return self._pace.size

    async def send(self, part: bytes) -> None:
        """Send an `UpdatePart` that holds a chunk.

        Raises:
            grpc.aio.AioRpcError, asyncio.InvalidStateError: the call is over.
        """
        # Before it goes: the next round's order may cut this call off while the bytes are on their way.
        self._sending(len(part))
        began = self._clock()
        await self._call.write(part)
        self._pace.took(self._clock() - began)


async def send_update(
    call: UpdateCall,
    header: pb.UpdateHeader,
    path: Path,
    compression: Compression,
    sending: Callable[[int], object] = lambda _: None,
) -> pb.UpdateReply:
    """Send the header, and the file at `path` as far as the receiver asks for it; return its receipt or refusal.

    Args:
        call: to the receiver, nothing sent yet.
        header: what the file is.
        path: the file.
        compression: of each chunk.
        sending: told how many bytes are about to go, each time before they do.

    Raises:
        grpc.aio.AioRpcError: the call broke.
        ConnectionError: the call ended without an answer.
        OSError: the file cannot be read.
    """
    reply = await send_header(call, header)
    while reply.WhichOneof("body") == "resume_from":
        reply = await answer_while(call, _send_chunks(call, path, reply.resume_from, compression, Line(call, sending)))
    return reply


async def send_header(call: UpdateCall, header: pb.UpdateHeader) -> pb.UpdateReply:
    """Send the header and return the first answer.

    Raises:
        grpc.aio.AioRpcError: the call broke.
        ConnectionError: the call ended without an answer.
    """
    try:
        await call.write(pb.UpdatePart(header=header).SerializeToString())
    except asyncio.InvalidStateError as error:
        raise ConnectionError("the call ended before its header was sent") from error
    return await _answer(call)


async def answer_while(call: UpdateCall, sending: Coroutine[Any, Any, None]) -> pb.UpdateReply:
    """Run `sending`, which writes to the call, until the receiver has answered: it may refuse long before the end.

    Raises:
        grpc.aio.AioRpcError: the call broke.
        ConnectionError: the call ended without an answer.
        Exception: whatever `sending` raised.
    """
    listening, writing = asyncio.create_task(_answer(call)), asyncio.create_task(sending)
    try:
        await asyncio.wait({listening, writing}, return_when=asyncio.FIRST_COMPLETED)
        if not listening.done():
            # The call is over: the listener learns why.
            with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
                writing.result()
        return await listening
    finally:
        writing.cancel()
        listening.cancel()
        await asyncio.gather(writing, listening, return_exceptions=True)


async def _send_chunks(call: UpdateCall, path: Path, offset: int, compression: Compression, line: Line) -> None:
    for chunk in read_chunks(path, offset, compression, lambda: line.size):
        await line.send(update_part(*chunk))
    await call.done_writing()


async def _answer(call: UpdateCall) -> pb.UpdateReply:
    reply = await call.read()
    if not isinstance(reply, pb.UpdateReply):
        raise ConnectionError("the call ended without a receipt")
    return reply

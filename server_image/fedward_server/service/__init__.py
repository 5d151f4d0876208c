"""The gRPC service: one call a file, over the job that they all serve."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import cast

import grpc

from fedward_protocol.wire import federation_pb2 as pb
from fedward_server.job import Job
from fedward_server.service.attend import attend
from fedward_server.service.dismiss import dismiss
from fedward_server.service.fetch import fetch
from fedward_server.service.observe import observe
from fedward_server.service.refusing import Context, is_hub
from fedward_server.service.submit import submit
from fedward_server.service.transferring import transfer

TRANSFERS = 8
"""Streams of models and updates that move at a time in each direction: what bounds the memory, however many sites."""


class Aggregator:
    """Serves one job."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._downloads, self._uploads = asyncio.Semaphore(TRANSFERS), asyncio.Semaphore(TRANSFERS)
        self.was_seen_to_the_end = asyncio.Event()
        """Set once the hub has left after the job's end."""

    def handler(self) -> grpc.GenericRpcHandler:
        """Return the handler to register; it sends models as bytes, which the generated one cannot."""
        return grpc.method_handlers_generic_handler(
            "fedward.v1.Federation",
            {
                "Attend": grpc.stream_stream_rpc_method_handler(
                    self.attend, pb.SiteMessage.FromString, pb.HubMessage.SerializeToString
                ),
                "FetchModel": grpc.unary_stream_rpc_method_handler(self.fetch_model, pb.FetchModelRequest.FromString),
                "SubmitUpdate": grpc.stream_stream_rpc_method_handler(
                    self.submit_update, pb.UpdatePart.FromString, pb.UpdateReply.SerializeToString
                ),
                "Observe": grpc.unary_stream_rpc_method_handler(
                    self.observe, pb.ObserveRequest.FromString, pb.Observation.SerializeToString
                ),
                "Dismiss": grpc.unary_unary_rpc_method_handler(
                    self.dismiss, pb.DismissRequest.FromString, pb.DismissReply.SerializeToString
                ),
            },
        )

    # gRPC takes a call for asynchronous only where the method itself is a coroutine or an async generator.

    async def attend(self, request_iterator: object, context: object) -> AsyncIterator[pb.HubMessage]:
        """See `attend`."""
        messages = cast("AsyncIterator[pb.SiteMessage]", request_iterator)
        async with aclosing(attend(self._job, messages, cast("Context", context))) as answers:
            async for message in answers:
                yield message

    async def fetch_model(self, request: pb.FetchModelRequest, context: object) -> None:
        """See `fetch`."""
        called = cast("Context", context)
        await transfer(self._job, "FetchModel", fetch(self._job, self._downloads, request, called), called)

    async def submit_update(self, request_iterator: object, context: object) -> None:
        """See `submit`."""
        parts, called = cast("AsyncIterator[pb.UpdatePart]", request_iterator), cast("Context", context)
        await transfer(self._job, "SubmitUpdate", submit(self._job, self._uploads, parts, called), called)

    async def observe(self, request: pb.ObserveRequest, context: object) -> AsyncIterator[pb.Observation]:
        """See `observe`."""
        called = cast("Context", context)
        by_hub = is_hub(self._job, called)
        try:
            async with aclosing(observe(self._job, request, called)) as observations:
                async for observation in observations:
                    yield observation
        finally:
            if by_hub and self._job.state.is_over:
                self.was_seen_to_the_end.set()
            self._job.bell.ring()

    async def dismiss(self, request: pb.DismissRequest, context: object) -> pb.DismissReply:
        """See `dismiss`."""
        return await dismiss(self._job, request, cast("Context", context))

"""A hub that believes everything and remembers it, a real server; it fails where a test says."""

from __future__ import annotations

import asyncio
import hashlib
from collections import defaultdict

import grpc

from fedward_protocol import refusals, tls
from fedward_protocol.wire import federation_pb2 as pb
from fedward_protocol.wire.federation_pb2_grpc import (
    FederationServicer,
    add_FederationServicer_to_server,
)

MIB = 1 << 20


class Hub(FederationServicer):
    """An aggregator that believes everything and remembers it."""

    def __init__(self, credentials):
        self.credentials = credentials
        self.port = 0
        self.models = {}
        self.heard = asyncio.Queue()
        self.certificates = []
        self.peers = []
        self.headers = []
        self.stored = {}
        self.complete = {}
        self.offsets = []
        self.fetches = []
        self.requests = []
        self.fetch_dies_after = None
        self.dies_after = None
        self.holds_after = None
        self.holding, self.go_on = asyncio.Event(), asyncio.Event()
        self.refusal = None
        self.receipts_lost = 0
        self.keeps_receipts = False
        self.cut_off = 0
        self.instruction = None
        self.attached = asyncio.Event()
        self.heartbeat_s = 0.05
        self._streams = []
        self._told = asyncio.Event()
        self._locks = defaultdict(asyncio.Lock)
        self._server = None

    async def start(self):
        self._server = grpc.aio.server(options=tls.SERVER_OPTIONS)
        add_FederationServicer_to_server(self, self._server)
        credentials = tls.server_credentials(self.credentials, require_client=True)
        self.port = self._server.add_secure_port(f"127.0.0.1:{self.port}", credentials)
        await self._server.start()

    async def stop(self):
        await self._server.stop(None)

    def say(self, message):
        """Say something to whoever attends."""
        for stream in self._streams:
            stream.put_nowait(message)

    def attending(self):
        """Say how many streams are open."""
        return len(self._streams)

    async def hear(self, kind):
        """Wait for a message of a kind from the site, passing over others."""
        while True:
            message = await self.heard.get()
            if message.WhichOneof("body") == kind:
                return getattr(message, kind)

    async def until(self, condition):
        """Wait until something that the hub was told makes the condition true."""
        async with asyncio.timeout(20):
            while not condition():
                self._told.clear()
                await self._told.wait()

    async def Attend(self, messages, context):  # noqa: N802 - the wire's name
        self.certificates += context.auth_context()["x509_pem_cert"]
        self.peers.append(context.peer())
        said = asyncio.Queue()
        listening = asyncio.create_task(self._listen(messages, said))
        try:
            said.put_nowait(pb.HubMessage(welcome=pb.Welcome(version=1, attempt=1, heartbeat_seconds=self.heartbeat_s)))
            if self.instruction is not None:
                said.put_nowait(self.instruction)
            self._streams.append(said)
            self.attached.set()
            while (message := await said.get()) is not None:
                yield message
        finally:
            listening.cancel()
            self._streams.remove(said)
            self._told.set()

    async def _listen(self, messages, said):
        async for message in messages:
            self.heard.put_nowait(message)
        said.put_nowait(None)

    async def FetchModel(self, request, context):  # noqa: N802
        self.fetches.append(request.offset)
        self.requests.append(request)
        self._told.set()
        if request.digest not in self.models:
            await refusals.abort(context, refusals.RefusedError(refusals.Reason.MODEL_UNKNOWN))
        model = self.models[request.digest]
        for count, start in enumerate(range(request.offset, len(model), MIB)):
            if count == self.fetch_dies_after:
                self.fetch_dies_after = None
                await context.abort(grpc.StatusCode.UNAVAILABLE, "died")
            yield pb.Chunk(offset=start, data=model[start : start + MIB])

    async def SubmitUpdate(self, parts, context):  # noqa: N802
        header = (await anext(parts)).header
        self.headers.append(header)
        self._told.set()
        if self.refusal is not None:
            yield pb.UpdateReply(refusal=pb.Refusal(reason=self.refusal.value, message="as told"))
            return
        async with self._locks[header.digest]:
            try:
                async for reply in self._take(header, parts, context):
                    yield reply
            except asyncio.CancelledError:
                self.cut_off += 1
                self._told.set()
                raise

    async def _take(self, header, parts, context):
        bytes_so_far = self.stored.setdefault(header.digest, bytearray())
        if header.digest not in self.complete:
            self.offsets.append(len(bytes_so_far))
            yield pb.UpdateReply(resume_from=len(bytes_so_far))
            count = 0
            async for part in parts:
                assert part.chunk.offset == len(bytes_so_far)
                bytes_so_far += part.chunk.data
                count += 1
                if count == self.holds_after:
                    self.holds_after = None
                    self.holding.set()
                    await self.go_on.wait()
                if count == self.dies_after:
                    self.dies_after = None
                    await context.abort(grpc.StatusCode.UNAVAILABLE, "died")
            assert hashlib.sha256(bytes_so_far).digest() == header.digest
            self.complete[header.digest] = header
            self._told.set()
        if self.keeps_receipts:
            self.holding.set()
            await self.go_on.wait()
        if self.receipts_lost:
            self.receipts_lost -= 1
            self._told.set()
            await context.abort(grpc.StatusCode.UNAVAILABLE, "died before the receipt")
        yield pb.UpdateReply(
            receipt=pb.Receipt(job=header.job, site=header.site, round=header.round, digest=header.digest)
        )

    async def Observe(self, request, context):  # noqa: N802
        await context.abort(grpc.StatusCode.UNIMPLEMENTED)
        yield

"""One update on its way out: passed on as it comes where no filter is asked for, else spooled, filtered and sent.

Nothing leaves before the ledger was charged and the audit log says so; any doubt is a refusal.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from pathlib import Path

from fedward_node.gateway import outgoing
from fedward_node.gateway.accounting import Cost
from fedward_node.gateway.incoming import Incoming, SubmitContext
from fedward_node.gateway.layouts import Layouts
from fedward_node.gateway.ledger import Ledger, ReleaseKey
from fedward_node.gateway.metrics import Metrics
from fedward_node.gateway.orders import check_speaks_for
from fedward_node.gateway.records import Records
from fedward_node.gateway.releases import Ready, Releases, Source
from fedward_node.gateway.site_rounds import SiteRounds, Submitting
from fedward_node.gateway.upstream import Upstream
from fedward_node.sending import Line, UpdateCall, answer_while, send_header, send_update
from fedward_protocol.plan import Plan
from fedward_protocol.reasons import Reason, RefusedError
from fedward_protocol.tensors.chunks import Compression, pack_chunk
from fedward_protocol.tensors.frames import update_part
from fedward_protocol.tensors.update import largest_update_nbytes
from fedward_protocol.wire import federation_pb2 as pb
from fedward_protocol.work_order import WorkOrder

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Desk:
    """What every submission passes: the books, the audit log, the filtered files."""

    ledger: Ledger
    records: Records
    releases: Releases
    layouts: Layouts
    metrics: Metrics
    rounds: SiteRounds


@dataclass(frozen=True, slots=True)
class Submission:
    """One `SubmitUpdate` call of a trainer whose order was found good."""

    desk: Desk
    order: WorkOrder
    plan: Plan
    context: SubmitContext
    upstream: Upstream

    async def run(self) -> pb.UpdateReply:
        """Bring the update out and return the aggregator's answer.

        Raises:
            RefusedError: it may not leave, or is not what it was announced to be.
            grpc.aio.AioRpcError: the aggregator refused the call, or cannot be reached.
            ConnectionError: the aggregator ended the call without an answer.
            OSError: the update cannot be spooled.
        """
        part = await self.context.read()
        if not isinstance(part, pb.UpdatePart) or part.WhichOneof("body") != "header":
            raise RefusedError(Reason.MALFORMED, "the first message of the stream is not a header")
        check_speaks_for(self.order, part.header.job, part.header.site)
        header = outgoing.header(part.header)
        with self.desk.rounds.submitting(self.order, header) as submitting:
            try:
                reply = await self._bring_out(header, submitting)
            except asyncio.CancelledError:
                # The hub's next word often comes before its receipt, and the trainer then cuts this call off.
                if submitting.is_out:
                    self._arrived(header)
                raise
            submitting.answered(reply)
            if reply.WhichOneof("body") == "receipt":
                self._arrived(header)
        return reply

    async def _bring_out(self, header: pb.UpdateHeader, submitting: Submitting) -> pb.UpdateReply:
        chain = (*self.plan.privacy.filters, *self.order.floor)
        if not chain:
            return await self._pass_on(header, submitting)
        encoding = self.plan.transport.encoding
        source = Source(self.order.job.uid, self.order.attempt, header.round, header.digest, chain, encoding)
        return await self._send_filtered(header, source, submitting)

    # ------------------------------------------------------------ without filters

    async def _pass_on(self, header: pb.UpdateHeader, submitting: Submitting) -> pb.UpdateReply:
        """Relay the update as it comes; its last chunk waits for the digest and for the audit log."""
        spent = await self._charge(header, header.digest, None)
        header.release.CopyFrom(pb.Release(spent_epsilon=spent, nbytes_in=header.nbytes))
        await self._record("update-begins", header)
        incoming = Incoming(self.context, header)
        call = self.upstream.submit()
        try:
            reply = await send_header(call, header)
            if reply.WhichOneof("body") == "resume_from":
                reply = await answer_while(call, self._relay(incoming, call, reply.resume_from, submitting))
            return reply
        except RefusedError as refused:
            # Some of it has left. The record comes after the fact, so its own failure changes nothing any more.
            await self._record("update-broken-off", header, received=incoming.received, reason=refused.reason.value)
            raise
        finally:
            call.cancel()

    async def _relay(self, incoming: Incoming, call: UpdateCall, start: int, submitting: Submitting) -> None:
        line = Line(call, self.desk.metrics.of(self.order.job).up.inc)
        async for chunk, data in incoming.chunks():
            if incoming.received == incoming.header.nbytes:
                await self._let_out(incoming.header, submitting)
            while start < incoming.received:
                part, nbytes = _next_part(chunk, data, start, line.size)
                await line.send(part)
                start += nbytes
        await call.done_writing()

    # ------------------------------------------------------------ with filters

    async def _send_filtered(self, raw: pb.UpdateHeader, source: Source, submitting: Submitting) -> pb.UpdateReply:
        """Filter the update, unless that was done before, and send what came out."""
        releases = self.desk.releases
        receipt = releases.receipt(source)
        if receipt is not None:
            return pb.UpdateReply(receipt=receipt)
        ready = releases.find(source)
        if ready is None:
            ready = await self._filter(raw, source)
            self.desk.rounds.filtered(self.order, raw.round, submitting, ready.seconds)
        submitting.nbytes = ready.nbytes
        spent = await self._charge(raw, bytes.fromhex(ready.digest), ready.cost)
        header = _released(raw, ready, spent)
        await self._let_out(header, submitting)
        call, up = self.upstream.submit(), self.desk.metrics.of(self.order.job).up
        try:
            reply = await send_update(call, header, ready.path, self.plan.transport.compression, up.inc)
        finally:
            call.cancel()
        if reply.WhichOneof("body") == "receipt":
            releases.acknowledge(source, reply.receipt)
        return reply

    async def _filter(self, raw: pb.UpdateHeader, source: Source) -> Ready:
        layout = await self.desk.layouts.of(raw.job, raw.model_digest, self.upstream)
        largest = largest_update_nbytes(layout)
        if raw.nbytes > largest:
            raise RefusedError(Reason.TOO_LARGE, f"{raw.nbytes} bytes, an update of this model has {largest} at most")
        with self.desk.releases.spool(source) as path:
            await self._spool(raw, path)
        return await self.desk.releases.make(source, path, layout)

    async def _spool(self, raw: pb.UpdateHeader, path: Path) -> None:
        with path.open("wb") as file:
            async for _, data in Incoming(self.context, raw).chunks():
                file.write(data)

    # ------------------------------------------------------------ the books

    async def _charge(self, raw: pb.UpdateHeader, released: bytes, cost: Cost | None) -> float:
        """Charge the dataset; return the ε it has given away, 0 where an update left without a guarantee."""
        order = self.order
        key = ReleaseKey(order.job.uid, order.attempt, raw.round, raw.digest, released)
        # In a thread, because it waits for the disk.
        spent = await asyncio.to_thread(self.desk.ledger.charge, order.dataset, key, cost, order.budget)
        self.desk.metrics.show_spent(order.dataset, spent.epsilon)
        return spent.epsilon or 0.0

    async def _let_out(self, header: pb.UpdateHeader, submitting: Submitting) -> None:
        """Write down that the whole update is about to have left, and count it."""
        await self._record("update", header)
        self.desk.rounds.let_out(self.order, header.round, submitting)
        filters = list(header.release.filters)
        _log.info("update let out", extra={"round": header.round, "nbytes": header.nbytes, "filters": filters})
        self.desk.metrics.of(self.order.job).released.inc()

    def _arrived(self, header: pb.UpdateHeader) -> None:
        """Show what the trainer measured, now that the hub has it too."""
        self.desk.metrics.of(self.order.job).trainer.evaluated(header.report.metrics)

    async def _record(self, event: str, header: pb.UpdateHeader, **more: int | str) -> None:
        release = header.release
        await self.desk.records.write(
            event,
            self.order,
            round=header.round,
            digest=header.digest.hex(),
            nbytes=header.nbytes,
            samples=header.samples,
            metrics={name: [mean.sum, mean.count] for name, mean in sorted(header.report.metrics.items())},
            filters=list(release.filters),
            epsilon=release.epsilon,
            delta=release.delta,
            spent_epsilon=release.spent_epsilon,
            meaningful=release.meaningful,
            **more,
        )


def _next_part(chunk: pb.Chunk, data: bytes, start: int, size: int) -> tuple[bytes, int]:
    """Frame what follows in a chunk from `start` on, as it came where that is all of it; tell how many bytes it holds.

    Args:
        chunk: as it came.
        data: its bytes of the file.
        start: where in the file to go on.
        size: how many bytes of the file may go at once.
    """
    if chunk.offset == start and len(data) <= size:
        # `chunk.data` would copy once more what is at hand already.
        packed = chunk.data if chunk.compression else data
        return update_part(start, packed, chunk.compression), len(data)
    piece = data[start - chunk.offset :][:size]
    compression: Compression = "zstd" if chunk.compression else "none"
    return update_part(*pack_chunk(start, piece, compression)), len(piece)


def _released(raw: pb.UpdateHeader, ready: Ready, spent: float) -> pb.UpdateHeader:
    """Make the header of a filtered update from the one that the trainer sent."""
    header = pb.UpdateHeader()
    header.CopyFrom(raw)
    header.digest, header.nbytes = bytes.fromhex(ready.digest), ready.nbytes
    header.release.CopyFrom(
        pb.Release(
            filters=ready.filters,
            epsilon=ready.epsilon,
            delta=ready.delta,
            spent_epsilon=spent,
            meaningful=ready.meaningful,
            nbytes_in=raw.nbytes,
            filter_seconds=ready.seconds,
        )
    )
    return header

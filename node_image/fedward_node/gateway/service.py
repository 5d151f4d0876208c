"""The gateway's gRPC service: each call shows its order first, and whatever goes wrong becomes a reason."""

from __future__ import annotations

import asyncio
import errno
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import grpc

from fedward_node.gateway import outgoing
from fedward_node.gateway.incoming import SubmitContext
from fedward_node.gateway.orders import Orders, check_speaks_for
from fedward_node.gateway.plans import Plans
from fedward_node.gateway.relay import Attendance, AttendContext, relay_model
from fedward_node.gateway.submission import Desk, Submission
from fedward_node.gateway.upstream import Upstreams
from fedward_protocol import logs, refusals
from fedward_protocol.plan import JobIdentity
from fedward_protocol.reasons import Reason, RefusedError, describe
from fedward_protocol.repeats import RepeatsByJob
from fedward_protocol.wire import federation_pb2 as pb
from fedward_protocol.work_order import WorkOrder

TRANSFERS = 4
"""Models and updates of one job on the move at once.

A trainer needs one, and two while a broken call of its own is still being cleared away. Each takes a few chunks of
memory, and a trainer that opens many slows down nobody but itself.
"""

_SERVICE = "fedward.v1.Federation"
_FULL_DISK = (errno.ENOSPC, errno.EDQUOT)
_OWN_WORDS = frozenset(
    {
        Reason.HUB_UNREACHABLE,
        Reason.WORK_ORDER_EXPIRED,
        Reason.BUDGET_SPENT,
        Reason.AUDIT_FAILED,
        Reason.STORAGE_FULL,
    }
)
"""Reasons whose particulars are the site's own; those of the others may repeat what the trainer sent."""

_log = logging.getLogger(__name__)

FetchContext = grpc.aio.ServicerContext[pb.FetchModelRequest, bytes]


class Gateway:
    """Serves this site's trainers, several at once."""

    def __init__(
        self, orders: Orders, plans: Plans, upstreams: Upstreams, desk: Desk, clock: Callable[[], float]
    ) -> None:
        self._orders = orders
        self._plans = plans
        self._upstreams = upstreams
        self._desk = desk
        self._clock = clock
        self._outages = RepeatsByJob()
        self._transfers: dict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(TRANSFERS))

    def handler(self) -> grpc.GenericRpcHandler:
        """Return the handler to register; it leaves models unparsed, which the generated one cannot."""
        return grpc.method_handlers_generic_handler(
            _SERVICE,
            {
                "Attend": grpc.stream_stream_rpc_method_handler(
                    self.attend, pb.SiteMessage.FromString, pb.HubMessage.SerializeToString
                ),
                "FetchModel": grpc.unary_stream_rpc_method_handler(self.fetch_model, pb.FetchModelRequest.FromString),
                "SubmitUpdate": grpc.stream_stream_rpc_method_handler(
                    self.submit_update, pb.UpdatePart.FromString, pb.UpdateReply.SerializeToString
                ),
            },
        )

    def sweep(self, now: datetime) -> None:
        """Delete what is kept for jobs whose work orders have expired: those that never finished leave nothing behind.

        On the event loop, and all at once, so that no job can begin between the decision and the deed.

        Raises:
            OSError: the disk is broken.
        """
        left = self._plans.sweep(now)
        self._desk.releases.keep({job.uid for job in left})
        self._desk.metrics.keep(left)

    def close(self) -> None:
        """Wait for what runs in threads."""
        self._desk.releases.close()

    async def attend(self, _: object, context: AttendContext) -> None:
        """Relay a trainer's presence until the hub ends it or the order expires."""
        async with self._answering(context, "Attend") as order:
            self._desk.metrics.show_budget(order)
            desk = self._desk
            attendance = Attendance(order, self._plans, desk.records, desk.metrics, desk.rounds, self._clock)
            async with self._upstreams.to(order) as upstream:
                self._outages.of(order.job.uid).over()
                try:
                    async with asyncio.timeout(self._orders.seconds_left(order)):
                        await attendance.relay(context, upstream)
                except TimeoutError as error:
                    raise RefusedError(Reason.WORK_ORDER_EXPIRED, order.expires.isoformat()) from error
            if attendance.is_finished:
                self._desk.releases.forget(order.job.uid)

    async def fetch_model(self, request: pb.FetchModelRequest, context: FetchContext) -> None:
        """Relay a model to a trainer."""
        async with self._answering(context, "FetchModel") as order:
            check_speaks_for(order, request.job, order.site)
            self._plans.of(order)
            leaving = outgoing.fetch(request)
            async with self._transfers[order.job.uid], self._upstreams.to(order) as upstream:
                await self._desk.records.write("model", order, digest=request.digest.hex(), offset=request.offset)
                await relay_model(leaving, context, upstream, self._desk.metrics.of(order.job))

    async def submit_update(self, _: object, context: SubmitContext) -> None:
        """Bring an update out; what is wrong with it is answered in band, who sends it by status."""
        async with self._answering(context, "SubmitUpdate") as order:
            plan = self._plans.of(order)
            async with self._transfers[order.job.uid], self._upstreams.to(order) as upstream:
                try:
                    reply = await Submission(self._desk, order, plan, context, upstream).run()
                except RefusedError as refused:
                    reply = pb.UpdateReply(refusal=refusals.to_message(refused))
            if reply.WhichOneof("body") == "refusal":
                self._note(order.job, refusals.from_message(reply.refusal))
            await context.write(reply)

    def _order(self, context: grpc.aio.ServicerContext[Any, Any]) -> WorkOrder:
        order = self._orders.check(context.invocation_metadata() or ())
        logs.about(job=f"{order.job.namespace}/{order.job.name}", attempt=order.attempt)
        self._desk.metrics.of(order.job).trainer.heard()
        return order

    @asynccontextmanager
    async def _answering(self, context: grpc.aio.ServicerContext[Any, Any], call: str) -> AsyncIterator[WorkOrder]:
        """Give the order that a call shows, if it is good, and turn what goes wrong into a status with its reason.

        A refusal of the hub's goes down unchanged.
        """
        job = None
        try:
            order = self._order(context)
            job = order.job
            yield order
        except RefusedError as refused:
            reason = refused
        except grpc.aio.AioRpcError as error:
            reason = refusals.from_rpc_error(error) or RefusedError(Reason.HUB_UNREACHABLE, error.details() or "")
        except ConnectionError as error:
            reason = RefusedError(Reason.HUB_UNREACHABLE, str(error))
        except OSError as error:
            if error.errno not in _FULL_DISK:
                raise
            reason = RefusedError(Reason.STORAGE_FULL, str(error))
        else:
            return
        self._note(job, reason)
        if reason.reason is Reason.HUB_UNREACHABLE:
            self._desk.metrics.call_failed(call)
        await refusals.abort(context, reason)

    def _note(self, job: JobIdentity | None, refused: RefusedError) -> None:
        self._desk.metrics.refused(job, refused.reason)
        # Trainers repeat what an outage cuts off, for as long as it lasts.
        is_outage = refused.reason is Reason.HUB_UNREACHABLE
        if job is not None and is_outage and not self._outages.of(job.uid).is_news(str(refused)):
            return
        words = str(refused) if refused.reason in _OWN_WORDS else describe(refused.reason)
        _log.warning("refused: %s", words, extra={"reason": refused.reason.value})

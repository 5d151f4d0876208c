"""Relays a trainer's presence and the models it fetches, letting out what `outgoing` rebuilds and nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable

import grpc

from fedward_node.gateway import outgoing
from fedward_node.gateway.metrics import JobSeries, Metrics
from fedward_node.gateway.orders import check_speaks_for
from fedward_node.gateway.plans import Plans
from fedward_node.gateway.records import Records
from fedward_node.gateway.site_rounds import SiteRounds
from fedward_node.gateway.upstream import Upstream
from fedward_protocol import refusals
from fedward_protocol.reasons import Reason, RefusedError
from fedward_protocol.wire import federation_pb2 as pb
from fedward_protocol.work_order import WorkOrder

PROGRESS_EVERY_S = 0.5
"""Progress leaves no more often than this, unless the stage is a new one: it is for people to look at."""

_log = logging.getLogger(__name__)

AttendContext = grpc.aio.ServicerContext[pb.SiteMessage, pb.HubMessage]
AttendCall = grpc.aio.StreamStreamCall[pb.SiteMessage, pb.HubMessage]


class Attendance:
    """One trainer's stream, relayed both ways until either end closes it.

    Attributes:
        is_finished: whether the hub has said that the job is finished.
    """

    def __init__(
        self,
        order: WorkOrder,
        plans: Plans,
        records: Records,
        metrics: Metrics,
        rounds: SiteRounds,
        clock: Callable[[], float],
    ) -> None:
        self._order = order
        self._plans = plans
        self._records = records
        self._series = metrics.of(order.job)
        self._rounds = rounds
        self._clock = clock
        self._asked: bytes | None = None
        self._stage = ""
        self._progress_at = 0.0
        self.is_finished = False

    async def relay(self, context: AttendContext, upstream: Upstream) -> None:
        """Relay until the hub ends the stream; cancelled when the trainer goes away.

        Raises:
            RefusedError: the trainer said what it may not say.
            grpc.aio.AioRpcError: the hub refused, or cannot be reached.
        """
        with self._series.trainer.attending():
            hello = await self._hello(context)
            call = upstream.stub.Attend()
            try:
                await call.write(pb.SiteMessage(hello=hello))
                await self._both_ways(context, call)
            finally:
                call.cancel()

    async def _hello(self, context: AttendContext) -> pb.Hello:
        message = await _heard(context)
        if message is None or message.WhichOneof("body") != "hello":
            raise RefusedError(Reason.MALFORMED, "the first message of the stream is not a hello")
        check_speaks_for(self._order, message.hello.job, message.hello.site)
        plan = self._plans.learn(self._order, message.hello.plan)
        self._series.trainer.judged_by = plan.evaluation.metric
        hello = outgoing.hello(message.hello)
        await self._records.write(
            "attend", self._order, training_cases=hello.training_cases, validation_cases=hello.validation_cases
        )
        _log.info("trainer attends", extra={"training": hello.training_cases, "validation": hello.validation_cases})
        return hello

    async def _both_ways(self, context: AttendContext, call: AttendCall) -> None:
        up, down = asyncio.create_task(self._up(context, call)), asyncio.create_task(self._down(call, context))
        try:
            await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
            if up.done():
                up.result()
            await down
        finally:
            up.cancel()
            down.cancel()
            await asyncio.gather(up, down, return_exceptions=True)

    async def _up(self, context: AttendContext, call: AttendCall) -> None:
        # The hub's end may be over: the other direction learns why.
        with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
            while (message := await _heard(context)) is not None:
                self._series.trainer.heard()
                if (leaving := await self._let_out(message)) is not None:
                    await call.write(leaving)
            await call.done_writing()

    async def _down(self, call: AttendCall, context: AttendContext) -> None:
        # The call to the hub is up once the hub has said something: that it may be written to tells nothing.
        message: object = await call.read()
        with self._series.trainer.connected():
            while isinstance(message, pb.HubMessage):
                self._note(message)
                await context.write(message)
                message = await call.read()

    def _note(self, message: pb.HubMessage) -> None:
        """Remember what the hub has asked for."""
        match message.WhichOneof("body"):
            case "train":
                self._rounds.instructed(self._order, message.train)
                if message.train.evaluate:
                    self._asked = message.train.model.digest
            case "evaluate":
                self._rounds.superseded(self._order)
                self._asked = message.evaluate.model.digest
            case "wait":
                self._rounds.superseded(self._order)
            case "finish":
                self.is_finished = True
                self._rounds.superseded(self._order)
            case "abort":
                self._rounds.ended(self._order, refusals.from_message(message.abort).reason.value)
            case _:
                pass

    async def _let_out(self, message: pb.SiteMessage) -> pb.SiteMessage | None:
        """Rebuild a message, or drop it."""
        match message.WhichOneof("body"):
            case "heartbeat":
                return pb.SiteMessage(heartbeat=pb.Heartbeat())
            case "progress":
                return self._progress(message.progress)
            case "evaluation":
                return await self._evaluation(message.evaluation)
            case "failure":
                failure = outgoing.failure(message.failure)
                # Its words may name files or patients: they stay in the trainer's own log.
                _log.error("the trainer cannot take part; its log says more", extra={"reason": failure.reason})
                self._rounds.ended(self._order, failure.reason)
                await self._records.write("failure", self._order, reason=failure.reason)
                return pb.SiteMessage(failure=failure)
            case _:
                return None

    def _progress(self, message: pb.Progress) -> pb.SiteMessage | None:
        progress, now = outgoing.progress(message, self._order.exports), self._clock()
        self._series.trainer.progressed(message)
        self._rounds.progressed(self._order, progress)
        if progress.stage == self._stage and now - self._progress_at < PROGRESS_EVERY_S:
            return None
        self._stage, self._progress_at = progress.stage, now
        return pb.SiteMessage(progress=progress)

    async def _evaluation(self, message: pb.Evaluation) -> pb.SiteMessage | None:
        """Let one evaluation out for each time that the hub asked for one."""
        evaluation = outgoing.evaluation(message)
        if evaluation.model_digest != self._asked:
            _log.warning("dropped an evaluation that the hub did not ask for")
            return None
        self._asked = None
        await self._records.write(
            "evaluation",
            self._order,
            round=evaluation.round,
            model=evaluation.model_digest.hex(),
            metrics={name: [mean.sum, mean.count] for name, mean in sorted(evaluation.metrics.items())},
        )
        _log.info("evaluation let out", extra={"round": evaluation.round})
        self._series.evaluations.inc()
        self._series.trainer.evaluated(evaluation.metrics)
        return pb.SiteMessage(evaluation=evaluation)


async def _heard(context: AttendContext) -> pb.SiteMessage | None:
    """Return what the trainer says next, None when it says no more."""
    message: object = await context.read()
    return message if isinstance(message, pb.SiteMessage) else None


async def relay_model(
    request: pb.FetchModelRequest,
    context: grpc.aio.ServicerContext[pb.FetchModelRequest, bytes],
    upstream: Upstream,
    series: JobSeries,
) -> None:
    """Pass a model's chunks on as they came, one at a time and unparsed; the trainer checks the digest.

    Raises:
        grpc.aio.AioRpcError: the hub refused, or cannot be reached.
    """
    call = upstream.fetch_raw(request)
    try:
        async for chunk in call:
            series.down.inc(len(chunk))
            await context.write(chunk)
    finally:
        call.cancel()

"""A site's spans of each round, made from what passes the gateway: a trainer has no network, and is not believed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import grpc

from fedward_protocol import refusals
from fedward_protocol.reasons import Reason, RefusedError
from fedward_protocol.tracing.spans import RoundTrace, Sink, Span, Value
from fedward_protocol.wire import federation_pb2 as pb
from fedward_protocol.work_order import WorkOrder

MOST_STAGES = 16
"""Of one round, and tries as many; a trainer that reports or tries without end fills nobody's disk."""
MOST_ROUNDS = 64
"""Known at a time, the last of each job; of more, the oldest is forgotten."""

_STAGES = ("fetch", "evaluate", "train")
"""What a trainer reports and only its reports tell of; the rest the gateway does, or sees, itself."""


@dataclass
class _Known:
    """The last round that a site was asked to train in, and what its trainer is doing."""

    trace: RoundTrace
    began_at: float
    model_nbytes: int = 0
    stage: str = ""
    stage_at: float = 0.0
    stages: int = 0
    is_out: bool = False
    """Whether the whole update has left."""
    tries: int = 0
    """Of bringing it out, that go on now."""
    tried: int = 0
    """How often that was begun, and the round itself begun again."""
    is_over: bool = False
    """Whether it is over for this site; kept until the hub's next, so that a trainer's word opens it no second time."""


@dataclass
class Submitting:
    """One try to bring an update out."""

    began_at: float
    nbytes: int
    error: str | None = None
    is_traced: bool = field(default=True, init=False)
    is_out: bool = field(default=False, init=False)
    """Whether the whole update has left."""
    is_over: bool = field(default=False, init=False)
    """Whether the site's part in the round ends with it."""

    def answered(self, reply: pb.UpdateReply) -> None:
        """Take the hub's answer."""
        if reply.WhichOneof("body") == "receipt":
            self.is_over = True
        else:
            self.error = refusals.from_message(reply.refusal).reason.value


class SiteRounds:
    """The last round of each job, and the spans of what was done in it.

    Args:
        sink: takes the spans; None where nobody traces, and then nothing is kept.
        now: the wall clock, Unix seconds.
    """

    def __init__(self, sink: Sink | None, now: Callable[[], float]) -> None:
        self._sink = sink
        self._now = now
        self._rounds: dict[str, _Known] = {}

    def instructed(self, order: WorkOrder, train: pb.Train) -> None:
        """Take it that the hub asks for a round; the same may be asked again after a reconnection."""
        known = self._rounds.get(order.job.uid)
        same = known if known is not None and known.trace == _trace(order, train.round) else None
        if same is not None and (not same.is_over or same.tried >= MOST_STAGES):
            return
        self.superseded(order)
        opened = self._opened(order, train.round)
        opened.model_nbytes = train.model.nbytes
        if same is not None:  # the trainer had given it up
            opened.stages, opened.tried = same.stages, same.tried + 1

    def progressed(self, order: WorkOrder, progress: pb.Progress) -> None:
        """Take it that the trainer is in a stage of the open round; what it says of any other is left out."""
        known = self._open(order)
        if known is None or known.trace.round != progress.round or known.stage == progress.stage:
            return
        self._end_stage(known, order.site)
        if progress.stage in _STAGES and known.stages < MOST_STAGES:
            known.stage, known.stage_at, known.stages = progress.stage, self._now(), known.stages + 1

    def superseded(self, order: WorkOrder) -> None:
        """Take it that the hub has gone on from the open round: with the site's update, if that has left."""
        known = self._open(order)
        if known is None or (known.is_out and known.tries):
            return  # the try that brought the update out ends with the hub's receipt, a moment later
        self.ended(order, None if known.is_out else "Superseded")

    def ended(self, order: WorkOrder, error: str | None = None) -> None:
        """Take it that the open round, if there is one, is over for this site."""
        known = self._open(order)
        if known is not None:
            self._end(known, order.site, error)

    def filtered(self, order: WorkOrder, number: int, tried: Submitting, seconds: float) -> None:
        """Take it that an update has just been filtered, and is to be sent now."""
        tried.began_at = self._now()
        if tried.is_traced:
            trace = _trace(order, number)
            self._tell(trace.stage(order.site, "filter", tried.began_at - seconds, tried.began_at, {}))

    def let_out(self, order: WorkOrder, number: int, tried: Submitting) -> None:
        """Take it that the whole update is on its way."""
        tried.is_out = True
        known = self._open(order)
        if known is not None and known.trace == _trace(order, number):
            known.is_out = True

    @contextmanager
    def submitting(self, order: WorkOrder, header: pb.UpdateHeader) -> Iterator[Submitting]:
        """Time one try to bring an update out; the round is over for the site once the hub has given its receipt.

        Where a round is known, an update for any other is left out, and so is one for a round that is over.
        """
        trace, tried = _trace(order, header.round), Submitting(self._now(), header.nbytes)
        known = self._rounds.get(order.job.uid)
        if known is None:
            known = self._opened(order, header.round)  # a gateway that was restarted has not heard the instruction
        if known.is_over or known.trace != trace:
            tried.is_traced = False
            yield tried
            return
        self._end_stage(known, order.site)
        tried.is_traced = known.tried < MOST_STAGES
        known.tries, known.tried = known.tries + 1, known.tried + 1
        try:
            yield tried
        except asyncio.CancelledError:
            # The hub's next word often comes before its receipt, and the trainer then cuts this call off.
            tried.is_over = known.is_out
            tried.error = None if known.is_out else "Cancelled"
            raise
        except BaseException as error:
            tried.error = _reason(error)
            raise
        finally:
            known.tries -= 1
            ends = tried.is_over and not known.is_over
            if tried.is_traced or ends:
                sent: dict[str, Value] = {"fedward.nbytes": tried.nbytes}
                self._tell(trace.stage(order.site, "submit", tried.began_at, self._now(), sent, tried.error))
            if ends:
                self._end(known, order.site, None)

    def _open(self, order: WorkOrder) -> _Known | None:
        known = self._rounds.get(order.job.uid)
        return known if known is not None and not known.is_over else None

    def _opened(self, order: WorkOrder, number: int) -> _Known:
        opened = _Known(_trace(order, number), self._now())
        if self._sink is not None:
            self._rounds.pop(order.job.uid, None)
            self._rounds[order.job.uid] = opened
            if len(self._rounds) > MOST_ROUNDS:
                del self._rounds[next(iter(self._rounds))]
        return opened

    def _end(self, known: _Known, site: str, error: str | None) -> None:
        known.is_over = True
        self._end_stage(known, site)
        self._tell(known.trace.at_site(site, known.began_at, self._now(), error))

    def _end_stage(self, known: _Known, site: str) -> None:
        if known.stage:
            fetched: dict[str, Value] = {"fedward.nbytes": known.model_nbytes} if known.stage == "fetch" else {}
            self._tell(known.trace.stage(site, known.stage, known.stage_at, self._now(), fetched))
            known.stage = ""

    def _tell(self, span: Span) -> None:
        if self._sink is not None:
            self._sink(span)


def _trace(order: WorkOrder, number: int) -> RoundTrace:
    return RoundTrace(order.job, order.attempt, number)


def _reason(error: BaseException) -> str:
    if isinstance(error, grpc.aio.AioRpcError):
        told = refusals.from_rpc_error(error)
        return (told.reason if told is not None else Reason.HUB_UNREACHABLE).value
    if isinstance(error, RefusedError):
        return error.reason.value
    return type(error).__name__

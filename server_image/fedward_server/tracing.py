"""A round's spans at the hub, told from the journal's events: the round, its updates, the wait and the aggregation."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

from fedward_protocol.plan import Plan
from fedward_protocol.tracing.spans import RoundTrace, Sink, Span, Value
from fedward_server import events
from fedward_server.job import Job


class RoundSpans:
    """Takes the events in order and gives the spans that each completes."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._attempt = 0
        self._open: RoundTrace | None = None
        self._opened_at = 0.0
        self._arrivals: list[float] = []
        self._closed: events.RoundClosed | None = None

    def tell(self, event: events.AnyEvent) -> Iterator[Span]:
        """Take the next event; most complete nothing."""
        match event:
            case events.AttemptStarted():
                self._attempt = event.attempt
                # A closed round stays what it was: the sites' spans are of the attempt that it was open in.
                if self._open is not None and self._closed is None:
                    self._begin(self._open.round, event.at)
            case events.TrainingStarted():
                self._begin(1, event.at)
            case events.UpdateArrived() if self._open is not None:
                yield self._update(self._open, event)
            case events.RoundClosed():
                self._closed = event
            case events.ModelMade() if self._open is not None and self._closed is not None:
                yield from self._made(self._open, self._closed, event)
                self._begin(self._closed.round + 1, event.at)
            case events.JobFailed() if self._open is not None:
                yield self._open.whole(self._opened_at, event.at, {}, event.reason.value)

    def _begin(self, number: int, at: float) -> None:
        is_one = number <= self._plan.rounds.count
        self._open = RoundTrace(self._plan.job, self._attempt, number) if is_one else None
        self._opened_at, self._arrivals, self._closed = at, [], None

    def _update(self, trace: RoundTrace, event: events.UpdateArrived) -> Span:
        self._arrivals.append(event.at)
        attributes: dict[str, Value] = {
            "fedward.site": event.site,
            "fedward.nbytes": event.nbytes,
            "fedward.samples": event.samples,
        }
        return trace.at_hub("update", event.at - event.submit_seconds, event.at, attributes)

    def _made(self, trace: RoundTrace, closed: events.RoundClosed, event: events.ModelMade) -> Iterator[Span]:
        yield trace.at_hub("wait", min(self._arrivals), closed.at, {"fedward.sites_missing": closed.missing})
        yield trace.at_hub("aggregate", event.at - event.seconds, event.at, {"fedward.nbytes": event.model.nbytes})
        counted: dict[str, Value] = {"fedward.updates": len(closed.counted), "fedward.why": closed.why}
        yield trace.whole(self._opened_at, event.at, counted)


@asynccontextmanager
async def traced(job: Job, sink: Sink | None) -> AsyncIterator[None]:
    """Give the sink the spans of what happens within the block; it follows the journal, so the job knows nothing of it.

    Without a sink nothing is followed.
    """
    if sink is None:
        yield
        return
    spans, read = RoundSpans(job.plan), 0

    async def follow(sink: Sink) -> None:
        nonlocal read
        read, happened = await job.journal.read(read)
        for event in happened:
            for span in spans.tell(event):
                sink(span)

    async def keep_following(sink: Sink) -> None:
        with job.bell.listen() as changed:
            while True:
                changed.clear()
                await follow(sink)
                await changed.wait()

    await follow(lambda _: None)  # what happened before was told by the process that it happened in
    following = asyncio.create_task(keep_following(sink))
    try:
        yield
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await follow(sink)

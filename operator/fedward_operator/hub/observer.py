"""Listens to the aggregators of running jobs: each streams its job's progress to whoever shows the hub's identity."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable

import grpc

from fedward_operator.hub.aggregators import Aggregators, Key
from fedward_operator.hub.progress import Progress, read_progress
from fedward_operator.kube.backoff import Backoff
from fedward_protocol.wire import federation_pb2 as pb
from fedward_protocol.wire import federation_pb2_grpc as rpc

_log = logging.getLogger(__name__)

_BACKOFF = Backoff(first=0.5, cap=10.0)


class Observer:
    """One stream for each job that runs; what was heard last is kept until the job is let go."""

    def __init__(self, aggregators: Aggregators, heard: Callable[[Key], None], chance: random.Random) -> None:
        """Make an observer.

        Args:
            aggregators: the way to each, gone anew for each stream.
            heard: told that a job has news.
            chance: spreads reconnections.
        """
        self._aggregators, self._heard, self._chance = aggregators, heard, chance
        self._streams: dict[tuple[Key, str, int], asyncio.Task[None]] = {}
        self._latest: dict[Key, tuple[str, int, Progress]] = {}

    def latest(self, key: Key, uid: str, attempt: int) -> Progress | None:
        """Return what the aggregator of this attempt said last."""
        found = self._latest.get(key)
        return found[2] if found and found[:2] == (uid, attempt) else None

    def follow(self, key: Key, uid: str, attempt: int) -> None:
        """Listen to the aggregator of this attempt, and to no other of this job."""
        wanted = (key, uid, attempt)
        current = self._streams.get(wanted)
        if current is not None and not current.done():
            return
        self.leave(key)
        self._streams[wanted] = asyncio.create_task(self._listen(key, uid, attempt))

    def leave(self, key: Key) -> None:
        """Stop listening to a job's aggregator; what it said is kept."""
        for stream in [stream for stream in self._streams if stream[0] == key]:
            self._streams.pop(stream).cancel()

    def forget(self, key: Key) -> None:
        """Stop listening, and forget what was said."""
        self.leave(key)
        self._latest.pop(key, None)

    async def close(self) -> None:
        """End every stream."""
        tasks = list(self._streams.values())
        self._streams.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _listen(self, key: Key, uid: str, attempt: int) -> None:
        failures = 0
        while True:
            try:
                await self._stream(key, uid, attempt)
                failures = 0
            except grpc.aio.AioRpcError as error:
                failures += 1
                if failures == 1 or failures % 30 == 0:
                    extra = {"job": "/".join(key), "code": error.code().name, "tries": failures}
                    _log.info("the aggregator does not answer", extra=extra)
            await asyncio.sleep(_BACKOFF.after(max(failures, 1), self._chance))

    async def _stream(self, key: Key, uid: str, attempt: int) -> None:
        async with self._aggregators.channel(key) as channel:
            request = pb.ObserveRequest(job=pb.JobRef(uid=uid, attempt=attempt), from_round=1 << 31)
            async for observation in rpc.FederationStub(channel).Observe(request):
                if observation.HasField("status"):
                    self._latest[key] = uid, attempt, read_progress(observation.status)
                    self._heard(key)

"""Tells a job's aggregator which of its sites were revoked, again and again until it has written that down."""

from __future__ import annotations

import asyncio
import logging
import random

import grpc

from fedward_operator.hub.aggregators import Aggregators, Key
from fedward_operator.kube.backoff import Backoff
from fedward_protocol.wire import federation_pb2 as pb
from fedward_protocol.wire import federation_pb2_grpc as rpc

_log = logging.getLogger(__name__)

_BACKOFF = Backoff(first=0.5, cap=10.0)
_CALL_S = 5.0

Wanted = tuple[Key, str, frozenset[str]]


class Dismissals:
    """What aggregators are still to be told; it may be lost at any instant, as their status says what they know."""

    def __init__(self, aggregators: Aggregators, chance: random.Random) -> None:
        """Make one; `chance` spreads repetitions."""
        self._aggregators, self._chance = aggregators, chance
        self._telling: dict[Key, tuple[Wanted, asyncio.Task[None]]] = {}

    def want(self, key: Key, uid: str, sites: frozenset[str]) -> None:
        """Have these sites dismissed, and no others: called whenever it is known which of a job's are still to be."""
        wanted = key, uid, sites
        current = self._telling.get(key)
        if current is not None and current[0] == wanted and not current[1].done():
            return
        self.forget(key)
        if sites:
            self._telling[key] = wanted, asyncio.create_task(self._tell(wanted))

    def forget(self, key: Key) -> None:
        """Tell a job's aggregator no more."""
        if key in self._telling:
            self._telling.pop(key)[1].cancel()

    async def close(self) -> None:
        """Tell nobody any more."""
        tasks = [task for _, task in self._telling.values()]
        for key in list(self._telling):
            self.forget(key)
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _tell(self, wanted: Wanted) -> None:
        key, uid, sites = wanted
        request = pb.DismissRequest(job=pb.JobRef(uid=uid), sites=sorted(sites))
        failures = 0
        while True:
            try:
                async with self._aggregators.channel(key) as channel:
                    await rpc.FederationStub(channel).Dismiss(request, timeout=_CALL_S)
            except grpc.aio.AioRpcError as error:
                failures += 1
                self._note(error, key, sites, failures)
                await asyncio.sleep(_BACKOFF.after(failures, self._chance))
            else:
                _log.info("revoked sites were dismissed", extra={"job": "/".join(key), "sites": sorted(sites)})
                return

    def _note(self, error: grpc.aio.AioRpcError, key: Key, sites: frozenset[str], failures: int) -> None:
        extra = {"job": "/".join(key), "sites": sorted(sites), "code": error.code().name, "tries": failures}
        if error.code() is grpc.StatusCode.UNIMPLEMENTED:
            if failures == 1:
                _log.error("the aggregator is too old to dismiss a site: suspend the job to stop it", extra=extra)
        elif failures == 1 or failures % 30 == 0:
            _log.warning("revoked sites are not dismissed yet: %s", error.details(), extra=extra)

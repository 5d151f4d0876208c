"""Watches a job from the hub's side: the aggregator's observations as they come, over mutual TLS."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import grpc

from fedward_protocol import tls
from fedward_protocol.identity import aggregator_name
from fedward_protocol.pki import Credentials
from fedward_protocol.plan import Plan
from fedward_protocol.wire import federation_pb2 as pb
from fedward_protocol.wire.federation_pb2_grpc import FederationStub

if TYPE_CHECKING:  # the class exists for type checkers alone
    from fedward_protocol.wire.federation_pb2_grpc import FederationAsyncStub

LAST_WORDS_S = 0.1
"""How long more is listened for after the job's last status."""
FINAL = frozenset({"Completed", "Failed"})
CONNECTS_WITHIN_S = 30.0
"""After which a connection that does not come about is begun anew, with the credentials of that moment."""

_LONGEST_RETRY_S = 5.0
# The aggregator takes a second or so to start, and on one machine asking again costs nothing.
_IMPATIENT = {"grpc.initial_reconnect_backoff_ms": 100, "grpc.max_reconnect_backoff_ms": 500}
_Call = grpc.aio.UnaryStreamCall[pb.ObserveRequest, pb.Observation]
_log = logging.getLogger(__name__)


async def observe(
    address: str,
    credentials: Callable[[], Credentials],
    plan: Plan,
    attempt: int,
    take: Callable[[pb.Observation], None],
    draw: Callable[[], float],
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    missed: Callable[[str], None] = _log.debug,
) -> None:
    """Hand each observation to `take`, from the first round on, until the job's last word; reconnects for ever.

    After a reconnect the history is told again from the start, so `take` must not mind hearing a thing twice.

    Args:
        address: the aggregator, host:port.
        credentials: the observer's, asked for at each new connection: they may be renewed meanwhile.
        plan: the job.
        attempt: the attempt to watch.
        take: what to do with an observation.
        draw: uniform in [0, 1), for the wait before a reconnect.
        sleep: how to wait.
        missed: told why each connection came to nothing, or broke off.
    """
    options = (
        *(option for option in tls.CHANNEL_OPTIONS if option[0] not in _IMPATIENT),
        *_IMPATIENT.items(),
        ("grpc.ssl_target_name_override", aggregator_name(plan.job.name, plan.job.namespace, plan.federation)),
        # The aggregator is on this machine or in this cluster; a proxy would only be in the way.
        ("grpc.enable_http_proxy", 0),
    )
    request = pb.ObserveRequest(job=pb.JobRef(uid=plan.job.uid, attempt=attempt))
    failures = 0

    def heard(observation: pb.Observation) -> None:
        nonlocal failures
        failures = 0
        take(observation)

    while True:
        async with grpc.aio.secure_channel(address, tls.channel_credentials(credentials()), options) as channel:
            stub: FederationAsyncStub = FederationStub(channel)
            try:
                await asyncio.wait_for(channel.channel_ready(), CONNECTS_WITHIN_S)
                if await _follow(stub.Observe(request), heard):
                    return
                missed("it ended the call")
            except TimeoutError:
                missed("it does not answer, or one of the two does not believe the other's certificate")
            except grpc.aio.AioRpcError as error:
                missed(f"{error.code().name}: {error.details()}")
        failures += 1
        await sleep(min(_LONGEST_RETRY_S, 0.2 * 2.0 ** min(failures, 10)) * (0.5 + draw() / 2))


async def _follow(call: _Call, heard: Callable[[pb.Observation], None]) -> bool:
    """Read one stream to its end; say whether the job's last word was on it."""
    over = False
    try:
        while True:
            # After the last status comes what had not been told of the history, all at once if at all.
            observation = await asyncio.wait_for(call.read(), LAST_WORDS_S if over else None)
            if not isinstance(observation, pb.Observation):
                return over
            heard(observation)
            over = over or observation.status.state in FINAL
    except TimeoutError:
        return over
    finally:
        call.cancel()

"""Connections from the gateway to the aggregators that work orders name."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import grpc

from fedward_node.sending import SubmitUpdate, submitter
from fedward_protocol import tls
from fedward_protocol.pki import Credentials
from fedward_protocol.reasons import Reason, RefusedError
from fedward_protocol.wire import federation_pb2 as pb
from fedward_protocol.wire.federation_pb2_grpc import FederationStub
from fedward_protocol.work_order import WorkOrder

if TYPE_CHECKING:  # the class exists for type checkers alone
    from fedward_protocol.wire.federation_pb2_grpc import FederationAsyncStub

REACH_S = 5.0
"""How long to wait for a connection: less than a trainer's patience with a silent gateway."""

_FETCH_MODEL = "/fedward.v1.Federation/FetchModel"

FetchRaw = grpc.aio.UnaryStreamMultiCallable[pb.FetchModelRequest, bytes]


@dataclass(frozen=True, slots=True)
class Upstream:
    """An aggregator.

    Attributes:
        stub: its service.
        fetch_raw: `FetchModel`, with answers as the bytes that came.
        submit: `SubmitUpdate`, with parts that are serialised already.
    """

    stub: FederationAsyncStub
    fetch_raw: FetchRaw
    submit: SubmitUpdate


@dataclass
class _Open:
    channel: grpc.aio.Channel
    users: int = 0


class Upstreams:
    """One channel for each aggregator, open while anybody uses it: jobs come and go, a gateway stays for months.

    Args:
        credentials: reads the site's certificate and key; asked for each new channel, as they are renewed.
    """

    def __init__(self, credentials: Callable[[], Credentials]) -> None:
        self._credentials = credentials
        self._open: dict[tuple[str, str], _Open] = {}

    @asynccontextmanager
    async def to(self, order: WorkOrder) -> AsyncIterator[Upstream]:
        """Give a connection to the order's aggregator; an HTTP proxy named in the environment is honoured.

        Raises:
            RefusedError: HUB_UNREACHABLE, before anything is recorded as leaving.
        """
        key = (order.aggregator, order.aggregator_name)
        if key not in self._open:
            self._open[key] = _Open(self._channel(*key))
        used = self._open[key]
        used.users += 1
        try:
            await _reach(used.channel)
            fetch_raw: object = used.channel.unary_stream(_FETCH_MODEL, pb.FetchModelRequest.SerializeToString)
            yield Upstream(FederationStub(used.channel), cast("FetchRaw", fetch_raw), submitter(used.channel))
        finally:
            used.users -= 1
            if used.users == 0:
                del self._open[key]
                await used.channel.close()

    def _channel(self, address: str, name: str) -> grpc.aio.Channel:
        options = (*tls.CHANNEL_OPTIONS, ("grpc.ssl_target_name_override", name))
        return grpc.aio.secure_channel(address, tls.channel_credentials(self._credentials()), options=options)


async def _reach(channel: grpc.aio.Channel) -> None:
    """Wait until the channel is connected, or has failed to."""
    try:
        async with asyncio.timeout(REACH_S):
            while (state := channel.get_state(try_to_connect=True)) is not grpc.ChannelConnectivity.READY:
                if state is grpc.ChannelConnectivity.TRANSIENT_FAILURE:
                    raise RefusedError(Reason.HUB_UNREACHABLE, "no connection")
                await channel.wait_for_state_change(state)
    except TimeoutError as error:
        raise RefusedError(Reason.HUB_UNREACHABLE, f"no connection within {REACH_S:.0f} s") from error

"""Connections from the gateway to the aggregators that work orders name."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

import grpc

from fedward_node.sending import SubmitUpdate, submitter
from fedward_protocol import tls
from fedward_protocol.certificate import Certificate
from fedward_protocol.proxy import Proxy, ProxyError, proxy_to
from fedward_protocol.reasons import Reason, RefusedError
from fedward_protocol.repeats import RepeatsByJob
from fedward_protocol.wire import federation_pb2 as pb
from fedward_protocol.wire.federation_pb2_grpc import FederationStub
from fedward_protocol.work_order import WorkOrder

if TYPE_CHECKING:  # the class exists for type checkers alone
    from fedward_protocol.wire.federation_pb2_grpc import FederationAsyncStub

REACH_S = 5.0
"""How long to wait for a connection: less than a trainer's patience with a silent gateway."""

_WHY_S = 1.0
_NO_CALL = "/fedward.v1.Federation/NoSuchCall"
_FETCH_MODEL = "/fedward.v1.Federation/FetchModel"

_log = logging.getLogger(__name__)

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
    certificate: Certificate
    way: str
    users: int = 0


class Upstreams:
    """One channel for each aggregator, open while anybody uses it: jobs come and go, a gateway stays for months.

    A channel keeps the certificate that it was opened with, for reconnections too. So once that is renewed, new calls
    get a channel of their own, and the old one goes with the last call that is still on it.

    Args:
        certificate: reads the site's certificate, key and authorities; asked for each call, as they are renewed.
        now: the wall clock.
    """

    def __init__(self, certificate: Callable[[], Certificate], now: Callable[[], datetime]) -> None:
        self._certificate = certificate
        self._now = now
        self._connecting = RepeatsByJob()
        self._open: dict[tuple[str, str], _Open] = {}

    @asynccontextmanager
    async def to(self, order: WorkOrder) -> AsyncIterator[Upstream]:
        """Give a connection to the order's aggregator; an HTTP proxy named in the environment is honoured.

        Raises:
            RefusedError: HUB_UNREACHABLE, before anything is recorded as leaving.
        """
        key, certificate = (order.aggregator, order.aggregator_name), self._certificate()
        used = self._open.get(key)
        if used is None or used.certificate is not certificate:
            used = self._open[key] = _opened(*key, certificate)
            if self._connecting.of(order.job.uid).is_news(f"{key}{used.way}"):
                _log.info("connecting to %s at %s%s", order.aggregator_name, order.aggregator, used.way)
        used.users += 1
        try:
            await self._reach(used)
            fetch_raw: object = used.channel.unary_stream(_FETCH_MODEL, pb.FetchModelRequest.SerializeToString)
            yield Upstream(FederationStub(used.channel), cast("FetchRaw", fetch_raw), submitter(used.channel))
        finally:
            used.users -= 1
            if used.users == 0:
                if self._open.get(key) is used:
                    del self._open[key]
                await used.channel.close()

    async def _reach(self, used: _Open) -> None:
        """Wait until the channel is connected, or has failed to."""
        channel = used.channel
        try:
            async with asyncio.timeout(REACH_S):
                while (state := channel.get_state(try_to_connect=True)) is not grpc.ChannelConnectivity.READY:
                    if state is grpc.ChannelConnectivity.TRANSIENT_FAILURE:
                        # To one whose certificate is no good the aggregator says nothing and hangs up.
                        why = used.certificate.obstacle(self._now()) or await _why(channel)
                        raise RefusedError(Reason.HUB_UNREACHABLE, f"no connection{used.way}: {why}")
                    await channel.wait_for_state_change(state)
        except TimeoutError as error:
            raise RefusedError(Reason.HUB_UNREACHABLE, f"no connection{used.way} within {REACH_S:.0f} s") from error


def _opened(address: str, name: str, certificate: Certificate) -> _Open:
    proxy = _proxy_to(address)
    way = "" if proxy is None else f" through the proxy {proxy.address}"
    options = (*tls.CHANNEL_OPTIONS, ("grpc.ssl_target_name_override", name), _option(proxy))
    credentials = tls.channel_credentials(certificate.credentials)
    return _Open(grpc.aio.secure_channel(address, credentials, options=options), certificate, way)


def _proxy_to(address: str) -> Proxy | None:
    try:
        server = urlsplit(f"//{address}")
        return proxy_to(server.hostname or "", server.port or 0, os.environ)
    except (ProxyError, ValueError) as error:
        raise RefusedError(Reason.HUB_UNREACHABLE, str(error)) from error


def _option(proxy: Proxy | None) -> tuple[str, str | int]:
    """Tell gRPC our decision, as its own reading of the environment knows neither upper case nor ports."""
    return ("grpc.enable_http_proxy", 0) if proxy is None else ("grpc.http_proxy", proxy.url)


async def _why(channel: grpc.aio.Channel) -> str:
    """Ask what a channel's state does not say, and a call that fails with it does: a proxy's answer, for instance."""
    call: object = channel.unary_unary(_NO_CALL)
    try:
        await cast("Callable[..., Awaitable[bytes]]", call)(b"", timeout=_WHY_S)
    except grpc.aio.AioRpcError as error:
        return tls.explained(error.details() or error.code().name)
    return "connected a moment later"

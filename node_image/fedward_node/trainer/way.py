"""The way to the gateway. Whom to believe there is read anew, as an authority may take over while a job trains."""

from __future__ import annotations

import logging
from pathlib import Path
from types import TracebackType
from typing import Self

import grpc

from fedward_protocol import tls

_log = logging.getLogger(__name__)


class Way:
    """Channels to one gateway, one for each authority that its certificate may come from; closes as a context manager.

    Args:
        address: host:port.
        name: in the gateway's certificate.
        authority: file of the authorities, PEM, which whoever mounted it may replace.
    """

    def __init__(self, address: str, name: str, authority: Path) -> None:
        self._address, self._authority = address, authority
        self._options = (*tls.CHANNEL_OPTIONS, ("grpc.ssl_target_name_override", name))
        self._channels: dict[bytes, grpc.aio.Channel] = {}
        self._believed = authority.read_bytes()

    def channel(self) -> grpc.aio.Channel:
        """Return the channel for a new call; calls that are under way stay on theirs."""
        try:
            self._believed = self._authority.read_bytes()
        except OSError as error:
            _log.warning("the gateway's authority cannot be read again: %s", error)
        if self._believed not in self._channels:
            credentials = tls.channel_credentials(self._believed)
            self._channels[self._believed] = grpc.aio.secure_channel(self._address, credentials, self._options)
        return self._channels[self._believed]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for channel in self._channels.values():
            await channel.close()

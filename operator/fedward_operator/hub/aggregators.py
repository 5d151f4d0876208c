"""The way to the aggregator of a job: where it is, by which name, and what the operator shows it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import grpc

from fedward_protocol import tls
from fedward_protocol.identity import aggregator_name
from fedward_protocol.pki import Credentials

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Aggregators:
    """All jobs' aggregators.

    Attributes:
        credentials: the hub's identity, asked for each connection.
        address: host:port of a job's aggregator.
        federation: the SPIFFE trust domain.
    """

    credentials: Callable[[], Credentials]
    address: Callable[[Key], str]
    federation: str

    def channel(self, key: Key) -> grpc.aio.Channel:
        """Open a channel to a job's aggregator; whoever asks closes it."""
        namespace, name = key
        override = ("grpc.ssl_target_name_override", aggregator_name(name, namespace, self.federation))
        credentials = tls.channel_credentials(self.credentials())
        return grpc.aio.secure_channel(self.address(key), credentials, (*tls.CHANNEL_OPTIONS, override))

"""How two ends of Fedward connect over gRPC: transport security, flow control, keepalive, and who the peer is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

import grpc

from fedward_protocol.identity import Identity
from fedward_protocol.pki import Credentials
from fedward_protocol.reasons import Reason, RefusedError

Options = tuple[tuple[str, int], ...]

_COMMON: Options = (
    # A chunk is 1 MiB and little more; four leave room, and bound what one message can make us allocate.
    ("grpc.max_receive_message_length", 4 << 20),
    ("grpc.max_send_message_length", 4 << 20),
    # A work order (4 KiB at most, in base64) beside the usual headers.
    ("grpc.max_metadata_size", 16 << 10),
    # A peer that is silent for 5 s is asked, and 3 s later given up: 8 s together, below the 10 s that are promised.
    ("grpc.keepalive_time_ms", 5_000),
    ("grpc.keepalive_timeout_ms", 3_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    # Frames as large as they are useful: fewer of them for each chunk.
    ("grpc.http2.max_frame_size", 1 << 20),
    # Transfers are resumed by offset and receipts are idempotent, so the application itself repeats what is worth it.
    ("grpc.enable_retries", 0),
)

CHANNEL_OPTIONS: Options = (
    *_COMMON,
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 1_000),
    ("grpc.max_reconnect_backoff_ms", 5_000),
)
"""For a client's channel; add ("grpc.ssl_target_name_override", name) where the address is not the server's name."""

SERVER_OPTIONS: Options = (
    *_COMMON,
    # The client's pings come each 5 s, and are welcome.
    ("grpc.http2.min_ping_interval_without_data_ms", 2_000),
    ("grpc.http2.max_ping_strikes", 0),
)
"""For every server."""


_BY_THE_CLOCK = {
    "not yet valid": "the server's certificate is not valid yet by this machine's clock; check the clock",
    "certificate has expired": "the server's certificate has expired by this machine's clock",
}


def server_credentials(credentials: Credentials, *, require_client: bool) -> grpc.ServerCredentials:
    """Return a server's side of TLS (1.2 or newer); with `require_client`, of mutual TLS with the same authority."""
    return grpc.ssl_server_credentials(
        [(credentials.key_pem, credentials.cert_pem)],
        root_certificates=credentials.ca_pem if require_client else None,
        require_client_auth=require_client,
    )


def renewable_server_credentials(current: Callable[[], Credentials], *, require_client: bool) -> grpc.ServerCredentials:
    """Return a server's side of TLS whose certificate may be renewed while it serves; whoever serves keeps a reference.

    Args:
        current: asked at each new connection, from a thread of gRPC's own; connections that are open stay as they are.
        require_client: as for `server_credentials`.
    """

    def configuration(credentials: Credentials) -> grpc.ServerCertificateConfiguration:
        pairs = [(credentials.key_pem, credentials.cert_pem)]
        return grpc.ssl_server_certificate_configuration(pairs, credentials.ca_pem if require_client else None)

    shown = current()

    def renewed() -> grpc.ServerCertificateConfiguration | None:
        nonlocal shown
        latest = current()
        if latest == shown:
            return None
        shown = latest
        return configuration(latest)

    # None means "as before", which the type stubs leave out.
    fetcher = cast("Callable[[], grpc.ServerCertificateConfiguration]", renewed)
    return grpc.dynamic_ssl_server_credentials(configuration(shown), fetcher, require_client)


def channel_credentials(trust: Credentials | bytes) -> grpc.ChannelCredentials:
    """Return a client's side of TLS: with its own certificate, or, given the authority's PEM alone, without one."""
    if isinstance(trust, bytes):
        return grpc.ssl_channel_credentials(root_certificates=trust)
    return grpc.ssl_channel_credentials(trust.ca_pem, trust.key_pem, trust.cert_pem)


def explained(details: str) -> str:
    """Say of a connection's error, in gRPC's words, what it has to do with a clock, where it has."""
    return next((f"{meaning} ({details})" for sign, meaning in _BY_THE_CLOCK.items() if sign in details), details)


def peer_identity(context: grpc.aio.ServicerContext[Any, Any] | grpc.ServicerContext) -> Identity:
    """Return who is at the other end of a call, from the certificate that TLS has checked.

    Raises:
        RefusedError: CERTIFICATE_MISSING, or IDENTITY_MISMATCH when the certificate holds no identity of a federation.
    """
    properties = cast("Mapping[str, Iterable[bytes]]", context.auth_context())
    if "x509_pem_cert" not in properties:
        raise RefusedError(Reason.CERTIFICATE_MISSING)
    # Set by gRPC only where the certificate holds exactly one URI and that is a SPIFFE ID.
    uris = tuple(properties.get("peer_spiffe_id", ()))
    if len(uris) != 1:
        raise RefusedError(Reason.IDENTITY_MISMATCH, "the certificate holds no SPIFFE ID, or more than one")
    return Identity.parse(uris[0].decode("utf-8", "replace"))

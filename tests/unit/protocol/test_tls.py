"""Who gets through mutual TLS, as whom, and how a silent peer is noticed: on real gRPC servers."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from fedward_protocol import refusals, tls
from fedward_protocol.identity import Identity, gateway_name
from fedward_protocol.pki import Authority, Credentials
from fedward_protocol.reasons import Reason, RefusedError

FEDERATION = "fed.example"
SERVER_NAME = "brain-tumour.research.fed.example"
NOW = datetime.now(UTC)
HOUR = timedelta(hours=1)
WHO, BIG = "/test/Who", "/test/Big"

AUTHORITY = Authority.create(FEDERATION, NOW)
SERVER = AUTHORITY.issue(Identity(FEDERATION, "job", "0b1c2d3e"), [SERVER_NAME], NOW, HOUR)
NORTH = Identity(FEDERATION, "site", "north")


def site(authority: Authority = AUTHORITY, now: datetime = NOW, lifetime: timedelta = HOUR) -> Credentials:
    return authority.issue(NORTH, [gateway_name("north", FEDERATION)], now, lifetime)


def with_names(authority: Authority, names: Iterable[x509.GeneralName]) -> Credentials:
    """A certificate of the authority with any names at all, as another tool might have issued it."""
    key = ec.generate_private_key(ec.SECP256R1())
    ca = x509.load_pem_x509_certificate(authority.ca_pem)
    certificate = (
        x509.CertificateBuilder(ca.subject, x509.Name([]), key.public_key(), 1234, NOW - HOUR, NOW + HOUR)
        .add_extension(x509.SubjectAlternativeName(names), critical=True)
        .sign(authority._key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    key_pem = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return Credentials(certificate.public_bytes(encoding), key_pem, authority.ca_pem)


@asynccontextmanager
async def server(
    credentials: Credentials = SERVER, *, require_client: bool = True, options: tls.Options = tls.SERVER_OPTIONS
) -> AsyncIterator[int]:
    """Answer `Who` with the caller's SPIFFE URI, and `Big` with what was sent; yields the port."""

    async def who(_: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        try:
            return tls.peer_identity(context).uri.encode()
        except RefusedError as error:
            await refusals.abort(context, error)

    async def big(request: bytes, _: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        return request

    running = grpc.aio.server(options=options)
    methods = {"Who": grpc.unary_unary_rpc_method_handler(who), "Big": grpc.unary_unary_rpc_method_handler(big)}
    running.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test", methods),))
    port = running.add_secure_port("127.0.0.1:0", tls.server_credentials(credentials, require_client=require_client))
    await running.start()
    try:
        yield port
    finally:
        await running.stop(None)


async def call(port: int, trust: Credentials | bytes, method: str = WHO, request: bytes = b"") -> bytes:
    options = (*tls.CHANNEL_OPTIONS, ("grpc.ssl_target_name_override", SERVER_NAME))
    async with grpc.aio.secure_channel(f"127.0.0.1:{port}", tls.channel_credentials(trust), options) as channel:
        answer: bytes = await channel.unary_unary(method)(request, timeout=10)
        return answer


async def failure(port: int, trust: Credentials | bytes, **arguments: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(port, trust, **arguments)
    return caught.value


@pytest.mark.parametrize(
    "identity",
    [NORTH, Identity(FEDERATION, "hub"), Identity(FEDERATION, "job", "0b1c2d3e")],
    ids=["site", "hub", "job"],
)
async def test_the_server_knows_a_caller_by_its_certificate(identity: Identity) -> None:
    async with server() as port:
        caller = AUTHORITY.issue(identity, [], NOW, HOUR)
        assert (await call(port, caller)).decode() == identity.uri


async def test_a_caller_without_a_certificate_does_not_get_through() -> None:
    async with server() as port:
        assert (await failure(port, AUTHORITY.ca_pem)).code() is grpc.StatusCode.UNAVAILABLE


async def test_where_no_certificate_is_asked_for_the_caller_is_nobody() -> None:
    async with server(require_client=False) as port:
        for trust in (AUTHORITY.ca_pem, site()):
            error = await failure(port, trust)
            assert error.code() is grpc.StatusCode.UNAUTHENTICATED
            refused = refusals.from_rpc_error(error)
            assert refused is not None
            assert refused.reason is Reason.CERTIFICATE_MISSING


@pytest.mark.parametrize(
    "caller",
    [
        site(now=NOW - 3 * HOUR),
        site(now=NOW + HOUR),
        Credentials(*(lambda c: (c.cert_pem, c.key_pem))(site(Authority.create(FEDERATION, NOW))), AUTHORITY.ca_pem),
    ],
    ids=["expired", "not yet valid", "of a foreign authority with the same name"],
)
async def test_a_certificate_that_is_not_good_does_not_get_through(caller: Credentials) -> None:
    async with server() as port:
        assert (await failure(port, caller)).code() is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize(
    "names",
    [
        [x509.DNSName("north.fed.example")],
        [x509.UniformResourceIdentifier("https://fed.example/site/north")],
        [x509.UniformResourceIdentifier("spiffe://fed.example/admin/north")],
        [x509.UniformResourceIdentifier(NORTH.uri), x509.UniformResourceIdentifier("spiffe://fed.example/hub")],
        [x509.DNSName(NORTH.uri.replace(":", "-").replace("/", "-"))],
    ],
    ids=["a DNS name alone", "no SPIFFE ID", "a SPIFFE ID of no known role", "two SPIFFE IDs", "something like one"],
)
async def test_a_good_certificate_of_no_identity_is_refused(names: list[x509.GeneralName]) -> None:
    async with server() as port:
        error = await failure(port, with_names(AUTHORITY, names))
        assert error.code() is grpc.StatusCode.PERMISSION_DENIED
        refused = refusals.from_rpc_error(error)
        assert refused is not None
        assert refused.reason is Reason.IDENTITY_MISMATCH


@pytest.mark.parametrize(
    "impostor",
    [
        Authority.create(FEDERATION, NOW).issue(Identity(FEDERATION, "hub"), [SERVER_NAME], NOW, HOUR),
        AUTHORITY.issue(Identity(FEDERATION, "hub"), ["other.research.fed.example"], NOW, HOUR),
        AUTHORITY.issue(Identity(FEDERATION, "hub"), [SERVER_NAME], NOW - 3 * HOUR, HOUR),
    ],
    ids=["of a foreign authority", "by another name", "expired"],
)
async def test_a_caller_does_not_talk_to_a_server_that_is_not_the_one_it_means(impostor: Credentials) -> None:
    async with server(impostor, require_client=False) as port:
        assert (await failure(port, site())).code() is grpc.StatusCode.UNAVAILABLE


async def test_a_message_may_hold_a_chunk_but_not_much_more() -> None:
    async with server() as port:
        assert len(await call(port, site(), method=BIG, request=b"x" * (3 << 20))) == 3 << 20
        assert (await failure(port, site(), method=BIG, request=b"x" * (5 << 20))).code() is (
            grpc.StatusCode.RESOURCE_EXHAUSTED
        )


async def test_a_work_order_of_full_length_fits_the_headers() -> None:
    async with server() as port:
        options = (*tls.CHANNEL_OPTIONS, ("grpc.ssl_target_name_override", SERVER_NAME))
        credentials = tls.channel_credentials(site())
        async with grpc.aio.secure_channel(f"127.0.0.1:{port}", credentials, options) as channel:
            metadata = (("fedward-work-order-bin", bytes(range(256)) * 16),)
            assert await channel.unary_unary(WHO)(b"", metadata=metadata, timeout=10) == NORTH.uri.encode()


@pytest.mark.parametrize(
    ("issued", "why"),
    [
        (NOW + HOUR, "the server's certificate is not valid yet by this machine's clock; check the clock ("),
        (NOW - 2 * HOUR, "the server's certificate has expired by this machine's clock ("),
    ],
    ids=["a clock behind", "a clock ahead"],
)
async def test_what_a_certificate_and_a_clock_do_not_agree_on_is_said_plainly(issued: datetime, why: str) -> None:
    dated = AUTHORITY.issue(Identity(FEDERATION, "job", "0b1c2d3e"), [SERVER_NAME], issued, HOUR)
    async with server(dated) as port:
        options = (*tls.CHANNEL_OPTIONS, ("grpc.ssl_target_name_override", SERVER_NAME))
        async with grpc.aio.secure_channel(f"127.0.0.1:{port}", tls.channel_credentials(site()), options) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await channel.unary_unary(WHO)(b"", timeout=10)
    said = caught.value.details() or ""
    assert tls.explained(said) == f"{why}{said})"


def test_other_errors_of_a_connection_are_left_as_they_are() -> None:
    assert tls.explained("Connection refused") == "Connection refused"


@pytest.mark.parametrize(("version", "accepted"), [("TLSv1_1", False), ("TLSv1_2", True), ("TLSv1_3", True)])
async def test_tls_is_1_2_or_newer(tmp_path: Path, version: str, accepted: bool) -> None:
    site().write(tmp_path)
    context = ssl.create_default_context(cafile=tmp_path / "ca.crt")
    context.load_cert_chain(tmp_path / "tls.crt", tmp_path / "tls.key")
    context.set_alpn_protocols(["h2"])
    context.set_ciphers("ALL:@SECLEVEL=0")
    with contextlib.suppress(DeprecationWarning):
        context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
    async with server() as port:
        attempt = asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=SERVER_NAME)
        if not accepted:
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await attempt
            return
        _, writer = await attempt
        assert writer.get_extra_info("ssl_object").version().replace(".", "_") == version
        writer.close()

"""A gateway's certificate is renewed while it serves."""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime, timedelta

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from grpc_health.v1 import health_pb2, health_pb2_grpc

from fedward_protocol.certificate import CertificateFolder
from fedward_protocol.identity import Identity, gateway_name
from fedward_protocol.pki import Authority
from fedward_protocol.wire import federation_pb2 as pb

FEDERATION = "north.example"
DAY = timedelta(days=1)


def der(credentials):
    return x509.load_pem_x509_certificate(credentials.cert_pem).public_bytes(Encoding.DER)


async def shown(site):
    """Connect, and return the certificate that is shown."""
    context = ssl.create_default_context(cadata=site.authority.ca_pem.decode())
    context.set_alpn_protocols(["h2"])
    _, writer = await asyncio.open_connection(
        "127.0.0.1", site.port, ssl=context, server_hostname=gateway_name("mercy", FEDERATION)
    )
    certificate = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return certificate


async def is_healthy(site):
    stub = health_pb2_grpc.HealthStub(site.channel())
    answer = await stub.Check(health_pb2.HealthCheckRequest())
    return answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_the_standard_health_service_answers_without_a_work_order(site):
    assert await is_healthy(site)


async def test_a_new_connection_is_shown_the_renewed_certificate_and_open_ones_go_on(site, hub):
    call = await site.say_hello()
    renewed = site.certify()
    assert await shown(site) == der(renewed)
    hub.say(pb.HubMessage(wait=pb.Wait()))
    while (message := await call.read()).WhichOneof("body") != "wait":
        assert message.WhichOneof("body") == "heartbeat"
    call.cancel()


async def test_the_hub_is_shown_the_renewed_certificate_at_the_next_connection(site, hub):
    renewed = site.certify()
    (await site.say_hello()).cancel()
    assert hub.certificates == [renewed.cert_pem]


async def test_renewing_an_expired_certificate_lets_trainers_in_again(site):
    site.certify(timedelta(minutes=-1))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await is_healthy(site)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    site.certify()
    assert await is_healthy(site)


async def test_a_certificate_half_written_is_passed_over_until_its_key_is_there(site, tmp_path):
    before = await shown(site)
    key = (tmp_path / "tls" / "tls.key").read_bytes()
    renewed = site.certify()
    (tmp_path / "tls" / "tls.key").write_bytes(key)
    assert await shown(site) == before
    renewed.write(tmp_path / "tls")
    assert await shown(site) == der(renewed)


def another_sites(authority):
    return authority.issue(Identity(FEDERATION, "site", "other"), [], datetime.now(UTC), DAY)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda site, folder: (folder / "tls.crt").unlink(),
        lambda site, folder: (folder / "tls.crt").write_bytes(b"no certificate"),
        lambda site, folder: (folder / "tls.key").write_bytes(b""),
        lambda site, folder: another_sites(site.authority).write(folder),
        lambda site, folder: another_sites(Authority.create(FEDERATION, datetime.now(UTC))).write(folder),
    ],
    ids=["no file", "no certificate", "no key", "another site's", "another authority's and site's"],
)
async def test_what_cannot_be_used_is_passed_over_for_the_certificate_before(site, tmp_path, spoil):
    before = await shown(site)
    spoil(site, tmp_path / "tls")
    assert await shown(site) == before
    assert await shown(site) == before


def test_a_key_is_never_shown_with_another_keys_certificate(tmp_path):
    authority = Authority.create(FEDERATION, datetime.now(UTC))
    before, renewed = (
        authority.issue(Identity(FEDERATION, "site", "mercy"), [], datetime.now(UTC), DAY) for _ in range(2)
    )
    before.write(tmp_path)
    folder = CertificateFolder(tmp_path)
    (tmp_path / "tls.crt").write_bytes(renewed.cert_pem)
    assert folder.current().credentials == before
    (tmp_path / "tls.key").write_bytes(renewed.key_pem)
    assert folder.current().credentials == renewed


def test_a_certificate_that_is_passed_over_is_said_once(tmp_path, caplog):
    authority = Authority.create(FEDERATION, datetime.now(UTC))
    authority.issue(Identity(FEDERATION, "site", "mercy"), [], datetime.now(UTC), DAY).write(tmp_path)
    folder = CertificateFolder(tmp_path)
    another_sites(authority).write(tmp_path)
    assert [folder.current().identity.name for _ in range(3)] == ["mercy"] * 3
    assert len([record for record in caplog.records if "passed over" in record.message]) == 1


def test_authorities_that_cannot_be_read_are_passed_over_for_those_before(tmp_path):
    authority = Authority.create(FEDERATION, datetime.now(UTC))
    before = another_sites(authority)
    before.write(tmp_path)
    folder = CertificateFolder(tmp_path)
    (tmp_path / "ca.crt").write_bytes(b"")
    assert folder.current().credentials == before
    both = authority.ca_pem + Authority.create(FEDERATION, datetime.now(UTC)).ca_pem
    (tmp_path / "ca.crt").write_bytes(both)
    assert folder.current().credentials.ca_pem == both

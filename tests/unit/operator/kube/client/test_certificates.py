"""Whom a client believes and what it shows, by a kubeconfig."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime

import pytest
import yaml
from tests.kube.certificates import ClusterAuthority
from tests.unit.operator.kube.client.api_server import (
    Api,
    all_of,
    serving,
)

from fedward_operator.kube.access import from_kubeconfig
from fedward_operator.kube.client import Client
from fedward_operator.kube.errors import UnavailableError
from fedward_operator.kube.kinds import POD


@pytest.fixture
def authority(tmp_path):
    return ClusterAuthority(tmp_path / "authority", datetime.now(UTC))


@pytest.fixture
async def tls_api(authority):
    """An API server that lets in who shows a certificate of its authority's."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority.ca)
    context.load_cert_chain(*authority.server())
    context.verify_mode = ssl.CERT_REQUIRED
    found = Api()
    runner, found.port = await serving(found, context)
    yield found
    await runner.cleanup()


def kubeconfig(tmp_path, authority, api, **more):
    certificate, key = authority.client("fedward")
    cluster = {"server": f"https://127.0.0.1:{api.port}", "certificate-authority": str(authority.ca), **more}
    document = {
        "current-context": "hub",
        "contexts": [{"name": "hub", "context": {"cluster": "hub", "user": "me"}}],
        "clusters": [{"name": "hub", "cluster": cluster}],
        "users": [{"name": "me", "user": {"client-certificate": str(certificate), "client-key": str(key)}}],
    }
    (tmp_path / "config").write_text(yaml.safe_dump(document))
    return from_kubeconfig(tmp_path / "config")


@pytest.mark.parametrize("more", [{}, {"tls-server-name": "localhost"}])
async def test_a_kubeconfigs_certificates_open_the_door(tmp_path, authority, tls_api, meter, more):
    async with Client(kubeconfig(tmp_path, authority, tls_api, **more), "fedward-hub", meter) as client:
        assert await client.get(POD, "x", "y") == {}


async def test_a_server_of_another_name_is_not_spoken_to(tmp_path, authority, tls_api, meter):
    access = kubeconfig(tmp_path, authority, tls_api, **{"tls-server-name": "elsewhere.example"})
    async with Client(access, "fedward-hub", meter) as client:
        with pytest.raises(UnavailableError, match="elsewhere"):
            await client.get(POD, "x", "y")
        with pytest.raises(UnavailableError, match="elsewhere"):
            await all_of(client.watch(POD, None, {}, "5"))

    assert tls_api.requests == []


async def test_a_server_of_another_authority_is_not_spoken_to(tmp_path, authority, tls_api, meter):
    other = ClusterAuthority(tmp_path / "other", datetime.now(UTC))
    async with Client(kubeconfig(tmp_path, other, tls_api), "fedward-hub", meter) as client:
        with pytest.raises(UnavailableError):
            await client.get(POD, "x", "y")

    assert tls_api.requests == []

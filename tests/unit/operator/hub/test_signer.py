"""What the hub answers to a request for a certificate while its caches are behind: a denial is for good."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest

from fedward_operator.hub.authority import HubAuthority
from fedward_operator.hub.caches import HubCaches
from fedward_operator.hub.signer import SigningReconciler
from fedward_operator.kube.errors import ApiError
from fedward_operator.policy.joining.naming import SIGNER, certificate_request
from fedward_protocol.certificate_request import make
from fedward_protocol.identity import Identity, gateway_name
from fedward_protocol.pki import Authority

FEDERATION, NOW = "fed.example.org", datetime(2026, 1, 1, tzinfo=UTC)


class Hub:
    """An API server that holds FederatedSites, and hears what is said of requests."""

    def __init__(self):
        self.sites, self.said, self.code = {}, [], 404

    async def get(self, kind, namespace, name):
        if name not in self.sites:
            raise ApiError(self.code, "NotFound", name)
        return self.sites[name]

    async def apply(self, kind, manifest, *, subresource=""):
        if subresource == "approval":
            self.said += [each["type"] for each in manifest["status"]["conditions"]]
        elif subresource == "status":
            self.said += sorted(manifest["status"])


def site(**spec):
    return {"metadata": {"name": "north", "uid": "1", "resourceVersion": "1"}, "spec": spec}


@pytest.fixture
def hub():
    return Hub()


@pytest.fixture
def caches():
    def heard(*_):
        pass

    caches = HubCaches(heard, heard, heard, lambda: NOW)
    _, pem = make(Identity(FEDERATION, "site", "north"), [gateway_name("north", FEDERATION)])
    spec = {
        "signerName": SIGNER,
        "username": "system:serviceaccount:fedward-site-north:fedward-invitation",
        "request": base64.b64encode(pem).decode(),
    }
    metadata = {"name": certificate_request("north"), "uid": "2", "resourceVersion": "1"}
    caches.requests.put({"metadata": metadata, "spec": spec})
    return caches


@pytest.fixture
def signer(hub, caches):
    authority = HubAuthority(Authority.create(FEDERATION, NOW), FEDERATION)
    return SigningReconciler(hub, caches, authority, timedelta(days=1), lambda: NOW)


async def test_a_site_that_the_cache_has_not_heard_of_is_let_in(signer, hub):
    hub.sites["north"] = site()
    await signer.reconcile(certificate_request("north"))
    assert hub.said == ["Approved", "certificate"]


async def test_a_site_that_the_cache_does_not_know_to_be_revoked_is_denied(signer, hub, caches):
    caches.sites.put(site())
    hub.sites["north"] = site(revoked=True)
    await signer.reconcile(certificate_request("north"))
    assert hub.said == ["Denied"]


async def test_a_site_that_is_not_there_is_denied(signer, hub, caches):
    caches.sites.put(site())
    await signer.reconcile(certificate_request("north"))
    assert hub.said == ["Denied"]


async def test_nothing_is_answered_while_the_api_server_cannot_say(signer, hub):
    hub.code = 500
    with pytest.raises(ApiError):
        await signer.reconcile(certificate_request("north"))
    assert hub.said == []

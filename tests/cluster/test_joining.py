"""How a hospital joins on a real API server: an invitation's token asks, the hub lets in, and a revoked site is out."""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request

import pytest
import yaml
from cryptography import x509
from tests.cluster.operators import FEDERATION, GROUP, ROOT, grant, make, resource
from tests.kube.waiting import wait_until

from fedward_protocol import certificate_request
from fedward_protocol.identity import Identity, gateway_name

pytestmark = pytest.mark.cluster

RBAC = "/apis/rbac.authorization.k8s.io/v1"
CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"


class Invitation:
    """A site that was invited, and what its operator does at the hub with the tokens that it holds."""

    def __init__(self, federation, site, **spec):
        self.plane, self.site = federation.hub, federation.site_name(site)
        self.mailbox = f"fedward-site-{self.site}"
        make(self.plane, f"{GROUP}/federatedsites", resource("FederatedSite", self.site, None, spec))
        make(self.plane, "/api/v1/namespaces", {"metadata": {"name": self.mailbox}})
        account = {"metadata": {"name": "fedward-invitation"}}
        make(self.plane, f"/api/v1/namespaces/{self.mailbox}/serviceaccounts", account)
        text = (ROOT / "cli/fedward_cli/cluster/rights/invitation.yaml").read_text().replace("SITE", self.site)
        role, cluster_role = yaml.safe_load_all(text)
        mailbox = yaml.safe_load((ROOT / "cli/fedward_cli/cluster/rights/mailbox.yaml").read_text())
        both = ["fedward-invitation", "fedward-site"]
        self._grant(role, ["fedward-invitation"])
        self._grant(mailbox, ["fedward-site"])
        self._grant(cluster_role, both)
        self.token = self._token_of("fedward-invitation")

    def _grant(self, role, accounts):
        within = "" if role["kind"] == "ClusterRole" else f"/namespaces/{self.mailbox}"
        name = role["metadata"]["name"]
        make(self.plane, f"{RBAC}{within}/{role['kind'].lower()}s", role)
        subjects = [{"kind": "ServiceAccount", "namespace": self.mailbox, "name": each} for each in accounts]
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": role["kind"], "name": name}
        binding = {"metadata": {"name": name}, "roleRef": reference, "subjects": subjects}
        make(self.plane, f"{RBAC}{within}/{role['kind'].lower()}bindings", binding)

    def _token_of(self, account):
        path = f"/api/v1/namespaces/{self.mailbox}/serviceaccounts/{account}/token"
        return make(self.plane, path, {"spec": {"expirationSeconds": 600}})["status"]["token"]

    def call(self, method, path, body=None, token=None):
        """Ask the hub as the site does; return the code and the answer."""
        headers = {"Authorization": f"Bearer {token or self.token}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        asked = urllib.request.Request(f"{self.plane.url}{path}", data, headers, method=method)
        try:
            with urllib.request.urlopen(asked, context=self.plane.trusting(), timeout=30) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    def ask(self, token=None, identity=None, name=None):
        """Ask for a certificate; return the answer's code."""
        wanted = Identity(FEDERATION, "site", identity or self.site)
        _, pem = certificate_request.make(wanted, [gateway_name(wanted.name, FEDERATION)])
        spec = {
            "signerName": "fedward.io/site",
            "request": base64.b64encode(pem).decode(),
            "usages": ["digital signature", "client auth", "server auth"],
        }
        document = {"metadata": {"name": name or self.mailbox}, "spec": spec}
        return self.call("POST", CSRS, document, token)[0]

    def request(self, name=None):
        """Read the request as the hub's administrator does."""
        return self.plane.request("GET", f"{CSRS}/{name or self.mailbox}")

    def certificate(self):
        """Wait for the certificate, as the site does."""
        found = wait_until(
            "a certificate",
            lambda: self.call("GET", f"{CSRS}/{self.mailbox}")[1].get("status", {}).get("certificate"),
        )
        return x509.load_pem_x509_certificate(base64.b64decode(found))

    def own_token(self, token=None):
        """Ask for a token of the site's own account."""
        path = f"/api/v1/namespaces/{self.mailbox}/serviceaccounts/fedward-site/token"
        return self.call("POST", path, {"spec": {"expirationSeconds": 600}}, token)

    def conditions(self, name=None):
        """Say what was said of the request."""
        return [each["type"] for each in self.request(name).get("status", {}).get("conditions", [])]


def test_an_invited_site_joins_renews_and_once_revoked_is_out(federation):
    federation.start_hub()
    north = Invitation(federation, "north")
    assert north.own_token()[0] == 404, "before it is let in there is no account to be had a token of"
    assert north.ask() == 201
    certificate = north.certificate()
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == [f"spiffe://{FEDERATION}/site/{north.site}"]

    code, answer = north.own_token()
    assert code == 201
    token = answer["status"]["token"]
    inbox = f"{GROUP}/namespaces/{north.mailbox}/sitejobs"
    assert north.call("GET", inbox, token=token)[0] == 200
    assert north.call("GET", inbox)[0] == 403, "an invitation is not good for reading what a site is asked"
    assert north.own_token(token)[0] == 201, "a site renews its token by itself"

    assert north.call("DELETE", f"{CSRS}/{north.mailbox}", token=token)[0] == 200
    assert north.ask(token) == 201
    assert north.certificate().serial_number != certificate.serial_number

    path = f"{GROUP}/federatedsites/{north.site}"
    federation.hub.request("PATCH", path, {"spec": {"revoked": True}}, "application/merge-patch+json")
    for each in (token, north.token):
        wait_until("its tokens are dead", lambda each=each: north.call("GET", inbox, token=each)[0] == 401)
    found = federation.hub.request("GET", path)["status"]["conditions"][0]
    assert (found["status"], found["reason"]) == ("False", "Revoked")


def test_a_site_that_a_person_has_to_approve_waits_for_that(federation, kubectl):
    federation.start_hub()
    south = Invitation(federation, "south", approval="manual")
    north = Invitation(federation, "north")
    assert south.ask() == 201
    assert north.ask() == 201
    north.certificate()
    assert south.conditions() == []
    assert south.own_token()[0] == 404
    assert kubectl("certificate", "approve", south.mailbox).returncode == 0
    south.certificate()
    assert south.own_token()[0] == 201


def test_nobody_gets_the_certificate_of_another(federation):
    federation.start_hub()
    north, south = Invitation(federation, "north"), Invitation(federation, "south")
    assert north.ask(identity=south.site) == 201
    wait_until("a denial", north.conditions, is_it=lambda said: said == ["Denied"])
    assert "certificate" not in north.request()["status"]

    assert north.ask(name=south.mailbox) == 201
    wait_until("a denial", lambda: north.conditions(south.mailbox), is_it=lambda said: said == ["Denied"])
    # South has a right to that name, and takes it back.
    assert south.call("DELETE", f"{CSRS}/{south.mailbox}")[0] == 200
    assert south.ask() == 201
    south.certificate()


def test_a_certificate_lasts_as_long_as_the_hub_says(federation):
    federation.start_hub(more=["--site-certificate-life=90s"])
    north = Invitation(federation, "north")
    north.ask()
    certificate = north.certificate()
    life = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    assert life.total_seconds() == 90 + 300, "a life of 90 s, and five minutes for a clock that is behind"


def start_invited(federation, invitation):
    """Start the operator of a hospital that has nothing but its invitation."""
    hospital, name = federation.hospital, invitation.site
    make(hospital, "/api/v1/namespaces", {"metadata": {"name": name}})
    rights = yaml.safe_load((ROOT / "operator/rbac/site.yaml").read_text())
    grant(hospital, rights, f"operator-{name}", name, 0)
    policy = {"datasets": [{"name": "brats", "volume": {"persistentVolumeClaim": {"claimName": "scans"}}}]}
    make(hospital, f"{GROUP}/namespaces/{name}/sitepolicies", resource("SitePolicy", name, name, policy))
    token, authority = federation.folder / f"{name}.token", federation.folder / f"{name}.ca"
    token.write_text(invitation.token)
    authority.write_text(federation.hub.ca_pem)
    return federation.start_invited_site(name, authority, token), token


def secret(federation, name, which):
    """Read a Secret of the hospital, decoded; None if it is not there."""
    try:
        found = federation.hospital.request("GET", f"/api/v1/namespaces/{name}/secrets/{which}")
    except urllib.error.HTTPError:
        return None
    return {file: base64.b64decode(content) for file, content in (found.get("data") or {}).items()}


def connected(federation, name):
    """Say whether the hub hears a site, and why not."""
    found = federation.hub.request("GET", f"{GROUP}/federatedsites/{name}").get("status", {}).get("conditions", [])
    return [(each["status"], each["reason"]) for each in found if each["type"] == "Connected"]


def test_a_hospital_with_nothing_but_its_invitation_joins_and_stays_after_a_restart(federation):
    federation.start_hub()
    north = Invitation(federation, "north")
    operator, token = start_invited(federation, north)
    wait_until(
        "the hub hears it", lambda: connected(federation, north.site), is_it=lambda it: it == [("True", "Heard")]
    )
    files = secret(federation, north.site, "fedward-gateway-tls")
    assert set(files) == {"tls.crt", "tls.key", "ca.crt"}
    certificate = x509.load_pem_x509_certificate(files["tls.crt"])
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(files["ca.crt"]))
    assert not secret(federation, north.site, "fedward-site-request")
    maps = f"/api/v1/namespaces/{north.site}/configmaps"
    assert "PUBLIC KEY" in federation.hospital.request("GET", f"{maps}/fedward-operator-key")["data"]["operator.pub"]
    assert (
        federation.hospital.request("GET", f"{maps}/fedward-federation-ca")["data"]["ca.crt"].encode()
        == files["ca.crt"]
    )
    signing = secret(federation, north.site, "fedward-site-signing")

    token.unlink()
    operator.kill()
    before = federation.lease(north.site)
    federation.restart(operator)
    wait_until("it beats again", lambda: federation.lease(north.site), is_it=lambda seen: seen > before)
    assert secret(federation, north.site, "fedward-gateway-tls") == files
    assert secret(federation, north.site, "fedward-site-signing") == signing
    assert north.token not in operator.log.read_text()


def test_a_certificate_of_a_short_life_is_renewed_again_and_again(federation):
    federation.start_hub(more=["--site-certificate-life=6s"])
    north = Invitation(federation, "north")
    start_invited(federation, north)
    serials = set()

    def look():
        files = secret(federation, north.site, "fedward-gateway-tls")
        if files:
            serials.add(x509.load_pem_x509_certificate(files["tls.crt"]).serial_number)
        return len(serials)

    wait_until("three certificates", look, 60, lambda count: count >= 3)
    assert connected(federation, north.site) == [("True", "Heard")]

"""Hospitals that were invited: what the hub gives them, what they ask it for, and their operators."""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request

import yaml
from cryptography import x509
from tests.cluster.operators import FEDERATION, GROUP, ROOT, grant, make, resource
from tests.kube.waiting import wait_until

from fedward_protocol import certificate_request
from fedward_protocol.identity import Identity, gateway_name

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
        self.token = self.invitation_token()

    def _grant(self, role, accounts):
        within = "" if role["kind"] == "ClusterRole" else f"/namespaces/{self.mailbox}"
        name = role["metadata"]["name"]
        make(self.plane, f"{RBAC}{within}/{role['kind'].lower()}s", role)
        subjects = [{"kind": "ServiceAccount", "namespace": self.mailbox, "name": each} for each in accounts]
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": role["kind"], "name": name}
        binding = {"metadata": {"name": name}, "roleRef": reference, "subjects": subjects}
        make(self.plane, f"{RBAC}{within}/{role['kind'].lower()}bindings", binding)

    def invitation_token(self):
        """Make a token as the hub's administrator does."""
        path = f"/api/v1/namespaces/{self.mailbox}/serviceaccounts/fedward-invitation/token"
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


def connected(federation, name):
    """Say whether the hub hears a site, and why not."""
    found = federation.hub.request("GET", f"{GROUP}/federatedsites/{name}").get("status", {}).get("conditions", [])
    return [(each["status"], each["reason"]) for each in found if each["type"] == "Connected"]

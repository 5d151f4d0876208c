"""The federation's authority on a real API server: made once, kept in a Secret, and taken over from without a gap."""

from __future__ import annotations

import base64
import urllib.error
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from tests.cluster.commands import describe_hub, fedward, kubectl_of
from tests.cluster.invitations import Invitation, connected, start_invited
from tests.cluster.operators import FEDERATION
from tests.kube.waiting import wait_until

from fedward_protocol.pki import Authority

pytestmark = pytest.mark.cluster

SECRET = "--authority-secret=fedward-authority"
MAKES = [SECRET, "--make-authority"]
HEARD = [("True", "Heard")]


def secret(plane, namespace, name="fedward-authority"):
    """Read a Secret's files; none if it is not there."""
    try:
        found = plane.request("GET", f"/api/v1/namespaces/{namespace}/secrets/{name}")
    except urllib.error.HTTPError:
        return {}
    return {file: base64.b64decode(content) for file, content in found["data"].items()}


def write(federation, files, method="PUT"):
    """Write the authority's Secret as its keeper does."""
    data = {file: base64.b64encode(content).decode() for file, content in files.items()}
    path = f"/api/v1/namespaces/{federation.system}/secrets"
    document = {"metadata": {"name": "fedward-authority"}, "type": "kubernetes.io/tls", "data": data}
    federation.hub.request(method, path if method == "POST" else f"{path}/fedward-authority", document)


def certificates(pem):
    return x509.load_pem_x509_certificates(pem)


def test_of_two_operators_that_begin_at_once_one_makes_the_authority_and_it_outlives_both(federation):
    first, second = federation.start_hub(authority=MAKES), federation.start_hub(authority=MAKES)
    made = wait_until("an authority", lambda: secret(federation.hub, federation.system))
    north = Invitation(federation, "north")
    assert north.ask() == 201
    north.certificate().verify_directly_issued_by(certificates(made["tls.crt"])[0])
    for each in (first, second):
        each.kill()
    federation.start_hub(authority=MAKES)
    south = Invitation(federation, "south")
    assert south.ask() == 201
    south.certificate().verify_directly_issued_by(certificates(made["tls.crt"])[0])
    assert secret(federation.hub, federation.system) == made


def test_an_authority_that_somebody_deletes_is_there_again_as_it_was(federation):
    federation.start_hub(authority=MAKES)
    made = wait_until("an authority", lambda: secret(federation.hub, federation.system))
    federation.hub.request("DELETE", f"/api/v1/namespaces/{federation.system}/secrets/fedward-authority")
    assert wait_until("it is there again", lambda: secret(federation.hub, federation.system)) == made


def test_an_authority_that_others_give_is_waited_for_and_what_is_none_is_passed_over(federation):
    operator = federation.start_hub(authority=[SECRET])
    north = Invitation(federation, "north")
    assert north.ask() == 201
    wait_until("it says what it waits for", lambda: "waiting for it" in operator.log.read_text())
    assert north.conditions() == []
    other = Authority.create("other.example.org", datetime.now(UTC))
    write(federation, {"tls.crt": other.ca_pem, "tls.key": other.key_pem}, "POST")
    wait_until("it says what is wrong", lambda: f"is not of {FEDERATION}" in operator.log.read_text())
    assert north.conditions() == []
    ours = Authority.create(FEDERATION, datetime.now(UTC))
    write(federation, {"tls.crt": ours.ca_pem, "tls.key": ours.key_pem})
    north.certificate().verify_directly_issued_by(certificates(ours.ca_pem)[0])
    write(federation, {"tls.crt": other.ca_pem, "tls.key": other.key_pem})
    south = Invitation(federation, "south")
    assert south.ask() == 201
    south.certificate().verify_directly_issued_by(certificates(ours.ca_pem)[0])


class Rotating:
    """A federation with a hospital that has joined and a job that runs; and what each of them holds."""

    def __init__(self, federation):
        self.federation, self.hub = federation, federation.hub
        describe_hub(self.hub, federation.system)
        federation.start_hub(authority=MAKES)
        north = Invitation(federation, "north")
        self.site = north.site
        self.operator, _ = start_invited(federation, north)
        wait_until("the hub hears it", lambda: connected(federation, self.site), is_it=lambda it: it == HEARD)
        federation.submit("brain", [self.site])
        wait_until("the aggregator's certificate", lambda: self.held()[1])

    def held(self):
        """Read the certificate of the gateway and that of the aggregator."""
        gateway = secret(self.federation.hospital, self.site, "fedward-gateway-tls")
        return gateway, secret(self.hub, self.federation.namespace, "brain-aggregator-tls")

    def command(self, *arguments):
        """Run `fedward authority`."""
        return fedward(self.hub, "authority", *arguments, "-n", self.federation.system)

    def step(self):
        """Take a step, and wait until everybody has taken it up; return the authorities then, who signs first."""
        done = self.command("rotate", "--anyway", "--yes")
        assert done.returncode == 0, done.stderr
        files = secret(self.hub, self.federation.system)
        believed = files["tls.crt"] + b"".join(pem for pem in split(files["ca.crt"]) if pem != files["tls.crt"])
        wait_until(
            "everybody believes them",
            lambda: [each["ca.crt"] for each in self.held()],
            is_it=lambda seen: seen == [believed, believed],
        )
        signer = certificates(files["tls.crt"])[0]
        for each in self.held():
            certificates(each["tls.crt"])[0].verify_directly_issued_by(signer)
        wait_until("the hub knows that", lambda: "not yet known" not in self.command("show").stdout)
        return split(believed)


def split(pem):
    return [each.public_bytes(Encoding.PEM) for each in certificates(pem)]


def test_a_new_authority_takes_over_in_three_steps_and_hospitals_and_jobs_learn_of_each_at_once(federation):
    rotating = Rotating(federation)
    (old,) = split(secret(federation.hub, federation.system)["ca.crt"])
    serving = federation.lease(rotating.site)
    first, new = rotating.step()
    assert first == old
    assert rotating.step() == [new, old]
    refused = rotating.command("rotate", "--yes")
    assert (refused.returncode, "may not have reached every pod yet" in refused.stderr) == (1, True)
    assert "next step: the old authority is believed no more" in refused.stdout
    assert rotating.step() == [new]
    assert rotating.operator.process.poll() is None
    assert federation.lease(rotating.site) > serving
    assert connected(federation, rotating.site) == HEARD


def test_a_hospital_that_was_away_learns_of_a_new_authority_when_it_is_back(federation):
    rotating = Rotating(federation)
    rotating.operator.kill()
    wait_until(
        "it is missed",
        lambda: connected(federation, rotating.site),
        is_it=lambda it: it == [("False", "HeartbeatMissed")],
    )
    for _ in range(3):
        assert rotating.command("rotate", "--anyway", "--yes").returncode == 0
    assert f"told when they are: {rotating.site}" in rotating.command("show").stdout
    federation.restart(rotating.operator)
    signer = secret(federation.hub, federation.system)["tls.crt"]
    wait_until("it believes", lambda: rotating.held()[0]["ca.crt"], is_it=lambda believed: believed == signer)


def test_of_two_people_who_take_a_step_at_once_one_is_told(federation):
    from fedward_cli.cluster import authority
    from fedward_cli.cluster.kubectl import ClusterError

    describe_hub(federation.hub, federation.system)
    federation.start_hub(authority=MAKES)
    wait_until("an authority", lambda: secret(federation.hub, federation.system))
    now = datetime.now(UTC)
    run = kubectl_of(federation.hub)
    seen = [authority.look(federation.system, now, run) for _ in range(2)]
    authority.take_step(seen[0], now, run)
    with pytest.raises(ClusterError, match="modified"):
        authority.take_step(seen[1], now, run)

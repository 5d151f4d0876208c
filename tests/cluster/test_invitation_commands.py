"""`fedward invite`, `approve site` and `revoke site` at a real API server: what a hospital gets is what it joins by."""

from __future__ import annotations

import urllib.error
from datetime import UTC, datetime

import pytest
import yaml
from tests.cluster.commands import describe_hub, fedward, kubectl_of
from tests.cluster.invitations import CSRS, Invitation, connected, start_invited
from tests.cluster.operators import FEDERATION, GROUP
from tests.kube.waiting import wait_until

pytestmark = pytest.mark.cluster


class Invited(Invitation):
    """A site that was invited by the command."""

    def __init__(self, federation, site, *options):
        self.plane, self.site = federation.hub, federation.site_name(site)
        self.mailbox, self._system = f"fedward-site-{self.site}", federation.system
        self.done = self.invite(*options)
        assert self.done.returncode == 0, self.done.stderr
        self.values = yaml.safe_load(self.done.stdout)
        self.token = self.values["invitation"]["token"]

    def invite(self, *options):
        """Run the command."""
        return fedward(self.plane, "invite", self.site, "-n", self._system, *options)


@pytest.fixture
def inviting(federation):
    """The federation, with a hub that the command finds."""
    describe_hub(federation.hub, federation.system)
    federation.start_hub()
    return federation


def test_a_hospital_joins_with_nothing_but_the_file_that_the_command_printed(inviting):
    north = Invited(inviting, "north", "--display-name", "North Hospital")
    assert north.values["site"] == north.site
    assert north.values["federation"] == FEDERATION
    told = {"address": "hub.example.org:443", "serverName": "kubernetes.default.svc", "ca": inviting.hub.ca_pem}
    assert north.values["hub"] == told
    assert set(north.values["invitation"]) == {"token", "expires"}
    assert north.token not in north.done.stderr
    assert f"-f {north.site}.yaml" in north.done.stderr
    start_invited(inviting, north)
    wait_until("the hub hears it", lambda: connected(inviting, north.site), is_it=lambda it: it == [("True", "Heard")])
    wait_until("the invitation is dead", north.own_token, is_it=lambda answer: answer[0] == 401)
    status = inviting.hub.request("GET", f"{GROUP}/federatedsites/{north.site}")["status"]
    assert status["certificateExpires"] > datetime.now(UTC).isoformat()
    mailbox = inviting.hub.request("GET", f"/api/v1/namespaces/{north.mailbox}")
    assert mailbox["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_an_invitation_lets_do_nothing_but_ask_to_be_let_in(inviting):
    north, south = Invited(inviting, "north"), Invited(inviting, "south")
    for path in (
        "/api/v1/namespaces",
        f"/api/v1/namespaces/{inviting.system}/secrets",
        f"/api/v1/namespaces/{north.mailbox}/secrets",
        f"{GROUP}/federatedjobs",
        f"{GROUP}/namespaces/{north.mailbox}/sitejobs",
        f"{CSRS}/{south.mailbox}",
    ):
        assert north.call("GET", path)[0] == 403, path
    other = f"/api/v1/namespaces/{south.mailbox}/serviceaccounts/fedward-site/token"
    assert north.call("POST", other, {"spec": {"expirationSeconds": 600}})[0] == 403


def test_inviting_again_ends_the_former_invitation_and_keeps_what_was_said_of_the_site(inviting):
    north = Invited(inviting, "north", "--approval", "manual", "--display-name", "North Hospital")
    first = north.token
    north.token = yaml.safe_load(north.invite("--expires", "30m").stdout)["invitation"]["token"]
    path = f"{GROUP}/federatedsites/{north.site}"
    assert inviting.hub.request("GET", path)["spec"] == {
        "approval": "manual",
        "displayName": "North Hospital",
        "revoked": False,
    }
    wait_until("the first is dead", lambda: north.ask(first), is_it=lambda code: code == 401)
    assert north.ask() == 201


def test_a_site_is_let_in_by_the_person_who_compares_its_key(inviting):
    north = Invited(inviting, "north", "--approval", "manual")
    assert f"fedward approve site {north.site}" in north.done.stderr
    operator, _ = start_invited(inviting, north)
    wait_until("it asks", lambda: north.site in fedward(inviting.hub, "approve", "site").stdout)
    shown = fedward(inviting.hub, "approve", "site", north.site, answer="n\n")
    assert (shown.returncode, f"spiffe://{FEDERATION}/site/{north.site}" in shown.stdout) == (1, True)
    (key,) = [line.split()[-1] for line in shown.stdout.splitlines() if "SHA256:" in line]
    assert key in operator.log.read_text(), "the hospital sees the same"
    assert north.conditions() == []
    approved = fedward(inviting.hub, "approve", "site", north.site, "--yes")
    assert (approved.returncode, approved.stderr) == (0, "")
    wait_until("the hub hears it", lambda: connected(inviting, north.site), is_it=lambda it: it == [("True", "Heard")])


def test_whoever_has_a_second_invitation_is_not_in_before_a_person_has_approved_that_too(inviting):
    north = Invited(inviting, "north", "--approval", "manual")
    assert north.ask() == 201
    assert fedward(inviting.hub, "approve", "site", north.site, "--yes").returncode == 0
    north.certificate()
    member = north.own_token()[1]["status"]["token"]
    refused = north.invite()
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "add --yes if that is meant" in refused.stderr
    assert north.own_token(member)[0] == 201
    north.token = yaml.safe_load(north.invite("--yes").stdout)["invitation"]["token"]
    assert north.own_token()[0] == 404
    wait_until("what it had is dead", lambda: north.own_token(member), is_it=lambda answer: answer[0] == 401)


def test_a_request_that_has_changed_since_it_was_seen_is_not_approved(inviting):
    from fedward_cli.cluster import approve_site
    from fedward_cli.cluster.kubectl import ClusterError

    north = Invited(inviting, "north", "--approval", "manual")
    assert north.ask() == 201

    run = kubectl_of(inviting.hub)
    seen = approve_site.request_of(north.site, run)
    assert north.call("DELETE", f"{CSRS}/{north.mailbox}")[0] == 200
    assert north.ask() == 201
    with pytest.raises(ClusterError):
        approve_site.approve(seen, run)
    assert north.conditions() == []


def test_a_revoked_site_is_out_and_not_invited_again_by_mistake(inviting):
    north = Invited(inviting, "north")
    start_invited(inviting, north)
    wait_until("the hub hears it", lambda: connected(inviting, north.site), is_it=lambda it: it == [("True", "Heard")])
    kept = fedward(inviting.hub, "revoke", "site", north.site, answer="n\n")
    assert (kept.returncode, connected(inviting, north.site)) == (1, [("True", "Heard")])
    done = fedward(inviting.hub, "revoke", "site", north.site, "--yes")
    assert (done.returncode, "is revoked" in done.stdout) == (0, True), done.stderr
    wait_until("it is out", lambda: connected(inviting, north.site), is_it=lambda it: it == [("False", "Revoked")])
    refused = north.invite()
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "was revoked; if it shall come back" in refused.stderr
    with pytest.raises(urllib.error.HTTPError):
        inviting.hub.request("GET", f"/api/v1/namespaces/{north.mailbox}/serviceaccounts/fedward-invitation")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["invite", "North", "-n", "SYSTEM"], 'SITE: "North" is no name for a site'),
        (["invite", "n" * 41, "-n", "SYSTEM"], "40 at most"),
        (["invite", "north", "--expires", "5m", "-n", "SYSTEM"], '--expires: "5m" is no time of 10m or more'),
        (["invite", "north", "-n", "default"], "there is no hub in the namespace default"),
        (["approve", "site", "nobody"], "nobody does not ask for a certificate"),
        (["approve", "nobody", "else"], '"nobody else" is not to be approved'),
        (["revoke", "site", "nobody", "--yes"], "there is no site nobody"),
    ],
)
def test_what_cannot_be_done_is_said_on_stderr_and_nothing_is_printed(federation, arguments, why):
    describe_hub(federation.hub, federation.system)
    done = fedward(federation.hub, *(federation.system if each == "SYSTEM" else each for each in arguments))
    assert (done.returncode, done.stdout) == (2, "")
    assert why in done.stderr

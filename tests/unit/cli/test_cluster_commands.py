"""What the commands for a hub's administrator decide, with a kubectl that answers from a table."""

from __future__ import annotations

import base64
import json
import os
import re
from datetime import UTC, datetime, timedelta

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from fedward_cli.cluster import authority
from fedward_cli.cluster.backup import backup
from fedward_cli.cluster.invite import Invitation, check_name, invite
from fedward_cli.cluster.kubectl import ClusterError, kubectl
from fedward_cli.cluster.rights import mailbox, rights
from fedward_cli.main import app
from fedward_cli.problems import InputError
from fedward_operator.policy.joining.rotation import Step
from fedward_operator.policy.joining.trust import files_of, mark
from fedward_protocol.pki import Authority

FEDERATION = "fed.example.org"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
OURS = Authority.create(FEDERATION, NOW)
SERVERS_OWN = {
    "uid": "0c1d",
    "resourceVersion": "7",
    "generation": 2,
    "creationTimestamp": "2026-03-01T12:00:00Z",
    "managedFields": [{"manager": "fedward-hub"}],
}


def thing(kind, name, namespace=None, notes=None, **more):
    metadata = {"name": name, **({"namespace": namespace} if namespace else {}), **SERVERS_OWN}
    if notes:
        metadata["annotations"] = notes
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata, **more}


def condition(kind, status="True"):
    return {"conditions": [{"type": kind, "status": status}]}


SAID = {"federation": FEDERATION, "door": "hub.example.org:443", "authority": "ours"}
DATA = {name: base64.b64encode(content).decode() for name, content in files_of(OURS).items()}


class Table:
    """A kubectl that knows some objects."""

    def __init__(self, *things):
        given = [thing("ConfigMap", "fedward-hub", "hub", data=SAID), thing("Secret", "ours", "hub", data=DATA)]
        self.things, self.given = [*given, *things], []

    def __call__(self, arguments, given=None):
        verb, kind, *rest = arguments
        if verb != "get":
            self.given.append(json.loads(given))
            return ""
        known = [each for each in self.things if f"{each['kind'].lower()}s".startswith(kind.removesuffix("s"))]
        if "--ignore-not-found" not in rest:
            return json.dumps({"items": known})
        return next((json.dumps(each) for each in known if each["metadata"]["name"] == rest[0]), "")


def job(name, conditions, **spec):
    return thing("FederatedJob", name, "research", spec={"model": {"network": {}}, **spec}, status=conditions)


def test_a_backup_has_what_a_hub_cannot_be_made_again_without_and_nothing_of_the_cluster_that_was_lost():
    bundle = {"model": {"bundle": {"configMap": "weights"}}}
    table = Table(
        thing("FederatedSite", "north", notes={"a": "b"}, spec={"displayName": "North"}, status=condition("Connected")),
        thing("FederatedSite", "south", spec={"revoked": True}),
        job("brain", condition("Running"), **bundle),
        job("over", condition("Completed")),
        job("broken", condition("Failed")),
        thing("ConfigMap", "weights", "research", data={"train.json": "{}"}),
    )
    text = backup("hub", table)
    documents = list(yaml.safe_load_all(text))

    assert "HOLDS THE KEY" in text.splitlines()[0]
    named = [(each["kind"], each["metadata"]["name"]) for each in documents]
    assert named[:3] == [("Secret", "ours"), ("FederatedSite", "north"), ("Namespace", "fedward-site-north")]
    assert named[-4:] == [
        ("FederatedSite", "south"),
        ("Namespace", "research"),
        ("ConfigMap", "weights"),
        ("FederatedJob", "brain"),
    ]
    assert ("Namespace", "fedward-site-south") not in named
    by_name = {each["metadata"]["name"]: each for each in documents}
    assert by_name["ours"]["data"] == DATA
    assert by_name["brain"]["spec"] == {**bundle, "suspend": True}
    assert by_name["north"]["metadata"] == {"name": "north", "annotations": {"a": "b"}}
    for each in documents:
        assert "status" not in each
        assert not SERVERS_OWN.keys() & each["metadata"].keys()


def test_without_an_authority_there_is_no_backup():
    table = Table()
    table.things = table.things[:1]
    with pytest.raises(ClusterError, match="Secret hub/ours of the authority is missing"):
        backup("hub", table)


def lease(site, believed):
    return thing("Lease", "fedward-site", f"fedward-site-{site}", notes={"fedward.io/believed": believed})


def site(name, connected):
    return thing("FederatedSite", name, spec={}, status=condition("Connected", str(connected)))


def test_who_does_not_know_of_the_authority_yet_is_named_and_holds_the_next_step_up():
    knows = mark(OURS.trusted_pem)
    sites = [site("north", True), site("south", True), site("west", False), site("out", True)]
    sites[-1]["spec"]["revoked"] = True
    state = authority.look("hub", NOW, Table(*sites, lease("north", knows), lease("south", "another")))

    assert (state.behind, state.away, state.next.step) == (("south",), ("west",), Step.BEGIN)
    assert "south did not learn" in state.obstacle(NOW)
    document = json.loads(json.dumps(state.document(NOW)))
    assert (document["behind"], document["away"], document["obstacle"]) == (["south"], ["west"], state.obstacle(NOW))
    assert [(each["signs"], each["until"]) for each in document["believed"]] == [(True, "2036-02-27T12:00:00Z")]
    assert authority.look("hub", NOW, Table(site("west", False))).obstacle(NOW) is None


def test_a_step_is_given_time_to_reach_every_pod():
    table = Table()
    state = authority.look("hub", NOW, table)
    authority.take_step(state, NOW, table)
    (written,) = table.given

    assert written["metadata"]["resourceVersion"] == "7"
    table.things = [table.things[0], written]
    after = authority.look("hub", NOW, table)
    assert after.next.step is Step.TAKE_OVER
    assert after.obstacle(NOW + timedelta(minutes=2)).endswith("go on after 12:03:00 UTC")
    assert after.obstacle(NOW + timedelta(minutes=3)) is None
    assert [line.split()[0] for line in after.lines()] == ["signs", "believed", "a"]


@pytest.mark.parametrize(
    ("metadata", "keeper"),
    [
        ({"annotations": {"cert-manager.io/certificate-name": "fedward-authority"}}, "cert-manager's Certificate"),
        ({"ownerReferences": [{"kind": "ExternalSecret", "name": "vault"}]}, "the ExternalSecret vault"),
    ],
)
def test_an_authority_that_something_else_keeps_is_not_written_over(metadata, keeper):
    table = Table()
    table.things[1]["metadata"] |= metadata
    with pytest.raises(ClusterError, match=f"is kept by {keeper}"):
        authority.take_step(authority.look("hub", NOW, table), NOW, table)
    assert table.given == []


@given(st.text(alphabet="ab-9.A_", max_size=45))
def test_a_name_that_may_be_invited_gives_names_that_kubernetes_takes(name):
    try:
        check_name(name)
    except InputError:
        return
    names = [mailbox(name)["metadata"]["name"], *(each["metadata"]["name"] for each in rights(name))]
    assert all(re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", each) for each in names)


@pytest.mark.parametrize("name", ["n", "n" * 40, "st-mary-2", "0"])
def test_ordinary_names_may_be_invited(name):
    check_name(name)


def test_an_invitation_binds_each_account_to_no_more_than_is_its_own():
    documents = rights("north")
    bound = {each["metadata"]["name"]: each for each in documents if each["kind"].endswith("Binding")}
    accounts = {name: [(who["namespace"], who["name"]) for who in each["subjects"]] for name, each in bound.items()}
    invitation, member = ("fedward-site-north", "fedward-invitation"), ("fedward-site-north", "fedward-site")
    assert accounts == {
        "fedward-invitation": [invitation],
        "fedward-mailbox": [member],
        "fedward-site-north": [invitation, member],
    }
    assert "SITE" not in json.dumps(documents)


def test_an_invitation_does_not_say_that_the_site_is_not_revoked_as_somebody_may_revoke_it_meanwhile():
    answers = {
        "configmap fedward-hub": {"data": {"federation": FEDERATION, "door": "hub:443", "authority": "a"}},
        "configmap kube-root-ca.crt": {"data": {"ca.crt": "PEM"}},
        "federatedsite north": {"spec": {"displayName": "North", "revoked": False}},
        "create token": {"status": {"token": "a.b.c", "expirationTimestamp": "2026-03-08T12:00:00Z"}},
    }
    applied = []

    def run(arguments, given=None):
        if arguments[0] == "apply":
            applied.extend(json.loads(given)["items"])
        what = " ".join(arguments[1:3]) if arguments[0] == "get" else " ".join(arguments[:2])
        return json.dumps(answers[what]) if what in answers else ""

    invite("north", "fedward", approval="automatic", run=run)
    (site,) = (each for each in applied if each["kind"] == "FederatedSite")
    assert site["spec"] == {"displayName": "North", "approval": "automatic"}


def test_the_file_of_an_invitation_is_yaml_whatever_is_in_it():
    pem = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
    made = Invitation("1e3", "1.5", "hub:443", pem, "a.b.c", "2026-03-08T12:00:00Z", is_manual=False)
    assert yaml.safe_load(made.values()) == {
        "site": "1e3",
        "federation": "1.5",
        "hub": {"address": "hub:443", "serverName": "kubernetes.default.svc", "ca": pem},
        "invitation": {"token": "a.b.c", "expires": "2026-03-08T12:00:00Z"},
    }


def test_without_kubectl_that_is_said(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ClusterError, match="needs kubectl on the PATH"):
        kubectl(["version"])


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """Put a kubectl on the PATH that knows a hub and its authority, and keeps what it is given."""
    for kind, each in (("configmap", Table().things[0]), ("secret", Table().things[1])):
        (tmp_path / kind).write_text(json.dumps(each))
    (tmp_path / "kubectl").write_text(
        f'#!/bin/sh\ncd {tmp_path}\n[ "$1" = get ] || exec cat > given\n'
        'cat "$2" 2>/dev/null || echo \'{"items": []}\'\n'
    )
    (tmp_path / "kubectl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


def test_a_step_of_a_rotation_is_given_to_programs_which_are_asked_nothing(hub):
    run, rotate = CliRunner(), ["authority", "rotate", "-n", "hub", "-o", "json"]
    unasked = run.invoke(app, rotate)
    assert (unasked.exit_code, unasked.stdout, (hub / "given").exists()) == (2, "", False)

    done = run.invoke(app, [*rotate, "--yes"])
    assert (done.exit_code, json.loads(done.stdout)) == (0, {"federation": FEDERATION, "done": Step.BEGIN.value})
    assert json.loads((hub / "given").read_text())["kind"] == "Secret"

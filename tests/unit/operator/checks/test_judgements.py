"""What is made of what was seen: tables of what can be wrong with a hospital's and a hub's parts."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from prometheus_client import generate_latest

from fedward_node.gateway.metrics import Metrics
from fedward_operator.api.crds import KINDS, definition
from fedward_operator.checks import authority as authority_check
from fedward_operator.checks import (
    door,
    gpus,
    heard,
    kinds_installed,
    lifetime,
    membership,
    policy,
    room,
    storage,
    token,
)
from fedward_operator.checks.connection import Answer, Server
from fedward_operator.checks.finding import Finding, Level, Trouble, fine, skipped, warning, wrong
from fedward_operator.checks.writing import is_healthy, write
from fedward_protocol.identity import Identity
from fedward_protocol.pki import Authority

NORTH = Identity("fed.example.org", "site", "north")
GIB = 2**30


def condition(kind, status, reason="Because", message="so it is"):
    return {"type": kind, "status": status, "reason": reason, "message": message}


# A hospital's certificate and token


def test_a_site_with_its_certificate_has_joined(issue, now):
    held = issue("site/north")
    found = membership.joined(held.cert_pem, held.ca_pem, NORTH, now, "logs")

    assert found.level is Level.OK
    assert "good until" in found.said


def test_a_certificate_of_a_rotated_authority_is_believed_while_both_are(issue, now, authority):
    held, newer = issue("site/north"), Authority.create("fed.example.org", now)
    both = newer.ca_pem + authority.ca_pem

    assert membership.joined(held.cert_pem, both, NORTH, now, "").level is Level.OK
    assert membership.joined(held.cert_pem, newer.ca_pem, NORTH, now, "").reason == "CertificateUntrusted"


@pytest.mark.parametrize(
    ("case", "reason", "level"),
    [
        ({"missing": True}, "NotJoined", Level.WRONG),
        ({"broken": True}, "NotJoined", Level.WRONG),
        ({"identity": "site/south"}, "IdentityMismatch", Level.WRONG),
        ({"identity": "hub"}, "IdentityMismatch", Level.WRONG),
        ({"days": 1, "ago": 2}, "CertificateExpired", Level.WRONG),
        ({"ago": -1}, "CertificateNotYetValid", Level.WRONG),
        ({"days": 30, "ago": 28}, "CertificateExpiring", Level.WARNING),
        ({"days": 30, "ago": 21}, "", Level.OK),
    ],
)
def test_a_certificate_that_is_not_as_it_should_be_is_said_why(issue, now, case, reason, level):
    missing, broken = case.get("missing", False), case.get("broken", False)
    asked = {name: value for name, value in case.items() if name in ("days", "ago")}
    held = issue(case.get("identity", "site/north"), **asked)
    cert = None if missing else b"no PEM" if broken else held.cert_pem
    found = membership.joined(cert, held.ca_pem, NORTH, now, "kubectl logs")

    assert (found.reason, found.level) == (reason, level)
    assert found.then == ("kubectl logs" if reason else "")


def status(code, message):
    return Answer(code, {}, json.dumps({"kind": "Status", "code": code, "message": message}).encode())


@pytest.mark.parametrize(
    ("code", "reason", "words"),
    [
        (401, "TokenRefused", "ask for a new invitation"),
        (403, "TokenRefused", "may not read fedward-site-north"),
        (404, "KindMissing", "is it a hub?"),
        (503, "NotAnswered", "503 because"),
    ],
)
def test_a_token_that_is_not_accepted_is_said_why(code, reason, words):
    found = token.accepted(status(code, "because"), "fedward-site-north", "logs")

    assert (found.level, found.reason) == (Level.WRONG, reason)
    assert words in found.said
    assert "because" in found.said


def test_a_token_that_is_accepted_is_fine():
    assert token.accepted(Answer(200, {}, b"{}"), "fedward-site-north", "").level is Level.OK


# Whether the hub hears it


def federated_site(**status):
    return {"metadata": {"name": "north"}, "status": status}


@pytest.mark.parametrize(
    ("site", "level", "reason"),
    [
        (federated_site(), Level.SKIPPED, ""),
        (federated_site(conditions=[condition("Connected", "True")]), Level.OK, ""),
        (
            federated_site(conditions=[condition("Connected", "False", "HeartbeatMissed")]),
            Level.WRONG,
            "HeartbeatMissed",
        ),
        (federated_site(conditions=[condition("Connected", "False", "NeverHeard")]), Level.WARNING, "NeverHeard"),
        (federated_site(conditions=[condition("Connected", "False", "Revoked")]), Level.WARNING, "Revoked"),
    ],
)
def test_a_site_is_heard_or_it_is_said_why_not(site, level, reason):
    found = heard.connected(site, "look")

    assert (found.about, found.level, found.reason) == ("site north", level, reason)


def test_a_site_that_is_not_heard_any_more_says_since_when():
    site = federated_site(
        conditions=[condition("Connected", "False", "HeartbeatMissed")], lastSeen="2026-03-01T12:00:00Z"
    )

    assert "last at 2026-03-01T12:00:00Z" in heard.connected(site, "").said


@pytest.mark.parametrize(
    ("ours", "theirs", "level"),
    [
        ("0.1.0", "0.1.0", Level.OK),
        ("0.1.0", "0.1.7", Level.OK),
        ("0.2.0", "0.1.0", Level.OK),
        ("0.1.0", "0.3.0", Level.WARNING),
        ("1.0.0", "0.1.0", Level.WARNING),
        ("0.1.0", "", Level.SKIPPED),
    ],
)
def test_versions_more_than_a_release_apart_are_noticed(ours, theirs, level):
    assert heard.compatible("versions", ours, theirs, "helm list").level is level


def test_the_hub_tells_a_site_how_it_sees_it():
    site = federated_site(conditions=[condition("Connected", "True")], hubVersion="0.9.0")
    seen, versions = heard.by_hub(Answer(200, {}, json.dumps(site).encode()), "0.1.0", "logs")

    assert (seen.about, seen.level) == ("heard by the hub", Level.OK)
    assert (versions.level, versions.reason) == (Level.WARNING, "VersionSkew")


def test_a_hub_that_does_not_tell_is_not_blamed():
    for answer in (status(403, "no"), Answer(200, {}, b"<html>Please log in</html>")):
        assert [each.level for each in heard.by_hub(answer, "0.1.0", "")] == [Level.SKIPPED, Level.SKIPPED]


# What the hospital allows, and what it has


def site_policy(*conditions, name="north", **more):
    document = {"metadata": {"name": name, "generation": 2}, "spec": {"datasets": []}}
    return document | {"status": {"observedGeneration": 2, "conditions": list(conditions), **more}}


READY, DATA = condition("Ready", "True"), condition("DataSound", "True")


@pytest.mark.parametrize(
    ("policies", "ready", "data"),
    [
        ([], (Level.WRONG, "NoSitePolicy"), (Level.SKIPPED, "")),
        ([site_policy(name="a"), site_policy(name="b")], (Level.WRONG, "SeveralSitePolicies"), (Level.SKIPPED, "")),
        ([site_policy(READY, DATA)], (Level.OK, ""), (Level.OK, "")),
        ([site_policy()], (Level.WARNING, "Waiting"), (Level.SKIPPED, "")),
        ([site_policy(READY, DATA, observedGeneration=1)], (Level.WARNING, "Waiting"), (Level.OK, "")),
        ([site_policy(condition("Ready", "False", "SpecInvalid"))], (Level.WRONG, "SpecInvalid"), (Level.SKIPPED, "")),
        (
            [site_policy(READY, condition("DataSound", "False", "DatasetEmpty"))],
            (Level.OK, ""),
            (Level.WRONG, "DatasetEmpty"),
        ),
        (
            [site_policy(READY, condition("DataSound", "False", "ProblemsFound"))],
            (Level.OK, ""),
            (Level.WARNING, "ProblemsFound"),
        ),
        ([site_policy(READY, condition("DataSound", "Unknown", "Inspecting"))], (Level.OK, ""), (Level.SKIPPED, "")),
    ],
)
def test_one_policy_that_holds_and_sound_data_are_what_a_site_needs(policies, ready, data):
    assert [(each.level, each.reason) for each in policy.sound(policies, "fedward")] == [ready, data]


def test_sound_data_are_said_in_counts():
    datasets = [{"name": "brats", "cases": 120, "complete": 118}]
    *_, found = policy.sound([site_policy(READY, DATA, datasets=datasets)], "fedward")

    assert found.said == "brats: 120 cases, 118 with nothing wrong"


def node(name, gpus=None, **labels):
    return {"metadata": {"name": name, "labels": labels}, "status": {"allocatable": {"cpu": "8", **(gpus or {})}}}


NVIDIA = {"nvidia.com/gpu": "2"}


@pytest.mark.parametrize(
    ("offer", "nodes", "level"),
    [
        ({"count": 1}, [node("a"), node("b", NVIDIA)], Level.OK),
        ({"count": 4}, [node("b", NVIDIA)], Level.WRONG),
        ({}, [node("a")], Level.WRONG),
        ({}, [], Level.WRONG),
        ({"nodeSelector": {"pool": "research"}}, [node("b", NVIDIA)], Level.WRONG),
        ({"nodeSelector": {"pool": "research"}}, [node("b", NVIDIA, pool="research")], Level.OK),
        ({"migProfile": "1g.10gb"}, [node("b", {"nvidia.com/mig-1g.10gb": "7"})], Level.OK),
        ({"resource": "amd.com/gpu"}, [node("b", NVIDIA)], Level.WRONG),
        (None, [], Level.SKIPPED),
        ({}, None, Level.SKIPPED),
    ],
)
def test_gpus_that_are_lent_are_there(offer, nodes, level):
    policies = [{"metadata": {"name": "north"}, "spec": {"gpus": offer} if offer is not None else {}}]
    found = gpus.visible(policies, nodes, "fedward doctor")

    assert found.level is level
    assert (found.reason == "GpuMissing") == (level is Level.WRONG)


def test_gpus_without_the_one_policy_are_not_looked_for():
    assert gpus.visible([], [], "").level is Level.SKIPPED


def volumes(**free):
    lines = [
        f'{room.FREE}{{volume="{name}"}} {left}\n{room.SIZE}{{volume="{name}"}} {100 * GIB}'
        for name, left in free.items()
    ]
    return "\n".join(lines) + "\n"


def test_a_volume_that_fills_up_is_noticed():
    found = room.judge(volumes(audit=50 * GIB, full=0.5 * GIB, state=5 * GIB), "kubectl get pvc")

    assert [(each.about.rpartition(" ")[2], each.level, each.reason) for each in found] == [
        ("audit", Level.OK, ""),
        ("full", Level.WRONG, "StorageLow"),
        ("state", Level.WARNING, "StorageLow"),
    ]


def test_the_gateway_says_how_full_its_volumes_are(web, tmp_path):
    metrics = Metrics("north")
    metrics.watch_volumes({"state": tmp_path, "audit log": tmp_path / "not there"})
    exposed = generate_latest(metrics.registry).decode()
    (found,) = room.left(web({"/metrics": (200, exposed)}).there, "")

    assert found.about == "room of the gateway: state"
    assert "GiB are free" in found.said


@pytest.mark.parametrize("text", ["", "fedward_gateway_attending 0\n", "<html>"])
def test_a_gateway_that_does_not_say_how_full_it_is_is_not_blamed(text):
    assert [each.level for each in room.judge(text, "")] == [Level.SKIPPED]


def test_a_gateway_whose_metrics_take_a_certificate_has_its_room_unseen_and_says_why(web):
    (found,) = room.left(web({"/metrics": (403, "elsewhere")}).there, "")
    assert (found.level, "certificate" in found.said) == (Level.SKIPPED, True)


def test_a_gateway_that_does_not_answer_has_its_room_unseen():
    assert [each.level for each in room.left(Server("127.0.0.1", 1), "")] == [Level.SKIPPED]


# A hub's parts


def test_an_authority_that_signs_is_said_with_its_end(authority, now):
    found = authority_check.held(authority.ca_pem, authority.trusted_pem, "fed.example.org", now, "logs")

    assert found.level is Level.OK
    assert "days from now" in found.said


def test_an_authority_beside_which_only_a_companys_own_is_kept_signs_all_the_same(authority, now):
    company = Authority.create("example.org", now)
    found = authority_check.held(authority.ca_pem, company.ca_pem, "fed.example.org", now, "logs")

    assert found.level is Level.OK


def without_key_identifier(now):
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    uri = x509.UniformResourceIdentifier("spiffe://fed.example.org")
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([uri]), critical=True)
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM)


def test_an_authority_that_is_not_one_is_said_why(authority, issue, now):
    other = Authority.create("other.example.org", now)
    cases = [
        (None, b"", "AuthorityMissing", "nobody gets a certificate"),
        (b"no PEM", b"", "AuthorityInvalid", "no certificate"),
        (authority.ca_pem, b"no PEM", "AuthorityInvalid", "no certificate"),
        (issue().cert_pem, b"", "AuthorityInvalid", "may not sign"),
        (other.ca_pem, b"", "AuthorityInvalid", "it is of spiffe://other.example.org"),
        (without_key_identifier(now), b"", "AuthorityInvalid", "no subject key identifier"),
    ]
    for cert, ca, reason, words in cases:
        found = authority_check.held(cert, ca, "fed.example.org", now, "")
        assert (found.level, found.reason) == (Level.WRONG, reason)
        assert words in found.said

    ten_years = timedelta(days=3650)
    assert (
        authority_check.held(authority.ca_pem, b"", "fed.example.org", now + ten_years, "").reason
        == "CertificateExpired"
    )
    soon = authority_check.held(authority.ca_pem, b"", "fed.example.org", now + ten_years * 0.95, "")
    assert (soon.level, soon.reason) == (Level.WARNING, "CertificateExpiring")


def established(kind, **changed):
    made = json.loads(json.dumps(definition(kind)))
    return made | {"status": {"conditions": [condition("Established", "True")]}} | changed


def test_kinds_are_there_and_of_this_version():
    found = {kind.plural: established(kind) for kind in KINDS}
    assert {each.level for each in kinds_installed.installed(found, kinds_installed.PLURALS, "")} == {Level.OK}

    found["sitejobs"]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"].pop(
        "plan"
    )
    found["federatedsites"] = None
    found["federatedjobs"]["status"] = {"conditions": [condition("NamesAccepted", "False", message="fjob is taken")]}
    levels = {each.about: (each.level, each.reason) for each in kinds_installed.installed(found, list(found), "helm")}
    assert levels == {
        "kind FederatedJob": (Level.WRONG, "KindMissing"),
        "kind FederatedSite": (Level.WRONG, "KindMissing"),
        "kind SiteJob": (Level.WARNING, "KindOutdated"),
        "kind SitePolicy": (Level.OK, ""),
    }


def storage_class(name, **annotations):
    return {
        "metadata": {
            "name": name,
            "annotations": {f"storageclass.kubernetes.io/{k}": v for k, v in annotations.items()},
        }
    }


DEFAULT = storage_class("fast", **{"is-default-class": "true"})


@pytest.mark.parametrize(
    ("classes", "wanted", "level"),
    [
        ([DEFAULT], None, Level.OK),
        ([storage_class("slow"), DEFAULT], None, Level.OK),
        ([storage_class("slow")], None, Level.WRONG),
        ([], None, Level.WRONG),
        ([storage_class("slow")], "slow", Level.OK),
        ([DEFAULT], "slow", Level.WRONG),
    ],
)
def test_there_is_a_storage_class(classes, wanted, level):
    found = storage.provided(classes, wanted, "")

    assert found.level is level
    assert (found.reason == "StorageClassMissing") == (level is Level.WRONG)


def slice_of(*ready):
    return {
        "endpoints": [
            {"addresses": ["10.0.0.1"], "conditions": {} if each is None else {"ready": each}} for each in ready
        ]
    }


@pytest.mark.parametrize(
    ("slices", "level"),
    [
        ([], Level.WRONG),
        ([{"endpoints": None}], Level.WRONG),
        ([slice_of(False, False)], Level.WRONG),
        ([slice_of(False), slice_of(True)], Level.OK),
        ([slice_of(None)], Level.OK),
    ],
)
def test_a_door_has_pods_that_take_connections(slices, level):
    assert door.backed(slices, "").level is level


# As text


def test_problems_come_first_within_80_columns_and_with_what_to_do():
    findings = [
        fine("operator", "it is ready"),
        skipped("GPUs", "the policy lends none"),
        warning("datasets", "ProblemsFound", "brats: 3 of 120 cases cannot be read", "kubectl describe spol"),
        wrong(
            "clock", Trouble.CLOCK_SKEWED, "this clock is 300 s behind\nthe hub's, " + "and so on " * 8, "timedatectl"
        ),
    ]
    lines = list(write(findings))

    assert [line.split()[0] for line in lines if not line.startswith(" ")] == ["wrong", "warning", "skipped", "ok", "1"]
    assert all(len(line) <= 80 for line in lines)
    assert lines[0].startswith("wrong    clock: ClockSkewed: this clock is 300 s behind the hub's")
    assert "         next: timedatectl" in lines
    assert "         see:  docs/troubleshooting.md#clockskewed" in lines
    assert lines[-1] == "1 wrong, 1 warning, 1 skipped, 1 ok"
    assert not is_healthy(findings)
    assert is_healthy(findings[:3])


def test_a_command_is_never_broken():
    long = "kubectl describe " + "x" * 100
    assert f"         next: {long}" in list(write([Finding("it", Level.WRONG, "is wrong", "NotReady", long)]))


def test_a_length_of_time_is_said_in_a_unit_that_people_read():
    assert [lifetime.span(timedelta(seconds=s)) for s in (45, 130, 7300, 200_000)] == [
        "45 seconds",
        "2 minutes",
        "2 hours",
        "2 days",
    ]

"""What is made of a hub's authority, kinds, storage and door."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.unit.operator.checks.shown import condition

from fedward_operator.api.crds import KINDS, definition
from fedward_operator.checks import authority as authority_check
from fedward_operator.checks import door, kinds_installed, storage
from fedward_operator.checks.finding import Level
from fedward_protocol.pki import Authority


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

"""What is made of a hospital's certificate and token."""

from __future__ import annotations

import pytest
from tests.unit.operator.checks.shown import status

from fedward_operator.checks import membership, token
from fedward_operator.checks.connection import Answer
from fedward_operator.checks.finding import Level
from fedward_protocol.identity import Identity
from fedward_protocol.pki import Authority

NORTH = Identity("fed.example.org", "site", "north")


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

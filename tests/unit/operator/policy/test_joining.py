"""Who gets a site's certificate: every way to ask for another's fails, and what a person says counts."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedward_operator.policy.joining import naming
from fedward_operator.policy.joining.signing import Asked, Deny, Invited, Sign, Wait, judge
from fedward_protocol import certificate_request
from fedward_protocol.identity import Identity

FEDERATION = "fed.example.org"
GATEWAY = "gateway.north.fed.example.org"
INVITATION = "system:serviceaccount:fedward-site-north:fedward-invitation"
MEMBER = "system:serviceaccount:fedward-site-north:fedward-site"


def pem(identity: str = "north", role: str = "site", federation: str = FEDERATION, names=(GATEWAY,)) -> bytes:
    return certificate_request.make(Identity(federation, role, identity), names)[1]


ASKED = Asked("fedward-site-north", INVITATION, pem(), approved=False, settled=False)
AUTOMATIC, MANUAL = Invited("automatic", revoked=False), Invited("manual", revoked=False)


def test_an_invited_site_gets_its_certificate_by_itself_unless_a_person_has_to_say_so() -> None:
    signed = judge(ASKED, AUTOMATIC, FEDERATION)
    assert isinstance(signed, Sign)
    assert signed.request.identity.uri == "spiffe://fed.example.org/site/north"
    assert signed.joins
    assert judge(ASKED, MANUAL, FEDERATION) == Wait()
    assert isinstance(judge(dataclasses.replace(ASKED, approved=True), MANUAL, FEDERATION), Sign)


def test_a_member_renews_without_a_person_and_gets_no_account_as_it_may_have_been_ended_meanwhile() -> None:
    renewed = judge(dataclasses.replace(ASKED, user=MEMBER), MANUAL, FEDERATION)
    assert isinstance(renewed, Sign)
    assert not renewed.joins


def test_what_is_settled_is_left_alone() -> None:
    assert judge(dataclasses.replace(ASKED, settled=True), AUTOMATIC, FEDERATION) is None


@pytest.mark.parametrize("approved", [False, True])
@pytest.mark.parametrize(
    ("change", "site", "why"),
    [
        ({"user": "system:serviceaccount:fedward-site-south:fedward-site"}, AUTOMATIC, "south may ask by the name"),
        ({"user": "system:serviceaccount:fedward-site-north:default"}, AUTOMATIC, "no site's account"),
        ({"user": "system:serviceaccount:research:fedward-site"}, AUTOMATIC, "no site's account"),
        ({"user": "fedward-site-north:fedward-site"}, AUTOMATIC, "no site's account"),
        ({"user": "kubernetes-admin"}, AUTOMATIC, "no site's account"),
        ({"name": "fedward-site-north-2"}, AUTOMATIC, "by the name fedward-site-north alone"),
        ({}, None, "not invited"),
        ({}, Invited("automatic", revoked=True), "revoked"),
        ({"pem": b"nothing"}, AUTOMATIC, "no PEM certificate request"),
        ({"pem": pem("south")}, AUTOMATIC, "is for spiffe://fed.example.org/site/south"),
        ({"pem": pem("", role="hub")}, AUTOMATIC, "is for spiffe://fed.example.org/hub"),
        ({"pem": pem("north", role="job")}, AUTOMATIC, "is for spiffe://fed.example.org/job/north"),
        ({"pem": pem(federation="other.example.org")}, AUTOMATIC, "is for spiffe://other.example.org/site/north"),
        ({"pem": pem(names=())}, AUTOMATIC, "must name gateway.north"),
        ({"pem": pem(names=("gateway.south.fed.example.org",))}, AUTOMATIC, "must name gateway.north"),
        ({"pem": pem(names=(GATEWAY, "brain.research.fed.example.org"))}, AUTOMATIC, "as its only DNS name"),
    ],
)
def test_nothing_else_is_signed_even_when_a_person_approved_it(change, site, why, approved) -> None:
    verdict = judge(dataclasses.replace(ASKED, approved=approved, **change), site, FEDERATION)
    assert isinstance(verdict, Deny)
    assert why in verdict.message


@given(st.text(max_size=80), st.from_regex(r"[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?", fullmatch=True))
def test_only_two_accounts_of_a_mailbox_speak_for_its_site(user: str, site: str) -> None:
    for account in (naming.INVITATION, naming.MEMBER):
        assert naming.speaker(f"system:serviceaccount:fedward-site-{site}:{account}") == (site, account)
    assert naming.speaker(user) is None

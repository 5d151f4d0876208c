"""How a hospital joins on a real API server: an invitation's token asks, the hub lets in, and a revoked site is out."""

from __future__ import annotations

import base64
import urllib.error
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from tests.cluster.invitations import CSRS, Invitation, connected, start_invited
from tests.cluster.operators import FEDERATION, GROUP
from tests.kube.waiting import wait_until

pytestmark = pytest.mark.cluster


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


def secret(federation, name, which):
    """Read a Secret of the hospital, decoded; None if it is not there."""
    try:
        found = federation.hospital.request("GET", f"/api/v1/namespaces/{name}/secrets/{which}")
    except urllib.error.HTTPError:
        return None
    return {file: base64.b64decode(content) for file, content in (found.get("data") or {}).items()}


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
    ends = operator.metric("fedward_operator_membership_not_after_timestamp_seconds")
    assert ends == certificate.not_valid_after_utc.timestamp()
    assert operator.metric("fedward_operator_hub_connected") == 1

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


def test_an_invitation_that_a_hospital_has_joined_by_is_worth_nothing_to_whoever_has_a_copy(federation):
    federation.start_hub()
    north = Invitation(federation, "north")
    operator, _ = start_invited(federation, north)
    wait_until("the invitation is dead", north.own_token, is_it=lambda answer: answer[0] == 401)
    assert north.ask() == 401
    operator.kill()
    before = federation.lease(north.site)
    federation.restart(operator)
    wait_until("it beats again", lambda: federation.lease(north.site), is_it=lambda seen: seen > before)


def test_a_hospital_whose_operator_dies_after_any_write_while_it_joins_still_joins(federation):
    federation.start_hub()
    north = Invitation(federation, "north")
    operator, _ = start_invited(federation, north)
    operator.kill()

    def ends_or_joins(operator):
        return operator.process.poll() is not None or connected(federation, north.site) == [("True", "Heard")]

    number = 0
    while connected(federation, north.site) != [("True", "Heard")]:
        number += 1
        operator = federation.restart(operator, ("after", number))
        wait_until("it dies, or has joined", lambda operator=operator: ends_or_joins(operator))
        if operator.process.poll() is None:
            operator.kill()
    assert number > 8, "it died at every write of its way in"
    federation.restart(operator)
    wait_until("the invitation is dead", north.own_token, is_it=lambda answer: answer[0] == 401)


def test_a_hospital_that_was_invited_again_comes_back_by_the_new_invitation_without_a_restart(federation):
    federation.start_hub()
    north = Invitation(federation, "north")
    _, file = start_invited(federation, north)
    wait_until("the invitation is dead", north.own_token, is_it=lambda answer: answer[0] == 401)
    accounts = f"/api/v1/namespaces/{north.mailbox}/serviceaccounts"
    federation.hub.request("DELETE", f"{accounts}/fedward-site")
    before = wait_until("it is not heard", lambda: lease_at_rest(federation, north.site), 60)
    federation.hub.request("POST", accounts, {"metadata": {"name": "fedward-invitation"}})
    north.token = north.invitation_token()
    file.write_text(north.token)
    wait_until("it beats again", lambda: federation.lease(north.site), is_it=lambda seen: seen > before)


def lease_at_rest(federation, name):
    """Say when a site was heard last, if that is longer ago than it is silent between two heartbeats."""
    heard = federation.lease(name)
    return heard if datetime.now(UTC) - datetime.fromisoformat(heard) > timedelta(seconds=12) else None

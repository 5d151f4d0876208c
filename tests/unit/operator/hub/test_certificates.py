"""The Secrets of a job's certificates: what is in them, and when they are made anew."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from fedward_operator.hub.authority import HubAuthority
from fedward_operator.hub.certificates import CertificateSecrets
from fedward_operator.hub.owned import Owner
from fedward_operator.hub.scraper_authority import ScraperAuthority
from fedward_operator.hub.views import view_secret
from fedward_protocol.pki import Authority
from fedward_protocol.scraping import UnusableError

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
OWNER = Owner("research", "glioma", "0b1c", {})
FEDERATION = "fed.example"


def made(authority=None, scrapers=None):
    return CertificateSecrets(HubAuthority(authority or Authority.create(FEDERATION, NOW), FEDERATION), scrapers)


def held(manifest):
    """What the operator sees of it once the API server has it."""
    manifest["metadata"]["uid"] = "s1"
    return view_secret(manifest).held


def certificate(manifest):
    return x509.load_pem_x509_certificate(base64.b64decode(manifest["data"]["tls.crt"]))


def names(manifest, kind):
    found = certificate(manifest).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return found.get_values_for_type(kind)


def test_an_aggregator_is_met_by_its_names_and_scraped_by_one_that_all_of_them_have():
    manifest = made().of_aggregator(OWNER, NOW)

    assert (manifest["type"], manifest["metadata"]["name"]) == ("kubernetes.io/tls", "glioma-aggregator-tls")
    assert names(manifest, x509.DNSName) == [
        "glioma.research.fed.example",
        "glioma-aggregator.research.svc",
        "metrics.fed.example",
    ]
    assert names(manifest, x509.UniformResourceIdentifier) == ["spiffe://fed.example/job/0b1c"]
    assert set(manifest["data"]) == {"tls.crt", "tls.key", "ca.crt", "scrapers.crt"}


def test_a_tracker_may_watch_its_job_and_can_be_taken_for_no_aggregator():
    manifest = made().of_tracker(OWNER, NOW)

    assert manifest["metadata"]["name"] == "glioma-tracker-tls"
    assert names(manifest, x509.UniformResourceIdentifier) == ["spiffe://fed.example/observer/0b1c"]
    assert names(manifest, x509.DNSName) == ["metrics.fed.example"]


@pytest.mark.parametrize("make", ["of_aggregator", "of_tracker"])
def test_one_is_good_until_two_thirds_of_its_life_are_over(make):
    certificates = made()
    manifest = getattr(certificates, make)(OWNER, NOW)
    life = certificate(manifest).not_valid_after_utc - NOW

    assert certificates.is_good(held(manifest), NOW + life * 0.66)
    assert not certificates.is_good(held(manifest), NOW + life * 0.67)


def test_one_of_another_authority_is_made_anew():
    manifest = made().of_aggregator(OWNER, NOW)

    assert not made().is_good(held(manifest), NOW)


def test_whom_the_metrics_are_shown_to_is_in_it_and_a_renewed_authority_of_theirs_makes_it_anew():
    authority, theirs = Authority.create(FEDERATION, NOW), [b"first"]
    certificates = made(authority, lambda: theirs[-1])
    manifest = certificates.of_aggregator(OWNER, NOW)

    assert base64.b64decode(manifest["data"]["scrapers.crt"]) == b"first"
    assert manifest["data"]["ca.crt"] != manifest["data"]["scrapers.crt"]
    assert certificates.is_good(held(manifest), NOW + timedelta(days=1))
    assert not made(authority).is_good(held(manifest), NOW), "nobody has to show a certificate any more"
    theirs.append(b"second")
    assert not certificates.is_good(held(manifest), NOW + timedelta(days=1))


def test_a_pod_made_to_show_its_metrics_starts_also_when_nobody_may_scrape_any_more():
    authority = Authority.create(FEDERATION, NOW)
    before = made(authority, lambda: b"theirs").of_aggregator(OWNER, NOW)
    after = made(authority).of_aggregator(OWNER, NOW)

    assert set(after["data"]) == set(before["data"])
    assert after["data"]["scrapers.crt"] == after["data"]["tls.crt"], "nobody else has a certificate of that"


def test_an_authority_of_scrapers_that_cannot_be_used_leaves_the_last_that_could(tmp_path):
    first, second = (Authority.create("monitoring", NOW).ca_pem for _ in range(2))
    (tmp_path / "ca.crt").write_bytes(first)
    scrapers = ScraperAuthority(tmp_path)
    for useless in (b"", b"garbage", b"\xff\xfe", first[:200]):
        (tmp_path / "ca.crt").write_bytes(useless)
        assert scrapers() == first
    (tmp_path / "ca.crt").unlink()
    assert scrapers() == first
    (tmp_path / "ca.crt").write_bytes(second)
    assert scrapers() == second


def test_without_any_authority_of_scrapers_it_is_said_which_file_is_missing(tmp_path):
    with pytest.raises(UnusableError, match=r"ca\.crt cannot be used"):
        ScraperAuthority(tmp_path)

"""The local certificate authority: what its certificates say, and how keys lie on disk."""

from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from fedward_protocol.identity import Identity
from fedward_protocol.pki import Authority, Credentials

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
AUTHORITY = Authority.create("fed.example", NOW)


def issued() -> Credentials:
    return AUTHORITY.issue(Identity("fed.example", "site", "north"), ["gateway.north.fed.example"], NOW, HOUR)


def test_a_certificate_names_its_holder_by_uri_and_dns_and_is_no_authority() -> None:
    certificate = x509.load_pem_x509_certificate(issued().cert_pem)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == ["spiffe://fed.example/site/north"]
    assert names.get_values_for_type(x509.DNSName) == ["gateway.north.fed.example"]
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    purposes = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert set(purposes) == {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}


def test_the_authority_signs_and_can_have_no_authority_below_it() -> None:
    authority = x509.load_pem_x509_certificate(AUTHORITY.ca_pem)
    x509.load_pem_x509_certificate(issued().cert_pem).verify_directly_issued_by(authority)
    constraints = authority.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (constraints.critical, constraints.value) == (True, x509.BasicConstraints(ca=True, path_length=0))


def test_a_certificate_lasts_as_long_as_was_asked_for_and_forgives_a_slow_clock() -> None:
    certificate = x509.load_pem_x509_certificate(issued().cert_pem)
    assert certificate.not_valid_after_utc == NOW + HOUR
    assert NOW - timedelta(minutes=10) < certificate.not_valid_before_utc < NOW


def test_every_certificate_has_a_key_of_its_own() -> None:
    assert issued().key_pem != issued().key_pem


def test_an_authority_issues_for_its_own_federation_only() -> None:
    with pytest.raises(ValueError, match=r"is not of fed\.example"):
        AUTHORITY.issue(Identity("other.example", "hub"), [], NOW, HOUR)


def test_credentials_are_read_back_as_written_over_older_ones(tmp_path: Path) -> None:
    issued().write(tmp_path / "tls")
    newer = issued()
    newer.write(tmp_path / "tls")
    assert Credentials.read(tmp_path / "tls") == newer
    assert sorted(path.name for path in (tmp_path / "tls").iterdir()) == ["ca.crt", "tls.crt", "tls.key"]


def test_only_the_owner_can_read_the_key_and_no_log_shows_it(tmp_path: Path) -> None:
    credentials = issued()
    credentials.write(tmp_path)
    assert stat.S_IMODE((tmp_path / "tls.key").stat().st_mode) == 0o600
    assert "PRIVATE" not in repr(credentials)

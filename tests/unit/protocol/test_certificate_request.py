"""Requests for certificates: what is read back, and everything that is not read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from fedward_protocol import certificate_request
from fedward_protocol.identity import Identity
from fedward_protocol.pki import Authority

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
NORTH = Identity("fed.example", "site", "north")
NAME = "gateway.north.fed.example"
URI = x509.UniformResourceIdentifier(NORTH.uri)


def request(*names: x509.GeneralName, key=None, subject=(), more=()) -> bytes:
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(subject))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=True)
    for extension in more:
        builder = builder.add_extension(extension, critical=True)
    signed = builder.sign(key or ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM)


def test_what_was_asked_for_is_read_and_certified_for_the_askers_own_key() -> None:
    key_pem, pem = certificate_request.make(NORTH, [NAME])
    found = certificate_request.read(pem)
    assert (found.identity, found.dns_names) == (NORTH, (NAME,))
    authority = Authority.create("fed.example", NOW)
    signed = authority.certify(found.key, found.identity, found.dns_names, NOW, timedelta(hours=1))
    certificate = x509.load_pem_x509_certificate(signed)
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(authority.ca_pem))
    key = serialization.load_pem_private_key(key_pem, None)
    assert certificate.public_key() == key.public_key()


def test_each_request_has_a_key_of_its_own() -> None:
    assert certificate_request.make(NORTH, [])[0] != certificate_request.make(NORTH, [])[0]


@pytest.mark.parametrize(
    ("pem", "why"),
    [
        (b"", "no PEM certificate request"),
        (b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n", "no PEM certificate"),
        (request(), "subject alternative names and nothing else"),
        (request(x509.DNSName(NAME)), "one URI"),
        (request(URI, x509.UniformResourceIdentifier("spiffe://fed.example/hub")), "one URI"),
        (request(URI, x509.RFC822Name("a@example.org")), "one URI and DNS names, nothing else"),
        (request(x509.UniformResourceIdentifier("https://example.org")), "no identity of a federation"),
        (request(URI, key=ec.generate_private_key(ec.SECP384R1())), "not EC P-256"),
        (request(URI, key=rsa.generate_private_key(65537, 2048)), "not EC P-256"),
        (request(URI, subject=[x509.NameAttribute(NameOID.COMMON_NAME, "hub")]), "it has a subject"),
        (request(URI, more=[x509.BasicConstraints(ca=True, path_length=None)]), "nothing else"),
    ],
)
def test_any_other_request_is_refused(pem: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        certificate_request.read(pem)


def test_a_request_that_was_changed_on_its_way_is_refused() -> None:
    der = x509.load_pem_x509_csr(request(URI, x509.DNSName(NAME))).public_bytes(serialization.Encoding.DER)
    changed = x509.load_der_x509_csr(der.replace(b"gateway.north", b"gateway.south"))
    with pytest.raises(ValueError, match="not signed by its own key"):
        certificate_request.read(changed.public_bytes(serialization.Encoding.PEM))


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_in_words(junk: bytes) -> None:
    with pytest.raises(ValueError, match="it is no PEM"):
        certificate_request.read(junk)


def test_an_authority_that_takes_over_is_believed_beside_the_old_one() -> None:
    old, new = Authority.create("fed.example", NOW), Authority.create("fed.example", NOW)
    taking_over = Authority.load("fed.example", new.ca_pem, new.key_pem, old.ca_pem + new.ca_pem)
    issued = taking_over.issue(NORTH, [], NOW, timedelta(hours=1))
    assert issued.ca_pem == old.ca_pem + new.ca_pem
    with pytest.raises(ValueError, match=r"its ca\.crt lacks its tls\.crt"):
        Authority.load("fed.example", new.ca_pem, new.key_pem, old.ca_pem)

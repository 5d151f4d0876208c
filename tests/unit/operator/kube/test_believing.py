"""An authority that was named is believed, whether it stands by itself or below another, as of a company."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from fedward_operator.kube.access import believing
from fedward_protocol.identity import Identity
from fedward_protocol.pki import Authority

NOW = datetime.now(UTC)
DAY = timedelta(days=1)
NORTH = Identity("fed.example.org", "site", "north")


def below_a_company() -> Authority:
    """Make an authority whose certificate a company has signed."""
    alone = Authority.create("fed.example.org", NOW)
    own = x509.load_pem_x509_certificate(alone.ca_pem)
    company = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a company")])
    builder = x509.CertificateBuilder(
        company, own.subject, own.public_key(), 1, own.not_valid_before_utc, own.not_valid_after_utc
    )
    for each in own.extensions:
        builder = builder.add_extension(each.value, each.critical)
    signed = builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return Authority.load("fed.example.org", signed.public_bytes(serialization.Encoding.PEM), alone.key_pem)


def shake_hands(authority: Authority, client: ssl.SSLContext, folder) -> None:
    """Let a client meet a server of an authority, without a network.

    Raises:
        ssl.SSLError: it does not believe the server.
    """
    shown = authority.issue(NORTH, ["north.example.org"], NOW, DAY)
    (folder / "tls.pem").write_bytes(shown.key_pem + shown.cert_pem)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "tls.pem")
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [client.wrap_bio(back, there, server_hostname="north.example.org"), server.wrap_bio(there, back, True)]
    while ends:
        for end in list(ends):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            ends.remove(end)


@pytest.mark.parametrize("make", [lambda: Authority.create("fed.example.org", NOW), below_a_company])
def test_the_authority_that_was_named_is_believed(make, tmp_path):
    authority = make()
    (tmp_path / "ca.crt").write_bytes(authority.ca_pem)
    shake_hands(authority, believing(cafile=tmp_path / "ca.crt"), tmp_path)
    shake_hands(authority, believing(cadata=authority.ca_pem.decode()), tmp_path)


def test_another_is_not(tmp_path):
    other = below_a_company()
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(Authority.create("fed.example.org", NOW), believing(cadata=other.ca_pem.decode()), tmp_path)

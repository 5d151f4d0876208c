"""A certificate authority for one federation, for local runs and tests; a cluster brings its own."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from fedward_protocol.identity import Identity

_AUTHORITY_LIFETIME = timedelta(days=3650)
_CLOCK_SKEW = timedelta(minutes=5)
"""Certificates are valid from a little before they are made: the other machine's clock may be behind."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What one process shows and trusts, as PEM: its certificate and key, and the authority it believes."""

    cert_pem: bytes
    key_pem: bytes = field(repr=False)
    ca_pem: bytes

    def write(self, directory: Path) -> None:
        """Write tls.crt, tls.key (readable by the owner alone) and ca.crt, as a Kubernetes TLS secret has them."""
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "tls.crt").write_bytes(self.cert_pem)
        (directory / "ca.crt").write_bytes(self.ca_pem)
        key = directory / "tls.key"
        key.unlink(missing_ok=True)
        # Created closed to others, rather than closed afterwards: there is no instant at which another can open it.
        with os.fdopen(os.open(key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(self.key_pem)

    @classmethod
    def read(cls, directory: Path) -> Credentials:
        """Read what `write` wrote, or a mounted Kubernetes TLS secret.

        Raises:
            OSError: one of the three files is missing.
        """
        return cls(
            cert_pem=(directory / "tls.crt").read_bytes(),
            key_pem=(directory / "tls.key").read_bytes(),
            ca_pem=(directory / "ca.crt").read_bytes(),
        )


class Authority:
    """Signs certificates for one federation; its key leaves this process's memory only by `key_pem`."""

    def __init__(
        self,
        federation: str,
        key: ec.EllipticCurvePrivateKey,
        certificate: x509.Certificate,
        trusted_pem: bytes | None = None,
    ) -> None:
        self._federation, self._key, self._certificate = federation, key, certificate
        self.trusted_pem = trusted_pem or self.ca_pem
        """Whom the federation believes: this authority, and while it takes over from another that one as well."""

    @classmethod
    def create(cls, federation: str, now: datetime) -> Authority:
        """Make a new authority with a fresh key (EC P-256)."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{federation} authority"[:64])])
        certificate = (
            _builder(subject, subject, key.public_key(), now, _AUTHORITY_LIFETIME)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(signs_certificates=True), critical=True)
            .add_extension(_uri_name(f"spiffe://{federation}"), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        return cls(federation, key, certificate)

    @classmethod
    def load(cls, federation: str, cert_pem: bytes, key_pem: bytes, trusted_pem: bytes | None = None) -> Authority:
        """Take up an authority that was made before.

        Args:
            federation: SPIFFE trust domain.
            cert_pem: its certificate.
            key_pem: its key.
            trusted_pem: certificates of all authorities that are believed; this one's alone where left out.

        Raises:
            ValueError: these are no authority's certificate (EC P-256) and key, or of another federation, or the
                authority is not among the trusted ones.
        """
        certificate = x509.load_pem_x509_certificate(cert_pem)
        key = serialization.load_pem_private_key(key_pem, None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError("the authority's key is no elliptic curve's; make one of EC P-256")
        if certificate.public_key() != key.public_key():
            raise ValueError("the authority's key is not its certificate's")
        if not is_authority(certificate, federation):
            raise ValueError(
                f"the authority's certificate is not of {federation}: it must be a CA's, with a subject key identifier "
                f"and the URI spiffe://{federation} among its names"
            )
        if trusted_pem is not None and certificate not in x509.load_pem_x509_certificates(trusted_pem):
            raise ValueError("the authority is not among those that are trusted: its ca.crt lacks its tls.crt")
        return cls(federation, key, certificate, trusted_pem)

    @property
    def key_pem(self) -> bytes:
        """The authority's key, for whoever keeps it."""
        return _pem_of(self._key)

    @property
    def ends(self) -> datetime:
        """Until when it is an authority."""
        return self._certificate.not_valid_after_utc

    @property
    def ca_pem(self) -> bytes:
        """The authority's own certificate, for those who show none."""
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    def issue(self, identity: Identity, dns_names: Sequence[str], now: datetime, lifetime: timedelta) -> Credentials:
        """Make a key (EC P-256) and a certificate for it, good for both ends of a connection.

        Raises:
            ValueError: the identity belongs to another federation.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self.certify(key.public_key(), identity, dns_names, now, lifetime)
        return Credentials(certificate, _pem_of(key), self.trusted_pem)

    def certify(
        self,
        key: ec.EllipticCurvePublicKey,
        identity: Identity,
        dns_names: Sequence[str],
        now: datetime,
        lifetime: timedelta,
    ) -> bytes:
        """Make a certificate, PEM, for a key that somebody else holds; good for both ends of a connection.

        Raises:
            ValueError: the identity belongs to another federation.
        """
        if identity.federation != self._federation:
            raise ValueError(f"{identity.uri} is not of {self._federation}")
        names = [x509.UniformResourceIdentifier(identity.uri), *map(x509.DNSName, dns_names)]
        authority_key = self._certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
        purposes = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        certificate = (
            # It never outlives who vouches for it.
            _builder(x509.Name([]), self._certificate.subject, key, now, min(lifetime, self.ends - now))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
            # Critical, because the subject is empty: the names are all there is.
            .add_extension(x509.SubjectAlternativeName(names), critical=True)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(authority_key.value), critical=False
            )
            .sign(self._key, hashes.SHA256())
        )
        return certificate.public_bytes(serialization.Encoding.PEM)


def is_authority(certificate: x509.Certificate, federation: str) -> bool:
    """Tell whether a certificate is that of an authority of the federation, not of a company's or anybody else's."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        return False
    return constraints.ca and f"spiffe://{federation}" in names.get_values_for_type(x509.UniformResourceIdentifier)


def _pem_of(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, lifetime: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(now + lifetime)
    )


def _uri_name(uri: str) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)])


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )

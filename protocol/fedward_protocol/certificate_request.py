"""A request for a site's certificate (PKCS #10): made where the key is, read by whoever signs."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from fedward_protocol.identity import Identity
from fedward_protocol.reasons import RefusedError


@dataclass(frozen=True, slots=True)
class CertificateRequest:
    """What is asked for: a certificate for this key, which the asker has shown to hold, in these names."""

    key: ec.EllipticCurvePublicKey
    identity: Identity
    dns_names: tuple[str, ...]

    @property
    def fingerprint(self) -> str:
        """What two people compare who are to know that they mean the same key."""
        key = self.key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        return f"SHA256:{hashlib.sha256(key).hexdigest()}"


def make(identity: Identity, dns_names: Sequence[str]) -> tuple[bytes, bytes]:
    """Make a key (EC P-256) and a request for its certificate; return both as PEM, the key first."""
    key = ec.generate_private_key(ec.SECP256R1())
    names = [x509.UniformResourceIdentifier(identity.uri), *map(x509.DNSName, dns_names)]
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([]))
        .add_extension(x509.SubjectAlternativeName(names), critical=True)
        .sign(key, hashes.SHA256())
    )
    key_pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return key_pem, request.public_bytes(serialization.Encoding.PEM)


def read(pem: bytes) -> CertificateRequest:
    """Read a request, from anybody.

    Raises:
        ValueError: it is none, its signature is not by its key, or it asks for something else than one identity and
            DNS names for a P-256 key; says what.
    """
    try:
        request = x509.load_pem_x509_csr(pem)
        key = request.public_key()
        is_signed = request.is_signature_valid
        extensions = list(request.extensions)
    except (InvalidSignature, UnsupportedAlgorithm, x509.DuplicateExtension, ValueError, TypeError) as error:
        raise ValueError("it is no PEM certificate request that can be read") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ValueError("its key is not EC P-256")
    if not is_signed:
        raise ValueError("it is not signed by its own key")
    if list(request.subject):
        raise ValueError("it has a subject, and must have none: the names say it all")
    if len(extensions) != 1 or not isinstance(extensions[0].value, x509.SubjectAlternativeName):
        raise ValueError("it must ask for subject alternative names and nothing else")
    return CertificateRequest(key, *_names(extensions[0].value))


def _names(names: x509.SubjectAlternativeName) -> tuple[Identity, tuple[str, ...]]:
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    dns_names = tuple(names.get_values_for_type(x509.DNSName))
    if len(uris) != 1 or len(names) != 1 + len(dns_names):
        raise ValueError("it must name one URI and DNS names, nothing else")
    try:
        return Identity.parse(uris[0]), dns_names
    except RefusedError as error:
        raise ValueError("its URI is no identity of a federation") from error

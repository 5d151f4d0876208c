"""Whom the federation believes: the authority that signs, and beside it the one that it takes over from."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from fedward_protocol.pki import Authority, is_authority

CERTIFICATE, KEY, BELIEVED = "tls.crt", "tls.key", "ca.crt"
"""Files of the authority's Secret: who signs, and who else is believed."""

Files = Mapping[str, bytes]


def read_authority(federation: str, files: Files) -> Authority:
    """Take up the authority in a Secret's files; of the authorities in its ca.crt only the federation's count.

    Raises:
        ValueError: what is wrong, and in which file.
    """
    for name in (CERTIFICATE, KEY):
        if not files.get(name):
            raise ValueError(f"{name} is missing")
    signer, others = files[CERTIFICATE], files.get(BELIEVED) or b""
    try:
        first = x509.load_pem_x509_certificates(signer)[0]
    except ValueError as error:
        raise ValueError(f"{CERTIFICATE} holds no certificate (PEM)") from error
    try:
        more = x509.load_pem_x509_certificates(others) if others.strip() else []
    except ValueError as error:
        raise ValueError(f"{BELIEVED} holds something else than certificates (PEM)") from error
    # A company's own authority may vouch for ours; that does not let everybody in for whom it vouches as well.
    believed = [first, *(each for each in more if each != first and is_authority(each, federation))]
    try:
        return Authority.load(federation, _pem(first), files[KEY], b"".join(map(_pem, believed)))
    except TypeError as error:
        raise ValueError(f"{KEY} is encrypted; give it without a password") from error


def files_of(authority: Authority) -> dict[str, bytes]:
    """Give an authority's files, as `read_authority` reads them."""
    return {CERTIFICATE: authority.ca_pem, KEY: authority.key_pem, BELIEVED: authority.trusted_pem}


def mark(believed: bytes) -> str:
    """Tell authorities (PEM), of which the first signs, from all others; empty where there are none."""
    if not believed.strip():
        return ""
    fingerprints = [each.fingerprint(SHA256()) for each in x509.load_pem_x509_certificates(believed)]
    return hashlib.sha256(b"".join(fingerprints)).hexdigest()[:32]


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.PEM)

"""Whether the hospital has joined: its certificate is there, names it, and is of the federation's authority."""

from __future__ import annotations

from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from fedward_operator.checks import lifetime
from fedward_operator.checks.finding import Finding, Trouble, wrong
from fedward_protocol.identity import Identity

ABOUT = "certificate of the site"


def joined(cert_pem: bytes | None, ca_pem: bytes | None, identity: Identity, now: datetime, then: str) -> Finding:
    """Judge the certificate that the gateway shows; None where there is none."""
    if not cert_pem:
        said = "there is none: the hub has not let the site in yet; the operator's log says why"
        return wrong(ABOUT, Trouble.NOT_JOINED, said, then)
    try:
        certificate = x509.load_pem_x509_certificate(cert_pem)
        authorities = x509.load_pem_x509_certificates(ca_pem or b"")
    except ValueError as error:
        return wrong(ABOUT, Trouble.NOT_JOINED, f"what is kept is no certificate and authority: {error}", then)
    found = _uris(certificate)
    if found != [identity.uri]:
        said = f"it is of {', '.join(found) or 'nobody'}, and this is {identity.uri}"
        return wrong(ABOUT, Trouble.IDENTITY_MISMATCH, said, then)
    if not any(_signed(certificate, each) for each in authorities):
        said = "it is not of the authority that is kept beside it"
        return wrong(ABOUT, Trouble.CERTIFICATE_UNTRUSTED, said, then)
    return lifetime.judge(ABOUT, certificate, now, then)


def _uris(certificate: x509.Certificate) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return list(names.get_values_for_type(x509.UniformResourceIdentifier))


def _signed(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (InvalidSignature, TypeError, ValueError):
        return False
    return True

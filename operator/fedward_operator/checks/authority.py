"""Whether the hub holds the federation's authority, which signs every certificate, and until when that is good."""

from __future__ import annotations

from datetime import datetime

from cryptography import x509

from fedward_operator.checks import lifetime
from fedward_operator.checks.finding import Finding, Trouble, wrong
from fedward_protocol.pki import is_authority

ABOUT = "authority"


def held(cert_pem: bytes | None, ca_pem: bytes | None, federation: str, now: datetime, then: str) -> Finding:
    """Judge its certificate; None where there is none."""
    if not cert_pem:
        said = "there is none, so nobody gets a certificate: the operator makes it, or whoever the values name"
        return wrong(ABOUT, Trouble.AUTHORITY_MISSING, said, then)
    try:
        certificate = x509.load_pem_x509_certificate(cert_pem)
        # Who else is believed: an authority of a company above it may stand there, and does not count.
        x509.load_pem_x509_certificates(ca_pem or cert_pem)
    except ValueError as error:
        return wrong(ABOUT, Trouble.AUTHORITY_INVALID, f"what is kept is no certificate: {error}", then)
    flaw = _flaw(certificate, federation)
    if flaw is not None:
        return wrong(ABOUT, Trouble.AUTHORITY_INVALID, flaw, then)
    return lifetime.judge(ABOUT, certificate, now, then)


def _flaw(certificate: x509.Certificate, federation: str) -> str | None:
    extensions = certificate.extensions
    try:
        may_sign = extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return "it is no authority's of a federation: it says neither that it may sign nor whose it is"
    if not may_sign:
        return "it is no authority's: it may not sign"
    uri = f"spiffe://{federation}"
    found = names.get_values_for_type(x509.UniformResourceIdentifier)
    if uri not in found:
        return f"it is of {', '.join(found) or 'no federation'}, and this is {uri}"
    return None if is_authority(certificate, federation) else "it has no subject key identifier, which signing needs"

"""Whether TLS to a server holds: its certificate is of the expected authority, of the expected name, and valid now."""

from __future__ import annotations

import ssl

from cryptography import x509

from fedward_operator.checks import lifetime
from fedward_operator.checks.connection import ProxyRefusedError, Server, secure
from fedward_operator.checks.finding import Finding, Trouble, fine, wrong


def trust(about: str, server: Server, context: ssl.SSLContext, name: str, then: str) -> Finding:
    """Shake hands, and say what the certificate is worth."""
    try:
        with secure(server, context, name) as stream:
            until = lifetime.show(_certificate(stream).not_valid_after_utc)
            return fine(about, f"{server.address} is {name}, its certificate good until {until}")
    except ssl.SSLCertVerificationError as error:
        reason, said = _mistrusted(error, server, name)
        return wrong(about, reason, said, then)
    except (OSError, ProxyRefusedError) as error:
        said = f"TLS with {server.address} fails when {name} is asked for: {error}"
        return wrong(about, Trouble.TLS_FAILED, said, then)


def _mistrusted(error: ssl.SSLCertVerificationError, server: Server, name: str) -> tuple[Trouble, str]:
    shown = _shown(server, name)
    if shown is None:
        return Trouble.CERTIFICATE_UNTRUSTED, error.verify_message
    begins, ends = (lifetime.show(each) for each in (shown.not_valid_before_utc, shown.not_valid_after_utc))
    match error.verify_code:
        case 9:  # X509_V_ERR_CERT_NOT_YET_VALID
            return Trouble.CERTIFICATE_NOT_YET_VALID, f"the certificate is good from {begins} on; is this clock right?"
        case 10:  # X509_V_ERR_CERT_HAS_EXPIRED
            return Trouble.CERTIFICATE_EXPIRED, f"the certificate expired at {ends}"
        case 62 | 64:  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH
            return Trouble.SERVER_NAME_MISMATCH, f"the certificate is for {_names(shown)}, not for {name}"
    issuer = shown.issuer.rfc4514_string() or "an authority without a name"
    said = (
        f"the certificate is not of the authority that was given, but of {issuer}; does something open TLS on the way?"
    )
    return Trouble.CERTIFICATE_UNTRUSTED, said


def _shown(server: Server, name: str) -> x509.Certificate | None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Nothing is said over this connection: it is there to see what cannot be trusted.
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with secure(server, context, name) as stream:
            return _certificate(stream)
    except (OSError, ProxyRefusedError):
        return None


def _certificate(stream: ssl.SSLSocket) -> x509.Certificate:
    return x509.load_der_x509_certificate(stream.getpeercert(binary_form=True) or b"")


def _names(certificate: x509.Certificate) -> str:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return "no name"
    return ", ".join(str(each.value) for each in names)

"""A server's certificate as it lies on the disk: read again when it was renewed, so that no restart is needed."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from fedward_protocol.identity import Identity
from fedward_protocol.pki import Credentials
from fedward_protocol.reasons import RefusedError

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate with its key and authority, and whom it names."""

    credentials: Credentials
    x509: x509.Certificate
    identity: Identity

    @classmethod
    def parse(cls, credentials: Credentials) -> Certificate:
        """Read a certificate and check that the key is its own, and that there is an authority to believe.

        Raises:
            RefusedError: IDENTITY_MISMATCH, its URI is none of a federation's.
            ValueError: it is no certificate, does not name exactly one URI, the key is another's, or no authority's.
        """
        x509.load_pem_x509_certificates(credentials.ca_pem)
        certificate = x509.load_pem_x509_certificate(credentials.cert_pem)
        if load_pem_private_key(credentials.key_pem, None).public_key() != certificate.public_key():
            raise ValueError("the key is not the certificate's")
        try:
            names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except x509.ExtensionNotFound as error:
            raise ValueError("the certificate names nobody") from error
        (uri,) = names.get_values_for_type(x509.UniformResourceIdentifier)
        return cls(credentials, certificate, Identity.parse(uri))

    def obstacle(self, now: datetime) -> str | None:
        """Say why nobody believes it at an instant, None when it is valid."""
        begins, ends = self.x509.not_valid_before_utc, self.x509.not_valid_after_utc
        if now >= ends:
            return f"the certificate expired at {ends.isoformat()}; renew it in its folder"
        if now < begins:
            return f"the certificate is not valid before {begins.isoformat()}; check the clock"
        return None


class CertificateFolder:
    """A folder of tls.crt, tls.key and ca.crt that somebody renews; safe to ask from several threads.

    Raises:
        OSError: one of the files is missing.
        RefusedError: IDENTITY_MISMATCH, as for `Certificate.parse`.
        ValueError: as for `Certificate.parse`.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._current = Certificate.parse(Credentials.read(folder))
        self._passed_over: Credentials | None = None

    def current(self) -> Certificate:
        """Return what is in the folder; while that cannot be used (half written, another's), the last that could be."""
        with self._lock:
            try:
                found = Credentials.read(self._folder)
            except OSError as error:
                _log.warning("the certificate cannot be read again: %s", error)
                return self._current
            if found not in (self._current.credentials, self._passed_over):
                self._take(found)
            return self._current

    def _take(self, found: Credentials) -> None:
        try:
            renewed = Certificate.parse(found)
            if renewed.identity != self._current.identity:
                raise ValueError(f"it names {renewed.identity.uri}, this is {self._current.identity.uri}")
        except (ValueError, RefusedError) as error:
            self._passed_over = found
            _log.warning("the certificate in the folder is passed over: %s", error)
            return
        self._current, self._passed_over = renewed, None
        _log.info("the certificate was renewed", extra={"expires": renewed.x509.not_valid_after_utc.isoformat()})

"""The hub's certificates: an aggregator's for each job, and the operator's own, from the federation's authority."""

from __future__ import annotations

import base64
from datetime import datetime, timedelta
from pathlib import Path

from fedward_operator.policy import naming
from fedward_operator.policy.conditions import show_time
from fedward_protocol.certificate_request import CertificateRequest
from fedward_protocol.identity import Identity, aggregator_name
from fedward_protocol.pki import Authority, Credentials

_LIFETIME = timedelta(days=90)
_RENEWED_AFTER = _LIFETIME * 2 / 3


class HubAuthority:
    """Issues what the hub's processes show."""

    def __init__(self, authority: Authority, federation: str) -> None:
        self._authority, self.federation = authority, federation
        self._own: tuple[Credentials, datetime] | None = None

    @classmethod
    def load(cls, folder: Path, federation: str) -> HubAuthority:
        """Read the authority's tls.crt and tls.key.

        Raises:
            OSError, ValueError: they are missing, or no authority's certificate and key.
        """
        certificate, key = (folder / "tls.crt").read_bytes(), (folder / "tls.key").read_bytes()
        return cls(Authority.load(federation, certificate, key), federation)

    def own(self, now: datetime) -> Credentials:
        """Return what this operator shows to aggregators; renewed in time."""
        if self._own is None or now >= self._own[1]:
            issued = self._authority.issue(Identity(self.federation, "hub"), [], now, _LIFETIME)
            self._own = issued, now + _RENEWED_AFTER
        return self._own[0]

    @property
    def trusted_pem(self) -> bytes:
        """Whom the federation's members believe."""
        return self._authority.trusted_pem

    def certify_site(self, request: CertificateRequest, now: datetime, lifetime: timedelta) -> bytes:
        """Issue the certificate, PEM, that a site's request was judged worth of."""
        return self._authority.certify(request.key, request.identity, request.dns_names, now, lifetime)

    def for_aggregator(self, name: str, namespace: str, uid: str, now: datetime) -> tuple[dict[str, str], str]:
        """Issue a job's certificate.

        Returns:
            The files of a TLS secret, in base64, and when to renew it.
        """
        names = [aggregator_name(name, namespace, self.federation), f"{naming.aggregator(name)}.{namespace}.svc"]
        issued = self._authority.issue(Identity(self.federation, "job", uid), names, now, _LIFETIME)
        files = {"tls.crt": issued.cert_pem, "tls.key": issued.key_pem, "ca.crt": issued.ca_pem}
        encoded = {file: base64.b64encode(content).decode() for file, content in files.items()}
        return encoded, show_time(now + _RENEWED_AFTER)

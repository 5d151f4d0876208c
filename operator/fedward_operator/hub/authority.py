"""The hub's certificates: an aggregator's for each job, and the operator's own, from the federation's authority."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from fedward_operator.policy import naming
from fedward_operator.policy.joining import trust
from fedward_protocol.certificate_request import CertificateRequest
from fedward_protocol.identity import Identity, aggregator_name, metrics_name
from fedward_protocol.pki import Authority, Credentials

_LIFETIME = timedelta(days=90)
_RENEWED_AFTER = _LIFETIME * 2 / 3


class HubAuthority:
    """Issues what the hub's processes show; another authority may take over while it does.

    Attributes:
        ready: set once there is an authority; nothing can be issued before.
        mark: tells who signs, and whom the federation's members believe, from whoever did before.
    """

    def __init__(self, authority: Authority | None, federation: str) -> None:
        self.federation, self.ready = federation, asyncio.Event()
        self._current: Authority | None = None
        self.mark = ""
        self._own: tuple[Credentials, datetime] | None = None
        if authority is not None:
            self.take(authority)

    @classmethod
    def load(cls, folder: Path, federation: str) -> HubAuthority:
        """Read the authority's tls.crt and tls.key, and the others that are believed from ca.crt, where that is there.

        Raises:
            OSError, ValueError: they are missing, or no authority's certificate and key.
        """
        files = {name: (folder / name).read_bytes() for name in (trust.CERTIFICATE, trust.KEY)}
        if (folder / trust.BELIEVED).exists():
            files[trust.BELIEVED] = (folder / trust.BELIEVED).read_bytes()
        return cls(trust.read_authority(federation, files), federation)

    def take(self, authority: Authority) -> bool:
        """Issue by this authority from now on; tell whether anything is different then."""
        if self._current is not None and self._current.trusted_pem == authority.trusted_pem:
            return False
        self._current, self._own, self.mark = authority, None, trust.mark(authority.trusted_pem)
        self.ready.set()
        return True

    @property
    def current(self) -> Authority:
        """Who signs.

        Raises:
            RuntimeError: there is nobody yet.
        """
        if self._current is None:
            raise RuntimeError("the federation has no authority yet")
        return self._current

    @property
    def not_after(self) -> datetime:
        """Until when the certificate of who signs is good.

        Raises:
            RuntimeError: there is nobody yet.
        """
        return self.current.ends

    def own(self, now: datetime) -> Credentials:
        """Return what this operator shows to aggregators; renewed in time."""
        if self._own is None or now >= self._own[1]:
            issued = self.current.issue(Identity(self.federation, "hub"), [], now, _LIFETIME)
            self._own = issued, now + _RENEWED_AFTER
        return self._own[0]

    @property
    def trusted_pem(self) -> bytes:
        """Whom the federation's members believe."""
        return self.current.trusted_pem

    def certify_site(self, request: CertificateRequest, now: datetime, lifetime: timedelta) -> bytes:
        """Issue the certificate, PEM, that a site's request was judged worth of."""
        return self.current.certify(request.key, request.identity, request.dns_names, now, lifetime)

    def for_aggregator(self, name: str, namespace: str, uid: str, now: datetime) -> tuple[Credentials, datetime]:
        """Issue a job's certificate; return it with when to renew it."""
        names = [aggregator_name(name, namespace, self.federation), f"{naming.aggregator(name)}.{namespace}.svc"]
        return self._issue(Identity(self.federation, "job", uid), names, now)

    def for_observer(self, uid: str, now: datetime) -> tuple[Credentials, datetime]:
        """Issue a certificate that lets its holder watch the job of this uid; return it with when to renew it."""
        return self._issue(Identity(self.federation, "observer", uid), [], now)

    def _issue(self, identity: Identity, names: Sequence[str], now: datetime) -> tuple[Credentials, datetime]:
        issued = self.current.issue(identity, [*names, metrics_name(self.federation)], now, _LIFETIME)
        return issued, now + _RENEWED_AFTER

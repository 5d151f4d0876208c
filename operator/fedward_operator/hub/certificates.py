"""The Secrets of the certificates that a job's pods at the hub show."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from datetime import datetime

from fedward_operator.hub.authority import HubAuthority
from fedward_operator.hub.owned import Manifest, Owner, head_of
from fedward_operator.hub.scraped import SCRAPERS_FILE
from fedward_operator.kube import kinds
from fedward_operator.policy import naming
from fedward_operator.policy.conditions import show_time
from fedward_protocol.pki import Credentials


class CertificateSecrets:
    """Makes them, and tells when one has to be made anew."""

    def __init__(self, authority: HubAuthority, scrapers: Callable[[], bytes] | None) -> None:
        """Make them.

        Args:
            authority: who issues.
            scrapers: gives the authority (PEM) of those who may scrape, where they have to show a certificate.
        """
        self._authority, self._scrapers = authority, scrapers

    def is_good(self, held: Mapping[str, str], now: datetime) -> bool:
        """Tell of a Secret, by what is held of it, that it need not be made anew."""
        marks = self._authority.mark, _mark(self._scraper_authority())
        return held[naming.RENEW_AFTER] > show_time(now) and (held[naming.AUTHORITY], held[naming.SCRAPERS]) == marks

    def of_aggregator(self, owner: Owner, now: datetime) -> Manifest:
        """Make the aggregator's."""
        issued = self._authority.for_aggregator(owner.name, owner.namespace, owner.uid, now)
        return self._secret(owner, naming.aggregator_tls(owner.name), *issued)

    def of_tracker(self, owner: Owner, now: datetime) -> Manifest:
        """Make the trackers', who may watch the job."""
        return self._secret(owner, naming.tracker_tls(owner.name), *self._authority.for_observer(owner.uid, now))

    def _secret(self, owner: Owner, name: str, issued: Credentials, renew_after: datetime) -> Manifest:
        scrapers = self._scraper_authority()
        files = {"tls.crt": issued.cert_pem, "tls.key": issued.key_pem, "ca.crt": issued.ca_pem}
        # There in any case, as a pod that was made to show its metrics does not start without: then to itself alone.
        files[SCRAPERS_FILE] = scrapers or issued.cert_pem
        head = head_of(kinds.SECRET, owner, name)
        head["metadata"]["annotations"] = {
            naming.RENEW_AFTER: show_time(renew_after),
            naming.AUTHORITY: self._authority.mark,
            naming.SCRAPERS: _mark(scrapers),
        }
        encoded = {file: base64.b64encode(content).decode() for file, content in files.items()}
        return {**head, "type": "kubernetes.io/tls", "data": encoded}

    def _scraper_authority(self) -> bytes:
        return self._scrapers() if self._scrapers is not None else b""


def _mark(authority: bytes) -> str:
    return hashlib.sha256(authority).hexdigest()[:32] if authority else ""

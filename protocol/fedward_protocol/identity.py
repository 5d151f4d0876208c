"""Who speaks: SPIFFE identities of sites, hub and jobs, and the names by which servers are met."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, cast

from fedward_protocol.reasons import Reason, RefusedError

Role = Literal["site", "hub", "job", "observer"]

_TRUST_DOMAIN = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_SEGMENT = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_URI = re.compile(r"spiffe://(?P<federation>[^/]+)/(?:(?P<role>site|job|observer)/(?P<name>[^/]+)|(?P<hub>hub))")
_LONGEST_URI = 2048


@dataclass(frozen=True, slots=True)
class Identity:
    """A SPIFFE identity: `spiffe://<federation>/site/<name>`, `…/job/<uid>`, `…/observer/<uid>` or a nameless `…/hub`.

    An observer may watch the one job whose uid it is named after, and do nothing else.
    """

    federation: str
    role: Role
    name: str = ""

    def __post_init__(self) -> None:
        name_fits = self.name == "" if self.role == "hub" else _SEGMENT.fullmatch(self.name) is not None
        if not name_fits or not _TRUST_DOMAIN.fullmatch(self.federation):
            raise RefusedError(Reason.IDENTITY_MISMATCH, f"{self.uri[:120]!r} is no identity of a federation")

    @property
    def uri(self) -> str:
        """The SPIFFE URI."""
        path = self.role if self.role == "hub" else f"{self.role}/{self.name}"
        return f"spiffe://{self.federation}/{path}"

    @classmethod
    def parse(cls, uri: str) -> Identity:
        """Read a SPIFFE URI.

        Raises:
            RefusedError: IDENTITY_MISMATCH, it is not one of a federation's.
        """
        match = _URI.fullmatch(uri) if len(uri) <= _LONGEST_URI else None
        if match is None:
            raise RefusedError(Reason.IDENTITY_MISMATCH, f"{uri[:120]!r} is no identity of a federation")
        if match["hub"]:
            return cls(match["federation"], "hub")
        return cls(match["federation"], cast(Role, match["role"]), match["name"])


def gateway_name(site: str, federation: str) -> str:
    """Return the DNS name in the certificate of a site's gateway."""
    return f"gateway.{site}.{federation}"


def metrics_name(federation: str) -> str:
    """Return the DNS name in the certificates by which jobs' pods at the hub show their metrics, the same for all."""
    return f"metrics.{federation}"


def aggregator_name(job: str, namespace: str, federation: str) -> str:
    """Return the DNS name in the certificate of a job's aggregator, by which the hub's door sends connections on."""
    return f"{job}.{namespace}.{federation}"

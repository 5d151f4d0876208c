"""Whether a site's request for a certificate is granted: by what it asks, who asks, and what the hub's people say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fedward_operator.policy.joining import naming
from fedward_protocol import certificate_request
from fedward_protocol.certificate_request import CertificateRequest
from fedward_protocol.identity import Identity, gateway_name


@dataclass(frozen=True, slots=True)
class Asked:
    """A CertificateSigningRequest.

    Attributes:
        name: the object's.
        user: who made it, as the API server says.
        pem: the request itself.
        approved: somebody has approved it.
        settled: it was denied, has failed, or holds its certificate.
    """

    name: str
    user: str
    pem: bytes
    approved: bool
    settled: bool


@dataclass(frozen=True, slots=True)
class Invited:
    """What the hub's people said about a site."""

    approval: Literal["automatic", "manual"]
    revoked: bool


@dataclass(frozen=True, slots=True)
class Sign:
    """Approve it, if nobody has yet, and issue the certificate.

    Attributes:
        joins: the site comes by an invitation, and gets its account; whoever renews has one, or had until it was ended.
    """

    request: CertificateRequest
    joins: bool


@dataclass(frozen=True, slots=True)
class Deny:
    """Say no, for good."""

    message: str


@dataclass(frozen=True, slots=True)
class Wait:
    """A person of the hub has to approve it."""


def judge(asked: Asked, site: Invited | None, federation: str) -> Sign | Deny | Wait | None:
    """Judge a request; None where nothing is left to do.

    Args:
        asked: the request.
        site: the FederatedSite of the site that its user speaks for; None where there is none.
        federation: SPIFFE trust domain.
    """
    if asked.settled:
        return None
    speaker = naming.speaker(asked.user)
    if speaker is None:
        return Deny(f"{asked.user} is no site's account: only a site may ask for its certificate")
    name, account = speaker
    if asked.name != naming.certificate_request(name):
        return Deny(f"{name} may ask by the name {naming.certificate_request(name)} alone")
    if site is None or site.revoked:
        return Deny(f"{name} is {'revoked' if site else 'not invited'}")
    try:
        request = certificate_request.read(asked.pem)
    except ValueError as error:
        return Deny(f"the request: {error}")
    if request.identity != Identity(federation, "site", name):
        return Deny(f"the request is for {request.identity.uri}, and {name} asks")
    if request.dns_names != (gateway_name(name, federation),):
        return Deny(f"the request must name {gateway_name(name, federation)} as its only DNS name")
    # A member renews what it was given; an invitation may be good enough by itself.
    if asked.approved or account == naming.MEMBER or site.approval == "automatic":
        return Sign(request, joins=account == naming.INVITATION)
    return Wait()

"""What joining is done with, in a site's mailbox namespace at the hub, and who speaks from there."""

from __future__ import annotations

import re

SIGNER = "fedward.io/site"
"""Signer name of a site's CertificateSigningRequests."""

INVITATION = "fedward-invitation"
"""ServiceAccount of an invitation's token; the token dies with it."""

MEMBER = "fedward-site"
"""ServiceAccount of a site that has joined; there from its approval until it is revoked."""

_USER = re.compile(rf"system:serviceaccount:fedward-site-(?P<site>[^:]+):(?P<account>{INVITATION}|{MEMBER})")


def certificate_request(site: str) -> str:
    """Name a site's CertificateSigningRequest: the one that it has a right to."""
    return f"fedward-site-{site}"


def speaker(user: str) -> tuple[str, str] | None:
    """Tell which site a user of the hub's API server speaks for, and by which account; None if for none."""
    match = _USER.fullmatch(user)
    return (match["site"], match["account"]) if match else None

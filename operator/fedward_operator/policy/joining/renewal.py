"""When what a site holds has to be renewed: at two thirds of its life, so that a third is left for trying."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509

_OLDEST_TOKEN = timedelta(days=1)
"""Renewed daily, a token that is good for a week outlasts a hub that is away for six days."""


@dataclass(frozen=True, slots=True)
class Life:
    """From when until when something is good, and how old it may become until then."""

    begins: datetime
    ends: datetime
    oldest: timedelta = timedelta.max

    def is_over(self, now: datetime) -> bool:
        """Tell whether it is good no more."""
        return now >= self.ends

    def renew_at(self) -> datetime:
        """Say when to renew it."""
        return self.begins + min((self.ends - self.begins) * 2 / 3, self.oldest)


def of_token(token: str) -> Life:
    """Read the life of a service account's token, which is a JWT; its signature is the API server's business.

    Raises:
        ValueError: it is none.
    """
    try:
        claims = _claims(token)
        begins, ends = (datetime.fromtimestamp(claims[name], UTC) for name in ("iat", "exp"))
        return Life(begins, ends, _OLDEST_TOKEN)
    except (IndexError, KeyError, TypeError, ValueError, OverflowError, OSError, RecursionError):
        # Without its cause: a token is not for a log.
        raise ValueError("it is no token of a service account") from None


def account_of(token: str) -> str:
    """Read the uid of the service account that a token is of; the token dies with it.

    Raises:
        ValueError: it is no such token.
    """
    try:
        return str(_claims(token)["kubernetes.io"]["serviceaccount"]["uid"])
    except (IndexError, KeyError, TypeError, ValueError, RecursionError):
        raise ValueError("it is no token of a service account") from None


def _claims(token: str) -> Any:
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


def of_certificate(pem: bytes) -> Life:
    """Read the life of a certificate, the first in the text.

    Raises:
        ValueError: there is none.
    """
    certificate = x509.load_pem_x509_certificate(pem)
    return Life(certificate.not_valid_before_utc, certificate.not_valid_after_utc)

"""What an API server answers when it does not do as it was asked."""

from __future__ import annotations

import json


class ApiError(Exception):
    """The API server refused.

    Attributes:
        code: HTTP status.
        reason: Kubernetes' word for it: `NotFound`, `Forbidden`, `Invalid`, ...
        retry_after_s: how long it asks to be left alone.
    """

    def __init__(self, code: int, reason: str, message: str, retry_after_s: float | None = None) -> None:
        self.code, self.reason, self.message, self.retry_after_s = code, reason, message, retry_after_s
        super().__init__(f"{code} {reason}: {message}")

    @property
    def is_gone(self) -> bool:
        """There is no such object."""
        return self.code == 404

    @property
    def is_conflict(self) -> bool:
        """Somebody else was faster, or it exists already."""
        return self.code == 409

    @property
    def is_final(self) -> bool:
        """Asking again will not help: the request itself is not accepted."""
        return 400 <= self.code < 500 and self.code not in (401, 404, 408, 409, 410, 429)


class UnavailableError(Exception):
    """The API server cannot be reached, or did not answer in time."""


class ExpiredError(Exception):
    """The place in history that a watch was to go on from is forgotten (410); list anew."""


def status_message(body: bytes) -> tuple[str, str, float | None]:
    """Read reason, message and the wish to be left alone (seconds) from an error's body, which may be anything."""
    try:
        document = json.loads(body)
        wait = (document.get("details") or {}).get("retryAfterSeconds")
        reason, message = document.get("reason") or "", document.get("message") or ""
    except (ValueError, AttributeError, RecursionError):
        return "", body[:200].decode(errors="replace"), None
    is_wait = isinstance(wait, int | float) and not isinstance(wait, bool) and wait >= 0
    return str(reason), str(message), wait if is_wait else None

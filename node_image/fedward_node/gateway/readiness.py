"""Whether the gateway can do its work, and if not, what somebody must mend."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

from fedward_protocol.certificate import Certificate

_BLOCK = bytes(4096)

_log = logging.getLogger(__name__)


class Readiness:
    """Answers /readyz; each new obstacle is logged too, as nobody keeps what a probe was answered."""

    def __init__(self, look: Callable[[], str | None]) -> None:
        self._look = look
        self._seen: str | None = None

    def __call__(self) -> str | None:
        """Look, and return what is in the way."""
        found = self._look()
        if found is not None and found != self._seen:
            _log.error("not ready: %s", found)
        self._seen = found
        return found


def obstacle(certificate: Certificate, folders: Mapping[str, Path], now: datetime) -> str | None:
    """Say why no trainer can be served, None when all is well.

    Args:
        certificate: the site's.
        folders: what must be written before anything leaves, by what is kept there.
        now: the wall clock.
    """
    invalid = certificate.obstacle(now)
    if invalid is not None:
        return invalid
    for what, folder in folders.items():
        try:
            # A file without a name, so that nobody who looks into the folder meanwhile finds anything.
            with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
                file.write(_BLOCK)
        except OSError as error:
            return f"the folder of the {what} cannot be written: {error.strerror}"
    return None

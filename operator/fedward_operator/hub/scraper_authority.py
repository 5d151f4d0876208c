"""Whom jobs' pods show their metrics to: an authority that somebody else renews."""

from __future__ import annotations

import logging
from pathlib import Path

_log = logging.getLogger(__name__)


class ScraperAuthority:
    """Reads it from where the operator's own metrics have it, each time that it is asked for.

    Raises:
        OSError: it is not there to begin with.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / "ca.crt"
        self._known = self._file.read_bytes()

    def __call__(self) -> bytes:
        """Give it as PEM: what is there now, or was last."""
        try:
            self._known = self._file.read_bytes()
        except OSError as error:
            _log.warning("the authority of scrapers cannot be read: %s", error)
        return self._known

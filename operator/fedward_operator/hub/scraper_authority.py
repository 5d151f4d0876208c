"""Whom jobs' pods show their metrics to: an authority that somebody else renews."""

from __future__ import annotations

import logging
import ssl
from pathlib import Path

from fedward_protocol.repeats import Repeats
from fedward_protocol.scraping import UnusableError

_log = logging.getLogger(__name__)


class ScraperAuthority:
    """Reads it from where the operator's own metrics have it, each time that it is asked for.

    Raises:
        UnusableError: there is none to begin with.
    """

    def __init__(self, folder: Path) -> None:
        self._file, self._repeats = folder / "ca.crt", Repeats()
        try:
            self._known = self._read()
        except (OSError, ValueError) as error:
            raise UnusableError(f"{self._file} cannot be used: {error}") from error

    def __call__(self) -> bytes:
        """Give it as PEM: what is there now, or the last that could be used."""
        try:
            self._known = self._read()
            self._repeats.over()
        except (OSError, ValueError) as error:
            if self._repeats.is_news(str(error)):
                _log.warning(
                    "the authority of scrapers cannot be used", extra={"file": str(self._file), "why": str(error)}
                )
        return self._known

    def _read(self) -> bytes:
        content = self._file.read_bytes()
        # A pod that gets another does not start.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(cadata=content.decode("ascii"))
        return content

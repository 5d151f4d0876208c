"""Mutual TLS between a process and whoever scrapes its metrics, with a certificate that somebody renews."""

from __future__ import annotations

import argparse
import logging
import ssl
import threading
from dataclasses import dataclass
from pathlib import Path

from fedward_protocol.pki import Credentials

_log = logging.getLogger(__name__)


class UnusableError(ValueError):
    """What was given to secure metrics by cannot be used; the message says what, and why."""


@dataclass(frozen=True, slots=True)
class Secured:
    """Where metrics are shown to whoever has a certificate, and to nobody in the clear.

    Attributes:
        address: host:port, another one than the probes': a kubelet has no certificate to show, and a monitoring
            certificate that has run out must not make it end a process that does its work.
        folder: of tls.crt and tls.key, and of ca.crt, the authority of those who may scrape.
    """

    address: str
    folder: Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Take the two arguments that `read_arguments` reads."""
    parser.add_argument(
        "--secure-metrics", metavar="HOST:PORT", help="show metrics here, by mutual TLS, and no more in the clear"
    )
    parser.add_argument(
        "--secure-metrics-tls",
        type=Path,
        metavar="FOLDER",
        help="of its tls.crt and tls.key, and of ca.crt, the authority of whoever may scrape",
    )


def read_arguments(chosen: argparse.Namespace) -> Secured | None:
    """Tell whether and how metrics are secured.

    Raises:
        UnusableError: only one of the two was given.
    """
    address, folder = chosen.secure_metrics, chosen.secure_metrics_tls
    if address is None and folder is None:
        return None
    if address is None or folder is None:
        raise UnusableError("--secure-metrics and --secure-metrics-tls go together; give both or neither")
    return Secured(address, folder)


class ScrapedFolder:
    """A folder of tls.crt, tls.key and ca.crt; safe to ask from several threads.

    Raises:
        UnusableError: a file is missing or cannot be used; the message says which folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._lock = folder, threading.Lock()
        try:
            self._read = Credentials.read(folder)
            self._context = _context(folder)
        except OSError as error:  # which ssl.SSLError is one of
            raise UnusableError(f"{folder}: tls.crt, tls.key or ca.crt cannot be used: {error}") from error
        self._passed_over: Credentials | None = None

    def context(self) -> ssl.SSLContext:
        """Return what the next connection is secured by: the folder's, or the last that could be used."""
        with self._lock:
            found: Credentials | None = None
            try:
                found = Credentials.read(self._folder)
                if found not in (self._read, self._passed_over):
                    self._context, self._read = _context(self._folder), found
                    _log.info("the metrics' certificate is new")
            except OSError as error:
                _log.warning("the metrics' certificate cannot be read again: %s", error)
                self._passed_over = found
            return self._context


def _context(folder: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    context.load_verify_locations(folder / "ca.crt")
    context.verify_mode = ssl.CERT_REQUIRED
    return context

"""Whether the gateway can do its work, and if not, what somebody must mend."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from cryptography import x509

_BLOCK = bytes(4096)


def obstacle(certificate: x509.Certificate, folders: Mapping[str, Path], now: datetime) -> str | None:
    """Say why no trainer can be served, None when all is well.

    Args:
        certificate: the site's.
        folders: what must be written before anything leaves, by what is kept there.
        now: the wall clock.
    """
    if now >= certificate.not_valid_after_utc:
        return f"the certificate expired at {certificate.not_valid_after_utc.isoformat()}; renew it in its folder"
    if now < certificate.not_valid_before_utc:
        return f"the certificate is not valid before {certificate.not_valid_before_utc.isoformat()}; check the clock"
    for what, folder in folders.items():
        try:
            # A file without a name, so that nobody who looks into the folder meanwhile finds anything.
            with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
                file.write(_BLOCK)
        except OSError as error:
            return f"the folder of the {what} cannot be written: {error.strerror}"
    return None

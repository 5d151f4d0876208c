"""The images that are installed: ours, built from this checkout where their inputs have changed."""

from __future__ import annotations

import sys
from pathlib import Path

from scripts.images.build import build

_PARTS = ("operator", "aggregator", "gateway", "trainer", "door", "tracker")


def archives() -> dict[str, Path]:
    """Return each part's archive."""
    return build(_PARTS, say=lambda line: sys.stderr.write(f"{line}\n"))

"""Where `fedward run --metrics` listens: HOST:PORT, or the usual place where none is given."""

from __future__ import annotations

import re

DEFAULT_ADDRESS = "127.0.0.1:9464"
"""This machine alone, at the port where exporters of this kind are looked for."""

_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s:/]+):([0-9]{1,5})")
_HIGHEST_PORT = 65_535


def is_address(text: str) -> bool:
    """Say whether a text is HOST:PORT."""
    found = _ADDRESS.fullmatch(text)
    return found is not None and int(found[2]) <= _HIGHEST_PORT

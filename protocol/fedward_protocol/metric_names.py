"""What a metric may be called and how many there may be, for those who let them out and those who take them in."""

from __future__ import annotations

import re

MOST_METRICS = 64
"""In one report."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.\-]{0,63}")


def is_metric_name(name: str) -> bool:
    """Tell whether a metric may be called so: 64 letters, digits and `_.-` at most, a letter first."""
    return _NAME.fullmatch(name) is not None

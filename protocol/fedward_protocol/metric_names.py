"""What metrics may be called and how many there may be, for those who let them out and those who take them in."""

from __future__ import annotations

import re
from collections.abc import Iterable

MOST_METRICS = 64
"""In one report, and shown of one job however its reports change."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.\-]{0,63}")


def is_metric_name(name: str) -> bool:
    """Tell whether a metric may be called so: 64 letters, digits and `_.-` at most, a letter first."""
    return _NAME.fullmatch(name) is not None


def first_names(known: frozenset[str], said: Iterable[str]) -> frozenset[str]:
    """Return the names that a job's metrics are shown under, once more were said: of new ones the first, up to 64.

    A trainer chooses its names, and whoever collects metrics keeps a series for each that there ever was.
    """
    new = sorted(set(said) - known)
    return known.union(new[: MOST_METRICS - len(known)])

"""Which protocol version two ends speak: the highest that both know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from fedward_protocol.reasons import Reason, RefusedError


class Range(Protocol):
    """Whatever has a lowest and a highest version, the wire's message too."""

    @property
    def lowest(self) -> int:
        """The oldest version spoken."""
        ...

    @property
    def highest(self) -> int:
        """The newest version spoken."""
        ...


@dataclass(frozen=True, slots=True)
class VersionRange:
    """Protocol versions from `lowest` to `highest`, both included."""

    lowest: int
    highest: int


SUPPORTED = VersionRange(1, 1)
"""What this software speaks: the current version and, once there is one, the one before it."""


def negotiate(ours: Range, theirs: Range) -> int:
    """Return the highest version that both speak.

    Raises:
        RefusedError: VERSION_UNSUPPORTED, there is none.
    """
    version = min(ours.highest, theirs.highest)
    if version < max(ours.lowest, theirs.lowest, 1):
        detail = f"we speak {ours.lowest} to {ours.highest}, the other end {theirs.lowest} to {theirs.highest}"
        raise RefusedError(Reason.VERSION_UNSUPPORTED, detail)
    return version

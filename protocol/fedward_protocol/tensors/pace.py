"""How large the next chunk of an upload is: as large as the line takes in a moment.

A chunk is the smallest thing that counts as having arrived, and whatever else a connection carries waits behind it. A
large one saves work on a fast line. On a slow one it would take longer than a site may be silent for.
"""

from __future__ import annotations

from fedward_protocol.tensors.chunks import CHUNK

SMALLEST = 1 << 16
"""Bytes; at 64 kbit a second this takes as long as a site may be silent for."""

_QUICK_S, _SLOW_S = 0.25, 2.0


class Pace:
    """Learns from each chunk how the line is; begins small, because nothing is known of it then."""

    def __init__(self) -> None:
        self.size = SMALLEST

    def took(self, seconds: float) -> None:
        """Take in how long the last chunk took until the line could take another."""
        if seconds < _QUICK_S:
            self.size = min(2 * self.size, CHUNK)
        elif seconds > _SLOW_S:
            self.size = max(self.size // 2, SMALLEST)

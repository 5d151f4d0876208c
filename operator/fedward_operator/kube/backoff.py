"""How long to wait before asking again: doubling, capped, and never two askers in step."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Seconds before a repetition: `first` doubled each time up to `cap`, then spread over its upper half."""

    first: float
    cap: float

    def after(self, failures: int, chance: random.Random) -> float:
        """Return how long to wait after so many failures in a row (1 or more)."""
        full = min(self.cap, self.first * 2.0 ** min(failures - 1, 32))
        return full * chance.uniform(0.5, 1.0)

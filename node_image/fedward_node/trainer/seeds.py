"""Seeds for everything random, each derived from what it is for, so that a restart draws the same numbers again."""

from __future__ import annotations

import hashlib

import numpy as np


def seed_of(seed: int, *purpose: str | int) -> int:
    """Derive a 63-bit seed from the plan's and a purpose, such as ("north", round, epoch)."""
    text = ":".join([str(seed), *map(repr, purpose)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(seed: int, *purpose: str | int) -> np.random.Generator:
    """Make a generator for a purpose."""
    return np.random.Generator(np.random.PCG64(seed_of(seed, *purpose)))

"""Which elements have the k largest scores: exactly k, found in bounded memory, ties going to the first in line.

Non-negative floats order as their bits do. One pass counts the scores by their upper 16 bits, one the lower bits of the
one bin that holds the k-th largest, which is then known exactly; a third, for ties alone, finds how far they reach.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from fedward_node.gateway.filters.stage import Positions
from fedward_protocol.tensors.blocks import Values, blocks
from fedward_protocol.tensors.layout import Layout

Scores = Callable[[str, int, int], Values]
"""Gives the finite, non-negative scores of the elements start…stop of a tensor; the same ones each time."""

_LOWER_BITS = 15
_UPPER_BINS = 1 << 16
_LOWER_BINS = 1 << _LOWER_BITS


def share(keep: float, size: int) -> int:
    """Count the elements in a share: rounded up, `keep` taken as the decimal number that it was written as."""
    return math.ceil(Fraction(repr(keep)) * size)


@dataclass(frozen=True, slots=True)
class Cut:
    """The border between the k largest scores and the others.

    Attributes:
        bits: of the k-th largest score.
        last: flat position of the last element with that very score that is still among the k.
    """

    bits: int
    last: int

    def chosen(self, scores: Values, position: int) -> NDArray[np.bool_]:
        """Tell which of the elements, of which the first lies at flat `position`, are among the k largest."""
        bits = scores.view(np.uint32)
        if position + bits.size - 1 <= self.last:
            return bits >= self.bits
        above = bits > self.bits
        tied = max(0, self.last + 1 - position)
        above[:tied] |= bits[:tied] == self.bits
        return above


def cut_at(k: int, scores: Scores, model: Layout, positions: Positions) -> Cut:
    """Find the border of the `k` largest scores.

    Raises:
        ValueError: there are not `k` elements, or k is not at least 1.
    """
    if not 1 <= k <= positions.size:
        raise ValueError(f"{k} of {positions.size} elements cannot be chosen")
    upper = np.zeros(_UPPER_BINS, np.int64)
    for name, start, stop in blocks(model):
        upper += np.bincount(_bits(scores, name, start, stop) >> _LOWER_BITS, minlength=_UPPER_BINS)
    high, k_in_bin = _bin_of(k, upper)
    lower = np.zeros(_LOWER_BINS, np.int64)
    for name, start, stop in blocks(model):
        bits = _bits(scores, name, start, stop)
        bits = bits[bits >> _LOWER_BITS == high]
        lower += np.bincount(bits & (_LOWER_BINS - 1), minlength=_LOWER_BINS)
    low, k_tied = _bin_of(k_in_bin, lower)
    bits_at_cut = high << _LOWER_BITS | low
    if k_tied == lower[low]:
        return Cut(bits_at_cut, positions.size - 1)
    return Cut(bits_at_cut, _position_of_tie(k_tied, bits_at_cut, scores, model, positions))


def _bits(scores: Scores, name: str, start: int, stop: int) -> NDArray[np.uint32]:
    return scores(name, start, stop).view(np.uint32)


def _bin_of(k: int, counts: NDArray[np.int64]) -> tuple[int, int]:
    """Return the bin of the k-th largest, and which one it is in that bin, counted from 1."""
    at_least = np.cumsum(counts[::-1])
    from_top = int(np.searchsorted(at_least, k))
    above = int(at_least[from_top - 1]) if from_top else 0
    return counts.size - 1 - from_top, k - above


def _position_of_tie(number: int, bits_at_cut: int, scores: Scores, model: Layout, positions: Positions) -> int:
    for name, start, stop in blocks(model):
        ties = np.flatnonzero(_bits(scores, name, start, stop) == bits_at_cut)
        if number <= ties.size:
            return positions.first[name] + start + int(ties[number - 1])
        number -= ties.size
    raise ValueError("the scores changed from one pass to the next")

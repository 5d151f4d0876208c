"""What a rule hands back: how much each update counts, and how a block of the aggregate is made from those that do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Block: TypeAlias = NDArray[np.float32]
"""One block of a tensor's flat elements, shape (block,)."""
Rows: TypeAlias = Sequence[Block]
"""The same block of each update, in site order: shape (sites, block), each row where it lies, never stacked."""
Survey: TypeAlias = Callable[[], Iterator[Rows]]
"""Reads all updates once, block by block; for rules that must have seen everything before they combine anything."""
Combine: TypeAlias = Callable[[Rows, Block, NDArray[np.float32]], None]
"""Write the aggregate of `rows` to a block; the third argument is scratch of shape (at least sites + 1, block)."""


@dataclass(frozen=True, slots=True)
class Combination:
    """A rule made ready for one round's updates.

    Attributes:
        shares: what each update counts for in the aggregate, in site order; they add up to 1. An update whose share is
            zero is not among the rows that `combine` gets.
        combine: makes a block of the aggregate. It works element by element, so the blocks' size cannot change a bit.
    """

    shares: tuple[float, ...]
    combine: Combine


def equal_shares(updates: int) -> tuple[float, ...]:
    """Give each of so many updates the same share."""
    return (1 / updates,) * updates


def normalised(weights: Sequence[float]) -> tuple[float, ...]:
    """Scale weights to shares that add up to 1.

    Raises:
        ValueError: a weight is not positive and finite.
    """
    if not all(0 < weight < float("inf") for weight in weights):
        raise ValueError(f"weights must be positive and finite: {list(weights)}")
    largest = max(weights)  # first, so that the sum cannot overflow
    total = sum(weight / largest for weight in weights)
    return tuple(weight / largest / total for weight in weights)

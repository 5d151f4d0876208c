"""Sorts the same element of many updates, a whole block at a time, and only as far as the wanted ranks need it.

Batcher's odd-even merge sort: Sorting networks and their applications. AFIPS 1968. https://doi.org/10.1145/1468075.1468121
A network compares the same pairs whatever the values, so each comparison is one vectorised minimum and maximum of two
rows. That takes a fifth to a half of the time of sorting the columns (numpy.sort), and a tenth of numpy.median.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import cache

import numpy as np
from numpy.typing import NDArray

from fedward_server.aggregate.combination import Block, Rows


@cache
def comparators(lines: int, ranks: frozenset[int]) -> tuple[tuple[int, int], ...]:
    """List the pairs of lines to compare, in order, so that each of `ranks` ends with the value of that rank."""
    pairs: list[tuple[int, int]] = []
    merged = 1
    while merged < lines:
        distance = merged
        while distance >= 1:
            for start in range(distance % merged, lines - distance, 2 * distance):
                pairs.extend(
                    (low, low + distance)
                    for low in range(start, min(start + distance, lines - distance))
                    if low // (2 * merged) == (low + distance) // (2 * merged)
                )
            distance //= 2
        merged *= 2
    return _needed(pairs, ranks)


def _needed(pairs: list[tuple[int, int]], ranks: Collection[int]) -> tuple[tuple[int, int], ...]:
    lines = set(ranks)
    kept = []
    for low, high in reversed(pairs):
        if low in lines or high in lines:
            kept.append((low, high))
            lines |= {low, high}
    return tuple(reversed(kept))


def partly_sorted(rows: Rows, ranks: Collection[int], scratch: NDArray[np.float32]) -> list[Block]:
    """Copy rows into scratch, shape (at least rows + 1, block), and order each column there.

    Returns:
        One block a rank, 0 being the lowest; those of `ranks` are right, the others are not to be used.
    """
    lines = list(scratch[: len(rows)])
    for line, row in zip(lines, rows, strict=True):
        line[:] = row
    spare = scratch[len(rows)]
    for low, high in comparators(len(rows), frozenset(ranks)):
        np.minimum(lines[low], lines[high], out=spare)
        np.maximum(lines[low], lines[high], out=lines[high])
        lines[low], spare = spare, lines[low]
    return lines

"""Whether floating-point numbers are all finite, told from their bits: exact, and as fast as memory."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_INFINITY = {4: 0x7F80_0000, 2: 0x7C00}


def all_finite(values: NDArray[Any], infinity: int | None = None) -> bool:
    """Tell whether no element of a flat array of fp32 or fp16 is NaN or infinite.

    An element is not finite where its exponent has all bits set, so, read as an integer, where it is at least as large
    as infinity. That leaves two maxima, of the positive and of the negative half, which need no room for a mask.

    Args:
        values: flat, of a floating type, or the 16 bits of bf16.
        infinity: the bits of positive infinity, where `values` are not of a floating type.
    """
    if values.size == 0:
        return True
    width = values.itemsize
    infinity = _INFINITY[width] if infinity is None else infinity
    sign = 1 << (8 * width - 1)
    largest_positive = values.view(f"<i{width}").max()
    largest_negative = values.view(f"<u{width}").max()
    return int(largest_positive) < infinity and int(largest_negative) < (sign | infinity)


def all_finite_after_scaling(scales: NDArray[np.float32], factor: float) -> bool:
    """Tell whether each fp32 scale stays finite when multiplied by `factor`."""
    with np.errstate(over="ignore", invalid="ignore"):
        return all_finite(np.multiply(scales, np.float32(factor), dtype=np.float32))

"""The blocks in which everything walks over a model, so that memory never depends on its size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fedward_protocol.tensors.layout import Layout

BLOCK = 262_144
"""Elements in a block: 1 MiB of fp32, which stays in a core's cache."""

Values = NDArray[np.float32]


class BlockSource(Protocol):
    """Anything that gives a model's elements by range."""

    def read(self, name: str, start: int, stop: int) -> Values:
        """Return the flat elements start…stop of the tensor `name`, as fp32."""
        ...


def blocks(layout: Layout) -> Iterator[tuple[str, int, int]]:
    """Yield (name, start, stop) over all elements, at most BLOCK at a time, in the file's order."""
    for name in layout.starts:
        size = layout.spec(name).size
        for start in range(0, size, BLOCK):
            yield name, start, min(start + BLOCK, size)

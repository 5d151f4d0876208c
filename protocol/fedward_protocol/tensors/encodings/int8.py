"""Eight bits an element: symmetric, with one fp32 scale for each 4,096 elements; 4 times smaller than fp32.

An element x becomes round(x / s) for s = max|x| / 127 over its block, so the error is s / 2 at most, give or take the
rounding of fp32 itself. The model's tensor `w` is stored as `value:w` (I8, of w's shape) and `scale:w` (F32, one axis).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fedward_protocol.digest import FileDigest
from fedward_protocol.reasons import Reason, RefusedError
from fedward_protocol.tensors.blocks import BLOCK, BlockSource, Values, blocks
from fedward_protocol.tensors.file import TensorFile, TensorWriter
from fedward_protocol.tensors.finite import all_finite_after_scaling
from fedward_protocol.tensors.layout import Layout, TensorSpec

GROUP = 4096
"""Elements that share a scale; it divides BLOCK, so that blocks can be written and read on their own."""

_LARGEST = 127
_SMALLEST_READABLE = -128


class Int8:
    """The encoding; see the module."""

    def encode(self, path: Path, source: BlockSource, model: Layout, metadata: Mapping[str, str]) -> FileDigest:
        """Write the update; see Codec."""
        with TensorWriter(path, Layout.of(self.largest(model), metadata)) as writer:
            for name, start, stop in blocks(model):
                scales, values = _quantise(source.read(name, start, stop))
                writer.write(f"scale:{name}", start // GROUP, scales)
                writer.write(f"value:{name}", start, values)
            return writer.commit()

    def expected(self, model: Layout, found: Layout) -> tuple[TensorSpec, ...]:  # noqa: ARG002 (nothing is free)
        """Return the tensors of such a file; see Codec."""
        return self.largest(model)

    def check(self, file: TensorFile, model: Layout) -> None:
        """Refuse a negative scale, which no encoder writes; NaN is left to `is_finite`."""
        for name, scales in _scales(file, model):
            if (scales < 0).any():
                raise RefusedError(Reason.MALFORMED, f"a negative scale in {name[:80]!r}")

    def read(self, file: TensorFile, name: str, start: int, stop: int) -> Values:
        """Return elements as fp32; see Codec."""
        first = start // GROUP
        values = file.stored(f"value:{name}", start, stop).astype(np.float32)
        scales = file.stored(f"scale:{name}", first, -(-stop // GROUP))
        if start % GROUP == 0 and values.size % GROUP == 0:
            values.reshape(-1, GROUP)[...] *= scales[:, np.newaxis]
            return values
        for group, scale in enumerate(scales, start=first):
            values[max(group * GROUP - start, 0) : (group + 1) * GROUP - start] *= scale
        return values

    def is_finite(self, file: TensorFile, model: Layout) -> bool:
        """Tell whether all elements are finite; see Codec."""
        # Not the scales themselves: one near the end of fp32's range would still overflow in `read`.
        return all(all_finite_after_scaling(scales, _SMALLEST_READABLE) for _, scales in _scales(file, model))

    def largest(self, model: Layout) -> tuple[TensorSpec, ...]:
        """Return the tensors of such a file; see Codec."""
        values = (TensorSpec(f"value:{spec.name}", "I8", spec.shape) for spec in model.specs)
        scales = (TensorSpec(f"scale:{spec.name}", "F32", (-(-spec.size // GROUP),)) for spec in model.specs)
        return (*values, *scales)


def _scales(file: TensorFile, model: Layout) -> Iterator[tuple[str, Values]]:
    for spec in model.specs:
        count = -(-spec.size // GROUP)
        for start in range(0, count, BLOCK):
            yield spec.name, file.stored(f"scale:{spec.name}", start, min(start + BLOCK, count))


def _quantise(values: Values) -> tuple[Values, NDArray[np.int8]]:
    groups = -(-values.size // GROUP)
    padded = values
    if values.size % GROUP:
        padded = np.zeros(groups * GROUP, np.float32)
        padded[: values.size] = values
    table = padded.reshape(groups, GROUP)
    # The maximum hands NaN and infinity on to the scale, where the receiver finds them.
    largest = np.maximum(table.max(axis=1), -table.min(axis=1))
    scales = (largest / np.float32(_LARGEST)).astype(np.float32)
    # A group of zeros, or one so small that its scale is lost, is divided by 1 and becomes zeros.
    divisors = np.where(scales == 0, np.float32(1), scales)
    with np.errstate(invalid="ignore", over="ignore"):
        quotients = table / divisors[:, np.newaxis]
        np.rint(quotients, out=quotients)
        # Where the scale is subnormal its own rounding can push a quotient past the end.
        np.clip(quotients, -_LARGEST, _LARGEST, out=quotients)
        return scales, quotients.astype(np.int8).reshape(-1)[: values.size]

"""Only the elements that are not zero: for each, its place in the tensor (u32) and its value (fp32), in order of place.

The model's tensor `w` is stored as `index:w` (U32) and `value:w` (F32), each with one axis of the same length. It is
smaller than fp32 where less than half of the elements are kept.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import numpy as np

from fedward_protocol.digest import FileDigest
from fedward_protocol.reasons import Reason, RefusedError
from fedward_protocol.tensors.blocks import BLOCK, BlockSource, Values, blocks
from fedward_protocol.tensors.file import STORAGE_TYPES, TensorFile, TensorWriter, refusing_when_full
from fedward_protocol.tensors.finite import all_finite
from fedward_protocol.tensors.layout import Layout, TensorSpec

_MOST_ELEMENTS = 2**32 - 1
"""Of a tensor, so that the end of any range fits an index."""


class Sparse:
    """The encoding; see the module."""

    def encode(self, path: Path, source: BlockSource, model: Layout, metadata: Mapping[str, str]) -> FileDigest:
        """Write the update; see Codec.

        How many elements are kept stands in the header, before all data, so they wait in scratch files that have no
        name and go when this process does: the source, which may draw random numbers, is read only once.
        """
        folder = path.parent
        with tempfile.TemporaryFile(dir=folder) as indices, tempfile.TemporaryFile(dir=folder) as values:
            kept = _collect(source, model, indices, values)
            with TensorWriter(path, Layout.of(_specs(kept), metadata)) as writer:
                # Values before indices, as they lie in the file, so that the digest is taken on the way.
                _pour(values, "value:", kept, "F32", writer)
                _pour(indices, "index:", kept, "U32", writer)
                return writer.commit()

    def expected(self, model: Layout, found: Layout) -> tuple[TensorSpec, ...]:
        """Return the tensors of such a file, with the numbers of kept elements that `found` has; see Codec."""
        kept: dict[str, int] = {}
        for spec in model.specs:
            index = f"index:{spec.name}"
            kept[spec.name] = found.spec(index).size if index in found else 0
            if kept[spec.name] > spec.size:
                raise RefusedError(Reason.WRONG_SHAPE, f"more elements than {spec.name[:80]!r} has")
        return _specs(kept)

    def check(self, file: TensorFile, model: Layout) -> None:
        """Refuse indices that do not rise or lie outside the tensor."""
        for spec in model.specs:
            index = f"index:{spec.name}"
            count = file.layout.spec(index).size
            for start in range(0, count, BLOCK):
                # One more than the block, so that its end is compared with the next one's beginning.
                part = file.stored(index, start, min(start + BLOCK + 1, count))
                if (part[1:] <= part[:-1]).any() or part[-1] >= spec.size:
                    raise RefusedError(Reason.MALFORMED, f"indices of {spec.name[:80]!r} do not rise, or lie outside")

    def read(self, file: TensorFile, name: str, start: int, stop: int) -> Values:
        """Return elements as fp32; see Codec."""
        indices = file.stored(f"index:{name}")
        # Searched for in the indices' own type: any other would have numpy copy them all.
        first, last = np.searchsorted(indices, np.array([start, stop], np.uint32))
        elements = np.zeros(stop - start, np.float32)
        elements[indices[first:last] - np.uint32(start)] = file.stored(f"value:{name}", int(first), int(last))
        return elements

    def is_finite(self, file: TensorFile, model: Layout) -> bool:
        """Tell whether all elements are finite; see Codec."""
        for spec in model.specs:
            value = f"value:{spec.name}"
            count = file.layout.spec(value).size
            for start in range(0, count, BLOCK):
                if not all_finite(file.stored(value, start, min(start + BLOCK, count))):
                    return False
        return True

    def largest(self, model: Layout) -> tuple[TensorSpec, ...]:
        """Return the tensors of such a file with every element kept; see Codec."""
        return _specs({spec.name: spec.size for spec in model.specs})


def _specs(kept: Mapping[str, int]) -> tuple[TensorSpec, ...]:
    indices = (TensorSpec(f"index:{name}", "U32", (count,)) for name, count in kept.items())
    values = (TensorSpec(f"value:{name}", "F32", (count,)) for name, count in kept.items())
    return (*indices, *values)


def _collect(source: BlockSource, model: Layout, indices: IO[bytes], values: IO[bytes]) -> dict[str, int]:
    kept = dict.fromkeys(model.starts, 0)
    for name, start, stop in blocks(model):
        if stop > _MOST_ELEMENTS:
            raise ValueError(f"{name} has more elements than the sparse encoding can number")
        elements = source.read(name, start, stop)
        places = np.flatnonzero(elements)
        kept[name] += places.size
        with refusing_when_full():
            indices.write((places + start).astype("<u4").data)
            values.write(elements[places].astype("<f4", copy=False).data)
    return kept


def _pour(scratch: IO[bytes], prefix: str, kept: Mapping[str, int], dtype: str, writer: TensorWriter) -> None:
    with refusing_when_full():
        scratch.seek(0)
    storage = STORAGE_TYPES[dtype]
    for name, count in kept.items():
        for start in range(0, count, BLOCK):
            size = min(BLOCK, count - start) * storage.itemsize
            writer.write(prefix + name, start, np.frombuffer(scratch.read(size), storage))

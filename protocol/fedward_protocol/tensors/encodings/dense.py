"""Encodings that keep every element, each in a floating type of its own, under the model's own names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from fedward_protocol.digest import FileDigest
from fedward_protocol.tensors.blocks import BlockSource, Values, blocks
from fedward_protocol.tensors.file import TensorFile, TensorWriter
from fedward_protocol.tensors.finite import all_finite
from fedward_protocol.tensors.layout import Layout, TensorSpec


@dataclass(frozen=True, slots=True)
class Dense:
    """A floating type by its code in safetensors, with how fp32 becomes it and the bits of its infinity."""

    dtype: str
    pack: Callable[[Values], NDArray[Any]]
    infinity: int

    def encode(self, path: Path, source: BlockSource, model: Layout, metadata: Mapping[str, str]) -> FileDigest:
        """Write the update; see Codec."""
        with TensorWriter(path, Layout.of(self.largest(model), metadata)) as writer:
            for name, start, stop in blocks(model):
                writer.write(name, start, self.pack(source.read(name, start, stop)))
            return writer.commit()

    def expected(self, model: Layout, found: Layout) -> tuple[TensorSpec, ...]:  # noqa: ARG002 (nothing is free)
        """Return the tensors of such a file; see Codec."""
        return self.largest(model)

    def check(self, file: TensorFile, model: Layout) -> None:
        """Do nothing: any bits are numbers."""

    def read(self, file: TensorFile, name: str, start: int, stop: int) -> Values:
        """Return elements as fp32; see Codec."""
        return file.read(name, start, stop)

    def is_finite(self, file: TensorFile, model: Layout) -> bool:
        """Tell whether all elements are finite; see Codec."""
        return all(all_finite(file.stored(name, start, stop), self.infinity) for name, start, stop in blocks(model))

    def largest(self, model: Layout) -> tuple[TensorSpec, ...]:
        """Return the tensors of such a file; see Codec."""
        return tuple(TensorSpec(spec.name, self.dtype, spec.shape) for spec in model.specs)

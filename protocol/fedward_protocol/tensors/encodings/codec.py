"""What an encoding does: write an update down, check one that came from elsewhere, and read it by range."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from fedward_protocol.digest import FileDigest
from fedward_protocol.tensors.blocks import BlockSource, Values
from fedward_protocol.tensors.file import TensorFile
from fedward_protocol.tensors.layout import Layout, TensorSpec


class Codec(Protocol):
    """One encoding. The file that `encode` writes depends on the values alone: the same update gives the same bytes."""

    def encode(self, path: Path, source: BlockSource, model: Layout, metadata: Mapping[str, str]) -> FileDigest:
        """Write the update; each block of `source` is read once, in the order of `blocks(model)`."""
        ...

    def expected(self, model: Layout, found: Layout) -> tuple[TensorSpec, ...]:
        """Return the tensors that a file of this encoding must hold; only lengths that are free are taken from `found`.

        Raises:
            RefusedError: WRONG_SHAPE, what is there cannot be an update of this model.
        """
        ...

    def check(self, file: TensorFile, model: Layout) -> None:
        """Refuse contents that cannot be read as an update.

        Raises:
            RefusedError: MALFORMED.
        """
        ...

    def read(self, file: TensorFile, name: str, start: int, stop: int) -> Values:
        """Return the flat elements start…stop of the model's tensor `name`; a read-only view where that is possible."""
        ...

    def is_finite(self, file: TensorFile, model: Layout) -> bool:
        """Tell whether every element that `read` can return is finite."""
        ...

    def largest(self, model: Layout) -> tuple[TensorSpec, ...]:
        """Return the tensors of the longest file that an update of this model can be."""
        ...

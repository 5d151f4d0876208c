"""The update: what training changed, trained weights minus the model they began from, block by block."""

from __future__ import annotations

from pathlib import Path

from fedward_protocol.digest import FileDigest
from fedward_protocol.plan import Encoding
from fedward_protocol.tensors.blocks import Values
from fedward_protocol.tensors.file import TensorFile
from fedward_protocol.tensors.update import encode_update


class Difference:
    """Reads `trained` − `model` by ranges; a `BlockSource`."""

    def __init__(self, trained: TensorFile, model: TensorFile) -> None:
        self._trained = trained
        self._model = model

    def read(self, name: str, start: int, stop: int) -> Values:
        """Return the flat elements start…stop of the tensor's difference, fp32."""
        return self._trained.read(name, start, stop) - self._model.read(name, start, stop)


def encode_difference(path: Path, trained: Path, model: Path, encoding: Encoding) -> FileDigest:
    """Write the difference of two safetensors files as an update at `path`.

    Raises:
        RefusedError: STORAGE_FULL, or a file that is not what it should be.
    """
    with TensorFile.open(trained) as after, TensorFile.open(model) as before:
        return encode_update(path, Difference(after, before), before.layout, encoding)

"""An update on disk: written in any encoding, checked against the model it changes, read by ranges of the model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self

from fedward_protocol.digest import FileDigest
from fedward_protocol.plan import Encoding
from fedward_protocol.reasons import Reason, RefusedError
from fedward_protocol.tensors.blocks import BLOCK, BlockSource, Values, blocks
from fedward_protocol.tensors.encodings import CODECS, Codec
from fedward_protocol.tensors.file import TensorFile
from fedward_protocol.tensors.layout import Layout

__all__ = ["BLOCK", "BlockSource", "UpdateFile", "blocks", "encode_update", "largest_update_nbytes"]

_ENCODING = "fedward.encoding"
"""The key of the header's metadata that names the encoding."""

MAX_METADATA = 64 << 10
"""Bytes of an update's metadata at most, as they stand in the header."""


def encode_update(
    path: Path,
    source: BlockSource,
    model: Layout,
    encoding: Encoding,
    metadata: Mapping[str, str] = MappingProxyType({}),
) -> FileDigest:
    """Write an update of `model`, block by block; the same values give the same bytes.

    Each block of `source` is read once, in the order of `blocks(model)`.

    Raises:
        RefusedError: STORAGE_FULL; nothing is left behind then.
    """
    return CODECS[encoding].encode(path, source, model, {**metadata, _ENCODING: encoding})


def largest_update_nbytes(model: Layout) -> int:
    """Return how many bytes no update of `model` exceeds, whatever its encoding and the values."""
    return MAX_METADATA + max(Layout.of(codec.largest(model)).nbytes for codec in CODECS.values())


class UpdateFile:
    """An update that fits its model, memory-mapped and read-only; closes as a context manager."""

    def __init__(self, file: TensorFile, model: Layout, encoding: Encoding, codec: Codec) -> None:
        self.encoding = encoding
        self.metadata = file.layout.metadata
        self._file, self._model, self._codec = file, model, codec

    @classmethod
    def open(cls, path: Path, model: Layout) -> UpdateFile:
        """Map an update that came from anywhere.

        Raises:
            RefusedError: TOO_LARGE, WRONG_SHAPE (names, shapes or encoding are not the model's) or MALFORMED.
            OSError: the file cannot be read.
        """
        if path.stat().st_size > largest_update_nbytes(model):
            raise RefusedError(Reason.TOO_LARGE)
        file = TensorFile.open(path)
        try:
            encoding = _encoding_of(file.layout)
            _check_layout(file.layout, model, CODECS[encoding])
            CODECS[encoding].check(file, model)
        except BaseException:
            file.close()
            raise
        return cls(file, model, encoding, CODECS[encoding])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the map; views that were read stay valid."""
        self._file.close()

    def read(self, name: str, start: int, stop: int) -> Values:
        """Return the flat elements start…stop of the model's tensor `name`, as fp32: maybe a read-only view."""
        if not 0 <= start <= stop <= self._model.spec(name).size:
            raise IndexError(f"{name} has no elements {start}…{stop}")
        return self._codec.read(self._file, name, start, stop)

    def check_finite(self) -> None:
        """Refuse an update that holds NaN or infinity.

        Raises:
            RefusedError: NOT_FINITE.
        """
        if not self._codec.is_finite(self._file, self._model):
            raise RefusedError(Reason.NOT_FINITE)


def _encoding_of(layout: Layout) -> Encoding:
    named = layout.metadata.get(_ENCODING, "")
    for encoding in CODECS:
        if encoding == named:
            return encoding
    raise RefusedError(Reason.WRONG_SHAPE, f"unknown encoding {named[:40]!r}")


def _check_layout(found: Layout, model: Layout, codec: Codec) -> None:
    expected = codec.expected(model, found)
    if set(expected) != set(found.specs):
        odd = min({spec.name for spec in set(expected) ^ set(found.specs)})
        raise RefusedError(Reason.WRONG_SHAPE, f"at tensor {odd[:80]!r}")
    # One update, one file: it also keeps every tensor aligned, which views of the map rely on.
    if Layout.of(expected, found.metadata).header != found.header:
        raise RefusedError(Reason.MALFORMED, "the header is not written as this software writes it")

"""Safetensors files, read through memory maps and written block by block, digest and durability included."""

from __future__ import annotations

import errno
import hashlib
import mmap
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from fedward_protocol.digest import FileDigest
from fedward_protocol.durable import sync_directory
from fedward_protocol.reasons import Reason, RefusedError
from fedward_protocol.tensors.blocks import Values
from fedward_protocol.tensors.layout import Layout, TensorSpec

STORAGE_TYPES: Mapping[str, np.dtype[Any]] = MappingProxyType(
    {
        "BOOL": np.dtype("?"),
        "U8": np.dtype("u1"),
        "I8": np.dtype("i1"),
        "I16": np.dtype("<i2"),
        "U16": np.dtype("<u2"),
        "F16": np.dtype("<f2"),
        "BF16": np.dtype("<u2"),
        "I32": np.dtype("<i4"),
        "U32": np.dtype("<u4"),
        "F32": np.dtype("<f4"),
        "F64": np.dtype("<f8"),
        "I64": np.dtype("<i8"),
        "U64": np.dtype("<u8"),
    }
)
"""How numpy holds each dtype; bf16, which numpy lacks, as its 16 bits."""

_FULL_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class TensorFile:
    """A safetensors file, memory-mapped and read-only; closes as a context manager."""

    def __init__(self, layout: Layout, contents: mmap.mmap) -> None:
        self.layout = layout
        self._contents: mmap.mmap | None = contents

    @classmethod
    def open(cls, path: Path) -> TensorFile:
        """Map a file.

        Raises:
            RefusedError: MALFORMED, it is not a safetensors file.
            OSError: it cannot be read.
        """
        layout = Layout.parse(path)
        with path.open("rb") as file:
            return cls(layout, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the map; views that were read stay valid, and the last of them unmaps the file."""
        self._contents = None

    def stored(self, name: str, start: int = 0, stop: int | None = None) -> NDArray[Any]:
        """Return a read-only view of the flat elements start…stop as they are stored (see STORAGE_TYPES)."""
        if self._contents is None:
            raise ValueError("the file is closed")
        spec = self.layout.spec(name)
        stop = spec.size if stop is None else stop
        if not 0 <= start <= stop <= spec.size:
            raise IndexError(f"{name} has no elements {start}…{stop}")
        kind = STORAGE_TYPES[spec.dtype]
        if start == stop:
            return np.empty(0, kind)
        offset = self.layout.offset_of(name) + start * kind.itemsize
        return np.frombuffer(self._contents, kind, stop - start, offset)

    def read(self, name: str, start: int = 0, stop: int | None = None) -> Values:
        """Return the flat elements start…stop as fp32: a read-only view where they are stored so, else a copy.

        Raises:
            TypeError: the tensor is neither F32 nor F16 nor BF16.
        """
        stored, dtype = self.stored(name, start, stop), self.layout.spec(name).dtype
        if dtype == "F32":
            return stored
        if dtype == "F16":
            return stored.astype(np.float32)
        if dtype == "BF16":
            widened = stored.astype(np.uint32)
            np.left_shift(widened, 16, out=widened)
            return widened.view(np.float32)
        raise TypeError(f"{name} is {dtype}, not a floating type of at most 32 bits")


class TensorWriter:
    """Writes a safetensors file block by block and brings it into being at once, by `commit`.

    Blocks may come in any order; in the file's order the digest costs no second look at the file. Leaving the context
    without `commit` leaves nothing behind.
    """

    def __init__(self, path: Path, layout: Layout) -> None:
        self._path, self._layout = path, layout
        self._unfinished = path.with_name(path.name + ".tmp")
        self._written = 0
        self._hash, self._hashed = hashlib.sha256(layout.header), len(layout.header)
        self._fd = os.open(self._unfinished, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        try:
            self._store(memoryview(layout.header), 0)
        except BaseException:
            self.discard()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.discard()

    def write(self, name: str, start: int, values: NDArray[Any]) -> None:
        """Write flat elements from `start` on; `values` are of the tensor's own storage type (see STORAGE_TYPES).

        Raises:
            RefusedError: STORAGE_FULL.
        """
        spec = self._layout.spec(name)
        if values.dtype != STORAGE_TYPES[spec.dtype] or start < 0 or start + values.size > spec.size:
            raise ValueError(f"{values.size} values of {values.dtype} at {start} are no part of {spec}")
        if values.size == 0:
            return
        data = np.ascontiguousarray(values).reshape(-1).view(np.uint8).data
        offset = self._layout.offset_of(name) + start * values.itemsize
        self._store(data, offset)
        self._written += len(data)
        if offset == self._hashed:
            self._hash.update(data)
            self._hashed += len(data)

    def commit(self) -> FileDigest:
        """Make the file durable under its name, replacing what was there, and return its digest.

        Raises:
            RefusedError: STORAGE_FULL; nothing has changed then.
        """
        expected = self._layout.nbytes - len(self._layout.header)
        if self._written != expected:
            raise ValueError(f"{self._written} of {expected} bytes were written")
        self._hash_the_rest()
        with refusing_when_full():
            os.fsync(self._fd)
        os.close(self._fd)
        self._fd = -1
        self._unfinished.replace(self._path)
        sync_directory(self._path.parent)
        return FileDigest(self._hash.digest(), self._layout.nbytes)

    def discard(self) -> None:
        """Throw away what has not been committed; harmless after `commit`."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            self._unfinished.unlink(missing_ok=True)

    def _store(self, data: memoryview, offset: int) -> None:
        with refusing_when_full():
            while len(data):
                count = os.pwrite(self._fd, data, offset)
                data, offset = data[count:], offset + count

    def _hash_the_rest(self) -> None:
        buffer = bytearray(1 << 20)
        while self._hashed < self._layout.nbytes:
            count = os.preadv(self._fd, [buffer], self._hashed)
            if count == 0:
                raise OSError(errno.EIO, "the file is shorter than what was written", str(self._unfinished))
            self._hash.update(memoryview(buffer)[:count])
            self._hashed += count


def write_tensors(
    path: Path, tensors: Mapping[str, NDArray[np.float32]], metadata: Mapping[str, str] = MappingProxyType({})
) -> FileDigest:
    """Write whole fp32 tensors, for models that fit in memory.

    Raises:
        RefusedError: STORAGE_FULL, or MALFORMED when a name cannot be one.
    """
    layout = Layout.of((TensorSpec(name, "F32", values.shape) for name, values in tensors.items()), metadata)
    with TensorWriter(path, layout) as writer:
        for name in layout.starts:
            writer.write(name, 0, np.asarray(tensors[name], dtype="<f4").reshape(-1))
        return writer.commit()


def read_tensors(path: Path) -> dict[str, NDArray[np.float32]]:
    """Read whole tensors as fp32 copies with their shapes, for models that fit in memory.

    Raises:
        RefusedError: MALFORMED.
        TypeError: a tensor is not of a floating type of at most 32 bits.
    """
    with TensorFile.open(path) as file:
        return {spec.name: file.read(spec.name).reshape(spec.shape).copy() for spec in file.layout.specs}


@contextmanager
def refusing_when_full() -> Iterator[None]:
    """Turn the operating system's "no space left" into a refusal.

    Raises:
        RefusedError: STORAGE_FULL.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL_DISK:
            raise RefusedError(Reason.STORAGE_FULL, os.strerror(error.errno)) from error
        raise

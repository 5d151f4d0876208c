"""Where each tensor lies in a safetensors file: the header, read from anyone, and written as the reference writes it.

The format: eight bytes of little-endian header length, a JSON object, then the tensors' bytes without gaps.
https://github.com/huggingface/safetensors
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from fedward_protocol.reasons import Reason, RefusedError

MAX_HEADER = 8 << 20
"""Bytes of JSON that are read at most: some 60,000 tensors."""

MAX_RANK = 64
"""Axes of a tensor at most, as numpy has it."""

_LENGTH = struct.Struct("<Q")
_METADATA = "__metadata__"
_ALIGNMENT = 8

# In the reference's order: it lays tensors out by dtype, the last of these first, which keeps each aligned to its size.
_DTYPES = {
    "BOOL": 1,
    "U8": 1,
    "I8": 1,
    "F8_E5M2": 1,
    "F8_E4M3": 1,
    "I16": 2,
    "U16": 2,
    "F16": 2,
    "BF16": 2,
    "I32": 4,
    "U32": 4,
    "F32": 4,
    "F64": 8,
    "I64": 8,
    "U64": 8,
}
_RANK_OF_DTYPE = {dtype: rank for rank, dtype in enumerate(_DTYPES)}


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """A tensor's name, element type (safetensors' code, "F32" for example) and shape."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Number of bytes."""
        return self.size * _DTYPES[self.dtype]


@dataclass(frozen=True)
class Layout:
    """A safetensors header.

    Attributes:
        specs: the tensors, sorted by name.
        metadata: the header's free text entries.
        header: all bytes before the first tensor's, the eight bytes of length among them.
        starts: absolute offset in the file of each tensor's first byte, in the order in which they lie there.
        nbytes: length of the whole file.
    """

    specs: tuple[TensorSpec, ...]
    metadata: Mapping[str, str]
    header: bytes
    starts: Mapping[str, int]
    nbytes: int
    _by_name: Mapping[str, TensorSpec] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_name", {spec.name: spec for spec in self.specs})

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    def spec(self, name: str) -> TensorSpec:
        """Return the tensor of that name; KeyError when there is none."""
        return self._by_name[name]

    def offset_of(self, name: str) -> int:
        """Return the absolute offset in the file of the tensor's first byte; KeyError when there is none."""
        return self.starts[name]

    @classmethod
    def of(cls, specs: Iterable[TensorSpec], metadata: Mapping[str, str] = MappingProxyType({})) -> Layout:
        """Lay tensors out as the reference implementation does; the same input always gives the same bytes.

        Raises:
            RefusedError: MALFORMED, a name twice, an unknown dtype, an odd shape.
        """
        ordered = sorted(specs, key=lambda spec: (-_RANK_OF_DTYPE.get(spec.dtype, 0), spec.name))
        document: dict[str, Any] = {_METADATA: dict(sorted(metadata.items()))} if metadata else {}
        ranges: dict[str, tuple[int, int]] = {}
        end = 0
        for spec in ordered:
            _check_spec(spec)
            if spec.name in ranges:
                raise _malformed(f"tensor {_short(spec.name)} is there twice")
            ranges[spec.name] = (end, end + spec.nbytes)
            end += spec.nbytes
            document[spec.name] = {"dtype": spec.dtype, "shape": spec.shape, "data_offsets": ranges[spec.name]}
        text = json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
        text += b" " * (-len(text) % _ALIGNMENT)
        if len(text) > MAX_HEADER:
            raise _malformed(f"the header takes {len(text)} bytes, more than {MAX_HEADER}")
        return _assemble(ordered, metadata, _LENGTH.pack(len(text)) + text, ranges)

    @classmethod
    def parse(cls, source: bytes | memoryview | Path) -> Layout:
        """Read a header: from a file's first bytes, which hold it whole, or from the file, whose length must then fit.

        Raises:
            RefusedError: MALFORMED, anything that the format does not allow.
            OSError: the file cannot be read.
        """
        if not isinstance(source, Path):
            return _parse(bytes(source[: _header_end(source[: _LENGTH.size])]))
        with source.open("rb") as file:
            prefix = file.read(_LENGTH.size)
            prefix += file.read(_header_end(prefix) - _LENGTH.size)
            layout = _parse(prefix)
            layout.check_length(file.seek(0, 2))
            return layout

    def check_length(self, nbytes: int) -> None:
        """Refuse a file that is shorter or longer than its header says.

        Raises:
            RefusedError: MALFORMED.
        """
        if nbytes != self.nbytes:
            raise _malformed(f"the file holds {nbytes} bytes, its header describes {self.nbytes}")


def _header_end(prefix: bytes | memoryview) -> int:
    if len(prefix) < _LENGTH.size:
        raise _malformed("shorter than a safetensors header")
    length = int(_LENGTH.unpack(prefix)[0])
    if length > MAX_HEADER:
        raise _malformed(f"the header claims {length} bytes, more than {MAX_HEADER}")
    return _LENGTH.size + length


def _parse(header: bytes) -> Layout:
    if len(header) != _header_end(header[: _LENGTH.size]):
        raise _malformed("the header is cut off")
    document = _decode(header[_LENGTH.size :])
    metadata = document.pop(_METADATA, {})
    if not isinstance(metadata, dict) or not all(_is_text(key) and _is_text(metadata[key]) for key in metadata):
        raise _malformed(f"{_METADATA} is not a map of texts")
    specs: list[TensorSpec] = []
    ranges: dict[str, tuple[int, int]] = {}
    for name, entry in document.items():
        spec, ranges[name] = _parse_entry(name, entry)
        specs.append(spec)
    # An empty tensor shares its start with its neighbour, so the end decides between the two.
    specs.sort(key=lambda spec: ranges[spec.name])
    end = 0
    for spec in specs:
        if ranges[spec.name] != (end, end + spec.nbytes):
            raise _malformed(f"tensor {_short(spec.name)} overlaps another, leaves a gap or has the wrong length")
        end += spec.nbytes
    return _assemble(specs, metadata, header, ranges)


def _decode(text: bytes) -> dict[str, Any]:
    try:
        # Decoded here, because json would also take UTF-16.
        document = json.loads(text.decode("utf-8"), object_pairs_hook=_without_duplicates)
    except (ValueError, RecursionError) as error:
        raise _malformed("the header is not JSON") from error
    if not text.startswith(b"{") or not isinstance(document, dict):
        raise _malformed("the header is not a JSON object")
    return document


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise _malformed("the header names something twice")
    return document


def _parse_entry(name: str, entry: object) -> tuple[TensorSpec, tuple[int, int]]:
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise _malformed(f"tensor {_short(name)} is not described by dtype, shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not _are_naturals(shape) or not _are_naturals(offsets) or len(offsets) != 2:
        raise _malformed(f"tensor {_short(name)} has an odd shape or odd offsets")
    spec = TensorSpec(name, dtype, tuple(shape))
    _check_spec(spec)
    return spec, (offsets[0], offsets[1])


def _check_spec(spec: TensorSpec) -> None:
    if not isinstance(spec.dtype, str) or spec.dtype not in _DTYPES:
        raise _malformed(f"tensor {_short(spec.name)} has an unknown dtype")
    if spec.name in {"", _METADATA} or not spec.name.isprintable():
        raise _malformed(f"{_short(spec.name)} is not a tensor's name")
    # Any one axis and the product stay below 2⁶³, so that no offset overflows in anybody's integers.
    if len(spec.shape) > MAX_RANK or any(not 0 <= axis < 2**63 for axis in spec.shape) or spec.nbytes >= 2**63:
        raise _malformed(f"tensor {_short(spec.name)} has an impossible shape")


def _are_naturals(values: object) -> bool:
    # `type` and not isinstance: true and false are ints to Python.
    return isinstance(values, list) and all(type(value) is int and value >= 0 for value in values)


def _is_text(value: object) -> bool:
    # JSON can spell half of a surrogate pair, which no UTF-8 text holds.
    return isinstance(value, str) and not any("\ud800" <= letter <= "\udfff" for letter in value)


def _assemble(
    ordered: Iterable[TensorSpec], metadata: Mapping[str, str], header: bytes, ranges: Mapping[str, tuple[int, int]]
) -> Layout:
    in_file_order = tuple(ordered)
    starts = {spec.name: len(header) + ranges[spec.name][0] for spec in in_file_order}
    nbytes = len(header) + max((end for _, end in ranges.values()), default=0)
    by_name = tuple(sorted(in_file_order, key=lambda spec: spec.name))
    return Layout(by_name, MappingProxyType(dict(metadata)), header, MappingProxyType(starts), nbytes)


def _short(name: str) -> str:
    return repr(name[:80])


def _malformed(detail: str) -> RefusedError:
    return RefusedError(Reason.MALFORMED, detail)

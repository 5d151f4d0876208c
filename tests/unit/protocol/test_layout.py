"""The safetensors header: written as the reference writes it, and read from a hostile hand."""

from __future__ import annotations

import contextlib
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fedward_protocol.reasons import Reason, RefusedError
from fedward_protocol.tensors.blocks import BLOCK, blocks
from fedward_protocol.tensors.layout import MAX_HEADER, Layout, TensorSpec

NUMPY_CODES = {
    "BOOL": "?",
    "U8": "u1",
    "I8": "i1",
    "I16": "i2",
    "U16": "u2",
    "F16": "f2",
    "I32": "i4",
    "U32": "u4",
    "F32": "f4",
    "F64": "f8",
    "I64": "i8",
    "U64": "u8",
}

names = st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=12).filter("__metadata__".__ne__)
shapes = st.lists(st.integers(0, 5), max_size=4).map(tuple)
tensor_tables = st.dictionaries(names, st.tuples(st.sampled_from(sorted(NUMPY_CODES)), shapes), max_size=8)


def arrays(table: dict[str, tuple[str, tuple[int, ...]]]) -> dict[str, np.ndarray[Any, Any]]:
    rng = np.random.default_rng(0)
    return {name: rng.integers(0, 2, shape).astype(NUMPY_CODES[code]) for name, (code, shape) in table.items()}


def specs(table: dict[str, tuple[str, tuple[int, ...]]]) -> list[TensorSpec]:
    return [TensorSpec(name, code, shape) for name, (code, shape) in table.items()]


def container(document: object, data: bytes = b"") -> bytes:
    text = document if isinstance(document, bytes) else json.dumps(document).encode()
    return struct.pack("<Q", len(text)) + text + data


def entry(dtype: object = "F32", shape: object = (2,), offsets: object = (0, 8)) -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


@given(tensor_tables, st.dictionaries(st.just("note"), st.text(st.characters(exclude_categories=["Cs"]), max_size=20)))
def test_writes_the_very_header_that_the_reference_writes(table: Any, metadata: dict[str, str]) -> None:
    reference = safetensors.numpy.save(arrays(table), metadata or None)
    layout = Layout.of(specs(table), metadata)
    assert reference.startswith(layout.header)
    assert layout.nbytes == len(reference)


@given(tensor_tables)
def test_reads_what_the_reference_writes(table: Any) -> None:
    contents = arrays(table)
    reference = safetensors.numpy.save(contents)
    layout = Layout.parse(reference)
    assert {spec.name: (spec.dtype, spec.shape) for spec in layout.specs} == table
    assert [spec.name for spec in layout.specs] == sorted(table)
    for spec in layout.specs:
        start = layout.offset_of(spec.name)
        assert reference[start : start + spec.nbytes] == contents[spec.name].tobytes()


@given(tensor_tables, st.randoms())
def test_the_order_in_which_tensors_are_named_changes_nothing(table: Any, random: Any) -> None:
    shuffled = specs(table)
    random.shuffle(shuffled)
    assert Layout.of(shuffled) == Layout.of(specs(table)) == Layout.parse(Layout.of(specs(table)).header)


def test_reads_only_the_header_of_a_longer_prefix() -> None:
    layout = Layout.of([TensorSpec("w", "F32", (3,))])
    assert Layout.parse(memoryview(layout.header + b"\x01" * 12)) == layout


def test_blocks_cover_every_element_once_in_the_file_order() -> None:
    layout = Layout.of(
        [TensorSpec("b", "F32", (BLOCK * 2 + 1,)), TensorSpec("a", "F32", ()), TensorSpec("e", "F32", (0,))]
    )
    assert list(blocks(layout)) == [
        ("a", 0, 1),
        ("b", 0, BLOCK),
        ("b", BLOCK, 2 * BLOCK),
        ("b", 2 * BLOCK, 2 * BLOCK + 1),
    ]


BIG = 2**63
HOSTILE = {
    "nothing at all": b"",
    "a cut-off length": b"\x01\x00",
    "a cut-off header": struct.pack("<Q", 100) + b"{}",
    "a header beyond the bound": struct.pack("<Q", MAX_HEADER + 1) + b"{}",
    "a header of 2^64 - 1 bytes": b"\xff" * 8,
    "no JSON": container(b"{oops"),
    "a JSON list": container([]),
    "JSON with spaces first": container(b' {"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'),
    "UTF-16": container(json.dumps({"w": entry()}).encode("utf-16")),
    "JSON nested without end": container(b'{"w":' + b"[" * 100_000),
    "a number of 5000 digits": container(b'{"w":{"dtype":"F32","shape":[' + b"9" * 5000 + b'],"data_offsets":[0,8]}}'),
    "a tensor twice": container(
        b'{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'
    ),
    "metadata twice": container(b'{"__metadata__":{"a":"b","a":"c"}}'),
    "metadata that is no map": container({"__metadata__": "x"}),
    "metadata that is no text": container({"__metadata__": {"a": 1}}),
    "metadata with half a surrogate pair": container(b'{"__metadata__":{"a":"\\ud800"}}'),
    "a tensor that is no object": container({"w": [1]}),
    "a field missing": container({"w": {"dtype": "F32", "shape": [2]}}),
    "a field too many": container({"w": {**entry(), "extra": 1}}),
    "an unknown dtype": container({"w": entry("F31")}),
    "a dtype that is no text": container({"w": entry(["F32"])}),
    "a negative axis": container({"w": entry(shape=(-2,))}),
    "two negative axes whose product fits": container({"w": entry(shape=(-2, -1))}),
    "an axis that is true": container({"w": entry(shape=(True, 2))}),
    "an axis that is a fraction": container({"w": entry(shape=(2.0,))}),
    "a shape that is no list": container({"w": entry(shape=2)}),
    "an axis beyond 63 bits beside a zero": container({"w": entry(shape=(BIG, 0), offsets=(0, 0))}),
    "a product beyond 63 bits": container({"w": entry(shape=(2**31, 2**31, 2), offsets=(0, 2**65))}),
    "a product that wraps round to what is there": container({"w": entry(shape=(2**62, 4, 1), offsets=(0, 0))}),
    "65 axes": container({"w": entry(shape=[1] * 65, offsets=(0, 4))}),
    "an offset too many": container({"w": entry(offsets=(0, 8, 8))}),
    "a negative offset": container({"w": entry(offsets=(-8, 0))}),
    "an end before the start": container({"w": entry(offsets=(8, 0))}),
    "a length that is not the shape's": container({"w": entry(offsets=(0, 4))}),
    "data that does not start at 0": container({"w": entry(offsets=(4, 12))}),
    "a gap": container({"v": entry(offsets=(0, 8)), "w": entry(offsets=(12, 20))}),
    "an overlap": container({"v": entry(offsets=(0, 8)), "w": entry(offsets=(4, 12))}),
    "two tensors on the same bytes": container({"v": entry(), "w": entry()}),
    "a name with a line break": container({"w\n": entry()}),
    "a name of half a surrogate pair": container(b'{"\\udc80":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'),
    "an empty name": container({"": entry()}),
}


@pytest.mark.parametrize("contents", HOSTILE.values(), ids=HOSTILE.keys())
def test_refuses_as_malformed(contents: bytes) -> None:
    with pytest.raises(RefusedError) as caught:
        Layout.parse(contents)
    assert caught.value.reason is Reason.MALFORMED


@pytest.mark.parametrize("change", [b"\x00", None], ids=["longer", "shorter"])
def test_refuses_a_file_whose_length_is_not_the_headers(tmp_path: Path, change: bytes | None) -> None:
    contents = safetensors.numpy.save({"w": np.ones(2, np.float32)})
    path = tmp_path / "model.safetensors"
    path.write_bytes(contents + change if change else contents[:-1])
    with pytest.raises(RefusedError, match="bytes, its header describes"):
        Layout.parse(path)


def test_a_huge_length_in_a_small_file_allocates_nothing(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(struct.pack("<Q", MAX_HEADER) + b"{}")
    with pytest.raises(RefusedError, match="cut off"):
        Layout.parse(path)


@pytest.mark.parametrize(
    "spec",
    [TensorSpec("w", "F31", (1,)), TensorSpec("w", "F32", (-1,)), TensorSpec("__metadata__", "F32", (1,))],
    ids=["dtype", "shape", "name"],
)
def test_writes_nothing_that_it_would_not_read(spec: TensorSpec) -> None:
    with pytest.raises(RefusedError):
        Layout.of([spec])


def test_refuses_to_write_a_name_twice() -> None:
    with pytest.raises(RefusedError, match="twice"):
        Layout.of([TensorSpec("w", "F32", (1,)), TensorSpec("w", "F16", (1,))])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
plausible_entries = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(["F32", "I8", "BF16", "X"]) | json_values,
        "shape": st.lists(st.integers(-2, 2**64), max_size=3) | json_values,
        "data_offsets": st.lists(st.integers(-2, 64), min_size=2, max_size=2) | json_values,
    }
)


@given(st.binary(max_size=64) | st.dictionaries(st.text(max_size=8), plausible_entries | json_values).map(container))
@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_comes_is_read_or_refused_and_never_breaks(contents: bytes) -> None:
    with contextlib.suppress(RefusedError):
        layout = Layout.parse(contents)
        described = sum(spec.nbytes for spec in layout.specs)
        assert layout.nbytes == len(layout.header) + described


@given(st.integers(0, 300), st.binary(min_size=1, max_size=3))
def test_a_damaged_header_is_read_or_refused_and_never_breaks(position: int, damage: bytes) -> None:
    good = safetensors.numpy.save({"a": np.ones((2, 3), np.float32), "b": np.ones(4, np.int8)}, {"k": "v"})
    position %= len(good)
    damaged = good[:position] + damage + good[position + len(damage) :]
    with contextlib.suppress(RefusedError):
        Layout.parse(damaged).check_length(len(damaged))

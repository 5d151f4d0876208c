"""Updates on disk: what each encoding keeps of the values, and what it refuses."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from fedward_protocol.digest import digest_file
from fedward_protocol.plan import Encoding
from fedward_protocol.reasons import Reason, RefusedError
from fedward_protocol.tensors.encodings import CODECS
from fedward_protocol.tensors.encodings.int8 import GROUP
from fedward_protocol.tensors.file import STORAGE_TYPES, TensorWriter
from fedward_protocol.tensors.layout import Layout, TensorSpec
from fedward_protocol.tensors.update import BLOCK, UpdateFile, blocks, encode_update, largest_update_nbytes

ENCODINGS: tuple[Encoding, ...] = get_args(Encoding)
Arrays = Mapping[str, NDArray[Any]]

same_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
numbers = hnp.arrays(
    np.float32,
    hnp.array_shapes(max_dims=3, max_side=20) | st.tuples(st.integers(0, 2 * GROUP + 3)),
    elements=st.floats(-(2.0**100), 2.0**100, width=32),
    fill=st.floats(-1, 1, width=32),
)


class InMemory:
    """A source of blocks that notes what was asked of it."""

    def __init__(self, tensors: Arrays) -> None:
        self.tensors = tensors
        self.asked: list[tuple[str, int, int]] = []

    def read(self, name: str, start: int, stop: int) -> NDArray[np.float32]:
        self.asked.append((name, start, stop))
        return np.ascontiguousarray(self.tensors[name].reshape(-1)[start:stop], np.float32)


def layout_of(tensors: Arrays) -> Layout:
    return Layout.of(TensorSpec(name, "F32", values.shape) for name, values in tensors.items())


def round_trip(folder: Path, tensors: Arrays, encoding: Encoding) -> dict[str, NDArray[np.float32]]:
    model = layout_of(tensors)
    encode_update(folder / "update", InMemory(tensors), model, encoding)
    with UpdateFile.open(folder / "update", model) as update:
        update.check_finite()
        return {
            name: np.array(update.read(name, 0, values.size)).reshape(values.shape) for name, values in tensors.items()
        }


def forge(path: Path, model: Layout, encoding: str, tensors: Mapping[str, tuple[str, NDArray[Any]]]) -> Layout:
    """Write any tensors as an update of any encoding; returns the model for brevity."""
    layout = Layout.of(
        (TensorSpec(name, dtype, values.shape) for name, (dtype, values) in tensors.items()),
        {"fedward.encoding": encoding},
    )
    with TensorWriter(path, layout) as writer:
        for name, (dtype, values) in tensors.items():
            writer.write(name, 0, values.astype(STORAGE_TYPES[dtype]).reshape(-1))
        writer.commit()
    return model


def refusal(path: Path, model: Layout) -> Reason:
    with pytest.raises(RefusedError) as caught, UpdateFile.open(path, model) as update:
        update.check_finite()
    return caught.value.reason


@given(numbers)
@same_folder
def test_fp32_and_sparse_keep_every_value(tmp_path: Path, values: NDArray[np.float32]) -> None:
    for encoding in ("fp32", "sparse"):
        np.testing.assert_array_equal(round_trip(tmp_path, {"w": values}, encoding)["w"], values)


@given(numbers)
@same_folder
def test_bf16_rounds_to_the_nearest_of_8_significant_bits(tmp_path: Path, values: NDArray[np.float32]) -> None:
    exact = values.astype(np.float64)
    error = np.abs(round_trip(tmp_path, {"w": values}, "bf16")["w"] - exact)
    assert (error <= np.abs(exact) * 2.0**-8 + 2.0**-134).all()


def test_bf16_breaks_ties_to_even_and_never_turns_a_nan_into_a_number(tmp_path: Path) -> None:
    bits = np.array([0x3F80_8000, 0x3F81_8000, 0x3F80_8001, 0x7FFF_FFFF, 0xFFFF_FFFF, 0x7F80_0001], np.uint32)
    tensors = {"w": bits.view(np.float32)}
    model = layout_of(tensors)
    encode_update(tmp_path / "update", InMemory(tensors), model, "bf16")
    with UpdateFile.open(tmp_path / "update", model) as update:
        read = update.read("w", 0, 6)
    assert (read[:3].view(np.uint32) >> 16).tolist() == [0x3F80, 0x3F82, 0x3F81]
    assert np.isnan(read[3:]).all()
    assert refusal(tmp_path / "update", model) is Reason.NOT_FINITE


@given(hnp.arrays(np.float32, st.integers(0, 100), elements=st.floats(-65504, 65504, width=32)))
@same_folder
def test_fp16_is_what_numpy_makes_of_it(tmp_path: Path, values: NDArray[np.float32]) -> None:
    expected = values.astype(np.float16).astype(np.float32)
    np.testing.assert_array_equal(round_trip(tmp_path, {"w": values}, "fp16")["w"], expected)


@given(numbers)
@same_folder
def test_int8_errs_by_half_a_step_of_each_group_at_most(tmp_path: Path, values: NDArray[np.float32]) -> None:
    read = round_trip(tmp_path, {"w": values}, "int8")["w"].reshape(-1).astype(np.float64)
    exact = values.reshape(-1).astype(np.float64)
    for start in range(0, exact.size, GROUP):
        group, largest = slice(start, start + GROUP), np.abs(exact[start : start + GROUP]).max()
        # Half a step, the rounding of scale and product to fp32, and what is lost where the scale is subnormal.
        assert np.abs(read[group] - exact[group]).max() <= largest * (0.5 / 127 + 4 * 2.0**-24) + 127 * 2.0**-149


@given(numbers, st.data(), st.sampled_from(ENCODINGS))
@same_folder
def test_any_range_reads_as_the_same_part_of_the_whole(
    tmp_path: Path, values: NDArray[np.float32], data: st.DataObject, encoding: Encoding
) -> None:
    values = np.clip(values, -60000, 60000)
    start = data.draw(st.integers(0, values.size))
    stop = data.draw(st.integers(start, values.size))
    model = layout_of({"w": values})
    encode_update(tmp_path / "update", InMemory({"w": values}), model, encoding)
    with UpdateFile.open(tmp_path / "update", model) as update:
        part = update.read("w", start, stop)
        assert part.dtype == np.float32
        np.testing.assert_array_equal(part, update.read("w", 0, values.size)[start:stop])


@pytest.fixture(scope="module")
def several_blocks() -> Arrays:
    rng = np.random.default_rng(7)
    big = rng.normal(size=(BLOCK + GROUP + 17,)).astype(np.float32)
    big[rng.random(big.size) < 0.7] = 0
    tail = rng.normal(size=(3, 4)).astype(np.float32)
    return {"a.big": big, "b": tail, "empty": np.empty((0, 4), np.float32), "one": np.float32(2.5).reshape(())}


@pytest.mark.parametrize("encoding", ENCODINGS)
class TestEveryEncoding:
    def test_the_same_values_give_the_same_bytes_and_the_digest_is_the_files(
        self, tmp_path: Path, encoding: Encoding, several_blocks: Arrays
    ) -> None:
        model = layout_of(several_blocks)
        first = encode_update(tmp_path / "1", InMemory(several_blocks), model, encoding, {"made": "here"})
        second = encode_update(tmp_path / "2", InMemory(several_blocks), model, encoding, {"made": "here"})
        assert first == second == digest_file(tmp_path / "1")
        assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()
        assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "2"]

    def test_each_block_of_the_source_is_read_once_and_in_order(
        self, tmp_path: Path, encoding: Encoding, several_blocks: Arrays
    ) -> None:
        source, model = InMemory(several_blocks), layout_of(several_blocks)
        encode_update(tmp_path / "update", source, model, encoding)
        assert source.asked == list(blocks(model))

    def test_names_its_encoding_and_keeps_metadata(
        self, tmp_path: Path, encoding: Encoding, several_blocks: Arrays
    ) -> None:
        model = layout_of(several_blocks)
        encode_update(tmp_path / "update", InMemory(several_blocks), model, encoding, {"made": "here"})
        with UpdateFile.open(tmp_path / "update", model) as update:
            assert update.encoding == encoding
            assert update.metadata["made"] == "here"

    def test_reads_several_blocks_about_right(self, tmp_path: Path, encoding: Encoding, several_blocks: Arrays) -> None:
        for name, values in round_trip(tmp_path, several_blocks, encoding).items():
            np.testing.assert_allclose(values, several_blocks[name], rtol=0.004, atol=0.02)

    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
    @pytest.mark.parametrize("place", [0, GROUP - 1, BLOCK + GROUP + 16])
    def test_nan_and_infinity_anywhere_are_refused(
        self, tmp_path: Path, encoding: Encoding, several_blocks: Arrays, bad: float, place: int
    ) -> None:
        model = layout_of(several_blocks)
        big = np.array(several_blocks["a.big"])
        big[place] = bad
        encode_update(tmp_path / "update", InMemory({**several_blocks, "a.big": big}), model, encoding)
        assert refusal(tmp_path / "update", model) is Reason.NOT_FINITE

    def test_another_models_update_has_the_wrong_shape(
        self, tmp_path: Path, encoding: Encoding, several_blocks: Arrays
    ) -> None:
        encode_update(tmp_path / "update", InMemory(several_blocks), layout_of(several_blocks), encoding)
        flat = {**several_blocks, "b": several_blocks["b"][:2]}
        renamed = {("c" if name == "b" else name): values for name, values in several_blocks.items()}
        fewer = {name: values for name, values in several_blocks.items() if name != "b"}
        for other in (flat, renamed, fewer):
            # As large as it likes to be: what is asked here is whether it fits.
            padded = {**other, "z": np.empty(2_000_000, np.float32)} if encoding == "sparse" else other
            assert refusal(tmp_path / "update", layout_of(padded)) is Reason.WRONG_SHAPE

    def test_no_update_is_longer_than_the_bound(self, tmp_path: Path, encoding: Encoding) -> None:
        # Every element kept, which is the most that any encoding has to say.
        tensors = {f"layer.{index}.weight": np.full((index, 3), 1.5, np.float32) for index in range(1, 40)}
        model = layout_of(tensors)
        written = encode_update(tmp_path / "update", InMemory(tensors), model, encoding)
        assert written.nbytes <= largest_update_nbytes(model)


def test_names_that_look_like_an_encodings_own_do_not_collide(tmp_path: Path) -> None:
    tensors = {name: np.full(3, value, np.float32) for value, name in enumerate(("w", "value:w", "index:w", "scale:w"))}
    for encoding in ENCODINGS:
        for name, values in round_trip(tmp_path, tensors, encoding).items():
            np.testing.assert_array_equal(values, tensors[name])


MODEL = Layout.of([TensorSpec("w", "F32", (4,))])
SHORT = np.array([1, 2], np.float32)
FORGED: dict[str, tuple[str, Mapping[str, tuple[str, NDArray[Any]]], Reason]] = {
    "an encoding nobody knows": ("fp8", {"w": ("F32", np.ones(4))}, Reason.WRONG_SHAPE),
    "another dtype than the encoding's": ("fp32", {"w": ("F16", np.ones(4))}, Reason.WRONG_SHAPE),
    "int8 without scales": ("int8", {"value:w": ("I8", np.ones(4))}, Reason.WRONG_SHAPE),
    "int8 with a scale too many": (
        "int8",
        {"value:w": ("I8", np.ones(4)), "scale:w": ("F32", np.ones(2))},
        Reason.WRONG_SHAPE,
    ),
    "int8 with a negative scale": (
        "int8",
        {"value:w": ("I8", np.ones(4)), "scale:w": ("F32", -np.ones(1))},
        Reason.MALFORMED,
    ),
    "int8 with a scale of NaN": (
        "int8",
        {"value:w": ("I8", np.ones(4)), "scale:w": ("F32", np.full(1, np.nan))},
        Reason.NOT_FINITE,
    ),
    "int8 with a finite scale that overflows": (
        "int8",
        {"value:w": ("I8", np.full(4, -128)), "scale:w": ("F32", np.full(1, 2.67e36))},
        Reason.NOT_FINITE,
    ),
    "sparse without values": ("sparse", {"index:w": ("U32", SHORT)}, Reason.WRONG_SHAPE),
    "sparse with fewer values than indices": (
        "sparse",
        {"index:w": ("U32", SHORT), "value:w": ("F32", SHORT[:1])},
        Reason.WRONG_SHAPE,
    ),
    "sparse with more elements than the tensor": (
        "sparse",
        {"index:w": ("U32", np.arange(5)), "value:w": ("F32", np.ones(5))},
        Reason.WRONG_SHAPE,
    ),
    "sparse with indices of two axes": (
        "sparse",
        {"index:w": ("U32", SHORT.reshape(1, 2)), "value:w": ("F32", SHORT)},
        Reason.WRONG_SHAPE,
    ),
    "sparse with an index twice": (
        "sparse",
        {"index:w": ("U32", np.array([1, 1])), "value:w": ("F32", SHORT)},
        Reason.MALFORMED,
    ),
    "sparse with falling indices": (
        "sparse",
        {"index:w": ("U32", np.array([2, 1])), "value:w": ("F32", SHORT)},
        Reason.MALFORMED,
    ),
    "sparse with an index past the end": (
        "sparse",
        {"index:w": ("U32", np.array([1, 4])), "value:w": ("F32", SHORT)},
        Reason.MALFORMED,
    ),
    "sparse with a value of infinity": (
        "sparse",
        {"index:w": ("U32", SHORT), "value:w": ("F32", np.array([1, np.inf]))},
        Reason.NOT_FINITE,
    ),
}


@pytest.mark.parametrize(("encoding", "tensors", "reason"), FORGED.values(), ids=FORGED.keys())
def test_refuses(
    tmp_path: Path, encoding: str, tensors: Mapping[str, tuple[str, NDArray[Any]]], reason: Reason
) -> None:
    assert refusal(tmp_path / "update", forge(tmp_path / "update", MODEL, encoding, tensors)) is reason


def test_indices_that_fall_only_between_two_blocks_are_refused(tmp_path: Path) -> None:
    model = Layout.of([TensorSpec("w", "F32", (2 * BLOCK,))])
    indices = np.arange(BLOCK + 1)
    indices[BLOCK] = BLOCK - 1
    forged = {"index:w": ("U32", indices), "value:w": ("F32", np.ones(BLOCK + 1))}
    assert refusal(tmp_path / "update", forge(tmp_path / "update", model, "sparse", forged)) is Reason.MALFORMED


def test_an_update_longer_than_any_can_be_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "update"
    with path.open("wb") as file:
        file.truncate(largest_update_nbytes(MODEL) + 1)
    assert refusal(path, MODEL) is Reason.TOO_LARGE


def test_a_header_written_otherwise_is_refused_although_it_means_the_same(tmp_path: Path) -> None:
    path = tmp_path / "update"
    encode_update(path, InMemory({"w": np.ones(4, np.float32)}), MODEL, "fp32")
    path.write_bytes(
        path.read_bytes().replace(b'"shape":[4],"data_offsets":[0,16]', b'"data_offsets":[0,16],"shape":[4]')
    )
    assert Layout.parse(path).specs == MODEL.specs
    assert refusal(path, MODEL) is Reason.MALFORMED


def test_a_file_of_no_known_encoding_or_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "update"
    path.write_bytes(MODEL.header + b"\x00" * 16)
    assert refusal(path, MODEL) is Reason.WRONG_SHAPE
    path.write_bytes(b"\x80\x04\x95 a pickle, say")
    assert refusal(path, MODEL) is Reason.MALFORMED


def test_every_encoding_of_the_plan_has_a_codec() -> None:
    assert tuple(CODECS) == ENCODINGS


@given(st.binary(min_size=1, max_size=4), st.integers(0, 2000), st.sampled_from(ENCODINGS))
@same_folder
def test_a_damaged_update_is_refused_or_read_and_never_breaks(
    tmp_path: Path, damage: bytes, place: int, encoding: Encoding
) -> None:
    tensors = {"v": np.arange(50, dtype=np.float32), "w": np.arange(12, dtype=np.float32).reshape(3, 4)}
    model, path = layout_of(tensors), tmp_path / "update"
    encode_update(path, InMemory(tensors), model, encoding)
    good = path.read_bytes()
    place %= len(good)
    path.write_bytes((good[:place] + damage + good[place + len(damage) :])[: len(good)])
    try:
        with UpdateFile.open(path, model) as update:
            update.check_finite()
            assert all(np.isfinite(update.read(name, start, stop)).all() for name, start, stop in blocks(model))
    except RefusedError:
        pass

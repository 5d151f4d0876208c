"""Safetensors files: written blockwise and at once, read as views, with an honest digest."""

from __future__ import annotations

import hashlib
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fedward_protocol.digest import FileDigest, digest_file
from fedward_protocol.reasons import Reason, RefusedError
from fedward_protocol.tensors.file import TensorFile, TensorWriter, read_tensors, write_tensors
from fedward_protocol.tensors.layout import Layout, TensorSpec

LAYOUT = Layout.of([TensorSpec("a", "F32", (3, 5)), TensorSpec("b", "F32", (7,)), TensorSpec("n", "F32", (0,))])
TENSORS = {
    "a": np.arange(15, dtype=np.float32).reshape(3, 5),
    "b": -np.arange(7, dtype=np.float32),
    "n": np.empty(0, np.float32),
}


@contextmanager
def disk_of(nbytes: int) -> Iterator[None]:
    """Let no file grow beyond nbytes: the kernel then answers as it does for a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (nbytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_the_reference_reads_what_we_write_and_we_what_it_writes(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    digest = write_tensors(ours, TENSORS, {"made": "here"})
    safetensors.numpy.save_file(TENSORS, theirs, {"made": "here"})
    assert ours.read_bytes() == theirs.read_bytes()
    assert digest == digest_file(theirs) == FileDigest(hashlib.sha256(ours.read_bytes()).digest(), ours.stat().st_size)
    read = read_tensors(theirs)
    assert read.keys() == TENSORS.keys()
    for name, values in TENSORS.items():
        np.testing.assert_array_equal(read[name], values, strict=True)


def test_write_tensors_takes_any_floating_array_in_any_memory_order(tmp_path: Path) -> None:
    values = np.arange(6, dtype=np.float64).reshape(2, 3).T
    write_tensors(tmp_path / "m", {"w": values})  # type: ignore[dict-item]
    np.testing.assert_array_equal(read_tensors(tmp_path / "m")["w"], values)


@given(st.permutations([("a", 0, 4), ("a", 4, 15), ("b", 0, 1), ("b", 1, 7), ("n", 0, 0)]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_digest_is_the_files_whatever_the_order_of_writing(
    tmp_path: Path, order: list[tuple[str, int, int]]
) -> None:
    path = tmp_path / "m"
    with TensorWriter(path, LAYOUT) as writer:
        for name, start, stop in order:
            writer.write(name, start, TENSORS[name].reshape(-1)[start:stop])
        digest = writer.commit()
    assert digest == digest_file(path)
    assert path.read_bytes()[len(LAYOUT.header) :] == b"".join(TENSORS[name].tobytes() for name in "abn")


def test_a_strided_array_is_written_as_its_elements(tmp_path: Path) -> None:
    with TensorWriter(tmp_path / "m", Layout.of([TensorSpec("w", "F32", (3,))])) as writer:
        writer.write("w", 0, np.arange(6, dtype=np.float32)[::2])
        writer.commit()
    np.testing.assert_array_equal(read_tensors(tmp_path / "m")["w"], [0, 2, 4])


def test_nothing_is_left_of_a_file_that_was_not_committed(tmp_path: Path) -> None:
    with pytest.raises(KeyError), TensorWriter(tmp_path / "m", LAYOUT) as writer:
        writer.write("no such tensor", 0, np.ones(1, np.float32))
    assert list(tmp_path.iterdir()) == []


def test_the_old_file_stays_until_the_commit_and_its_readers_keep_it(tmp_path: Path) -> None:
    path = tmp_path / "m"
    write_tensors(path, {"w": np.zeros(4, np.float32)})
    with TensorFile.open(path) as old:
        view = old.read("w")
        with TensorWriter(path, old.layout) as writer:
            writer.write("w", 0, np.ones(4, np.float32))
            np.testing.assert_array_equal(read_tensors(path)["w"], np.zeros(4))
            writer.commit()
    np.testing.assert_array_equal(read_tensors(path)["w"], np.ones(4))
    np.testing.assert_array_equal(view, np.zeros(4))
    assert [child.name for child in tmp_path.iterdir()] == ["m"]


def test_leftovers_of_a_killed_writer_are_overwritten(tmp_path: Path) -> None:
    (tmp_path / "m.tmp").write_bytes(b"x" * 10_000)
    digest = write_tensors(tmp_path / "m", TENSORS)
    assert digest == digest_file(tmp_path / "m")


def test_an_incomplete_file_cannot_be_committed(tmp_path: Path) -> None:
    with TensorWriter(tmp_path / "m", LAYOUT) as writer:
        writer.write("a", 0, TENSORS["a"].reshape(-1))
        with pytest.raises(ValueError, match="60 of 88 bytes"):
            writer.commit()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("start", "values"),
    [(-1, np.ones(1, np.float32)), (7, np.ones(1, np.float32)), (0, np.ones(7)), (0, np.ones(8, np.float32))],
    ids=["before the start", "after the end", "another type", "too many"],
)
def test_writes_outside_a_tensor_or_of_another_type_are_errors(
    tmp_path: Path, start: int, values: np.ndarray[tuple[int], np.dtype[np.float32]]
) -> None:
    with TensorWriter(tmp_path / "m", LAYOUT) as writer, pytest.raises(ValueError, match="are no part of"):
        writer.write("b", start, values)


@pytest.mark.parametrize("room", [10, 100_000], ids=["for half a header", "for half the data"])
def test_a_full_disk_is_a_refusal_and_leaves_nothing(tmp_path: Path, room: int) -> None:
    with disk_of(room), pytest.raises(RefusedError) as caught:
        write_tensors(tmp_path / "m", {"w": np.ones(50_000, np.float32)})
    assert caught.value.reason is Reason.STORAGE_FULL
    assert list(tmp_path.iterdir()) == []


def test_fp32_is_read_as_a_view_of_the_file_and_cannot_be_changed(tmp_path: Path) -> None:
    write_tensors(tmp_path / "m", TENSORS)
    with TensorFile.open(tmp_path / "m") as file:
        view = file.read("b", 2, 5)
        assert not view.flags.owndata
        assert not view.flags.writeable
        np.testing.assert_array_equal(view, [-2, -3, -4])
        np.testing.assert_array_equal(file.read("b"), TENSORS["b"])


@pytest.mark.parametrize(("start", "stop"), [(-1, 2), (0, 8), (5, 4)])
def test_ranges_outside_a_tensor_are_errors(tmp_path: Path, start: int, stop: int) -> None:
    write_tensors(tmp_path / "m", TENSORS)
    with TensorFile.open(tmp_path / "m") as file, pytest.raises(IndexError):
        file.read("b", start, stop)


def test_a_closed_file_says_so_and_integers_are_not_read_as_numbers(tmp_path: Path) -> None:
    safetensors.numpy.save_file({"i": np.ones(2, np.int64)}, tmp_path / "m")
    file = TensorFile.open(tmp_path / "m")
    with pytest.raises(TypeError, match="I64"):
        file.read("i")
    file.close()
    with pytest.raises(ValueError, match="closed"):
        file.read("i")


@given(st.lists(st.floats(width=16), min_size=1))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_half_precision_is_widened_exactly(tmp_path: Path, numbers: list[float]) -> None:
    values = np.array(numbers, np.float16)
    safetensors.numpy.save_file({"h": values}, tmp_path / "m")
    with TensorFile.open(tmp_path / "m") as file:
        np.testing.assert_array_equal(file.read("h"), values.astype(np.float32), strict=True)


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m"
    for contents in (b"", b"PK\x03\x04" + b"\x00" * 100):
        path.write_bytes(contents)
        with pytest.raises(RefusedError) as caught:
            TensorFile.open(path)
        assert caught.value.reason is Reason.MALFORMED

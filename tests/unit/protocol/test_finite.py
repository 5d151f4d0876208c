"""Finding NaN and infinity by their bits: exact at both ends of the range."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from fedward_protocol.tensors.finite import all_finite, all_finite_after_scaling


@given(hnp.arrays(st.sampled_from([np.dtype("<f4"), np.dtype("<f2")]), st.integers(0, 40)))
def test_agrees_with_numpy_on_any_bits(values: NDArray[Any]) -> None:
    assert all_finite(values) == bool(np.isfinite(values).all())


@given(hnp.arrays(np.uint16, st.integers(0, 40)))
def test_agrees_with_numpy_on_any_bits_of_bf16(bits: NDArray[np.uint16]) -> None:
    widened = (bits.astype(np.uint32) << 16).view(np.float32)
    assert all_finite(bits, infinity=0x7F80) == bool(np.isfinite(widened).all())


def test_the_largest_numbers_are_finite_however_many() -> None:
    assert all_finite(np.full(100_000, np.finfo(np.float32).max, np.float32))
    assert all_finite(np.full(100_000, np.finfo(np.float16).min, np.float16))


@pytest.mark.parametrize("bits", [0x7F80_0000, 0xFF80_0000, 0x7F80_0001, 0xFFFF_FFFF, 0x7FC0_0000])
@pytest.mark.parametrize("place", [0, 500, 999])
def test_one_among_a_thousand_is_found(bits: int, place: int) -> None:
    values = np.full(1000, -1, np.float32)
    values.view(np.uint32)[place] = bits
    assert not all_finite(values)


def test_a_scale_is_judged_by_what_it_makes_of_the_largest_element() -> None:
    assert all_finite_after_scaling(np.array([2.65e36], np.float32), -128)
    assert not all_finite_after_scaling(np.array([2.67e36], np.float32), -128)

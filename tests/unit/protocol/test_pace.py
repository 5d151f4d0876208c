"""How chunks grow on a fast line and shrink on a slow one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fedward_protocol.tensors.chunks import CHUNK
from fedward_protocol.tensors.pace import SMALLEST, Pace


def upload(bits_a_second: float, nbytes: int) -> list[float]:
    """Send so many bytes over a line; return how long each chunk took."""
    pace, took = Pace(), []
    while nbytes > 0:
        took.append(8 * pace.size / bits_a_second)
        nbytes -= pace.size
        pace.took(took[-1])
    return took


def test_a_fast_line_takes_whole_chunks_after_the_first_few():
    assert len(upload(1e9, 100 * CHUNK)) <= 100 + 4


def test_no_chunk_takes_as_long_as_a_site_may_be_silent_for():
    for kbit in (100, 200, 400, 1_000, 4_000, 16_000):
        assert max(upload(kbit * 1e3, 8 * CHUNK)) < 8


@given(st.lists(st.floats(0, 1e6)))
def test_a_chunk_is_never_larger_than_the_wire_allows_nor_so_small_that_it_costs_more_than_it_carries(seconds):
    pace = Pace()
    for each in seconds:
        pace.took(each)
        assert SMALLEST <= pace.size <= CHUNK

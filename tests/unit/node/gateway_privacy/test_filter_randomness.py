"""The noise: statistically what it says, the same for the same secret, and readable at any place."""

from __future__ import annotations

import stat
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from fedward_node.gateway.randomness import Randomness, Stream

KEY = bytes(range(32))
DRAWS = 200_000
UNLIKELY = 1e-4
"""p-value below which a test fails; the seeds are fixed, so that a passing test keeps passing."""


def test_words_are_the_key_stream_of_aes_in_counter_mode() -> None:
    expected = Cipher(algorithms.AES(KEY), modes.CTR(bytes(16))).encryptor().update(bytes(64))
    assert Stream(KEY).words(0, 8).tobytes() == expected


@pytest.mark.parametrize(
    ("draw", "law"),
    [
        ("normal", stats.norm),
        ("laplace", stats.laplace),
        ("exponential", stats.expon),
        ("uniform", stats.uniform),
    ],
)
def test_draws_follow_their_law(draw: str, law: stats.rv_continuous) -> None:
    drawn = getattr(Stream(KEY), draw)(0, DRAWS)
    assert stats.kstest(drawn, law.cdf).pvalue > UNLIKELY


@pytest.mark.parametrize("draw", ["normal", "laplace"])
def test_neighbouring_draws_are_uncorrelated(draw: str) -> None:
    drawn = getattr(Stream(KEY), draw)(0, DRAWS)
    for lag in (1, 2, 3):
        assert stats.pearsonr(drawn[:-lag], drawn[lag:]).pvalue > UNLIKELY
        assert stats.pearsonr(np.abs(drawn[:-lag]), np.abs(drawn[lag:])).pvalue > UNLIKELY


@given(start=st.integers(0, 300), length=st.integers(0, 50), draw=st.sampled_from(["words", "normal", "laplace"]))
def test_any_range_is_the_same_part_of_the_whole(start: int, length: int, draw: str) -> None:
    whole = getattr(Stream(KEY), draw)(0, 400)
    part = getattr(Stream(KEY), draw)(start, start + length)
    assert np.array_equal(part, whole[start : start + length])


def test_labels_and_contexts_draw_independently() -> None:
    root = Randomness(KEY)
    streams = [
        root.stream("a"),
        root.stream("b"),
        root.derive(b"a").stream("a"),
        root.derive(b"a", b"b").stream("a"),
        root.derive(b"ab").stream("a"),
        Randomness.fresh().stream("a"),
        Randomness.fresh().stream("a"),
    ]
    assert len({stream.words(0, 4).tobytes() for stream in streams}) == len(streams)


def test_the_same_secret_and_context_draw_the_same_again(tmp_path: Path) -> None:
    first = Randomness.kept(tmp_path / "noise.key").derive(b"job", b"1").stream("values").normal(0, 10)
    again = Randomness.kept(tmp_path / "noise.key").derive(b"job", b"1").stream("values").normal(0, 10)
    assert np.array_equal(first, again)
    assert stat.S_IMODE((tmp_path / "noise.key").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["noise.key"]


def test_two_sites_keep_different_secrets(tmp_path: Path) -> None:
    north, south = Randomness.kept(tmp_path / "north"), Randomness.kept(tmp_path / "south")
    assert not np.array_equal(north.stream("values").words(0, 4), south.stream("values").words(0, 4))


def test_a_secret_of_the_wrong_length_is_refused(tmp_path: Path) -> None:
    (tmp_path / "noise.key").write_bytes(b"short")
    with pytest.raises(ValueError, match="5 bytes"):
        Randomness.kept(tmp_path / "noise.key")

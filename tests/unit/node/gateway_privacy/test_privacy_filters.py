"""Each filter does what it promises, whatever the update; and the chain runs them in order or not at all."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from fedward_node.gateway.accounting import gaussian, gaussian_epsilon
from fedward_node.gateway.filters import FilteredRelease, release
from fedward_node.gateway.filters.sparse_vector import sparse_vector
from fedward_node.gateway.randomness import Randomness
from fedward_protocol.plan import Encoding, Exclude, Filter, GaussianNoise, NormClip, Percentile, SparseVector
from fedward_protocol.tensors.blocks import BLOCK
from fedward_protocol.tensors.layout import Layout, TensorSpec
from fedward_protocol.tensors.update import UpdateFile, encode_update

Update = Mapping[str, NDArray[np.float32]]
UNLIKELY = 1e-4


class Arrays:
    def __init__(self, update: Update) -> None:
        self._update = update

    def read(self, name: str, start: int, stop: int) -> NDArray[np.float32]:
        return self._update[name][start:stop]


def layout(update: Update) -> Layout:
    return Layout.of([TensorSpec(name, "F32", values.shape) for name, values in update.items()])


def filtered(
    update: Update, *chain: Filter, seed: int = 0, encoding: Encoding = "fp32"
) -> tuple[NDArray[np.float32], FilteredRelease]:
    """Run the chain over files and return what left, tensors in the file's order, with the release."""
    model = layout(update)
    with TemporaryDirectory() as folder:
        raw, out = Path(folder) / "raw", Path(folder) / "out"
        encode_update(raw, Arrays(update), model, "fp32")
        with UpdateFile.open(raw, model) as opened:
            released = release(opened, model, chain, encoding, out, Randomness(seed.to_bytes(32, "big")))
        with UpdateFile.open(out, model) as left:
            parts = [left.read(name, 0, model.spec(name).size).copy() for name in model.starts]
    return np.concatenate(parts), released


def flat(update: Update) -> NDArray[np.float32]:
    return np.concatenate([update[name] for name in layout(update).starts])


values = st.floats(width=32, allow_nan=False, allow_infinity=False)
small = st.floats(-8, 8, width=32)


@st.composite
def updates(draw: st.DrawFn, elements: st.SearchStrategy[float] = values) -> Update:
    sizes = draw(st.lists(st.integers(1, 30), min_size=1, max_size=3))
    return {
        f"layer{index}.weight": np.array(draw(st.lists(elements, min_size=size, max_size=size)), np.float32)
        for index, size in enumerate(sizes)
    }


def large(size: int = 2 * BLOCK + 1234, seed: int = 1) -> Update:
    generator = np.random.default_rng(seed)
    half = size // 2
    return {
        "decoder.weight": generator.standard_normal(half).astype(np.float32),
        "encoder.weight": generator.standard_normal(size - half).astype(np.float32),
    }


def norm(array: NDArray[np.float32]) -> float:
    return float(np.sqrt(np.sum(np.square(array.astype(np.longdouble)))))


# ---------------------------------------------------------------- normClip


@settings(deadline=None, max_examples=60)
@given(update=updates(), bound=st.floats(1e-6, 1e6))
def test_the_norm_is_never_above_its_bound(update: Update, bound: float) -> None:
    left, _ = filtered(update, NormClip(name="normClip", max_norm=bound))
    assert norm(left) <= bound


@settings(deadline=None, max_examples=30)
@given(update=updates(small))
def test_an_update_within_the_bound_leaves_as_it_is(update: Update) -> None:
    left, _ = filtered(update, NormClip(name="normClip", max_norm=norm(flat(update)) + 1.0))
    assert np.array_equal(left, flat(update))


def test_clipping_keeps_the_direction_over_all_tensors_together() -> None:
    update = large()
    left, _ = filtered(update, NormClip(name="normClip", max_norm=1.0))
    assert norm(left) == pytest.approx(1.0, rel=1e-6)
    assert np.allclose(left * norm(flat(update)), flat(update), rtol=1e-5)


# ---------------------------------------------------------------- percentile


@settings(deadline=None, max_examples=80)
@given(update=updates(st.sampled_from([0.0, -0.0, 1.0, -1.0, 2.0, -2.0, 1e-45, -3e38])), keep=st.floats(0.01, 1.0))
def test_exactly_the_share_leaves_and_it_is_the_largest(update: Update, keep: float) -> None:
    raw = flat(update)
    left, _ = filtered(update, Percentile(name="percentile", keep=keep))
    k = math.ceil(raw.size * keep - 1e-9)
    # With ties settled by place the outcome is that of a stable sort, to the element.
    expected = np.zeros_like(raw)
    order = np.argsort(-np.abs(raw), kind="stable")[:k]
    expected[order] = raw[order]
    assert np.array_equal(left, expected)


def test_what_stays_behind_leaves_no_trace_not_even_its_sign() -> None:
    update = {"w": np.array([-1, -2, -3, 4], np.float32)}
    left, _ = filtered(update, Percentile(name="percentile", keep=0.5))
    assert left.tobytes() == np.array([0, 0, -3, 4], np.float32).tobytes()


@pytest.mark.parametrize("keep", [0.1, 0.4, 0.999])
def test_the_share_is_exact_over_many_blocks(keep: float) -> None:
    update = large()
    raw = flat(update)
    left, _ = filtered(update, Percentile(name="percentile", keep=keep), encoding="sparse")
    kept = left != 0
    assert np.count_nonzero(kept) == math.ceil(raw.size * keep)
    assert np.abs(raw[kept]).min() >= np.abs(raw[~kept]).max()
    assert np.array_equal(left[kept], raw[kept])


def test_ties_across_blocks_go_to_the_first_in_line() -> None:
    update = {"a": np.full(BLOCK + 10, -0.5, np.float32), "b": np.full(BLOCK + 10, 0.5, np.float32)}
    left, _ = filtered(update, Percentile(name="percentile", keep=0.75))
    k = math.ceil(0.75 * left.size)
    assert np.all(left[:k] != 0)
    assert not left[k:].any()


@settings(deadline=None, max_examples=30)
@given(update=updates(), clip=st.floats(1e-6, 1e3))
def test_shared_values_are_clipped(update: Update, clip: float) -> None:
    left, _ = filtered(update, Percentile(name="percentile", keep=1.0, clip=clip))
    assert np.array_equal(left, np.clip(flat(update), np.float32(-clip), np.float32(clip)))


# ---------------------------------------------------------------- gaussianNoise


def test_the_noise_has_the_deviation_that_the_epsilon_is_computed_from() -> None:
    update = {"w": np.zeros(300_000, np.float32)}
    left, released = filtered(update, GaussianNoise(name="gaussianNoise", max_norm=0.5, multiplier=3.0))
    assert stats.kstest(left, stats.norm(0, 1.5).cdf).pvalue > UNLIKELY
    # Variance of n normal draws: χ² with n degrees; bounds at a chance of UNLIKELY.
    squares = float(np.sum(np.square(left, dtype=np.float64))) / 1.5**2
    assert stats.chi2.ppf(UNLIKELY / 2, left.size) < squares < stats.chi2.ppf(1 - UNLIKELY / 2, left.size)
    assert released.cost == gaussian(3.0)
    assert released.epsilon == pytest.approx(gaussian_epsilon(2 / 3, 1e-5))
    assert (released.delta, released.is_meaningful) == (1e-5, True)


def test_noise_is_added_to_the_clipped_update_and_to_each_element_on_its_own() -> None:
    update = large()
    rule = GaussianNoise(name="gaussianNoise", max_norm=1.0, multiplier=0.01)
    left, _ = filtered(update, rule)
    clipped, _ = filtered(update, NormClip(name="normClip", max_norm=1.0))
    noise = left.astype(np.float64) - clipped
    assert stats.kstest(noise, stats.norm(0, 0.01).cdf).pvalue > UNLIKELY
    assert stats.pearsonr(noise[:-1], noise[1:]).pvalue > UNLIKELY
    assert stats.pearsonr(noise, clipped).pvalue > UNLIKELY


def test_each_release_draws_its_own_noise_and_the_same_secret_draws_it_again() -> None:
    update = {"w": np.zeros(100, np.float32)}
    rule = GaussianNoise(name="gaussianNoise", max_norm=1.0, multiplier=1.0)
    first, again, other = (filtered(update, rule, seed=seed)[0] for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.isclose(first, other).any()


def test_two_noise_filters_in_a_chain_draw_independently() -> None:
    update = {"w": np.zeros(50_000, np.float32)}
    rule = GaussianNoise(name="gaussianNoise", max_norm=1e6, multiplier=1e-6)
    once, _ = filtered(update, rule)
    twice, released = filtered(update, rule, rule)
    assert stats.kstest(twice, stats.norm(0, math.sqrt(2)).cdf).pvalue > UNLIKELY
    assert stats.pearsonr(twice - once, once).pvalue > UNLIKELY
    assert released.filters == ("gaussianNoise", "gaussianNoise")


# ---------------------------------------------------------------- svt


def svt(**options: float) -> SparseVector:
    return SparseVector.model_validate({"name": "svt", **options})


def by_the_book(
    weights: NDArray[np.float64], rule: SparseVector, count: int, generator: np.random.Generator
) -> NDArray[np.int64]:
    """The selection as the paper tells it: pass after pass, comparison after comparison."""
    threshold = rule.threshold + generator.laplace(0, rule.clip / rule.epsilon1)
    left, released = list(range(weights.size)), list[int]()
    while len(released) < count:
        for index in generator.permutation(left):
            if min(abs(weights[index]), rule.clip) + generator.laplace(0, 2 * rule.clip / rule.epsilon2) >= threshold:
                released.append(int(index))
                left.remove(int(index))
                if len(released) == count:
                    break
    return np.array(released)


@pytest.mark.parametrize(
    "options", [{"epsilon1": 3.0, "epsilon2": 4.0}, {"epsilon1": 4.0, "epsilon2": 8.0, "threshold": 1.0}]
)
def test_the_shortcut_selects_as_often_as_the_passes_of_the_paper(options: Mapping[str, float]) -> None:
    weights = np.array([0.0, 0.2, -0.4, 0.6, -0.8, 1.0, 2.0, -5.0], np.float32)
    rule = svt(clip=1.0, keep=0.375, epsilon3=1e6, **options)
    runs, generator, source, model = 4000, np.random.default_rng(5), Arrays({"w": weights}), layout({"w": weights})
    ours, book = np.zeros(8, int), np.zeros(8, int)
    for seed in range(runs):
        ours += sparse_vector(rule, source, model, Randomness(seed.to_bytes(32, "big"))).source.read("w", 0, 8) != 0
        book[by_the_book(weights.astype(np.float64), rule, 3, generator)] += 1
    assert ours.sum() == book.sum() == 3 * runs
    for index in range(8):
        table = [[ours[index], runs - ours[index]], [book[index], runs - book[index]]]
        assert stats.fisher_exact(table).pvalue > UNLIKELY, index


@settings(deadline=None, max_examples=40)
@given(
    update=updates(),
    keep=st.floats(0.01, 1.0),
    epsilon=st.floats(1e-3, 1e3),
    clip=st.floats(1e-6, 10),
    seed=st.integers(0, 2**64),
)
def test_the_sparse_vector_releases_no_more_than_its_share_and_nothing_beyond_the_clip(
    update: Update, keep: float, epsilon: float, clip: float, seed: int
) -> None:
    rule = svt(keep=keep, clip=clip, epsilon1=epsilon, epsilon2=epsilon, epsilon3=epsilon)
    left, released = filtered(update, rule, seed=seed)
    count = math.ceil(left.size * keep - 1e-9)
    assert np.count_nonzero(left) <= count
    assert np.abs(left).max() <= np.float32(clip)
    assert released.cost is not None
    assert released.cost.pure == pytest.approx(epsilon + count * epsilon)
    assert released.cost.answers == pytest.approx(count * epsilon)


def test_with_little_noise_the_sparse_vector_releases_what_lies_above_the_threshold() -> None:
    weights = np.array([0.1, -0.9, 0.2, 0.8, -0.05, 0.7], np.float32)
    rule = svt(keep=0.5, clip=1.0, threshold=0.5, epsilon1=1e5, epsilon2=1e5, epsilon3=1e6)
    left, _ = filtered({"w": weights}, rule)
    assert np.allclose(left, [0, -0.9, 0, 0.8, 0, 0.7], atol=1e-3)


def test_released_values_carry_laplace_noise_of_twice_the_clip_over_epsilon() -> None:
    update = {"w": np.zeros(200_000, np.float32)}
    # ε3 so large that the second clip hardly cuts: 1 in e^20.
    left, _ = filtered(update, svt(keep=1.0, clip=1.0, epsilon3=40.0))
    assert stats.kstest(left, stats.laplace(0, 2 / 40).cdf).pvalue > UNLIKELY


def test_what_the_sparse_vector_holds_back_leaves_no_sign() -> None:
    left, _ = filtered({"w": np.full(1000, -1.0, np.float32)}, svt(keep=0.1))
    assert not np.signbit(left[left == 0]).any()


@pytest.mark.parametrize(("epsilon1", "epsilon2"), [(1e-6, 1e6), (1e6, 1e-6), (1e-6, 1e-6)])
def test_absurd_epsilons_end_too(epsilon1: float, epsilon2: float) -> None:
    left, _ = filtered(large(5000), svt(epsilon1=epsilon1, epsilon2=epsilon2, epsilon3=1.0))
    assert np.count_nonzero(left) <= 500


# ---------------------------------------------------------------- exclude


def test_excluded_tensors_leave_as_zeros_and_others_untouched() -> None:
    update = {
        "conv.weight": np.ones(3, np.float32),
        "norm.bias": -np.ones(2, np.float32),
        "Norm": np.ones(1, np.float32),
    }
    left, _ = filtered(update, Exclude(name="exclude", tensors=("norm.*",)))
    expected = {**update, "norm.bias": np.zeros(2, np.float32)}
    assert left.tobytes() == flat(expected).tobytes()


# ---------------------------------------------------------------- chain


def test_filters_run_in_the_order_given() -> None:
    update = {"a": np.array([10, 1], np.float32), "b": np.array([3, 4], np.float32)}
    drop, keep = Exclude(name="exclude", tensors=("a",)), Percentile(name="percentile", keep=0.5)
    clip = NormClip(name="normClip", max_norm=5.0)
    assert np.array_equal(filtered(update, drop, keep)[0], [0, 0, 3, 4])
    assert np.array_equal(filtered(update, keep, drop)[0], [0, 0, 0, 4])
    assert np.array_equal(filtered(update, drop, clip)[0], [0, 0, 3, 4])
    assert filtered(update, clip, drop)[0][3] == pytest.approx(4 * 5 / math.sqrt(126))


def test_without_a_private_filter_there_is_no_guarantee() -> None:
    rules = [
        NormClip(name="normClip", max_norm=1.0),
        Percentile(name="percentile"),
        Exclude(name="exclude", tensors=("*",)),
    ]
    for chain in ([], rules):
        _, released = filtered(large(100), *chain)
        assert (released.cost, released.guarantee) == (None, None)
        assert (released.epsilon, released.delta, released.is_meaningful) == (0.0, 0.0, False)


@pytest.mark.parametrize("swapped", [False, True])
def test_of_two_private_filters_the_stronger_guarantee_holds(swapped: bool) -> None:
    chain: Sequence[Filter] = [
        GaussianNoise(name="gaussianNoise", max_norm=1.0, multiplier=0.5),
        GaussianNoise(name="gaussianNoise", max_norm=1.0, multiplier=8.0),
    ]
    _, released = filtered(large(100), *(reversed(chain) if swapped else chain))
    assert released.cost == gaussian(8.0)


def test_the_sparse_vector_at_usual_settings_says_that_its_epsilon_means_nothing() -> None:
    _, released = filtered(large(50_000), svt())
    assert released.epsilon > 5_000
    assert not released.is_meaningful


@pytest.mark.parametrize("encoding", ["fp32", "fp16", "bf16", "int8", "sparse"])
def test_every_encoding_leaves_and_is_described_by_its_digest(encoding: Encoding) -> None:
    left, released = filtered(large(20_000), Percentile(name="percentile", keep=0.4), encoding=encoding)
    assert np.count_nonzero(left) <= 8000
    assert len(released.digest) == 32
    assert released.seconds >= 0


def test_the_clock_measures_the_release(tmp_path: Path) -> None:
    ticks: Iterator[float] = iter([5.0, 7.5])
    update = {"w": np.ones(4, np.float32)}
    encode_update(tmp_path / "raw", Arrays(update), layout(update), "fp32")
    with UpdateFile.open(tmp_path / "raw", layout(update)) as opened:
        released = release(
            opened, layout(update), [], "fp32", tmp_path / "out", Randomness.fresh(), clock=lambda: next(ticks)
        )
    assert released.seconds == 2.5

"""Each rule against a direct implementation on small arrays, and the promises that its paper makes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from fedward_protocol.plan import Aggregation, FedAvg, FedAvgM, Krum, Median, NormClippedMean, TrimmedMean
from fedward_protocol.reasons import Reason, RefusedError
from fedward_server.aggregate.combination import Combination
from fedward_server.aggregate.fedavgm import accelerate
from fedward_server.aggregate.rules import prepare
from fedward_server.aggregate.sorting_network import comparators, partly_sorted

VALUES = st.floats(-1000, 1000, width=32)
MEDIAN = Median(algorithm="Median")
ALL_RULES: list[Aggregation] = [
    FedAvg(),
    MEDIAN,
    TrimmedMean(algorithm="TrimmedMean", trim=0.3),
    Krum(algorithm="Krum", byzantine=1, keep=2),
    NormClippedMean(algorithm="NormClippedMean", max_norm=1e9),
]


def updates(fewest: int = 5, most: int = 9) -> st.SearchStrategy[NDArray[np.float32]]:
    """Arrays of shape (sites, block)."""
    return hnp.arrays(np.float32, st.tuples(st.integers(fewest, most), st.integers(1, 12)), elements=VALUES)


def ready(rule: Aggregation, rows: NDArray[np.float32], weights: list[float] | None = None) -> Combination:
    return prepare(rule, weights or [1.0] * len(rows), lambda: iter([list(rows)]), rows.shape[1])


def combined(rule: Aggregation, rows: NDArray[np.float32], weights: list[float] | None = None) -> NDArray[np.float32]:
    combination = ready(rule, rows, weights)
    counted = [row for row, share in zip(rows, combination.shares, strict=True) if share > 0]
    out = np.empty(rows.shape[1], np.float32)
    combination.combine(counted, out, np.empty((len(counted) + 1, rows.shape[1]), np.float32))
    return out


def close_to(expected: NDArray[np.float64], rows: NDArray[np.float32]) -> object:
    return pytest.approx(expected, rel=1e-5, abs=1e-6 * float(np.abs(rows).max(initial=1)))


@given(updates(), st.data())
def test_fedavg_is_the_weighted_mean(rows: NDArray[np.float32], data: st.DataObject) -> None:
    weights = data.draw(st.lists(st.floats(0.5, 1e4), min_size=len(rows), max_size=len(rows)))
    expected = np.average(rows.astype(float), axis=0, weights=weights)
    assert combined(FedAvg(), rows, weights) == close_to(expected, rows)


@given(updates(1, 12))
def test_the_median_is_numpys_median(rows: NDArray[np.float32]) -> None:
    assert combined(MEDIAN, rows) == close_to(np.median(rows.astype(float), axis=0), rows)


@given(updates(5, 12), st.sampled_from([0.2, 0.25, 0.3, 0.49]))
def test_the_trimmed_mean_averages_what_lies_between_the_extremes(rows: NDArray[np.float32], trim: float) -> None:
    cut = int(trim * len(rows))
    expected = np.sort(rows.astype(float), axis=0)[cut : len(rows) - cut].mean(axis=0)
    assert combined(TrimmedMean(algorithm="TrimmedMean", trim=trim), rows) == close_to(expected, rows)


# Drawn from a normal distribution: near ties, which may fall either way in floating point, do not occur there.
@given(st.integers(0, 2**32 - 1), st.integers(7, 9), st.integers(0, 2), st.integers(1, 4))
def test_krum_chooses_as_the_paper_says(seed: int, sites: int, byzantine: int, keep: int) -> None:
    rows = np.random.default_rng(seed).standard_normal((sites, 50), np.float32)
    wide = rows.astype(float)
    distances = ((wide[:, None] - wide[None]) ** 2).sum(axis=2)
    nearest = len(rows) - byzantine - 2
    scores = [sum(sorted(np.delete(row, place))[:nearest]) for place, row in enumerate(distances)]
    chosen = sorted(range(len(rows)), key=lambda place: scores[place])[:keep]
    rule = Krum(algorithm="Krum", byzantine=byzantine, keep=keep)
    assert {place for place, share in enumerate(ready(rule, rows).shares) if share} == set(chosen)
    assert combined(rule, rows) == close_to(wide[sorted(chosen)].mean(axis=0), rows)


def test_krum_breaks_ties_by_site_order() -> None:
    same = np.repeat(np.random.default_rng(0).standard_normal((1, 1000), np.float32), 5, axis=0)
    rule = Krum(algorithm="Krum", byzantine=1, keep=2)
    assert ready(rule, same).shares == (0.5, 0.5, 0, 0, 0)


@given(updates(), st.floats(0.1, 1000), st.data())
def test_the_norm_clipped_mean_averages_updates_scaled_down_to_the_bound(
    rows: NDArray[np.float32], bound: float, data: st.DataObject
) -> None:
    weights = data.draw(st.lists(st.floats(0.5, 100), min_size=len(rows), max_size=len(rows)))
    wide = rows.astype(float)
    lengths = np.maximum(np.linalg.norm(wide, axis=1), 1e-30)
    clipped = wide * np.minimum(1, bound / lengths)[:, None]
    rule = NormClippedMean(algorithm="NormClippedMean", max_norm=bound)
    assert combined(rule, rows, weights) == close_to(np.average(clipped, axis=0, weights=weights), rows)


@given(updates(), st.floats(0.1, 1000))
def test_the_norm_clipped_mean_is_never_longer_than_the_bound(rows: NDArray[np.float32], bound: float) -> None:
    result = combined(NormClippedMean(algorithm="NormClippedMean", max_norm=bound), rows)
    assert np.linalg.norm(result.astype(float)) <= bound * (1 + 1e-5)


@pytest.mark.parametrize("rule", ALL_RULES, ids=lambda rule: rule.algorithm)
@given(hnp.arrays(np.float32, st.integers(1, 12), elements=VALUES), st.integers(5, 9))
def test_identical_updates_give_that_update(rule: Aggregation, update: NDArray[np.float32], sites: int) -> None:
    rows = np.repeat(update[None], sites, axis=0)
    assert combined(rule, rows) == close_to(update.astype(float), rows)


@pytest.mark.parametrize("rule", ALL_RULES, ids=lambda rule: rule.algorithm)
@given(updates(), st.data())
def test_shares_add_up_to_one(rule: Aggregation, rows: NDArray[np.float32], data: st.DataObject) -> None:
    weights = data.draw(st.lists(st.floats(1e-300, 1e300), min_size=len(rows), max_size=len(rows)))
    shares = ready(rule, rows, weights).shares
    assert len(shares) == len(rows)
    assert sum(shares) == pytest.approx(1)
    assert min(shares) >= 0


@pytest.mark.parametrize("rule", [MEDIAN, TrimmedMean(algorithm="TrimmedMean", trim=0.29)], ids=["median", "trimmed"])
@given(rows=updates(7, 11), attack=st.floats(-(2.0**126), 2.0**126, width=32))
def test_attackers_cannot_move_an_element_out_of_the_honest_range(
    rule: Aggregation, rows: NDArray[np.float32], attack: float
) -> None:
    attackers = 2
    honest = rows[attackers:].copy()
    rows[:attackers] = attack
    result = combined(rule, rows)
    slack = 1e-5 * np.abs(honest).max(initial=0) + 1e-6
    assert (honest.min(axis=0) - slack <= result).all()
    assert (result <= honest.max(axis=0) + slack).all()


@given(hnp.arrays(np.float32, (7, 6), elements=st.floats(-1, 1, width=32)), st.floats(100, 2.0**100, width=32))
def test_krum_never_chooses_a_far_attacker(rows: NDArray[np.float32], attack: float) -> None:
    rows[0], rows[3] = attack, -attack
    shares = ready(Krum(algorithm="Krum", byzantine=2, keep=3), rows).shares
    assert shares[0] == shares[3] == 0


@given(hnp.arrays(np.float32, (7, 6), elements=st.floats(-1, 1, width=32)))
def test_a_huge_update_does_not_blur_the_distances_of_the_others(rows: NDArray[np.float32]) -> None:
    rule = Krum(algorithm="Krum", byzantine=1, keep=2)
    rows[0] = 1e3
    near = ready(rule, rows).shares
    rows[0] = 1e30
    assert ready(rule, rows).shares == near


def test_fedavgm_keeps_a_share_of_its_velocity() -> None:
    rule = FedAvgM(algorithm="FedAvgM", server_momentum=0.5, server_learning_rate=2.0)
    velocity, step = np.array([4.0, 0.0], np.float32), np.array([1.0, 3.0], np.float32)
    accelerate(rule, velocity, step)
    assert velocity.tolist() == [3.0, 3.0]
    assert step.tolist() == [6.0, 6.0]


@pytest.mark.parametrize("lines", range(1, 10))
def test_the_network_sorts_every_pattern_of_zeros_and_ones(lines: int) -> None:
    # by the zero-one principle (Knuth, TAOCP 3, 5.3.4) it then sorts everything
    patterns = np.array(list(itertools.product((0, 1), repeat=lines)), np.float32).T
    ordered = partly_sorted(list(patterns), range(lines), np.empty((lines + 1, patterns.shape[1]), np.float32))
    assert np.array_equal(np.stack(ordered), np.sort(patterns, axis=0))


@pytest.mark.parametrize("lines", [16, 31, 64])
def test_the_network_sorts_many_lines_and_compares_less_for_fewer_ranks(lines: int) -> None:
    rows = np.random.default_rng(0).standard_normal((lines, 500), np.float32)
    middle = lines // 2
    ordered = partly_sorted(list(rows), [middle], np.empty((lines + 1, 500), np.float32))
    assert np.array_equal(ordered[middle], np.sort(rows, axis=0)[middle])
    assert len(comparators(lines, frozenset([middle]))) < len(comparators(lines, frozenset(range(lines))))


@pytest.mark.parametrize(
    ("rule", "fewest"),
    [
        (FedAvg(), 1),
        (MEDIAN, 1),
        (Krum(algorithm="Krum", byzantine=0, keep=1), 3),
        (Krum(algorithm="Krum", byzantine=2, keep=1), 7),
        (Krum(algorithm="Krum", byzantine=2, keep=6), 8),
        (TrimmedMean(algorithm="TrimmedMean", trim=0.2), 5),
        (TrimmedMean(algorithm="TrimmedMean", trim=0.1), 10),
        (TrimmedMean(algorithm="TrimmedMean", trim=0.3), 4),
    ],
)
def test_a_rule_names_the_fewest_updates_it_holds_for_and_refuses_fewer(rule: Aggregation, fewest: int) -> None:
    assert rule.fewest_updates == fewest
    rows = np.ones((fewest, 3), np.float32)
    assert sum(ready(rule, rows).shares) == pytest.approx(1)
    if fewest > 1:
        with pytest.raises(RefusedError, match=f"{rule.algorithm} as configured takes {fewest} updates") as refused:
            ready(rule, rows[1:])
        assert refused.value.reason is Reason.QUORUM_LOST


def test_the_trimmed_count_is_not_lost_to_binary_fractions() -> None:
    rows = np.zeros((100, 1), np.float32)
    rows[:29] = 1000  # 0.29 × 100 is 28.999… in binary
    assert combined(TrimmedMean(algorithm="TrimmedMean", trim=0.29), rows).tolist() == [0]


@pytest.mark.parametrize("weight", [0.0, -1.0, float("nan"), float("inf")])
def test_a_weight_that_is_not_positive_and_finite_is_a_mistake(weight: float) -> None:
    with pytest.raises(ValueError, match="positive and finite"):
        ready(FedAvg(), np.ones((2, 1), np.float32), [1.0, weight])

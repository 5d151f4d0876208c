"""The ε that is printed, against references that do not share its code."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm

from fedward_node.gateway.accounting import (
    Cost,
    compose,
    concentrated_epsilon,
    gaussian,
    gaussian_delta,
    gaussian_epsilon,
    guarantee,
    sparse_vector,
)

mus = st.floats(1e-3, 50)
deltas = st.floats(1e-9, 0.1)


def delta_by_integration(mu: float, epsilon: float) -> float:
    """δ from its definition: how much of N(μ, 1) exceeds e^ε times N(0, 1)."""
    start = epsilon / mu + mu / 2
    excess, _ = quad(lambda x: norm.pdf(x, mu) - math.exp(epsilon) * norm.pdf(x), start, mu + 40, epsabs=1e-14)
    return float(excess)


@pytest.mark.parametrize(("mu", "epsilon"), [(0.1, 0.05), (0.5, 1.0), (1.0, 1.0), (1.0, 4.0), (2.0, 7.0), (4.0, 16.0)])
def test_delta_is_the_integral_of_the_excess_density(mu: float, epsilon: float) -> None:
    assert gaussian_delta(mu, epsilon) == pytest.approx(delta_by_integration(mu, epsilon), rel=1e-6, abs=1e-12)


def test_published_values_of_the_gaussian_mechanism_are_met() -> None:
    # Dong, Roth & Su: 1-GDP at ε = 1; Balle & Wang: σ = 3.7306 for (1, 1e-5), where the classic formula says 4.845.
    assert gaussian_delta(1.0, 1.0) == pytest.approx(0.12693673750664397, rel=1e-12)
    assert gaussian_epsilon(1 / 3.730631634, 1e-5) == pytest.approx(1.0, rel=1e-6)


@given(mu=mus, delta=deltas)
def test_the_epsilon_holds_and_is_tight(mu: float, delta: float) -> None:
    epsilon = gaussian_epsilon(mu, delta)
    assert gaussian_delta(mu, epsilon) <= delta * (1 + 1e-9)
    if epsilon > 0:
        assert gaussian_delta(mu, epsilon * (1 - 1e-6)) > delta * (1 - 1e-9)


@given(mu=mus, delta=deltas)
def test_the_exact_epsilon_never_exceeds_the_concentrated_bound(mu: float, delta: float) -> None:
    assert gaussian_epsilon(mu, delta) <= concentrated_epsilon(mu**2 / 2, delta)


def test_noise_is_counted_against_twice_the_clip_norm() -> None:
    # Replacing an update by its opposite moves it by 2 × max_norm: multiplier z is a Gaussian mechanism of μ = 2 / z.
    assert guarantee(gaussian(2.0), 0.1).epsilon == pytest.approx(gaussian_epsilon(1.0, 0.1))
    assert guarantee(gaussian(7.461263268), 1e-5).epsilon == pytest.approx(1.0, rel=1e-6)


def test_a_hundred_gaussian_releases_equal_one_with_a_tenth_of_the_noise() -> None:
    many = compose([gaussian(20.0)] * 100)
    assert guarantee(many, 1e-5).epsilon == pytest.approx(guarantee(gaussian(2.0), 1e-5).epsilon)


def test_site_level_noise_at_one_epsilon_over_three_hundred_rounds_is_the_known_unusable_figure() -> None:
    multiplier = 2 * math.sqrt(300) * 3.730631634
    assert guarantee(compose([gaussian(multiplier)] * 300), 1e-5).epsilon == pytest.approx(1.0, rel=1e-6)
    assert multiplier > 100


def test_the_sparse_vector_at_usual_settings_costs_hundreds_of_thousands() -> None:
    total = guarantee(sparse_vector(117_685, 1.0, 1.0, 1.0), 1e-5)
    assert total.epsilon == pytest.approx(1 + 117_685 + 117_685 / 2 + 2 * math.sqrt(117_685 / 2 * math.log(1e5)))
    assert 1e5 < total.epsilon < 2 * 117_685 + 1
    assert not total.is_meaningful


def test_a_few_large_answers_are_added_plainly_and_need_no_delta() -> None:
    total = guarantee(sparse_vector(3, 0.5, 1.0, 2.0), 1e-5)
    assert total.epsilon == 0.5 + 3 * (1.0 + 2.0)
    assert total.delta == 0.0
    assert total.is_meaningful


def test_ten_is_the_last_meaningful_epsilon() -> None:
    assert guarantee(Cost(pure=10.0), 1e-5).is_meaningful
    assert not guarantee(Cost(pure=10.001), 1e-5).is_meaningful


@given(st.lists(st.builds(Cost, *[st.floats(0, 100)] * 4), max_size=6), deltas)
def test_composition_adds_and_never_reports_less_than_its_largest_part(costs: list[Cost], delta: float) -> None:
    whole = guarantee(compose(costs), delta).epsilon
    assert all(whole >= guarantee(cost, delta).epsilon * (1 - 1e-6) for cost in costs)
    assert (
        whole
        <= sum(c.pure + c.answers for c in costs) + gaussian_epsilon(math.sqrt(compose(costs).gaussian), delta) + 1e-9
    )


@pytest.mark.parametrize("bad", [-1.0, math.nan, math.inf])
def test_a_cost_that_is_no_number_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        Cost(pure=bad)

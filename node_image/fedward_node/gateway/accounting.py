"""What a release reveals at most, as one total ε: per released update and, composed, per dataset.

Neighbouring inputs, here and everywhere in the gateway: *any* two updates that the site could have trained. One patient
more, less or changed is a case of it, so the ε holds for each patient and for the site as a whole alike. A gateway does
not see into the training, so it can promise nothing finer; clipping per patient (DP-SGD) would be the trainer's to do.

Sources: composition of Gaussians, Dong, Roth & Su (2019); the exact ε of a Gaussian, Balle & Wang (2018), theorem 8;
zero-concentrated DP, Bun & Steinke (2016), propositions 1.3 and 1.4; sparse vectors, Lyu, Su & Li (2017), algorithm 7.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

MEANINGFUL_EPSILON = 10.0
"""Above it an ε protects nobody: e^10 = 22,026 is by how much an attacker's odds may shift on a single patient."""

COMPOSITION_DELTA = 1e-5
"""The δ for composing many answers where the filter names none; below 1 / patients for any hospital's data set."""


@dataclass(frozen=True, slots=True)
class Cost:
    """The privacy loss of one or more releases, in the form that composes most tightly; all zero: nothing revealed.

    Attributes:
        pure: ε of pure mechanisms that only add up.
        answers: ε of independent Laplace answers, added up.
        answers_squared: the squares of the same ε, added up: what zero-concentrated DP composes.
        gaussian: the squares of sensitivity / noise of Gaussian mechanisms (μ² of Gaussian DP), added up.
    """

    pure: float = 0.0
    answers: float = 0.0
    answers_squared: float = 0.0
    gaussian: float = 0.0

    def __post_init__(self) -> None:
        parts = (self.pure, self.answers, self.answers_squared, self.gaussian)
        if not all(math.isfinite(part) and part >= 0 for part in parts):
            raise ValueError(f"a privacy cost must be finite and not negative: {parts}")

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.pure + other.pure,
            self.answers + other.answers,
            self.answers_squared + other.answers_squared,
            self.gaussian + other.gaussian,
        )


@dataclass(frozen=True, slots=True)
class Guarantee:
    """An (ε, δ) that holds. Where no guarantee holds there is None instead, never an ε of zero."""

    epsilon: float
    delta: float

    @property
    def is_meaningful(self) -> bool:
        """Whether the ε is small enough to protect anyone."""
        return self.epsilon <= MEANINGFUL_EPSILON


def sparse_vector(released: int, epsilon1: float, epsilon2: float, epsilon3: float) -> Cost:
    """Cost of releasing `released` values by the sparse vector technique, with ε2 and ε3 given per released value.

    The noisy threshold costs ε1 once, each positive answer ε2 (Lyu et al. widen their noise so that these add up to one
    ε2), and each value that is published ε3 more.
    """
    return Cost(epsilon1 + released * epsilon2, released * epsilon3, released * epsilon3**2)


def gaussian(multiplier: float) -> Cost:
    """Cost of one clipped update with noise of `multiplier` × its largest norm.

    Any update may become any other: the two can lie at opposite ends of the ball, 2 × the largest norm apart.
    """
    return Cost(gaussian=(2.0 / multiplier) ** 2)


def compose(costs: Iterable[Cost]) -> Cost:
    """Add costs up; adaptive composition, as later updates are trained on models that earlier ones went into."""
    return sum(costs, Cost())


def guarantee(cost: Cost, delta: float) -> Guarantee:
    """Give the smallest ε that is known to hold at `delta`.

    The answers are composed once by addition and once by zero-concentrated DP, which wins when they are many and small.
    The δ is 0 where nothing needed it.
    """
    added = cost.pure + cost.answers + gaussian_epsilon(math.sqrt(cost.gaussian), delta)
    concentrated = cost.pure + concentrated_epsilon((cost.answers_squared + cost.gaussian) / 2, delta)
    if added <= concentrated:
        return Guarantee(added, delta if cost.gaussian > 0 else 0.0)
    return Guarantee(concentrated, delta)


def concentrated_epsilon(rho: float, delta: float) -> float:
    """Turn `rho`-zCDP into the ε of (ε, `delta`)-DP (Bun & Steinke, 2016, proposition 1.3)."""
    return rho + 2 * math.sqrt(rho * -math.log(delta))


def gaussian_epsilon(mu: float, delta: float) -> float:
    """Give the exact ε at `delta` of a Gaussian mechanism whose sensitivity is `mu` times its noise; 0 where that is 0.

    The search starts below what zero-concentrated DP proves; the upper end of its last interval is returned, so that
    rounding never flatters.
    """
    if mu == 0 or gaussian_delta(mu, 0.0) <= delta:
        return 0.0
    low, high = 0.0, concentrated_epsilon(mu**2 / 2, delta)
    while high - low > 1e-9 * high:
        middle = (low + high) / 2
        if gaussian_delta(mu, middle) > delta:
            low = middle
        else:
            high = middle
    return high


def gaussian_delta(mu: float, epsilon: float) -> float:
    """Give the exact δ at `epsilon` of a Gaussian mechanism whose sensitivity is `mu` times its noise.

    Φ(μ/2 - ε/μ) - e^ε Φ(-μ/2 - ε/μ), with e^ε taken into the second term so that neither overflows.
    """
    near, far = epsilon / mu - mu / 2, epsilon / mu + mu / 2
    return 0.5 * math.erfc(near / math.sqrt(2)) - 0.5 * math.exp(-(near**2) / 2) * _scaled_erfc(far / math.sqrt(2))


def _scaled_erfc(x: float) -> float:
    """Compute exp(x²) erfc(x) for x ≥ 0; beyond 20 by its asymptotic series, off by less than 1e-9 of it."""
    if x < 20:
        return math.exp(x * x) * math.erfc(x)
    square = 1 / (2 * x * x)
    return (1 - square * (1 - 3 * square * (1 - 5 * square))) / (x * math.sqrt(math.pi))

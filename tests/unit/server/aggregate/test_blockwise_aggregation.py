"""The driver over real files: bit-identical whatever the order and the blocks, atomic, and bounded in memory."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from fedward_protocol.digest import digest_file
from fedward_protocol.plan import Aggregation, FedAvg, FedAvgM, Krum, Median, NormClippedMean, TrimmedMean
from fedward_protocol.reasons import Reason, RefusedError
from fedward_protocol.tensors.file import TensorFile, read_tensors, write_tensors
from fedward_server.aggregate import Aggregated, Contribution, aggregate, blockwise

SHAPES = {"conv.weight": (40, 7, 31), "conv.bias": (40,), "norm.scale": (), "empty": (0, 3)}
RULES: list[Aggregation] = [
    FedAvg(),
    FedAvgM(algorithm="FedAvgM"),
    Median(algorithm="Median"),
    TrimmedMean(algorithm="TrimmedMean", trim=0.3),
    Krum(algorithm="Krum", byzantine=1, keep=2),
    NormClippedMean(algorithm="NormClippedMean", max_norm=1.5),
]
SITES = ("east", "north", "port", "south", "west")


def tensors(seed: int, scale: float = 1.0) -> dict[str, NDArray[np.float32]]:
    random = np.random.default_rng(seed)
    return {name: (random.standard_normal(shape) * scale).astype(np.float32) for name, shape in SHAPES.items()}


class Round:
    """Files of one round: a model, an update a site, and where the results go."""

    def __init__(self, path: Path, sites: tuple[str, ...] = SITES) -> None:
        self.path = path
        write_tensors(path / "model", tensors(0))
        for seed, site in enumerate(sites, start=1):
            write_tensors(path / site, tensors(seed, 0.01))
        self.model = TensorFile.open(path / "model")
        self.contributions = [
            Contribution(site, TensorFile.open(path / site), weight) for weight, site in enumerate(sites, start=3)
        ]

    def close(
        self, rule: Aggregation, contributions: list[Contribution] | None = None, momentum: Path | None = None
    ) -> Aggregated:
        velocity = TensorFile.open(momentum) if momentum else None
        momentum_out = self.path / "velocity" if isinstance(rule, FedAvgM) else None
        given = self.contributions if contributions is None else contributions
        return aggregate(rule, given, self.model, velocity, self.path / "next", momentum_out)

    @property
    def next(self) -> bytes:
        return (self.path / "next").read_bytes()


@pytest.fixture
def a_round(tmp_path: Path) -> Round:
    return Round(tmp_path)


def test_the_next_model_is_the_model_plus_the_weighted_mean_of_updates(a_round: Round) -> None:
    aggregated = a_round.close(FedAvg())
    assert aggregated.model == digest_file(a_round.path / "next")
    assert aggregated.weights == pytest.approx(dict(zip(SITES, np.arange(3, 8) / 25, strict=True)))
    model, result = tensors(0), read_tensors(a_round.path / "next")
    for name in SHAPES:
        mean = sum(share * read_tensors(a_round.path / site)[name] for site, share in aggregated.weights.items())
        assert result[name].shape == SHAPES[name]
        np.testing.assert_allclose(result[name], model[name] + mean, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.algorithm)
def test_a_re_run_and_any_order_of_arrival_give_the_same_bytes(rule: Aggregation, a_round: Round) -> None:
    first, written = a_round.close(rule), a_round.next
    assert a_round.close(rule) == first
    assert a_round.close(rule, a_round.contributions[::-1]) == first
    assert a_round.close(rule, a_round.contributions[2:] + a_round.contributions[:2]) == first
    assert a_round.next == written


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.algorithm)
def test_the_size_of_the_blocks_does_not_change_a_bit(
    rule: Aggregation, a_round: Round, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = a_round.close(rule)
    monkeypatch.setattr(blockwise, "LARGEST_BLOCK", 7)
    monkeypatch.setattr(blockwise, "SMALLEST_BLOCK", 1)
    if isinstance(rule, NormClippedMean):  # its norm is a float64 sum whose last bits may depend on the blocks
        assert a_round.close(rule).weights == whole.weights
    else:
        assert a_round.close(rule) == whole


def test_momentum_follows_the_paper_over_three_rounds(a_round: Round) -> None:
    rule = FedAvgM(algorithm="FedAvgM", server_momentum=0.9, server_learning_rate=0.5)
    model = tensors(0)["conv.weight"].astype(float)
    velocity = np.zeros_like(model)
    weights = np.arange(3, 8) / 25
    mean = sum(w * read_tensors(a_round.path / site)["conv.weight"] for w, site in zip(weights, SITES, strict=True))
    previous = None
    for number in range(3):
        aggregated = a_round.close(rule, momentum=previous)
        velocity = 0.9 * velocity + mean
        model = model + 0.5 * velocity
        previous = a_round.path / f"velocity{number}"
        (a_round.path / "velocity").rename(previous)
        assert aggregated.momentum == digest_file(previous)
        (a_round.path / "next").rename(a_round.path / "model")
        a_round.model = TensorFile.open(a_round.path / "model")
    np.testing.assert_allclose(read_tensors(a_round.path / "model")["conv.weight"], model, rtol=1e-5, atol=1e-6)


def test_krum_reads_the_whole_update_and_not_one_tensor(a_round: Round) -> None:
    far = tensors(1, 0.01)
    far["norm.scale"] = np.array(1e4, np.float32)
    write_tensors(a_round.path / "east", far)
    a_round.contributions[0] = Contribution("east", TensorFile.open(a_round.path / "east"), 1)
    assert a_round.close(Krum(algorithm="Krum", byzantine=1, keep=4)).weights["east"] == 0


def test_a_sum_beyond_float32_is_refused_and_leaves_no_file(a_round: Round) -> None:
    huge = {name: np.full(shape, 3e38, np.float32) for name, shape in SHAPES.items()}
    for site in ("model", *SITES):
        write_tensors(a_round.path / site, huge)
    again = [Contribution(site, TensorFile.open(a_round.path / site), 1) for site in SITES]
    a_round.model = TensorFile.open(a_round.path / "model")
    with pytest.raises(RefusedError) as refused:
        a_round.close(FedAvgM(algorithm="FedAvgM"), again)
    assert refused.value.reason is Reason.NOT_FINITE
    assert {path.name for path in a_round.path.iterdir()} == {"model", *SITES}


def test_an_update_that_cannot_be_read_leaves_the_last_result_as_it_was(a_round: Round) -> None:
    a_round.close(FedAvg())
    written = a_round.next

    class Unreadable:
        def read(self, name: str, start: int, stop: int) -> NDArray[np.float32]:
            raise OSError(5, "bad sector")

    with pytest.raises(OSError, match="bad sector"):
        a_round.close(FedAvg(), [*a_round.contributions, Contribution("zoo", Unreadable(), 1)])
    assert a_round.next == written
    assert not list(a_round.path.glob("*.tmp"))


def test_too_few_updates_for_krum_are_refused(a_round: Round) -> None:
    with pytest.raises(RefusedError, match="Krum as configured takes 5 updates, not 4"):
        a_round.close(Krum(algorithm="Krum"), a_round.contributions[:4])


@pytest.mark.parametrize("sites", [0, 2], ids=["none", "the same twice"])
def test_one_contribution_a_site_is_needed(sites: int, a_round: Round) -> None:
    with pytest.raises(ValueError, match="one contribution a site"):
        a_round.close(FedAvg(), a_round.contributions[:1] * sites)


def test_a_velocity_without_fedavgm_is_a_mistake(a_round: Round) -> None:
    with pytest.raises(ValueError, match="velocity"):
        aggregate(FedAvg(), a_round.contributions, a_round.model, None, a_round.path / "next", a_round.path / "v")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.algorithm)
def test_memory_depends_on_neither_sites_nor_model(rule: Aggregation, tmp_path: Path) -> None:
    elements = 1_000_000
    write_tensors(tmp_path / "model", {"w": np.zeros(elements, np.float32)})
    write_tensors(tmp_path / "update", {"w": np.ones(elements, np.float32)})
    with TensorFile.open(tmp_path / "model") as model, TensorFile.open(tmp_path / "update") as update:
        contributions = [Contribution(f"site-{number:03}", update, 1) for number in range(64)]
        tracemalloc.start()
        momentum_out = tmp_path / "velocity" if isinstance(rule, FedAvgM) else None
        aggregate(rule, contributions, model, None, tmp_path / "next", momentum_out)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 20 << 20  # the updates together are 256 MB


def test_blocks_shrink_as_sites_grow_in_number() -> None:
    sizes = [blockwise.block_size(sites) for sites in (1, 8, 16, 17, 32, 256, 1000)]
    assert sizes == [65_536, 65_536, 65_536, 61_440, 32_768, 4_096, 4_096]

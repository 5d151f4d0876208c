from __future__ import annotations

from pathlib import Path

import brats_folders as folders
import numpy as np
import pytest

from fedward_protocol.reasons import Reason, RefusedError
from fedward_protocol.tensors.file import read_tensors, write_tensors

pytestmark = pytest.mark.torch


def _plan(name: str, args: dict[str, object], patch: tuple[int, int, int] = (16, 16, 16), seed: int = 0):  # type: ignore[no-untyped-def]
    return folders.a_plan(model={"network": {"name": name, "args": args}}, training={"patch": list(patch)}, seed=seed)


def test_the_first_model_depends_on_the_seed_alone(tmp_path: Path) -> None:
    import torch

    from fedward_node.trainer.initialise import initialise

    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        torch.rand(seed + 3)  # whatever was drawn before does not matter
        initialise(_plan("SegResNet", {"init_filters": 8}, seed=seed), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert (tmp_path / "a").read_bytes() != (tmp_path / "c").read_bytes()


def test_segresnet_with_eight_filters_is_the_papers_size(tmp_path: Path) -> None:
    from fedward_node.trainer.initialise import initialise

    initialise(_plan("SegResNet", {"init_filters": 8, "blocks_down": [1, 2, 2, 4]}), tmp_path / "model")
    assert sum(values.size for values in read_tensors(tmp_path / "model").values()) == pytest.approx(1.2e6, rel=0.05)


@pytest.mark.parametrize(
    ("name", "args", "patch", "said"),
    [
        ("SegResnet", {}, (16, 16, 16), "did you mean 'SegResNet'"),
        ("AutoEncoder", {}, (16, 16, 16), "AutoEncoder.*known are|did you mean"),
        ("SegResNet", {"init_filter": 8}, (16, 16, 16), "did you mean 'init_filters'"),
        ("UNet", {}, (16, 16, 16), "UNet: .*channels"),
        ("SegResNet", {"init_filters": "many"}, (16, 16, 16), "model.network.args of SegResNet"),
        ("SegResNet", {"init_filters": 8}, (20, 20, 20), r"cannot take a patch of \(20, 20, 20\)"),
        ("SegResNet", {"init_filters": 8, "out_channels": 4}, (16, 16, 16), "gives"),
    ],
)
def test_a_network_that_cannot_be_trained_is_refused_at_once(name, args, patch, said, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    from fedward_node.trainer.initialise import initialise

    with pytest.raises(RefusedError, match=said) as refused:
        initialise(_plan(name, args, patch), tmp_path / "model")
    assert refused.value.reason is Reason.NETWORK_INVALID
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("norm", ["instance", "batch"])
def test_weights_survive_the_file_with_batch_normalisations_moments_but_without_its_counter(
    norm: str, tmp_path: Path
) -> None:
    import torch

    from fedward_node.trainer import weights
    from fedward_node.trainer.segmentation.network import build_network

    plan = _plan("UNet", {"channels": [4, 8], "strides": [2], "norm": norm})
    one, other = build_network(plan), build_network(plan)
    one(torch.rand(2, 4, 16, 16, 16))
    weights.save(one, tmp_path / "model")
    weights.load(other, tmp_path / "model")
    stored = read_tensors(tmp_path / "model")
    assert any("running_mean" in name for name in stored) == (norm == "batch")
    assert not any("num_batches_tracked" in name for name in stored)
    for name, values in stored.items():
        assert np.array_equal(other.state_dict()[name].numpy(), values)


@pytest.mark.parametrize("harm", ["missing", "extra", "shape"])
def test_a_model_of_another_network_is_refused(harm: str, tmp_path: Path) -> None:
    from fedward_node.trainer import weights
    from fedward_node.trainer.segmentation.network import build_network

    network = build_network(_plan("UNet", {"channels": [4, 8], "strides": [2]}))
    weights.save(network, tmp_path / "model")
    tensors = read_tensors(tmp_path / "model")
    first = min(tensors)
    if harm == "missing":
        del tensors[first]
    elif harm == "extra":
        tensors["surprise"] = np.zeros(1, np.float32)
    else:
        tensors[first] = np.zeros((1, 2, 3), np.float32)
    write_tensors(tmp_path / "wrong", tensors)
    with pytest.raises(RefusedError) as refused:
        weights.load(network, tmp_path / "wrong")
    assert refused.value.reason is Reason.WRONG_SHAPE

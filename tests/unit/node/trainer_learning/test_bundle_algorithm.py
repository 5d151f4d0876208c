from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import brats_folders as folders
import pytest

from fedward_node.trainer.algorithm import Step
from fedward_protocol.plan import Plan
from fedward_protocol.reasons import Reason, RefusedError

pytestmark = pytest.mark.torch

SCRIPT = """
from pathlib import Path

import numpy as np
import nibabel


def cases(folder, validation):
    folders = sorted(Path(folder).iterdir())
    return [
        {"image": str(f / f"{f.name}-t2f.nii.gz"), "label": str(f / f"{f.name}-seg.nii.gz")}
        for f in (folders[-1:] if validation else folders[:-1])
    ]


def load(case):
    image = np.asarray(nibabel.load(case["image"]).dataobj, np.float32)[None] / 100 - 1
    return {"image": image, "label": (np.asarray(nibabel.load(case["label"]).dataobj) > 0).astype(np.float32)[None]}
"""

TRAIN: dict[str, Any] = {
    "bundle_root": ".",
    "dataset_dir": "/nowhere",
    "device": "$torch.device('cpu')",
    "imports": ["$import torch", "$import scripts.reading as reading"],
    "network_def": {
        "_target_": "UNet", "spatial_dims": 3, "in_channels": 1, "out_channels": 1,
        "channels": [4, 8], "strides": [2], "num_res_units": 1, "dropout": 0.1,
    },
    "network": "$@network_def.to(@device)",
    "optimizer": {"_target_": "torch.optim.Adam", "params": "$@network.parameters()", "lr": 0.02},
    "loss": {"_target_": "DiceLoss", "sigmoid": True},
    "train": {
        "preprocessing": {"_target_": "Compose", "transforms": [
            "$reading.load",
            {"_target_": "RandFlipd", "keys": ["image", "label"], "prob": 0.5, "spatial_axis": 0},
        ]},
        "dataset": {
            "_target_": "CacheDataset", "data": "$reading.cases(@dataset_dir, False)",
            "transform": "@train#preprocessing", "progress": False,
        },
        "dataloader": {"_target_": "DataLoader", "dataset": "@train#dataset", "batch_size": 1, "shuffle": True},
        "inferer": {"_target_": "SimpleInferer"},
        "trainer": {
            "_target_": "SupervisedTrainer", "max_epochs": 100, "device": "@device",
            "train_data_loader": "@train#dataloader", "network": "@network", "loss_function": "@loss",
            "optimizer": "@optimizer", "inferer": "@train#inferer",
        },
    },
}  # fmt: skip
EVALUATE: dict[str, Any] = {
    "validate": {
        "dataset": {
            "_target_": "CacheDataset", "data": "$reading.cases(@dataset_dir, True)",
            "transform": "$reading.load", "progress": False,
        },
        "dataloader": {"_target_": "DataLoader", "dataset": "@validate#dataset", "batch_size": 1},
        "postprocessing": {"_target_": "AsDiscreted", "keys": "pred", "threshold": 0.0},
        "evaluator": {
            "_target_": "SupervisedEvaluator", "device": "@device", "val_data_loader": "@validate#dataloader",
            "network": "@network", "inferer": "@train#inferer", "postprocessing": "@validate#postprocessing",
            "key_val_metric": {"dice": {
                "_target_": "MeanDice",
                "output_transform": "$monai.handlers.from_engine(['pred', 'label'])",
            }},
        },
    },
}  # fmt: skip


class Control:
    def __init__(self, stop_after: int = 10**9) -> None:
        self.steps = 0
        self.told: list[Step] = []
        self._stop_after = stop_after

    def progress(self, stage: str, fraction: float, loss: float = math.nan) -> None:
        self.steps += 1
        assert 0 < fraction <= 1

    def stepped(self, step: Step) -> None:
        self.told.append(step)

    def superseded(self) -> bool:
        return self.steps >= self._stop_after


def _bundle(**replaced: str) -> dict[str, str]:
    train = TRAIN | {"imports": [*TRAIN["imports"], "$import monai.handlers"]}
    files = {"train.json": json.dumps(train), "evaluate.json": json.dumps(EVALUATE), "reading.py": SCRIPT}
    return {name: text for name, text in (files | replaced).items() if text}


def _plan(**replaced: str) -> Plan:
    return folders.a_plan(model={"bundle": {"files": _bundle(**replaced)}})


def test_a_bundle_trains_and_repeats_a_round_bit_for_bit(tmp_path: Path) -> None:
    from fedward_node.trainer.algorithm import Superseded
    from fedward_node.trainer.algorithms import build
    from fedward_node.trainer.initialise import initialise

    plan, data = _plan(), folders.brats(tmp_path / "data", 4)
    initialise(plan, tmp_path / "0")
    algorithm = build(plan, data, tmp_path / "state", "north")
    cases = algorithm.open()
    assert (cases.training, cases.validation) == (3, 1)
    before = algorithm.evaluate(tmp_path / "0", Control())["dice"]
    assert before.count == 1

    control = Control()
    first = algorithm.train(tmp_path / "0", 1, tmp_path / "1", control)
    with pytest.raises(Superseded):  # a round cut off leaves nothing behind in the engine
        algorithm.train(tmp_path / "1", 2, tmp_path / "cut", Control(stop_after=4))
    assert not (tmp_path / "cut").exists()
    second = algorithm.train(tmp_path / "1", 2, tmp_path / "2", Control())
    after = algorithm.evaluate(tmp_path / "2", Control())["dice"]
    algorithm.close()

    assert (first.samples, first.steps, second.steps) == (3, 9, 9)
    assert [step.cases for step in control.told] == [1] * 9
    assert all(0 < step.waited_s < step.seconds for step in control.told)
    assert {step.amp_scale for step in control.told} == {None}
    assert second.train_loss < first.train_loss
    assert after.sum > before.sum
    assert "scripts.reading" not in sys.modules

    restarted = build(plan, data, tmp_path / "state", "north")
    restarted.open()
    restarted.train(tmp_path / "1", 2, tmp_path / "again", Control())
    restarted.close()
    assert (tmp_path / "again").read_bytes() == (tmp_path / "2").read_bytes()


def _without(document: dict[str, Any], key: str) -> str:
    copy = json.loads(json.dumps(document))
    *parents, last = key.split("#")
    inner = copy
    for parent in parents:
        inner = inner[parent]
    del inner[last]
    return json.dumps(copy)


@pytest.mark.parametrize(
    ("replaced", "said"),
    [
        ({"train.json": ""}, "configs/train.json: missing"),
        ({"train.json": "{"}, "configs/train.json: not valid JSON: .*line 1"),
        ({"train.json": "[]"}, "must hold keys"),
        ({"train.json": _without(TRAIN, "network_def")}, "configs/train.json: network_def: missing"),
        ({"train.json": _without(TRAIN, "dataset_dir")}, "configs/train.json: dataset_dir: missing"),
        ({"train.json": _without(TRAIN, "train#trainer")}, "configs/train.json: train#trainer: missing"),
        ({"evaluate.json": _without(EVALUATE, "validate#evaluator")}, "configs/evaluate.json: validate#evaluator"),
        ({"train.json": json.dumps(TRAIN | {"network_def": {"_target_": "NoSuchNet"}})}, "network_def: .*NoSuchNet"),
        ({"train.json": json.dumps(TRAIN | {"network_def": "$1"})}, "network_def is a int"),
        ({"reading.py": "def f(:"}, "scripts/reading.py: line 1"),
        ({"../outside.py": "x = 1"}, "leads out of the bundle"),
        ({"/etc/x.py": "x = 1"}, "leads out of the bundle"),
        ({"configs/train.json": "{}"}, "there twice"),
        ({"inference.yaml": "a: 1"}, "as JSON"),
    ],
)  # fmt: skip
def test_a_bundle_that_cannot_run_is_refused_by_the_key_that_is_wrong(
    replaced: dict[str, str], said: str, tmp_path: Path
) -> None:
    from fedward_node.trainer.initialise import initialise

    with pytest.raises(RefusedError, match=said) as refused:
        initialise(_plan(**replaced), tmp_path / "model")
    assert refused.value.reason is Reason.BUNDLE_INVALID


def test_a_bundle_that_asks_for_mixed_precision_trains_on_a_cpu_as_well(tmp_path: Path) -> None:
    from fedward_node.trainer.algorithms import build
    from fedward_node.trainer.initialise import initialise

    train = json.loads(_bundle()["train.json"])
    train["train"]["trainer"]["amp"] = True
    plan, data = _plan(**{"train.json": json.dumps(train)}), folders.brats(tmp_path / "data", 3)
    initialise(plan, tmp_path / "0")
    algorithm = build(plan, data, tmp_path / "state", "north")
    algorithm.open()
    result = algorithm.train(tmp_path / "0", 1, tmp_path / "1", Control())
    algorithm.close()
    assert math.isfinite(result.train_loss)


def test_a_bundle_that_finds_no_case_is_refused(tmp_path: Path) -> None:
    from fedward_node.trainer.algorithms import build

    data = folders.brats(tmp_path / "data", 1)
    with pytest.raises(RefusedError) as refused:
        build(_plan(), data, tmp_path / "state", "north").open()
    assert refused.value.reason in (Reason.DATASET_EMPTY, Reason.BUNDLE_INVALID)

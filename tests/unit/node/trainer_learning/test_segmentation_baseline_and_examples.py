from __future__ import annotations

import json
from pathlib import Path

import brats_folders as folders
import numpy as np
import pytest

from fedward_node.trainer.main import main

pytestmark = pytest.mark.torch


@pytest.fixture
def plan_file(tmp_path: Path) -> Path:
    path = tmp_path / "plan.json"
    path.write_bytes(folders.a_plan().canonical())
    return path


def test_a_baseline_pools_its_sites_and_scores_each_held_out_case_by_site(plan_file: Path, tmp_path: Path) -> None:
    for name, count in (("north", 5), ("south", 3), ("east", 3)):
        folders.brats(tmp_path / name, count)
    out = tmp_path / "result.json"
    arguments = ["baseline", "--plan", str(plan_file), "--epochs", "7", "--out", str(out)]
    arguments += [f"--data=north={tmp_path / 'north'}", f"--data=south={tmp_path / 'south'}"]

    assert main([*arguments, f"--evaluate-on=east={tmp_path / 'east'}"]) == 0

    result = json.loads(out.read_text())
    assert {name: means["dice"]["count"] for name, means in result["sites"].items()} == {
        "north": 1,
        "south": 1,
        "east": 1,
    }
    assert [point["epoch"] for point in result["curve"]] == [3, 6, 7]
    assert result["curve"][-1]["dice"] > result["curve"][0]["dice"] - 0.05
    assert result["seconds"] == result["curve"][-1]["seconds"] > 0


def test_examples_hold_slices_with_tumour_and_no_case_s_name(plan_file: Path, tmp_path: Path) -> None:
    data = folders.brats(tmp_path / "data", 5)
    model, out = tmp_path / "model.safetensors", tmp_path / "examples.npz"
    assert main(["initialise", "--plan", str(plan_file), "--out", str(model)]) == 0
    arguments = ["--plan", str(plan_file), "--model", str(model), "--data", str(data), "--out", str(out)]
    assert main(["examples", *arguments, "--count", "3"]) == 0

    with np.load(out) as written:
        assert written["labels"].tolist() == ["case 1"]  # as many as are held out
        assert written["image_0"].shape == written["truth_0"].shape == written["prediction_0"].shape
        assert set(np.unique(written["truth_0"])) == {0, 1, 2, 3}
        assert 0 <= written["image_0"].min() <= written["image_0"].max() <= 1
        assert 0 <= float(written["dice_0"]) <= 1
    assert b"BraTS-GLI" not in out.read_bytes()

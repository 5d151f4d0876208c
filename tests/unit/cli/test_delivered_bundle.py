"""The bundle that a run hands over: MONAI builds its network, loads the weights and predicts with it."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import nibabel
import numpy as np
import pytest

from fedward_cli.documents import Documents
from fedward_cli.local.monai_bundle import bundle_files
from fedward_protocol.plan import Bundle, Model, Network, Plan

ARGS = {"channels": [4, 8], "strides": [2], "num_res_units": 1, "norm": "instance"}


@pytest.fixture
def plan(documents: Documents) -> Plan:
    plan = documents.plan()
    training = plan.training.model_copy(update={"patch": (16, 16, 16)})
    return plan.model_copy(update={"model": Model(network=Network(name="UNet", args=ARGS)), "training": training})


@pytest.fixture
def bundle(plan: Plan, tmp_path: Path) -> Path:
    """The bundle, with a network of random weights in it."""
    from monai.networks.nets import UNet
    from safetensors.torch import save_file

    for name, text in bundle_files(plan).items():
        path = tmp_path / "bundle" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    weights = tmp_path / "bundle" / "models" / "model.safetensors"
    weights.parent.mkdir()
    save_file(UNet(spatial_dims=3, in_channels=4, out_channels=3, **ARGS).state_dict(), weights)
    return tmp_path / "bundle"


@pytest.mark.torch
def test_the_loader_gives_the_trained_network(bundle: Path) -> None:
    import torch

    network = runpy.run_path(str(bundle / "load.py"))["load_network"]()

    with torch.no_grad():
        assert network(torch.zeros(1, 4, 16, 16, 16)).shape == (1, 3, 16, 16, 16)
    assert not network.training


@pytest.mark.torch
def test_monai_runs_the_inference_configuration_on_a_case(bundle: Path, tmp_path: Path) -> None:
    from monai.bundle import ConfigParser

    drawn = np.random.default_rng(1)
    case = [tmp_path / f"{name}.nii.gz" for name in ("t1c", "t1n", "t2w", "t2f")]
    for path in case:
        nibabel.save(nibabel.Nifti1Image(drawn.random((20, 18, 16), dtype=np.float32), np.eye(4)), path)
    parser = ConfigParser()
    parser.read_config(bundle / "configs" / "inference.json")
    parser.read_meta(bundle / "configs" / "metadata.json")
    parser.update(
        {"bundle_root": str(bundle), "output_dir": str(tmp_path / "predicted"), "cases": [list(map(str, case))]}
    )

    parser.get_parsed_content("run")

    (predicted,) = (tmp_path / "predicted").rglob("*.nii.gz")
    values = np.asarray(nibabel.load(predicted).dataobj)
    assert values.shape == (20, 18, 16, 3)
    assert set(np.unique(values)) <= {0, 1}


def test_channels_are_named_in_the_order_of_the_modalities(plan: Plan) -> None:
    metadata = json.loads(bundle_files(plan)["configs/metadata.json"])

    formats = metadata["network_data_format"]
    assert list(formats["inputs"]["image"]["channel_def"].values()) == list(plan.data.modalities)
    assert formats["outputs"]["pred"]["channel_def"]["2"] == "enhancing tumour"


def test_a_bundle_of_the_researchers_is_given_back_with_a_loader(plan: Plan) -> None:
    files = {"configs/train.json": "{}", "scripts/losses.py": "x = 1"}

    delivered = bundle_files(plan.model_copy(update={"model": Model(bundle=Bundle(files=files))}))

    assert {name: delivered[name] for name in files} == files
    assert '"train.json"' in delivered["load.py"]

"""The files of a MONAI bundle that loads a trained model: metadata, an inference configuration and a loader."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from fedward_protocol.plan import Network, Plan

_REGIONS = ("whole tumour", "tumour core", "enhancing tumour")

_LOADER = '''"""Loads the trained network; needs MONAI and safetensors.

As a program, `python load.py`, it prints what was loaded. From Python: `from load import load_network`.
"""

from pathlib import Path

from monai.bundle import ConfigParser
from safetensors.torch import load_file

FOLDER = Path(__file__).parent


def load_network():
    """Build the network and give it the trained weights, ready to predict."""
    config = ConfigParser()
    config.read_config(FOLDER / "configs" / "{config}")
    config["bundle_root"] = str(FOLDER)
    network = config.get_parsed_content("network_def")
    network.load_state_dict(load_file(FOLDER / "models" / "model.safetensors"))
    return network.eval()


if __name__ == "__main__":
    print(load_network())
'''


def bundle_files(plan: Plan) -> dict[str, str]:
    """Return the bundle's files by path; the weights go to models/model.safetensors.

    A job that brought its own bundle gets that one back, with a loader beside it.
    """
    if plan.model.bundle is not None:
        return {**plan.model.bundle.files, "load.py": _loader("train.json")}
    network = plan.model.network or Network()
    return {
        "configs/metadata.json": _json(_metadata(plan, network)),
        "configs/inference.json": _json(_inference(plan, network)),
        "load.py": _loader("inference.json"),
    }


def _loader(config: str) -> str:
    return _LOADER.replace("{config}", config)


def _metadata(plan: Plan, network: Network) -> dict[str, Any]:
    channels = {str(index): name for index, name in enumerate(plan.data.modalities)}
    return {
        "version": "1.0.0",
        "changelog": {"1.0.0": f"trained by {plan.job.name}, {plan.rounds.count} rounds at {len(plan.sites)} sites"},
        "monai_version": _monai_version(),
        "task": "segmentation of brain tumours",
        "description": f"{network.name} trained with federated learning; no scan left its hospital",
        "data_type": "nifti",
        "network_data_format": {
            "inputs": {
                "image": {
                    "type": "image",
                    "format": "magnitude",
                    "modality": "MR",
                    "num_channels": len(plan.data.modalities),
                    "spatial_shape": list(plan.training.patch),
                    "dtype": "float32",
                    "is_patch_data": True,
                    "channel_def": channels,
                }
            },
            "outputs": {
                "pred": {
                    "type": "image",
                    "format": "segmentation",
                    "num_channels": len(_REGIONS),
                    "spatial_shape": list(plan.training.patch),
                    "dtype": "float32",
                    "is_patch_data": True,
                    "channel_def": {str(index): name for index, name in enumerate(_REGIONS)},
                }
            },
        },
    }


def _inference(plan: Plan, network: Network) -> dict[str, Any]:
    """Describe prediction as the trainer does it: normalised over the brain, a sliding window, one half."""
    implied: dict[str, Any] = {"spatial_dims": 3, "in_channels": len(plan.data.modalities), "out_channels": 3}
    if network.name == "UNETR":
        implied["img_size"] = list(plan.training.patch)
    return {
        "bundle_root": ".",
        "output_dir": "$@bundle_root + '/eval'",
        "cases": [],
        "device": "$torch.device('cuda' if torch.cuda.is_available() else 'cpu')",
        "imports": ["$import torch", "$from safetensors.torch import load_file"],
        "network_def": {"_target_": f"monai.networks.nets.{network.name}", **implied, **network.args},
        "network": "$@network_def.to(@device)",
        "weights": "$@network.load_state_dict(load_file(@bundle_root + '/models/model.safetensors'))",
        "preprocessing": {
            "_target_": "Compose",
            "transforms": [
                {"_target_": "LoadImaged", "keys": "image", "ensure_channel_first": True},
                {"_target_": "NormalizeIntensityd", "keys": "image", "nonzero": True, "channel_wise": True},
                {"_target_": "EnsureTyped", "keys": "image"},
            ],
        },
        "dataset": {
            "_target_": "Dataset",
            "data": "$[{'image': each} for each in @cases]",
            "transform": "@preprocessing",
        },
        "dataloader": {"_target_": "DataLoader", "dataset": "@dataset", "batch_size": 1},
        "inferer": {
            "_target_": "SlidingWindowInferer",
            "roi_size": list(plan.training.patch),
            "sw_batch_size": 1,
            "overlap": 0.5,
            "mode": "gaussian",
        },
        "postprocessing": {
            "_target_": "Compose",
            "transforms": [
                {"_target_": "Activationsd", "keys": "pred", "sigmoid": True},
                {"_target_": "AsDiscreted", "keys": "pred", "threshold": 0.5},
                {"_target_": "SaveImaged", "keys": "pred", "output_dir": "@output_dir"},
            ],
        },
        "evaluator": {
            "_target_": "SupervisedEvaluator",
            "device": "@device",
            "val_data_loader": "@dataloader",
            "network": "@network",
            "inferer": "@inferer",
            "postprocessing": "@postprocessing",
        },
        "run": ["$@weights", "$@evaluator.run()"],
    }


def _monai_version() -> str:
    try:
        return version("monai")
    except PackageNotFoundError:
        return "1.6.0"


def _json(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2) + "\n"

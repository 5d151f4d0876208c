"""Build a network of MONAI's by name, and refuse what cannot be trained before anything is read or sent."""

from __future__ import annotations

import difflib
import inspect
from typing import Any

import torch

from fedward_node.trainer.data.checks import wanted_modalities
from fedward_node.trainer.data.labels import REGIONS
from fedward_node.trainer.segmentation.monai_parts import nets
from fedward_protocol.plan import Network, Plan
from fedward_protocol.reasons import Reason, RefusedError

# Those that take an image (batch, channels, X, Y, Z) and give one logit map of the same size for each region.
NETWORKS = (
    "AttentionUnet",
    "BasicUNet",
    "DynUNet",
    "HighResNet",
    "SegResNet",
    "SegResNetDS",
    "SwinUNETR",
    "UNet",
    "UNETR",
    "VNet",
)


def build_network(plan: Plan) -> torch.nn.Module:
    """Build the plan's network with random weights, drawn from torch's own generator.

    Its spatial_dims, in_channels, out_channels and img_size follow from the plan where its args leave them out.

    Raises:
        RefusedError: NETWORK_INVALID, with a suggestion where a name is misspelt.
    """
    network = plan.model.network or Network()
    channels = len(wanted_modalities(plan.data.modalities))
    if network.name not in NETWORKS:
        raise RefusedError(
            Reason.NETWORK_INVALID, f"model.network.name is {network.name!r}{_nearest(network.name, NETWORKS)}"
        )
    architecture = getattr(nets, network.name)
    known = inspect.signature(architecture).parameters
    unknown = [name for name in network.args if name not in known]
    if unknown:
        raise RefusedError(
            Reason.NETWORK_INVALID,
            f"model.network.args of {network.name} has {unknown[0]!r}{_nearest(unknown[0], known)}",
        )
    implied = {
        "spatial_dims": 3,
        "in_channels": channels,
        "out_channels": len(REGIONS),
        "img_size": plan.training.patch,
    }
    arguments: dict[str, Any] = {name: value for name, value in implied.items() if name in known} | network.args
    try:
        built: torch.nn.Module = architecture(**arguments)
    except Exception as error:
        raise RefusedError(Reason.NETWORK_INVALID, f"model.network.args of {network.name}: {error}") from error
    return built


def check_network(plan: Plan) -> None:
    """Try a patch on the network without computing anything, to learn whether the sizes go together.

    Raises:
        RefusedError: NETWORK_INVALID.
    """
    patch = plan.training.patch
    with torch.device("meta"):
        built = build_network(plan).eval()
        image = torch.empty(1, len(plan.data.modalities), *patch)
    wanted = (1, len(REGIONS), *patch)
    try:
        with torch.no_grad():
            output = built(image)
    except NotImplementedError:
        return  # an operation that has no shape rule; the first real step will tell
    except Exception as error:
        raise RefusedError(
            Reason.NETWORK_INVALID, f"{type(built).__name__} cannot take a patch of {patch} voxels: {error}"
        ) from error
    if not isinstance(output, torch.Tensor) or tuple(output.shape) != wanted:
        shape = tuple(output.shape) if isinstance(output, torch.Tensor) else f"a {type(output).__name__}"
        raise RefusedError(
            Reason.NETWORK_INVALID, f"{type(built).__name__} gives {shape} for a patch, expected {wanted}"
        )


def _nearest(name: str, known: Any) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(known)}"

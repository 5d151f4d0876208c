"""Between a network and the model file that travels: every float parameter and buffer, as fp32 safetensors.

Buffers count because batch normalisation keeps its running moments in them; integer buffers (its step counter) are a
site's own and stay behind. Instance and group normalisation, the default networks' choice, have no buffers.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from fedward_protocol.digest import FileDigest
from fedward_protocol.reasons import Reason, RefusedError
from fedward_protocol.tensors.file import read_tensors, write_tensors


def save(network: torch.nn.Module, path: Path) -> FileDigest:
    """Write a network's weights atomically."""
    return write_tensors(
        path, {name: tensor.detach().to("cpu", torch.float32).numpy() for name, tensor in _travelling(network).items()}
    )


def load(network: torch.nn.Module, path: Path) -> None:
    """Put a model file's weights into a network, in place.

    Raises:
        RefusedError: WRONG_SHAPE where names or shapes are not the network's; MALFORMED.
    """
    arrays = read_tensors(path)
    own = _travelling(network)
    _check_names(set(own), set(arrays))
    with torch.no_grad():
        for name, tensor in own.items():
            if tuple(tensor.shape) != arrays[name].shape:
                raise RefusedError(
                    Reason.WRONG_SHAPE,
                    f"{name} is {arrays[name].shape} in the model and {tuple(tensor.shape)} in the network",
                )
            tensor.copy_(torch.from_numpy(np.array(arrays[name])))


def _travelling(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor for name, tensor in network.state_dict().items() if tensor.is_floating_point()}


def _check_names(own: set[str], found: set[str]) -> None:
    if own != found:
        strange = sorted(own ^ found)
        raise RefusedError(
            Reason.WRONG_SHAPE,
            f"{len(strange)} tensors are in only one of model and network, the first is {strange[0]}",
        )

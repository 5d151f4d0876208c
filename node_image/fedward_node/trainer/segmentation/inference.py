"""Predict a case's regions with a sliding window."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from fedward_node.trainer.segmentation.monai_parts import sliding_window_inference

_OVERLAP = 0.5  # of neighbouring windows; their predictions are blended with Gaussian weights


def predict(
    network: torch.nn.Module,
    image: npt.NDArray[np.float32],
    patch: tuple[int, int, int],
    device: torch.device,
    amp: bool = False,
) -> npt.NDArray[np.bool_]:
    """Give the regions (3, X, Y, Z) of an image (channels, X, Y, Z): where a region's probability is above one half."""
    network.eval()
    with torch.inference_mode(), torch.autocast(device.type, enabled=amp and device.type == "cuda"):
        logits = sliding_window_inference(
            torch.from_numpy(image)[None].to(device),
            patch,
            sw_batch_size=1,
            predictor=network,
            overlap=_OVERLAP,
            mode="gaussian",
        )
    assert isinstance(logits, torch.Tensor)
    prediction: npt.NDArray[np.bool_] = (logits[0] > 0).cpu().numpy()
    return prediction

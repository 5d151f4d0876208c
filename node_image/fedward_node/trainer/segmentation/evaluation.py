"""Score a network on cases, one after the other."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from fedward_node.trainer.algorithm import Control, Superseded
from fedward_node.trainer.data.dataset import CaseStore
from fedward_node.trainer.data.labels import regions
from fedward_node.trainer.segmentation.inference import predict
from fedward_node.trainer.segmentation.scores import Scores, score
from fedward_protocol.plan import Plan


def evaluate(
    network: torch.nn.Module, cases: CaseStore, plan: Plan, device: torch.device, control: Control
) -> Iterator[Scores]:
    """Yield each case's scores.

    Raises:
        Superseded: `control` asked to stop.
    """
    for index in range(len(cases)):
        if control.superseded():
            raise Superseded
        case = cases.read(index)
        prediction = predict(network, case.image, plan.training.patch, device, plan.training.amp)
        yield score(regions(case.depths), prediction, case.spacing)
        control.progress("evaluate", (index + 1) / len(cases))

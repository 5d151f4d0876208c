"""Federated averaging with momentum at the server.

Hsu, Qi, Brown: Measuring the Effects of Non-Identical Data Distribution for Federated Visual Classification. 2019,
section 4.3. https://arxiv.org/abs/1909.06335
"""

from __future__ import annotations

import numpy as np

from fedward_protocol.plan import FedAvgM
from fedward_server.aggregate.combination import Block


def accelerate(rule: FedAvgM, velocity: Block, average: Block) -> None:
    """Advance one block: the velocity becomes β × velocity + average, and `average` the step, rate × velocity.

    Both blocks are changed in place; shape (block,). The velocity starts as zeros, so the first step is FedAvg's, times
    the server's learning rate.
    """
    np.multiply(velocity, np.float32(rule.server_momentum), out=velocity)
    np.add(velocity, average, out=velocity)
    np.multiply(velocity, np.float32(rule.server_learning_rate), out=average)

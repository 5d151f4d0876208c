"""How training goes on this machine, for the hospital's metrics: its pace, its wait for data, its GPU."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from fedward_node.trainer.algorithm import Step
from fedward_protocol.wire import federation_pb2 as pb

WINDOW_S = 60.0
"""Over how long the pace is taken: long enough for a few steps on whole volumes."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What there is to say of a GPU, None where that cannot be told: a slice (MIG) has no utilisation of its own.

    Attributes:
        memory_used: bytes, whoever uses them.
        memory_size: bytes.
        utilisation: share of time in which it computed, 0 to 1.
    """

    memory_used: int | None = None
    memory_size: int | None = None
    utilisation: float | None = None


class Meter:
    """Adds up training's steps; told in the worker's thread, asked on the event loop.

    Args:
        gpu: reads the GPU.
    """

    def __init__(self, gpu: Callable[[], Reading]) -> None:
        self._gpu = gpu
        self._lock = threading.Lock()
        self._steps: deque[Step] = deque()
        self._seconds = 0.0
        self._cases = 0.0

    def stepped(self, step: Step) -> None:
        """Take in a step."""
        with self._lock:
            self._cases += step.cases
            self._steps.append(step)
            self._seconds += step.seconds
            while self._seconds - self._steps[0].seconds >= WINDOW_S:
                self._seconds -= self._steps.popleft().seconds

    def read(self, stage: str) -> pb.Vitals:
        """Say how it goes; of training only while that is the stage, and from its first step on."""
        vitals, gpu = pb.Vitals(), self._gpu()
        with self._lock:
            if stage != "train":
                self._steps.clear()
                self._seconds = 0.0
            vitals.cases = int(self._cases)
            if self._seconds > 0:
                last = self._steps[-1].amp_scale
                vitals.cases_per_second = sum(step.cases for step in self._steps) / self._seconds
                vitals.data_wait_ratio = min(1.0, sum(step.waited_s for step in self._steps) / self._seconds)
                if last is not None:
                    vitals.amp_scale = last
        if gpu.memory_used is not None:
            vitals.gpu_memory_used = gpu.memory_used
        if gpu.memory_size is not None:
            vitals.gpu_memory_size = gpu.memory_size
        if gpu.utilisation is not None:
            vitals.gpu_utilisation = gpu.utilisation
        return vitals

"""What the driver says of the GPU that this trainer computes on; whatever it does not say is left out."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pynvml

from fedward_node.trainer.vitals import Reading

EVERY_S = 1.0
"""The driver is asked no more often."""

_log = logging.getLogger(__name__)


class Gpu:
    """One GPU of NVIDIA's.

    Args:
        uuid: as PyTorch has it, without a prefix; None where there is no such GPU.
        nvml: the driver's library; tests bring their own.
        clock: seconds, from any origin.
    """

    def __init__(self, uuid: str | None, nvml: Any = pynvml, clock: Callable[[], float] = time.monotonic) -> None:
        self._nvml = nvml
        self._clock = clock
        self._device = self._find(uuid) if uuid is not None else None
        self._last = Reading()
        self._looked_at = -EVERY_S

    def read(self) -> Reading:
        """Ask the driver, or return what it said less than a second ago; never raises on its account."""
        now = self._clock()
        if self._device is not None and now - self._looked_at >= EVERY_S:
            self._looked_at, self._last = now, self._ask()
        return self._last

    def _find(self, uuid: str) -> Any:
        try:
            self._nvml.nvmlInit()
            for prefix in ("MIG", "GPU"):
                with self._unless_refused():
                    return self._nvml.nvmlDeviceGetHandleByUUID(f"{prefix}-{uuid}")
        except self._nvml.NVMLError as error:
            _log.info("the GPU's memory and utilisation will not be shown: %s", error)
        return None

    def _ask(self) -> Reading:
        used = size = utilisation = None
        with self._unless_refused():
            memory = self._nvml.nvmlDeviceGetMemoryInfo(self._device)
            used, size = memory.used, memory.total
        with self._unless_refused():
            utilisation = self._nvml.nvmlDeviceGetUtilizationRates(self._device).gpu / 100
        return Reading(used, size, utilisation)

    @contextmanager
    def _unless_refused(self) -> Iterator[None]:
        try:
            yield
        except self._nvml.NVMLError as error:
            _log.debug("the driver does not say: %s", error)

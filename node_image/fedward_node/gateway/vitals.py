"""What of a trainer's vitals is believed, and what of that the hospital lets out: numbers in range, nothing else."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType

from fedward_protocol.wire import federation_pb2 as pb
from fedward_protocol.work_order import Export

_MOST: Mapping[str, float] = MappingProxyType(
    {
        "cases_per_second": 1e6,
        "data_wait_ratio": 1.0,
        "gpu_memory_used": 2.0**50,
        "gpu_memory_size": 2.0**50,
        "gpu_utilisation": 1.0,
        "amp_scale": 2.0**128,
        "cases": 2.0**53,
    }
)
"""The largest value of each that can be meant; the least is 0. The trainer runs the researcher's code."""


def believable(vitals: pb.Vitals) -> dict[str, float]:
    """Return the fields that are said and in range, by name: no NaN, no infinity, no field unknown here."""
    said = {field.name: float(value) for field, value in vitals.ListFields()}
    return {name: said[name] for name, most in _MOST.items() if name in said and 0 <= said[name] <= most}


def exported(vitals: Mapping[str, float], exports: Collection[Export]) -> pb.Vitals | None:
    """Return what of believable vitals may leave, to three decimals; None where that is nothing."""
    leaving = pb.Vitals()
    if "casesPerSecond" in exports and "cases_per_second" in vitals:
        leaving.cases_per_second = round(vitals["cases_per_second"], 3)
    if "gpuUtilisation" in exports and "gpu_utilisation" in vitals:
        leaving.gpu_utilisation = round(vitals["gpu_utilisation"], 3)
    return leaving if leaving.ListFields() else None

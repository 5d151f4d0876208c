"""What a policy says of a SiteJob. Messages go to the researcher, and say nothing that the hospital keeps to itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fedward_operator.api.job import Toleration
from fedward_operator.api.policy import Volume


@dataclass(frozen=True, slots=True)
class Refused:
    """No, as long as neither the job nor the policy changes."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Waits:
    """Not yet; `seconds` until time alone changes it, None if only somebody can."""

    reason: str
    message: str
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Grant:
    """Yes, and with what.

    Attributes:
        gpus: extended resource to count; empty where it trains on CPUs.
        closes_s: seconds until the window closes; None if it does not.
    """

    volume: Volume
    image: str
    gpus: Mapping[str, int]
    node_selector: Mapping[str, str]
    tolerations: tuple[Toleration, ...]
    runtime_class_name: str | None
    priority_class_name: str | None
    cpu: str | None
    memory: str | None
    closes_s: float | None

"""How much CPU and memory: what the job asks for, within what the hospital allows."""

from __future__ import annotations

import re
from decimal import Decimal

from fedward_operator.api.job import Resources
from fedward_operator.api.policy import Limits
from fedward_operator.policy.admission.verdict import Refused

_FACTORS = {
    "": Decimal(1),
    "m": Decimal("0.001"),
    **{unit: Decimal(1000) ** power for power, unit in enumerate(("k", "M", "G", "T"), 1)},
    **{f"{unit}i": Decimal(1024) ** power for power, unit in enumerate(("K", "M", "G", "T"), 1)},
}


def quantity(text: str) -> Decimal:
    """Read an amount as Kubernetes writes it: `16Gi`, `500m`, `4`."""
    number, unit = re.fullmatch(r"([0-9.]+)([A-Za-z]*)", text).groups()  # type: ignore[union-attr]
    return Decimal(number) * _FACTORS[unit]


def amounts_of(asked: Resources, limits: Limits) -> tuple[str | None, str | None] | Refused:
    """Return CPU and memory; where the job asks for none, what is allowed."""
    for word, wish, most in (("Cpu", asked.cpu, limits.cpu), ("Memory", asked.memory, limits.memory)):
        if wish is not None and most is not None and quantity(wish) > quantity(most):
            text = f"the job asks for {wish} of {word.lower()} and the site allows {most}"
            return Refused(f"TooMuch{word}", text)
    return asked.cpu or limits.cpu, asked.memory or limits.memory

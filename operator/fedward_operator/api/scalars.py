"""The scalars that custom resources are written in: durations, quantities, shares of sites and Kubernetes' labels."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, StringConstraints, WithJsonSchema

_DURATION = r"^([0-9]{1,4}h)?([0-9]{1,6}m)?([0-9]{1,8}(\.[0-9]{1,3})?s)?$"
_PERCENTAGE = r"^([1-9]|[1-9][0-9]|100)%$"


def parse_duration(value: Any) -> timedelta:
    """Read a duration such as `30m`, `60s` or `1h30m`.

    Raises:
        ValueError: it is anything else; a number without a unit is refused, since no reader could tell which unit.
    """
    if isinstance(value, timedelta):
        return value
    match = re.fullmatch(_DURATION, value) if isinstance(value, str) and value else None
    if match is None:
        raise ValueError(f'must be a duration such as "30m", "60s" or "1h30m", not {_shown(value)}')
    hours, minutes, seconds = (float(part[:-1]) if part else 0.0 for part in match.groups()[:3])
    return timedelta(hours=hours, minutes=minutes, seconds=seconds)


def show_duration(value: timedelta) -> str:
    """Write a duration as `parse_duration` reads it, in the largest units that fit."""
    total = value.total_seconds()
    hours, rest = divmod(total, 3600)
    minutes, seconds = divmod(rest, 60)
    parts = [f"{hours:.0f}h" if hours else "", f"{minutes:.0f}m" if minutes else "", f"{seconds:g}s" if seconds else ""]
    return "".join(parts) or "0s"


def _parse_quorum(value: Any) -> int | str:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return value
    if isinstance(value, str) and re.fullmatch(_PERCENTAGE, value):
        return value
    raise ValueError(f'must be a number of sites (at least 1) or a share such as "75%", not {_shown(value)}')


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(show_duration),
    WithJsonSchema({"type": "string", "pattern": _DURATION, "maxLength": 32}),
]
"""A span of time, written `30m`, `60s`, `1h30m`."""


def _check_positive(value: timedelta) -> timedelta:
    if not value:
        raise ValueError('must be more than "0s"')
    return value


PositiveDuration = Annotated[Duration, AfterValidator(_check_positive)]
"""A span of time that is not empty."""

Quorum = Annotated[
    int | str,
    BeforeValidator(_parse_quorum),
    WithJsonSchema(
        {
            "anyOf": [{"type": "integer", "minimum": 1}, {"type": "string", "pattern": _PERCENTAGE}],
            "x-int-or-string": True,
        }
    ),
]
"""A number of sites, or a share of them such as `75%`."""

Quantity = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,12}(\.[0-9]{1,3})?(m|k|Ki|M|Mi|G|Gi|T|Ti)?$")]
"""An amount as Kubernetes writes it: `16Gi`, `500m`, `4`."""

LabelKey = Annotated[
    str,
    StringConstraints(
        pattern=r"^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$",
        max_length=317,
    ),
]
ExtendedResource = Annotated[
    str,
    StringConstraints(
        pattern=r"^[a-z0-9]([-a-z0-9.]{0,243}[a-z0-9])?/[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$",
        max_length=309,
    ),
]
"""What a device plugin offers on a node, its vendor's domain first: `nvidia.com/gpu`."""

LabelValue = Annotated[str, StringConstraints(pattern=r"^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$")]
Labels = Annotated[dict[LabelKey, LabelValue], Field(max_length=64)]
"""Kubernetes labels."""


def share_of(quorum: int | str, nsites: int) -> int:
    """Give the number of sites that a quorum means among `nsites`; a percentage is rounded up."""
    if isinstance(quorum, int):
        return quorum
    return -(-nsites * int(quorum.removesuffix("%")) // 100)

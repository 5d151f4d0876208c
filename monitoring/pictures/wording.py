"""How a number is written in its unit, and which colour it has, much as Grafana does both."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

_COLOURS = {"green": "#3d8b37", "red": "#d0273c", "blue": "#2a63b8"}
_DURATIONS = (
    (86400 * 365, "year", "years"),
    (86400, "day", "days"),
    (3600, "hour", "hours"),
    (60, "min", "min"),
    (1, "s", "s"),
    (0.001, "ms", "ms"),
)
"""Seconds, and what one of them and several are called."""
_BYTES = ("B", "KiB", "MiB", "GiB", "TiB")
_BYTES_A_SECOND = ("B/s", "kB/s", "MB/s", "GB/s")
_RATES = {"cps": "/s", "reqps": " req/s"}


def words(value: float, fields: Mapping[str, Any]) -> str:
    """Write a number under a field's unit, decimals and mappings."""
    mapped = _mapped(value, fields)
    if mapped is not None:
        return str(mapped["text"])
    unit, decimals = fields.get("unit", "none"), fields.get("decimals")
    if math.isnan(value):
        return "NaN"
    match unit:
        case "s":
            return _duration(value)
        case "bytes":
            return _scaled(value, 1024, _BYTES)
        case "Bps":
            return _scaled(value, 1000, _BYTES_A_SECOND)
        case "percentunit":
            return f"{value:.0%}" if decimals is None else f"{value:.{int(decimals)}%}"
        case _:
            return _plain(value, decimals) + _RATES.get(unit, "")


def colour(value: float, fields: Mapping[str, Any]) -> str:
    """Give a number's colour: its mapping's, else that of the highest threshold that it reaches."""
    mapped = _mapped(value, fields)
    if mapped is not None:
        return named(mapped["color"])
    steps = fields.get("thresholds", {}).get("steps", [{"color": "blue", "value": None}])
    reached = [step["color"] for step in steps if step.get("value") is None or value >= step["value"]]
    return named(reached[-1])


def named(name: str) -> str:
    """Give a colour of Grafana's by its name, or as it is written."""
    return _COLOURS.get(name, name)


def _mapped(value: float, fields: Mapping[str, Any]) -> Mapping[str, Any] | None:
    for mapping in fields.get("mappings", ()):
        found: Mapping[str, Any] | None = mapping["options"].get(f"{value:g}")
        if found is not None:
            return found
    return None


def _duration(seconds: float) -> str:
    if seconds == 0:
        return "0 s"
    size, one, several = next((each for each in _DURATIONS if abs(seconds) >= each[0]), _DURATIONS[-1])
    number = f"{seconds / size:.3g}"
    return f"{number} {one if number == '1' else several}"


def _scaled(value: float, base: int, units: Sequence[str]) -> str:
    step = min(int(math.log(max(abs(value), 1), base)), len(units) - 1)
    return f"{value / base**step:.3g} {units[step]}"


def _plain(value: float, decimals: float | None) -> str:
    if decimals is not None:
        return f"{value:.{int(decimals)}f}"
    return f"{value:.0f}" if value == int(value) else f"{value:.3g}"

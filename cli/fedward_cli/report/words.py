"""Numbers and lists as people read them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

NOTHING = "–"


def count(number: int, singular: str, plural: str = "") -> str:
    """Write "1 round", "6 rounds", "1,204 cases"."""
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


def size(nbytes: float) -> str:
    """Write a size in decimal units with three digits: "3.37 MB"."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if nbytes < 999.5:
            return f"{nbytes:.0f} {unit}" if unit == "bytes" or nbytes >= 99.95 else f"{nbytes:.3g} {unit}"
        nbytes /= 1000
    return f"{nbytes:,.3g} TB"


def duration(seconds: float) -> str:
    """Write a duration with its two largest units: "0.4 s", "45 s", "3 min 20 s", "2 h 5 min"."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for unit, parts, below in (("min", 60, "s"), ("h", 3600, "min"), ("d", 86400, "h")):
        step = {"s": 1, "min": 60, "h": 3600}[below]
        if whole < parts:
            break
        if whole < parts * {"min": 60, "h": 24, "d": 10**6}[unit]:
            rest = whole % parts // step
            return f"{whole // parts} {unit} {rest} {below}" if rest else f"{whole // parts} {unit}"
    return f"{whole} s"


def decimal(value: float | None, digits: int = 3) -> str:
    """Write a metric: "0.673", or a dash where there is none."""
    return NOTHING if value is None else f"{value:.{digits}f}"


def epsilon(value: float) -> str:
    """Write a privacy loss with two digits and no false precision: "1.9", "120,000", "6 × 10⁷"."""
    if value < 1e6:
        return f"{value:.2g}" if value < 100 else f"{float(f'{value:.2g}'):,.0f}"
    mantissa, exponent = f"{value:.0e}".split("e")
    return f"{mantissa} × 10" + str(int(exponent)).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))


def listed(words: Sequence[str], limit: int = 6) -> str:
    """Join "a, b and c"; beyond `limit`, "a, b and 12 more"."""
    if len(words) > limit:
        words = [*words[: limit - 1], f"{len(words) - limit + 1} more"]
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]])) if words else ""


def ranges(numbers: Iterable[int], limit: int = 8) -> str:
    """Condense "1, 3–5, 9"."""
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    shown = [str(low) if low == high else f"{low}–{high}" for low, high in runs]
    return ", ".join(shown[:limit]) + (", …" if len(shown) > limit else "")

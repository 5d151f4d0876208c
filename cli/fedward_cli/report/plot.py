"""A line plot: what to draw where, in per cent of the plot, so that text keeps its size on a phone and on paper."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fedward_cli.report.series import Curves, Points

FEW = 8
"""Up to so many sites have a colour and a label each; more are drawn as a faint bundle around the mean."""
_SCALE = 1000
"""Units of the drawing along each axis."""
_LABEL_GAP = 8.0
"""Per cent of the height that a label needs in the smaller plots."""


@dataclass(frozen=True, slots=True)
class Line:
    """A curve: `path` in SVG, `tone` the site's colour (-1 is the bundle), and where its last point lies."""

    name: str
    path: str
    tone: int
    end: tuple[float, float]
    last: float


@dataclass(frozen=True, slots=True)
class Label:
    """A text beside the right edge, `top` per cent down; `tone` -2 is the mean's."""

    text: str
    value: float
    top: float
    tone: int


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on an axis, `at` per cent from the left or from the top."""

    text: str
    at: float


@dataclass(frozen=True, slots=True)
class Plot:
    """A finished plot."""

    title: str
    lines: tuple[Line, ...]
    mean: Line
    labels: tuple[Label, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    delivered: Tick | None
    """Which round's model the run delivered."""


def plot(title: str, curves: Curves, tones: dict[str, int], rounds: int, delivered: int | None) -> Plot | None:
    """Lay a metric's curves out between 0 and 1, or more where they leave that; None where nothing was measured.

    Args:
        tones: each site's colour number; sites without one are drawn faintly.
        rounds: the right end of the axis.
        delivered: the round of the model that the run delivered, if it did.
    """
    if not curves.mean:
        return None
    values = [value for points in curves.sites.values() for _, value in points]
    low, high = min(0.0, *values), max(1.0, *values)
    rounds = max(rounds, curves.mean[-1][0], 1)

    def line(name: str, points: Points, tone: int) -> Line:
        at = [(number / rounds, 1 - (value - low) / (high - low)) for number, value in points]
        path = "M" + "L".join(f"{x * _SCALE:.0f} {y * _SCALE:.0f}" for x, y in at)
        if len(at) == 1:
            path += "h0"  # a point is a line without length, and has round ends
        return Line(name, path, tone, (at[-1][0] * 100, at[-1][1] * 100), points[-1][1])

    chosen = None if delivered is None else Tick(f"delivered: round {delivered}", min(delivered / rounds, 1.0) * 100)
    lines = tuple(line(name, points, tones.get(name, -1)) for name, points in curves.sites.items())
    mean = line("mean", curves.mean, -2)
    named = [each for each in lines if each.tone >= 0] or _best_and_worst(lines)
    labels = [*named, mean] if len(lines) > 1 else named
    return Plot(title, lines, mean, _spread(labels), _x_ticks(rounds), _y_ticks(low, high), chosen)


def _best_and_worst(lines: Sequence[Line]) -> list[Line]:
    ordered = sorted(lines, key=lambda line: line.last)
    return [ordered[0], ordered[-1]]


def _spread(lines: Sequence[Line]) -> tuple[Label, ...]:
    """Move labels apart, down from where their lines end, and back up where they would leave the plot."""
    ordered = sorted(lines, key=lambda line: line.end[1])
    tops: list[float] = []
    for line in ordered:
        tops.append(max(line.end[1], tops[-1] + _LABEL_GAP) if tops else line.end[1])
    limit = 100.0
    for index in range(len(tops) - 1, -1, -1):
        tops[index] = min(tops[index], limit)
        limit = tops[index] - _LABEL_GAP
    return tuple(Label(line.name, line.last, top, line.tone) for line, top in zip(ordered, tops, strict=True))


def _x_ticks(rounds: int) -> tuple[Tick, ...]:
    step = next(step for step in _steps() if rounds / step <= 6)
    return tuple(Tick(str(number), number / rounds * 100) for number in range(0, rounds + 1, step))


def _steps() -> Sequence[int]:
    return [factor * 10**power for power in range(5) for factor in (1, 2, 5)]


def _y_ticks(low: float, high: float) -> tuple[Tick, ...]:
    step = (high - low) / 5
    digits = 1 if high - low <= 10 else 0
    return tuple(Tick(f"{low + index * step:.{digits}f}", 100 - index * 20) for index in range(6))

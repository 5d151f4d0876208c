"""Draws one panel of each kind into its place."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from monitoring.client import Series
from monitoring.pictures.tables import Table, tabulate
from monitoring.pictures.wording import colour, named, words
from monitoring.reading import Shown, Target

Answer = tuple[Target, Sequence[Series]]
Key = tuple[str, str]
"""Of a legend: a name, and its colour."""

INK, FAINT = "#24292e", "#6e7780"
_PALETTE = ("#56a64b", "#e0b400", "#3274d9", "#ff780a", "#e02f44", "#8f3bb8", "#00a3a3", "#7c4a2d")
_LINE = 16.0
"""Pixels from one line of text to the next."""
_SIZE = 8.5
_LEFT = 8.0
"""Pixels left free before a legend."""
_LETTER = 6.6
"""Pixels of a letter of that size, on average."""


def draw(axes: Axes, panel: Shown, answers: Sequence[Answer], width: float, height: float) -> None:
    """Draw a panel's numbers, or what it says where there are none; the axes are in pixels, from the lower left."""
    axes.set(xlim=(0, width), ylim=(0, height))
    axes.axis("off")
    if not any(series for _, series in answers):
        axes.text(width / 2, height / 2, panel.defaults["noValue"], ha="center", va="center", color=FAINT, size=11)
        return
    _KINDS[panel.kind](axes, panel, answers, width, height)


def _figure(axes: Axes, panel: Shown, answers: Sequence[Answer], width: float, height: float) -> None:
    found = [(target, each) for target, series in answers for each in series]
    for number, (target, each) in enumerate(found):
        x = width * (number + 0.5) / len(found)
        name, mode = _legend(target, each), panel.options.get("textMode")
        text = name if mode == "name" else words(each.value, panel.defaults)
        with_name = mode == "value_and_name" or len(found) > 1
        axes.text(
            x,
            height * 0.55,
            text,
            ha="center",
            va="center",
            size=19,
            weight="bold",
            color=colour(each.value, panel.defaults),
        )
        if with_name:
            axes.text(x, height * 0.12, name, ha="center", va="center", size=9, color=INK)


def _bars(axes: Axes, panel: Shown, answers: Sequence[Answer], width: float, height: float) -> None:
    found = [(_legend(target, each), each.value) for target, series in answers for each in series]
    top = panel.defaults.get("max") or max((value for _, value in found), default=0) or 1.0
    left, right, step = width * 0.38, width * 0.82, min(height / len(found), 34.0)
    for number, (name, value) in enumerate(found):
        y = height - step * (number + 0.5)
        axes.text(left - 8, y, name, ha="right", va="center", size=_SIZE, color=INK)
        axes.barh(y, right - left, left=left, height=step * 0.62, color="#eceff2")
        shown = colour(value, panel.defaults)
        axes.barh(y, (right - left) * min(max(value / top, 0.0), 1.0), left=left, height=step * 0.62, color=shown)
        axes.text(right + 8, y, words(value, panel.defaults), va="center", size=_SIZE, color=shown, weight="bold")


def _table(axes: Axes, panel: Shown, answers: Sequence[Answer], width: float, height: float) -> None:
    table = tabulate(panel, [series for _, series in answers])
    places, room = _columns(table, width), int(height // _LINE) - 1
    for (left, wide), heading in zip(places, table.headings, strict=True):
        y, text = height - _LINE / 2, _fitting(heading, wide)
        axes.text(left, y, text, va="center", size=_SIZE, color="#2a63b8", weight="bold")
    for line, row in enumerate(table.rows[:room], 1):
        y = height - _LINE * (line + 0.5)
        axes.plot([0, width], [y + _LINE / 2] * 2, color="#e4e7ea", lw=0.6)
        for (left, wide), (text, shown) in zip(places, row, strict=True):
            axes.text(left, y, _fitting(text, wide), va="center", size=_SIZE, color=shown or INK)


def _columns(table: Table, width: float) -> list[tuple[float, float]]:
    """Give each column's left end and width: what its longest text needs, and of what is left over an equal share."""
    texts = [(heading, *(row[number][0] for row in table.rows)) for number, heading in enumerate(table.headings)]
    needed = [_LETTER * (1 + max(len(text) for text in column)) for column in texts]
    more = (width - sum(needed)) / len(needed)
    # Where they need more than there is, each gives up the same part.
    wide = [each + more for each in needed] if more >= 0 else [each * width / sum(needed) for each in needed]
    return [(sum(wide[:number]), each) for number, each in enumerate(wide)]


def _fitting(text: str, width: float) -> str:
    most = int(width / _LETTER)
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _course(axes: Axes, panel: Shown, answers: Sequence[Answer], width: float, height: float) -> None:
    found = [(_legend(target, each), each) for target, series in answers for each in series]
    keys = [(name, _PALETTE[number % len(_PALETTE)]) for number, (name, _) in enumerate(found)]
    inner = _plot(axes, panel, keys, width, height)
    if panel.defaults.get("custom", {}).get("stacking", {}).get("mode") == "normal":
        times = sorted({when for _, each in found for when, _ in each.points})
        heights = [[dict(each.points).get(when, 0.0) for when in times] for _, each in found]
        inner.stackplot(times, heights, colors=_PALETTE, alpha=0.75)
    else:
        for (_, shown), (_, each) in zip(keys, found, strict=True):
            inner.plot([when for when, _ in each.points], [value for _, value in each.points], color=shown, lw=1.5)
    values = [value for _, each in found for _, value in each.points if math.isfinite(value)]
    low, high = panel.defaults["custom"]["axisSoftMin"], panel.defaults["custom"].get("axisSoftMax", -math.inf)
    bottom, top = inner.get_ylim()
    inner.set_ylim(
        low if min(values, default=low) >= low else bottom, high if max(values, default=high) <= high else top
    )


def _timeline(axes: Axes, panel: Shown, answers: Sequence[Answer], width: float, height: float) -> None:
    found = sorted(
        ((_legend(target, each), each) for target, series in answers for each in series), key=lambda it: it[0]
    )
    (mapping,) = panel.defaults["mappings"]
    seen = {f"{value:g}" for _, each in found for _, value in each.points}
    keys = [(one["text"], named(one["color"])) for key, one in mapping["options"].items() if key in seen]
    inner = _plot(axes, panel, keys, width, height)
    for line, (_, each) in enumerate(found):
        ends = [*each.points[1:], each.points[-1]]
        for (begin, value), (end, _) in zip(each.points, ends, strict=True):
            inner.barh(
                line,
                end - begin,
                left=begin,
                height=0.7,
                color=colour(value, panel.defaults),
            )
    inner.set_yticks(range(len(found)), [name for name, _ in found])
    inner.invert_yaxis()


def _plot(axes: Axes, panel: Shown, keys: Sequence[Key], width: float, height: float) -> Axes:
    """Write the legend below, on as many lines as it takes up to half the panel, and give the axes above it."""
    lines = in_lines(keys, width)[: int(height / 2 / _LINE)]
    for number, line in enumerate(reversed(lines)):
        y = 10 + _LINE * number
        for x, (name, shown) in line:
            axes.plot([x, x + 14], [y, y], color=shown, lw=3, solid_capstyle="butt")
            axes.text(x + 19, y, name, va="center", size=8, color=INK)
    below = 28 + _LINE * len(lines)
    inner = axes.inset_axes((58, below, width - 82, height - below - 6), transform=axes.transData)
    inner.tick_params(labelsize=7.5, colors=FAINT, length=0)
    inner.tick_params(axis="x", pad=7)  # below the lowest number of the other axis
    inner.grid(color="#e4e7ea", lw=0.6)
    inner.set_axisbelow(True)
    for spine in inner.spines.values():
        spine.set_visible(False)
    inner.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    inner.yaxis.set_major_formatter(
        FuncFormatter(lambda value, _: words(round(value, 9), {**panel.defaults, "mappings": ()}))
    )
    inner.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    inner.xaxis.set_major_formatter(FuncFormatter(lambda when, _: _clock(when)))
    return inner


def in_lines(keys: Sequence[Key], width: float) -> list[list[tuple[float, Key]]]:
    """Break a legend of names and colours into lines, each key with how many pixels it lies from the left."""
    lines: list[list[tuple[float, Key]]] = [[]]
    x = _LEFT
    for key in keys:
        needed = 36 + 5.6 * len(key[0])
        if lines[-1] and x + needed > width:
            lines.append([])
            x = _LEFT
        lines[-1].append((x, key))
        x += needed
    return lines


def _legend(target: Target, series: Series) -> str:
    if target.legend == "__auto":
        return ", ".join(series.labels.values())
    return re.sub(r"{{(\w+)}}", lambda found: series.labels.get(found[1], ""), target.legend).strip()


def _clock(when: float) -> str:
    return f"{datetime.fromtimestamp(when, UTC):%H:%M:%S}"


_KINDS: Mapping[str, Callable[[Axes, Shown, Sequence[Answer], float, float], None]] = {
    "stat": _figure,
    "bargauge": _bars,
    "table": _table,
    "timeseries": _course,
    "state-timeline": _timeline,
}

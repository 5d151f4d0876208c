"""Draws a whole dashboard: each panel in its place on the grid."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from monitoring.client import Client
from monitoring.pictures.kinds import FAINT, INK, Answer, draw
from monitoring.reading import Dashboard, Shown

_COLUMN, _LINE = 60.0, 32.0
"""Pixels of a cell of the grid."""
_GAP, _HEAD, _TITLE = 4.0, 44.0, 24.0
_DPI = 100
_POINTS = 240
_COLOURS = 255
"""A palette makes the file a quarter as large; chosen so that a colour of few pixels keeps its own."""


def draw_page(
    dashboard: Dashboard, client: Client, variables: Mapping[str, str], span: tuple[float, float], path: Path
) -> None:
    """Ask every panel's queries and write the picture.

    Args:
        dashboard: what to draw.
        client: whom to ask.
        variables: what is chosen.
        span: from when to when, Unix seconds; what is shown of one moment is of the end.
        path: the PNG.
    """
    width = 24 * _COLUMN
    height = _HEAD + _LINE * max(panel.place[1] + panel.place[3] for panel in dashboard.panels) + _GAP
    figure = Figure((width / _DPI, height / _DPI), dpi=_DPI, facecolor="#f1f3f5")
    figure.text(10 / width, 1 - 24 / height, dashboard.title, size=15, weight="bold", color=INK, va="center")
    chosen = "   ".join(
        f"{name}: {'All' if value == '.*' else value}"
        for name, value in variables.items()
        if name in dashboard.variables
    )
    figure.text(1 - 10 / width, 1 - 24 / height, chosen, size=9, color=FAINT, va="center", ha="right")
    for panel in dashboard.panels:
        _place(figure, panel, [] if panel.kind == "row" else _ask(panel, client, variables, span), width, height)
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png")
    with Image.open(drawn) as picture:
        picture.convert("RGB").quantize(_COLOURS, Image.Quantize.MAXCOVERAGE, kmeans=2).save(path, optimize=True)


def _ask(panel: Shown, client: Client, variables: Mapping[str, str], span: tuple[float, float]) -> list[Answer]:
    begin, end = span
    step = max((end - begin) / _POINTS, 1.0)
    answers: list[Answer] = []
    for target in panel.targets:
        filled = target.filled(variables)
        answers.append(
            (target, client.ask(filled, end) if target.is_instant else client.ask_over(filled, begin, end, step))
        )
    return answers


def _place(figure: Figure, panel: Shown, answers: list[Answer], width: float, height: float) -> None:
    column, line, columns, lines = panel.place
    left, top = column * _COLUMN + _GAP, _HEAD + line * _LINE + _GAP
    wide, high = columns * _COLUMN - 2 * _GAP, lines * _LINE - 2 * _GAP
    bottom = height - top - high
    if panel.kind == "row":
        figure.text(
            (left + 4) / width,
            (bottom + high / 2) / height,
            panel.title,
            size=11,
            weight="bold",
            color=INK,
            va="center",
        )
        return
    figure.patches.append(
        Rectangle(
            (left / width, bottom / height),
            wide / width,
            high / height,
            transform=figure.transFigure,
            facecolor="white",
            edgecolor="#dfe3e8",
            zorder=-1,  # below the axes
        )
    )
    figure.text(
        (left + 8) / width, (bottom + high - 13) / height, panel.title, size=9.5, weight="bold", color=INK, va="center"
    )
    inner_wide, inner_high = wide - 16, high - _TITLE - 6
    axes = figure.add_axes(((left + 8) / width, (bottom + 4) / height, inner_wide / width, inner_high / height))
    draw(axes, panel, answers, inner_wide, inner_high)

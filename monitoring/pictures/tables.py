"""What a table's queries become: rows and columns, by the two transformations that the dashboards use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from monitoring.client import Series
from monitoring.pictures.wording import colour, words
from monitoring.reading import Shown

Cell = tuple[str, str | None]
"""A text, and its colour where it has one."""
_NOTHING: Cell = ("", None)


@dataclass(frozen=True, slots=True)
class Table:
    """Headings and rows."""

    headings: Sequence[str]
    rows: Sequence[Sequence[Cell]]


def tabulate(panel: Shown, answers: Sequence[Sequence[Series]]) -> Table:
    """Make a panel's table of its queries' answers."""
    if "groupingToMatrix" in panel.transformations:
        return _matrix(panel, answers[0])
    return _merged(panel, answers)


def _matrix(panel: Shown, series: Sequence[Series]) -> Table:
    paired = panel.transformations["groupingToMatrix"]
    row, column = paired["rowField"], paired["columnField"]
    columns = sorted({each.labels[column] for each in series})
    values = {(each.labels[row], each.labels[column]): each.value for each in series}
    rows = []
    for name in sorted({each.labels[row] for each in series}):
        found = (values.get((name, each)) for each in columns)
        rows.append(
            [(name, None), *((words(value, panel.defaults) if value is not None else "", None) for value in found)]
        )
    return Table([f"{row}\\{column}", *columns], rows)


def _merged(panel: Shown, answers: Sequence[Sequence[Series]]) -> Table:
    organised = panel.transformations["organize"]
    names: Mapping[str, str] = organised["renameByName"]
    hidden = {name for name, is_hidden in organised["excludeByName"].items() if is_hidden}
    order = sorted((name for name in names if name not in hidden), key=lambda name: organised["indexByName"][name])
    full = [answer for answer in answers if answer]
    keys = set.intersection(*({*each.labels} for answer in full for each in answer)) if full else set()
    rows: dict[tuple[tuple[str, str], ...], dict[str, Cell]] = {}
    for number, answer in enumerate(answers):
        value = "Value" if len(answers) == 1 else f"Value #{chr(ord('A') + number)}"
        for each in answer:
            key = tuple(sorted((name, each.labels[name]) for name in keys))
            row = rows.setdefault(key, {})
            row |= {name: (text, None) for name, text in each.labels.items()}
            row[value] = _cell(each.value, panel.overrides.get(names.get(value, ""), {}))
    lines = [[row.get(name, _NOTHING) for name in order] for _, row in sorted(rows.items())]
    return Table([names[name] for name in order], lines)


def _cell(value: float, settings: Mapping[str, Any]) -> Cell:
    return words(value, settings), colour(value, settings) if "mappings" in settings else None

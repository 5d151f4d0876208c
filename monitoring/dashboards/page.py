"""A dashboard: its variables, its links to the others, and its panels row by row."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as model

from monitoring.panels import SOURCE, AnyPanel

TAG = "fedward"
COLUMNS = 24


@dataclass(frozen=True, slots=True)
class Choice:
    """A variable that offers the values of a label; `many` lets one choose several, and all at first."""

    name: str
    label: str
    series: str
    many: bool


@dataclass(frozen=True, slots=True)
class Row:
    """A heading and the panels below it."""

    title: str
    panels: Sequence[AnyPanel]


def page(uid: str, title: str, description: str, choices: Sequence[Choice], rows: Sequence[Row], empty: str) -> str:
    """Write a dashboard as Grafana imports it; `empty` is what a panel without numbers says that has no own word.

    Raises:
        ValueError: a row's panels do not fill its lines.
    """
    made = build.Dashboard(title).uid(uid).description(description).tags([TAG]).timezone("browser")
    made.annotations([]).time("now-6h", "now").refresh("1m").tooltip(model.DashboardCursorSync.CROSSHAIR).readonly()
    made.link(
        build.DashboardLink("Fedward")
        .type(model.DashboardLinkType.DASHBOARDS)
        .tags([TAG])
        .include_vars(True)
        .keep_time(True)
    )
    made.with_variable(build.DatasourceVariable("datasource").label("Data source").type("prometheus"))
    for choice in choices:
        made.with_variable(_variable(choice))
    for row in rows:
        made.with_row(build.Row(row.title))
        for panel in row.panels:
            made.with_panel(panel)
    document = made.build()
    _number(document)
    _explain(document, empty)
    return json.dumps(document, cls=JSONEncoder, indent=1, sort_keys=True) + "\n"


def _variable(choice: Choice) -> build.QueryVariable:
    query = f"label_values({choice.series}, {choice.name})"
    made = build.QueryVariable(choice.name).label(choice.label).datasource(SOURCE)
    made.query({"query": query, "refId": choice.name}).refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
    made.sort(model.VariableSort.ALPHABETICAL_ASC)
    if choice.many:
        everything = model.VariableOption(text=["All"], value=["$__all"])
        made.multi(True).include_all(True).all_value(".*").current(everything)
    return made


def _number(document: model.Dashboard) -> None:
    """Number the panels, and see that none is beside the grid or leaves a hole in it."""
    filled: dict[int, int] = {}
    for number, panel in enumerate(document.panels or (), 1):
        panel.id_val = number
        place = panel.grid_pos
        if place is not None:
            filled[place.y] = filled.get(place.y, 0) + place.w
    uneven = {line: width for line, width in filled.items() if width != COLUMNS}
    if uneven:
        raise ValueError(f"{document.title}: each line of panels has to be {COLUMNS} wide, these are not: {uneven}")


def _explain(document: model.Dashboard, empty: str) -> None:
    """Let no panel say "No data", which explains nothing."""
    for panel in document.panels or ():
        if isinstance(panel, model.Panel) and panel.field_config and panel.field_config.defaults.no_value is None:
            panel.field_config.defaults.no_value = empty

"""A dashboard's file as Grafana reads it: its panels, where they are, and their queries."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_VARIABLE = re.compile(r"\$\{?(\w+)\}?")


@dataclass(frozen=True, slots=True)
class Target:
    """One query of a panel."""

    expression: str
    legend: str
    is_instant: bool

    def filled(self, variables: Mapping[str, str]) -> str:
        """Put values in place of the variables.

        Raises:
            KeyError: one has no value.
        """
        return _VARIABLE.sub(lambda found: variables[found[1]], self.expression)


@dataclass(frozen=True, slots=True)
class Shown:
    """One panel.

    Attributes:
        place: column, line, width and height on the grid.
        defaults: Grafana's defaults of its fields: unit, thresholds, mappings, what to say without numbers.
        overrides: properties by the name of the field that has its own.
        transformations: by their id, their options.
        options: of this kind of panel.
    """

    kind: str
    title: str
    description: str
    place: tuple[int, int, int, int]
    targets: Sequence[Target]
    defaults: Mapping[str, Any]
    overrides: Mapping[str, Mapping[str, Any]]
    transformations: Mapping[str, Mapping[str, Any]]
    options: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Dashboard:
    """One dashboard; `variables` are the queries that offer values, by the variable's name."""

    uid: str
    title: str
    variables: Mapping[str, str]
    panels: Sequence[Shown]

    def panel(self, title: str) -> Shown:
        """Find a panel, not a row, by its title.

        Raises:
            KeyError: there is none.
        """
        found = {panel.title: panel for panel in self.panels if panel.kind != "row"}
        return found[title]


def read(path: Path) -> Dashboard:
    """Read a dashboard from its file."""
    document = json.loads(path.read_text(encoding="utf-8"))
    variables = {
        each["name"]: each["query"]["query"] for each in document["templating"]["list"] if each["type"] == "query"
    }
    return Dashboard(document["uid"], document["title"], variables, [_panel(each) for each in document["panels"]])


def _panel(panel: Mapping[str, Any]) -> Shown:
    place, fields = panel["gridPos"], panel.get("fieldConfig", {"defaults": {}, "overrides": []})
    return Shown(
        kind=panel["type"],
        title=panel["title"],
        description=panel.get("description", ""),
        place=(place["x"], place["y"], place["w"], place["h"]),
        targets=[
            Target(each["expr"], each["legendFormat"], each.get("instant", False)) for each in panel.get("targets", ())
        ],
        defaults=fields["defaults"],
        overrides={
            each["matcher"]["options"]: {setting["id"]: setting["value"] for setting in each["properties"]}
            for each in fields["overrides"]
        },
        transformations={each["id"]: each["options"] for each in panel.get("transformations", ())},
        options=panel.get("options", {}),
    )

"""The few kinds of panels that the dashboards are made of; none goes without a description and a unit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    prometheus,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.models import common as options
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

AnyPanel = stat.Panel | timeseries.Panel | bargauge.Panel | table.Panel | statetimeline.Panel
_Panel = TypeVar("_Panel", stat.Panel, timeseries.Panel, bargauge.Panel, table.Panel, statetimeline.Panel)

SOURCE = model.DataSourceRef(type_val="prometheus", uid="${datasource}")
Steps = Sequence[tuple[float | None, str]]
"""From which value on which colour; the first has no value."""
Words = Mapping[int, tuple[str, str]]
"""What to show for a number, and in which colour."""

GREEN, YELLOW, RED, BLUE, GREY = "green", "#EAB839", "red", "blue", "#8E8E8E"
GOOD: Steps = ((None, GREEN),)
NEUTRAL: Steps = ((None, BLUE),)
NONE_IS_GOOD: Steps = ((None, GREEN), (1, RED))
YES_IS_GOOD: Words = {0: ("no", RED), 1: ("yes", GREEN)}


@dataclass(frozen=True, slots=True)
class Query:
    """PromQL, and how to call each series."""

    expression: str
    legend: str = "__auto"


@dataclass(frozen=True, slots=True)
class Frame:
    """What every panel has.

    Attributes:
        title: a noun.
        description: the question that it answers, or what the number means.
        unit: Grafana's word for it.
        width: of 24 columns.
        height: in rows of 30 pixels.
        empty: what an absence of numbers means where it is nothing wrong; None where it is.
        decimals: how many; None leaves it to Grafana.
    """

    title: str
    description: str
    unit: str
    width: int
    height: int = 8
    empty: str | None = None
    decimals: int | None = None


def figure(
    frame: Frame, *queries: Query, steps: Steps = NEUTRAL, words: Words | None = None, shows: str = "auto"
) -> stat.Panel:
    """Show the latest numbers; `shows` is Grafana's text mode, as `name` for a word in a label."""
    panel = _framed(stat.Panel(), frame, queries, steps, words, instant=True)
    return (
        panel.text_mode(options.BigValueTextMode(shows))
        .color_mode(options.BigValueColorMode.VALUE)
        .graph_mode(options.BigValueGraphMode.NONE)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    )


def course(frame: Frame, *queries: Query, stacked: bool = False, up_to: float | None = None) -> timeseries.Panel:
    """Show numbers over time, on an axis from 0 to at least `up_to`; it goes on below 0 where numbers do."""
    panel = _framed(timeseries.Panel(), frame, queries, NEUTRAL, None, instant=False)
    panel.color_scheme(build.FieldColor().mode(model.FieldColorModeId.PALETTE_CLASSIC)).axis_soft_min(0)
    panel.legend(common.VizLegendOptions().show_legend(True).placement(options.LegendPlacement.BOTTOM))
    panel.tooltip(common.VizTooltipOptions().mode(options.TooltipDisplayMode.MULTI).sort(options.SortOrder.DESCENDING))
    # A round can last longer than the step between two points; a line is easier to follow than dots.
    panel.line_width(2).fill_opacity(40 if stacked else 0).show_points(options.VisibilityMode.NEVER)
    if stacked:
        panel.stacking(common.StackingConfig().mode(options.StackingMode.NORMAL).group("A"))
    if up_to is not None:
        panel.axis_soft_max(up_to)
    return panel


def ranking(frame: Frame, query: Query, *, steps: Steps = NEUTRAL, at_most: float | None = None) -> bargauge.Panel:
    """Compare the latest numbers of several things as bars."""
    panel = _framed(bargauge.Panel(), frame, (query,), steps, None, instant=True).min(0)
    panel.display_mode(options.BarGaugeDisplayMode.BASIC).orientation(options.VizOrientation.HORIZONTAL)
    panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    return panel if at_most is None else panel.max(at_most)


def timeline(frame: Frame, query: Query, words: Words) -> statetimeline.Panel:
    """Show what each of several things was doing, over time."""
    panel = _framed(statetimeline.Panel(), frame, (query,), NEUTRAL, words, instant=False)
    return panel.show_value(options.VisibilityMode.NEVER).merge_values(True).fill_opacity(80).per_page(20)


@dataclass(frozen=True, slots=True)
class Column:
    """A number for each row of a table.

    Attributes:
        name: its heading.
        expression: PromQL that keeps the labels that name a row.
        unit: Grafana's word for it.
        words: what to show for a number instead.
        takes: another label that becomes a column of this name instead of the number.
    """

    name: str
    expression: str
    unit: str = "none"
    words: Words | None = None
    takes: str | None = None
    decimals: int | None = None


def listing(frame: Frame, rows: Mapping[str, str], *columns: Column, link: str | None = None) -> table.Panel:
    """Show a table; `rows` gives the heading of each label that names a row, `link` where the last of them leads."""
    queries = [Query(column.expression) for column in columns]
    panel = _framed(table.Panel(), frame, queries, NEUTRAL, None, instant=True, as_table=True)
    panel.show_header(True).with_transformation(model.DataTransformerConfig(id_val="merge", options={}))
    names, hidden = dict(rows), {"Time": True}
    for number, column in enumerate(columns):
        value = "Value" if len(columns) == 1 else f"Value #{_letter(number)}"
        if column.takes is None:
            names[value] = column.name
        else:
            hidden[value] = True
            names[column.takes] = column.name
        panel.override_by_name(column.name, _column(column))
    order = {name: place for place, name in enumerate(names)}
    organised = {"renameByName": names, "excludeByName": hidden, "indexByName": order}
    panel.with_transformation(model.DataTransformerConfig(id_val="organize", options=organised))
    if link is not None:
        target = [{"title": "Open", "url": link}]
        panel.override_by_name(list(rows.values())[-1], [model.DynamicConfigValue(id_val="links", value=target)])
    return panel


def matrix(frame: Frame, query: Query, row: str, column: str) -> table.Panel:
    """Show one number for each pair of two labels' values, with a colour from red to green."""
    panel = _framed(table.Panel(), frame, (query,), NEUTRAL, None, instant=True, as_table=True)
    paired = {"rowField": row, "columnField": column, "valueField": "Value", "emptyValue": "null"}
    return panel.with_transformation(model.DataTransformerConfig(id_val="groupingToMatrix", options=paired))


def _framed(
    panel: _Panel,
    frame: Frame,
    queries: Sequence[Query],
    steps: Steps,
    words: Words | None,
    *,
    instant: bool,
    as_table: bool = False,
) -> _Panel:
    panel.title(frame.title).description(frame.description).unit(frame.unit).datasource(SOURCE)
    panel.span(frame.width).height(frame.height)
    levels = [model.Threshold(value=value, color=colour) for value, colour in steps]
    panel.thresholds(build.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(levels))
    panel.color_scheme(build.FieldColor().mode(model.FieldColorModeId.THRESHOLDS))
    if words is not None:
        panel.mappings([_mapping(words)])
    if frame.empty is not None:
        panel.no_value(frame.empty)
    if frame.decimals is not None:
        panel.decimals(frame.decimals)
    for number, query in enumerate(queries):
        target = prometheus.Dataquery().expr(query.expression).legend_format(query.legend).ref_id(_letter(number))
        target = target.instant() if instant else target.range()
        panel.with_target(target.format(PromQueryFormat.TABLE if as_table else PromQueryFormat.TIME_SERIES))
    return panel


def _mapping(words: Words) -> model.ValueMap:
    shown = {str(value): model.ValueMappingResult(text=text, color=colour) for value, (text, colour) in words.items()}
    return model.ValueMap(options=shown)


def _column(column: Column) -> list[model.DynamicConfigValue]:
    properties: dict[str, Any] = {"unit": column.unit}
    if column.words is not None:
        properties["mappings"] = [_mapping(column.words).to_json()]
        properties["custom.cellOptions"] = {"type": "color-text"}
    if column.decimals is not None:
        properties["decimals"] = column.decimals
    return [model.DynamicConfigValue(id_val=name, value=value) for name, value in properties.items()]


def _letter(number: int) -> str:
    return chr(ord("A") + number)

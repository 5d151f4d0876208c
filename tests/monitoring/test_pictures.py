"""The documentation's pictures write numbers as Grafana does, and make the tables that its transformations make."""

from __future__ import annotations

from typing import Any

import pytest
from matplotlib.figure import Figure
from monitoring.client import Series
from monitoring.dashboards.page import Row, page
from monitoring.panels import NONE_IS_GOOD, YES_IS_GOOD, Column, Frame, Query, course, figure, listing, matrix
from monitoring.pictures.kinds import draw, in_lines
from monitoring.pictures.tables import tabulate
from monitoring.pictures.wording import colour, words
from monitoring.reading import Shown, read


@pytest.mark.parametrize(
    ("value", "fields", "written"),
    [
        (3.0, {}, "3"),
        (0.8371, {"unit": "none", "decimals": 3}, "0.837"),
        (0.0042, {"unit": "s"}, "4.2 ms"),
        (0.0, {"unit": "s"}, "0 s"),
        (90.0, {"unit": "s"}, "1.5 min"),
        (3600.0, {"unit": "s"}, "1 hour"),
        (86400.0, {"unit": "s"}, "1 day"),
        (25 * 86400.0, {"unit": "s"}, "25 days"),
        (364.9 * 86400.0, {"unit": "s"}, "365 days"),
        (365.1 * 86400.0, {"unit": "s"}, "1 year"),
        (3000 * 86400.0, {"unit": "s"}, "8.22 years"),
        (0.123, {"unit": "percentunit"}, "12%"),
        (1536.0, {"unit": "bytes"}, "1.5 KiB"),
        (1500.0, {"unit": "Bps"}, "1.5 kB/s"),
        (2.0, {"unit": "cps"}, "2/s"),
        (float("nan"), {}, "NaN"),
    ],
)
def test_a_number_is_written_in_its_unit(value: float, fields: dict[str, Any], written: str) -> None:
    assert words(value, fields) == written


def drawn(tmp_path, *panels) -> list[Shown]:
    path = tmp_path / "page.json"
    path.write_text(page("uid", "Title", "What for?", (), [Row("Row", panels)], empty="nothing"))
    return [panel for panel in read(path).panels if panel.kind != "row"]


def series(value: float, **labels: str) -> Series:
    return Series(labels, [(0.0, value)])


def test_colours_and_words_are_those_of_the_panel(tmp_path) -> None:
    counted, asked = drawn(
        tmp_path,
        figure(Frame("Count", "How many.", "none", 12), Query("x"), steps=NONE_IS_GOOD),
        figure(Frame("Asked", "Whether.", "none", 12), Query("x"), words=YES_IS_GOOD),
    )
    assert colour(0, counted.defaults) != colour(1, counted.defaults)
    assert [words(each, asked.defaults) for each in (0.0, 1.0)] == ["no", "yes"]


def test_the_answers_of_several_queries_become_one_row_for_each_site(tmp_path) -> None:
    (panel,) = drawn(
        tmp_path,
        listing(
            Frame("Sites", "Each.", "none", 24),
            {"site": "Site"},
            Column("State", "a", takes="state"),
            Column("Attends", "b", words=YES_IS_GOOD),
            Column("Received", "c", "bytes"),
        ),
    )
    answers = [
        [series(1, site="south", state="Lost"), series(1, site="north", state="Training")],
        [series(1, site="north"), series(0, site="south")],
        [series(2048, site="north")],
    ]
    table = tabulate(panel, answers)
    assert table.headings == ["Site", "State", "Attends", "Received"]
    assert [[text for text, _ in row] for row in table.rows] == [
        ["north", "Training", "yes", "2 KiB"],
        ["south", "Lost", "no", ""],
    ]


def test_two_labels_span_a_matrix(tmp_path) -> None:
    (panel,) = drawn(tmp_path, matrix(Frame("Dice", "Each.", "none", 24, decimals=1), Query("x"), "site", "metric"))
    answer = [series(0.5, site="north", metric="dice"), series(0.7, site="south", metric="dice_et")]
    table = tabulate(panel, [answer])
    assert table.headings == ["site\\metric", "dice", "dice_et"]
    assert [[text for text, _ in row] for row in table.rows] == [["north", "0.5", ""], ["south", "", "0.7"]]


def test_a_legend_goes_on_in_another_line_and_loses_nothing() -> None:
    keys = [(f"research/brain-tumour dice_{number}", "red") for number in range(5)]
    lines = in_lines(keys, 460)
    assert [key for line in lines for _, key in line] == keys
    assert [len(line) for line in lines] == [2, 2, 1]
    assert all(x < 460 for line in lines for x, _ in line)


def test_a_name_that_is_longer_than_its_line_has_one_of_its_own() -> None:
    keys = [("a", "red"), ("b" * 200, "blue"), ("c", "green")]
    assert [len(line) for line in in_lines(keys, 300)] == [1, 1, 1]


@pytest.mark.parametrize(
    ("values", "bottom", "top"),
    [
        pytest.param([0.2, 0.7], 0, 1, id="within what it shows at least"),
        pytest.param([float("nan"), 0.7], 0, 1, id="with a moment of which nothing is known"),
        pytest.param([-0.5, 0.7], -0.56, 1, id="below"),
        pytest.param([0.0, 20.0], 0, 21, id="above"),
    ],
)
def test_an_axis_shows_all_values_and_what_it_has_to_show_at_least(tmp_path, values, bottom, top) -> None:
    (panel,) = drawn(tmp_path, course(Frame("Score", "Each.", "none", 24), Query("x"), up_to=1))
    axes = Figure().add_axes((0, 0, 1, 1))
    draw(axes, panel, [(panel.targets[0], [Series({}, list(enumerate(values)))])], 400, 200)
    assert axes.child_axes[0].get_ylim() == pytest.approx((bottom, top))

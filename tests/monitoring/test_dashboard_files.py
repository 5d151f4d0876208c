"""The charts' dashboards and rules are what the code makes, and each panel explains itself and stays within bounds."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from monitoring import files
from monitoring.dashboards.page import Row, page
from monitoring.panels import Frame, Query, figure
from monitoring.reading import Dashboard, read

PATHS = [files.ROOT / path for path in files.files() if path.endswith(".json")]
UIDS = {"federation": "fedward-federation", "job": "fedward-job", "site": "fedward-site"}
"""Links and bookmarks name them; they must stay."""


@pytest.fixture(params=PATHS, ids=lambda path: path.stem)
def dashboard(request: pytest.FixtureRequest) -> Dashboard:
    return read(request.param)


def test_the_files_in_the_charts_are_what_the_code_makes(tmp_path: Path) -> None:
    files.write(tmp_path)
    stale = [path for path, text in files.files().items() if (files.ROOT / path).read_text() != text]
    assert stale == [], "run `make dashboards` and commit"
    made = {path.relative_to(tmp_path) for path in tmp_path.rglob("*.*")}
    there = {
        path.relative_to(files.ROOT)
        for chart in ("fedward-hub", "fedward-site")
        for folder in ("dashboards", "rules")
        for path in (files.ROOT / "charts" / chart / folder).iterdir()
    }
    assert there == made


def test_the_uids_are_stable() -> None:
    assert {path.stem: read(path).uid for path in PATHS} == UIDS


def test_every_panel_says_what_it_shows_and_in_which_unit(dashboard: Dashboard) -> None:
    for panel in dashboard.panels:
        if panel.kind != "row":
            assert panel.description.endswith("."), panel.title
            assert panel.defaults["unit"], panel.title
            assert panel.defaults["noValue"], panel.title
            assert panel.targets, panel.title


def test_no_two_panels_have_one_title(dashboard: Dashboard) -> None:
    titles = [panel.title for panel in dashboard.panels if panel.kind != "row"]
    assert sorted(set(titles)) == sorted(titles)


def test_no_panel_lies_over_another(dashboard: Dashboard) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboard.panels:
        x, y, width, height = panel.place
        cells = {(x + column, y + line) for column in range(width) for line in range(height)}
        assert not cells & taken, panel.title
        taken |= cells


def test_every_variable_in_a_query_is_one_that_the_dashboard_has(dashboard: Dashboard) -> None:
    known = {*dashboard.variables, "__rate_interval"}
    for panel in dashboard.panels:
        for target in panel.targets:
            assert set(re.findall(r"\$\{?(\w+)", target.expression)) <= known, panel.title


def test_what_a_table_leads_to_is_there() -> None:
    targets = {uid for path in PATHS for uid in re.findall(r'"/d/([\w-]+)', path.read_text())}
    assert targets == {UIDS["job"]}
    (link,) = {url for path in PATHS for url in re.findall(r'"url": "(/d/[^"]+)"', path.read_text())}
    names = set(re.findall(r"var-(\w+)=", link)) - {"datasource"}
    job = json.loads(next(path for path in PATHS if path.stem == "job").read_text())
    assert names <= {variable["name"] for variable in job["templating"]["list"]}


def test_a_line_of_panels_with_a_hole_is_refused() -> None:
    alone = figure(Frame("One", "Alone.", "none", 6), Query("vector(1)"))
    with pytest.raises(ValueError, match="each line of panels has to be 24 wide"):
        page("uid", "Holes", "None.", (), [Row("First", [alone])], empty="nothing")

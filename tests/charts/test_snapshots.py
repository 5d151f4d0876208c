"""What the charts render is what was looked at last; `pytest tests/charts --update-snapshots` accepts a change."""

from __future__ import annotations

import difflib

import pytest
from tests.charts.helm import CHARTS, VALUES, cases, render, run
from tests.charts.snapshots import FOLDER, changes, in_full

pytestmark = pytest.mark.charts


@pytest.mark.parametrize("part", CHARTS)
def test_a_chart_passes_helms_own_strict_check(part: str) -> None:
    for case in cases(part):
        run("lint", "--strict", "--quiet", CHARTS[part], "--values", VALUES / part / f"{case}.yaml")


@pytest.mark.parametrize(("part", "case"), [(part, case) for part in CHARTS for case in cases(part)])
def test_what_is_rendered_is_what_was_looked_at(part: str, case: str, request: pytest.FixtureRequest) -> None:
    manifests = render(part, case)
    whole = case == "defaults"
    rendered = in_full(manifests) if whole else changes(render(part), manifests)
    kept = FOLDER / part / f"{case}.{'yaml' if whole else 'diff'}"

    if request.config.getoption("--update-snapshots", default=False):
        kept.parent.mkdir(exist_ok=True)
        kept.write_text(rendered)

    before = kept.read_text() if kept.exists() else ""
    difference = difflib.unified_diff(before.splitlines(), rendered.splitlines(), "kept", "rendered", lineterm="")
    if rendered != before:
        pytest.fail("\n".join(["the chart renders something else than was looked at", *difference]), pytrace=False)


@pytest.mark.parametrize("part", CHARTS)
def test_no_snapshot_is_left_of_a_case_that_is_gone(part: str) -> None:
    assert sorted(path.stem for path in (FOLDER / part).iterdir()) == cases(part)

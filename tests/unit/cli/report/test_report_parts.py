from __future__ import annotations

import re
from itertools import pairwise

import pytest
import runs
from hypothesis import given
from hypothesis import strategies as st

from fedward_cli.report.comparison import compare
from fedward_cli.report.outlines import outline
from fedward_cli.report.plot import plot
from fedward_cli.report.scores import scores
from fedward_cli.report.series import Curves, curves
from fedward_cli.report.timings import timings
from fedward_cli.report.words import count, duration, epsilon, listed, ranges, size
from fedward_cli.results import Seconds

masks = st.integers(1, 7).flatmap(
    lambda width: st.lists(st.lists(st.booleans(), min_size=width, max_size=width), min_size=1, max_size=7)
)


@given(masks)
def test_an_outline_encloses_exactly_its_pixels(mask: list[list[bool]]) -> None:
    path = outline(mask)
    loops = [[tuple(map(int, point.split())) for point in loop.split("L")] for loop in re.findall(r"M([^z]*)z", path)]
    area = sum(
        x1 * y2 - x2 * y1 for loop in loops for (x1, y1), (x2, y2) in zip(loop, [*loop[1:], loop[0]], strict=True)
    )
    assert area / 2 == sum(map(sum, mask))
    for y, row in enumerate(mask):
        for x, inside in enumerate(row):
            crossings = sum(
                (y1 > y + 0.5) != (y2 > y + 0.5) and x1 < x + 0.5
                for loop in loops
                for (x1, y1), (_, y2) in zip(loop, [*loop[1:], loop[0]], strict=True)
            )
            assert (crossings % 2 == 1) == inside


points = st.dictionaries(st.integers(0, 30), st.floats(-2, 500), min_size=1, max_size=30)


@given(st.dictionaries(st.text(min_size=1, max_size=8), points, min_size=1, max_size=12))
def test_a_plot_keeps_to_its_frame_and_its_labels_apart(sites: dict[str, dict[int, float]]) -> None:
    drawn = {site: tuple(sorted(found.items())) for site, found in sites.items()}
    mean = max(drawn.values(), key=lambda found: found[-1][0])
    result = plot("title", Curves(drawn, mean), {site: n for n, site in enumerate(drawn)}, 5, None)
    assert result is not None
    for line in result.lines:
        assert all(-1 <= float(number) <= 1001 for number in re.findall(r"-?\d+", line.path))
    tops = [label.top for label in result.labels]
    assert all(later - earlier >= 7.9 for earlier, later in pairwise(tops))
    assert max(tops) <= 100


def test_a_stage_that_took_a_little_time_does_not_read_as_none_at_all() -> None:
    first, *_ = runs.records(("north",), rounds=1)
    found = timings(runs.result(("north",)), [first.model_copy(update={"seconds": Seconds(train=999, submit=1)})])
    assert found is not None
    assert {stage: share for stage, _, share in found.shares} == {
        "training": "100%",
        "evaluating": "0%",
        "transfer": "<1%",
        "privacy filters": "0%",
        "waiting": "0%",
    }


def test_curves_keep_the_latest_measurement_of_a_model() -> None:
    first, *_ = runs.records(("north",), rounds=1)
    again = first.model_copy(update={"attempt": 2, "metrics": runs.metrics(0.9)})
    assert curves([first, again], "dice").sites["north"] == ((0, pytest.approx(0.9)),)


def test_the_mean_counts_every_hospital_the_same() -> None:
    one, other = (record for record in runs.records(("big", "small"), rounds=1)[:2])
    lines = [
        one.model_copy(update={"metrics": runs.metrics(0.8, cases=100)}),
        other.model_copy(update={"metrics": runs.metrics(0.4, cases=2)}),
    ]
    assert curves(lines, "dice").mean == ((0, pytest.approx(0.6)),)


def test_arms_are_compared_on_the_hospitals_that_all_of_them_have() -> None:
    base = runs.baselines()
    missing = base.model_copy(update={"local": {site: run for site, run in base.local.items() if site != "north"}})
    comparison = compare(runs.result(), missing, "dice")
    assert comparison is not None
    expected = sum(runs.skill(index, 6, 4) for index in (1, 2, 3)) / 3
    assert comparison.mean.federated == pytest.approx(expected)
    assert (comparison.mean.local, comparison.mean.central) == (pytest.approx(0.5), pytest.approx(0.75))


def test_the_worst_hospital_is_the_lowest_in_dice_and_the_highest_in_distance() -> None:
    table = scores(runs.result())
    assert table is not None
    worst = dict(zip((measure.name for measure in table.measures), table.worst, strict=True))
    assert (worst["dice"][1], worst["hd95"][1]) == ("west", "west")
    assert float(worst["hd95"][0]) > float(table.mean[-1])
    assert [row.name for row in table.rows if row.cells[0].is_worst] == ["west"]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (size(0), "0 bytes"),
        (size(999_600), "1 MB"),
        (size(3_371_234), "3.37 MB"),
        (size(2.5e13), "25 TB"),
        (duration(0.04), "0.0 s"),
        (duration(59.6), "1 min"),
        (duration(200), "3 min 20 s"),
        (duration(7500), "2 h 5 min"),
        (duration(90_000), "1 d 1 h"),
        (epsilon(1.93), "1.9"),
        (epsilon(120_345), "120,000"),
        (epsilon(6.2e7), "6 × 10⁷"),
        (listed([]), ""),
        (listed(["a"]), "a"),
        (listed(["a", "b", "c"]), "a, b and c"),
        (listed(list("abcdefghij"), 3), "a, b and 8 more"),
        (ranges([5, 3, 4, 9, 1]), "1, 3–5, 9"),
        (count(1, "round"), "1 round"),
        (count(1200, "case"), "1,200 cases"),
    ],
)
def test_numbers_read_as_people_write_them(written: str, expected: str) -> None:
    assert written == expected

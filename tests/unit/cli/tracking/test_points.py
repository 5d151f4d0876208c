"""Which points a round gives, for a site and for the federation."""

from __future__ import annotations

import pytest
from tests.unit.cli.tracking.records import closed, evaluation, part

from fedward_cli.results import Mean, RoundRecord
from fedward_cli.tracking.points import Point, points_of


def of(points: list[Point]) -> dict[tuple[str, int], float]:
    found = {(point.key, point.step): point.value for point in points}
    assert len(found) == len(points), "two points of one name and step"
    return found


def test_a_metric_stands_at_the_model_that_it_is_of_and_training_at_its_round():
    found = of(points_of([part(4, "north", 0.5)], closed(4), "dice"))
    assert (found["north/dice", 3], found["dice", 3]) == (0.5, 0.5)
    assert (found["north/train_loss", 4], found["north/train_seconds", 4]) == (0.4, 5)
    assert ("north/dice", 4) not in found


def test_the_federation_has_the_mean_over_sites_and_over_cases_and_a_loss_by_samples():
    found = of(points_of([part(1, "south", 0.9), part(1, "north", 0.5)], closed(1), "dice"))
    assert found["dice", 0] == pytest.approx(0.7)
    assert found["dice_over_cases", 0] == pytest.approx((0.5 + 3 * 0.9) / 4)
    assert found["train_loss", 1] == pytest.approx((30 * 0.4 + 10 * 0.8) / 40)
    assert (found["bytes_up", 1], found["sites", 1], found["missing_sites", 1]) == (2000, 2, 0)
    assert (found["round_seconds", 1], found["wait_seconds", 1], found["aggregate_seconds", 1]) == (5, 2, 0.25)


def test_times_are_the_hubs():
    points = points_of([part(2, "north")], closed(2), "dice")
    assert {point.at for point in points if point.site} == {203}
    assert {point.at for point in points if not point.site} == {205}


def test_epsilon_is_there_only_where_a_private_mechanism_ran():
    found = of(points_of([part(2, "north"), part(2, "south")], closed(2), "dice"))
    assert (found["north/epsilon", 2], found["north/spent_epsilon", 2]) == (0.5, 1.0)
    assert not any("south" in key and "epsilon" in key for key, _ in found)


def test_the_last_models_evaluation_trains_nothing():
    found = of(points_of([evaluation(3, "north", 0.8), evaluation(3, "south", 0.6)], None, "dice"))
    assert found == {
        ("north/dice", 3): 0.8,
        ("south/dice", 3): 0.6,
        ("dice", 3): pytest.approx(0.7),
        ("dice_over_cases", 3): pytest.approx(0.7),
    }


def test_a_metric_without_a_case_gives_no_point_and_none_takes_a_name_of_ours():
    metrics = {"dice": Mean(sum=0, count=0), "train_loss": Mean(sum=9, count=1)}
    assert points_of([RoundRecord(round=1, site="north", metrics=metrics, evaluated_round=1)], None, "dice") == []

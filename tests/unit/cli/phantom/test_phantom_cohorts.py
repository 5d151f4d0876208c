from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedward_cli.phantom.cohorts import Grades, demo, table

PAPER = [77, 32, 30, 20, 18, 13, 11, 11, 9, 7, 6, 5, 3]


def test_the_table_is_the_papers() -> None:
    sites = table().sites
    assert [site.training.total for site in sites] == PAPER
    assert sum(PAPER) == 242
    assert (sum(site.training.high for site in sites), sum(site.training.low for site in sites)) == (179, 63)
    assert sum(site.held_out.total for site in sites) == 43
    assert all(site.held_out.total for site in sites)


def test_the_tables_sites_differ_in_their_mix_of_grades() -> None:
    shares = {round(site.training.high / site.training.total, 1) for site in table().sites}
    assert len(shares) >= 5


def test_the_demo_has_four_sites_that_shrink_and_see_ever_fewer_high_grades() -> None:
    sites = demo().sites
    assert [site.name for site in sites] == ["north", "south", "east", "west"]
    assert [site.training.total for site in sites] == [20, 10, 6, 4]
    assert [site.held_out.total for site in sites] == [6, 6, 6, 6]
    for site, share in zip(sites, (0.9, 0.75, 0.5, 0.3), strict=True):
        assert abs(site.training.high - share * site.training.total) <= 0.5


@pytest.mark.parametrize("cohort", [demo(), table()])
def test_no_two_patients_of_a_federation_share_a_number(cohort) -> None:
    numbers = [patient.number for patient in cohort.patients()]
    assert len(set(numbers)) == len(numbers)


@given(st.integers(0, 80), st.integers(0, 80))
def test_grades_add_up_to_their_counts(high: int, low: int) -> None:
    grades = [Grades(high, low).grade(index) for index in range(high + low)]
    assert (grades.count("high"), grades.count("low")) == (high, low)


def test_fewer_sites_are_the_same_ones() -> None:
    assert demo(2).sites == demo().sites[:2]


@pytest.mark.parametrize("count", [0, 5])
def test_a_demo_of_another_size_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match="1 to 4 sites"):
        demo(count)

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fedward_node.trainer.data.case import CaseFiles
from fedward_node.trainer.data.split import split

patients = st.lists(st.integers(0, 999), unique=True, max_size=40)
fractions = st.floats(0.01, 0.99)
seeds = st.integers(0, 2**31 - 1)


def _cases(patients: list[int], sessions: int = 1) -> list[CaseFiles]:
    names = sorted((f"P{number:03}", session) for number in patients for session in range(sessions))
    return [CaseFiles(f"{patient}-{session}", patient, {}, None) for patient, session in names]


@given(patients, fractions, seeds)
def test_every_case_is_on_one_side_and_no_patient_on_both(numbers: list[int], fraction: float, seed: int) -> None:
    cases = _cases(numbers, sessions=2)
    training, validation = split(cases, fraction, seed)
    assert sorted(case.name for case in training + validation) == [case.name for case in cases]
    assert not {case.patient for case in training} & {case.patient for case in validation}


@given(patients.filter(lambda numbers: len(numbers) > 1), fractions, seeds)
def test_two_patients_or_more_leave_somebody_on_both_sides(numbers: list[int], fraction: float, seed: int) -> None:
    training, validation = split(_cases(numbers), fraction, seed)
    assert training
    assert validation
    assert abs(len(validation) - fraction * len(numbers)) <= 1


@given(patients.filter(bool), fractions, seeds)
def test_the_split_depends_on_names_and_seed_alone(numbers: list[int], fraction: float, seed: int) -> None:
    cases = _cases(numbers)
    straight, backwards = split(cases, fraction, seed), split(cases[::-1], fraction, seed)
    for one, other in zip(straight, backwards, strict=True):
        assert [case.name for case in one] == [case.name for case in reversed(other)]


@given(patients.filter(lambda numbers: 2 <= len(numbers) < 40), fractions, seeds)
def test_a_new_patient_moves_at_most_one_other_across(numbers: list[int], fraction: float, seed: int) -> None:
    before = {case.patient for case in split(_cases(numbers), fraction, seed)[1]}
    after = {case.patient for case in split(_cases([*numbers, 1000]), fraction, seed)[1]}
    assert len((before ^ after) - {"P1000"}) <= 1


def test_one_patient_is_trained_on_and_none_is_nothing() -> None:
    assert [len(half) for half in split(_cases([1]), 0.2, 0)] == [1, 0]
    assert split([], 0.2, 0) == ([], [])

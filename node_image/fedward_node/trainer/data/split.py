"""Who is held out for validation: decided by patient and seed alone, so the same on every run and machine."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from fedward_node.trainer.data.case import CaseFiles


def split(cases: Sequence[CaseFiles], validation_fraction: float, seed: int) -> tuple[list[CaseFiles], list[CaseFiles]]:
    """Divide cases into training and validation, all cases of a patient on one side.

    Patients are ranked by a hash, and the first `validation_fraction` of them are held out: at least one where there
    are two patients or more, and never all. A new patient moves at most one other across.

    Returns:
        Training cases and validation cases, each in the given order.
    """
    patients = sorted({case.patient for case in cases}, key=lambda patient: _rank(patient, seed))
    count = min(max(1, round(validation_fraction * len(patients))), len(patients) - 1) if patients else 0
    held_out = frozenset(patients[:count])
    training = [case for case in cases if case.patient not in held_out]
    validation = [case for case in cases if case.patient in held_out]
    return training, validation


def _rank(patient: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}:{patient}".encode()).digest()

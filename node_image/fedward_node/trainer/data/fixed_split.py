"""Who is held out where the hospital itself has decided: `split.json` in the dataset's folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fedward_node.trainer.data.case import CaseFiles
from fedward_protocol.reasons import Reason, RefusedError

SPLIT = "split.json"

_Names = Annotated[frozenset[str], Field(max_length=1_000_000)]


class FixedSplit(BaseModel):
    """`split.json`: {"training": [case names], "validation": [case names]}; a case in neither list is not used."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    training: _Names
    validation: _Names

    def divide(self, cases: Sequence[CaseFiles]) -> tuple[list[CaseFiles], list[CaseFiles]]:
        """Return training cases and validation cases, each in the given order.

        Raises:
            RefusedError: MALFORMED where a listed case does not exist, or a patient is on both sides. Case names stand
                in no message, because they may be patients'.
        """
        absent = (self.training | self.validation) - {case.name for case in cases}
        if absent:
            raise RefusedError(Reason.MALFORMED, f"{SPLIT} lists {len(absent)} cases that are not in the folder")
        training = [case for case in cases if case.name in self.training]
        validation = [case for case in cases if case.name in self.validation]
        both = {case.patient for case in training} & {case.patient for case in validation}
        if both:
            raise RefusedError(Reason.MALFORMED, f"{SPLIT} puts {len(both)} patients in both training and validation")
        return training, validation


def read_fixed_split(root: Path) -> FixedSplit | None:
    """Read the dataset's `split.json`; None where there is none, and the plan's validationFraction decides.

    Raises:
        RefusedError: MALFORMED where it is there but cannot be used: guessing another split would leak held-out cases.
    """
    try:
        text = (root / SPLIT).read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RefusedError(Reason.MALFORMED, f"{SPLIT} cannot be read ({type(error).__name__})") from error
    try:
        return FixedSplit.model_validate_json(text)
    except ValidationError as error:
        raise RefusedError(
            Reason.MALFORMED, f'{SPLIT} must hold {{"training": [case names], "validation": [case names]}} and no more'
        ) from error

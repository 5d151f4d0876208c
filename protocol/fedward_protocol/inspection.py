"""What an inspection of a dataset reports: counts and words of closed lists, and nothing that could name a patient."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from fedward_protocol.reasons import Reason

LONGEST_REPORT = 4096
"""Bytes; what Kubernetes keeps of a container's last words."""

Count = Annotated[int, Field(ge=0, le=10_000_000)]


class Problem(StrEnum):
    """Why a case cannot be trained on; where training refuses a case for the same thing, it is the same word."""

    LABEL_MISSING = "LabelMissing"
    LABEL_CONVENTION = Reason.LABEL_CONVENTION.value
    MODALITY_MISSING = Reason.MODALITY_MISSING.value
    AFFINE_MISMATCH = Reason.AFFINE_MISMATCH.value
    CASE_UNREADABLE = Reason.CASE_UNREADABLE.value
    FOLDER_UNREADABLE = "FolderUnreadable"
    """Of a folder, not a case: how many cases it holds nobody can tell."""


class Obstacle(StrEnum):
    """Why a dataset could not be inspected at all."""

    DATASET_EMPTY = Reason.DATASET_EMPTY.value
    DATASET_FORMAT_UNKNOWN = Reason.DATASET_FORMAT_UNKNOWN.value
    DATASET_UNREADABLE = "DatasetUnreadable"


class Inspection(BaseModel):
    """The report.

    Attributes:
        cases: found in the folder.
        labelled: those that have a label map which can be read.
        complete: those that nothing is wrong with.
        problems: in how many cases there is this one; a case may have several.
        obstacle: why nothing was counted.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    cases: Count = 0
    labelled: Count = 0
    complete: Count = 0
    problems: Annotated[dict[Problem, Count], Field(max_length=len(Problem))] = {}
    obstacle: Obstacle | None = None

    def write(self) -> str:
        """Write it as JSON of at most `LONGEST_REPORT` bytes."""
        return self.model_dump_json(exclude_none=True)

    @classmethod
    def read(cls, text: str) -> Inspection | None:
        """Read a report; None where the text is anything else."""
        try:
            return cls.model_validate_json(text)
        except ValueError:
            return None

    def summary(self) -> str:
        """Say it to people, in one line."""
        if self.obstacle is not None:
            return f"cannot be inspected: {self.obstacle}"
        said = f"{self.cases} cases, {self.labelled} labelled, {self.complete} complete"
        found = ", ".join(f"{problem} {count}" for problem, count in sorted(self.problems.items()))
        return f"{said}; {found}" if found else said

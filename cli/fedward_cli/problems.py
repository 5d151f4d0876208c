"""What is wrong with the files that a user wrote: where, which field, what to do; all of it at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fedward_operator.hub.findings import FieldPath, show_path

if TYPE_CHECKING:
    from pydantic import ValidationError


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong; `where` is `file:line`, or the option it came from."""

    where: str
    path: FieldPath
    message: str

    def __str__(self) -> str:
        field = f" {show_path(self.path)}:" if self.path else ""
        return f"{self.where}:{field} {self.message}"


class InputError(Exception):
    """The user's input cannot be used.

    Attributes:
        problems: everything that is wrong, in the order of the file.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


def damaged(where: str, error: ValidationError) -> InputError:
    """Say of a file that no user writes that it is not what Fedward writes; its first fault says enough."""
    first = error.errors()[0]
    advice = "the file is damaged, or no run's; restore it, or name another folder"
    return InputError([Problem(where, first["loc"], f"{first['msg']}: {advice}")])

"""Something that keeps a job from going on: a reason for programs and a sentence for people."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """A reason in CamelCase, and what exactly."""

    reason: str
    message: str

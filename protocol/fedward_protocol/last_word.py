"""What a process leaves where Kubernetes looks for it: the last word of a container stands in its pod's status."""

from __future__ import annotations

from pathlib import Path

TERMINATION_LOG = Path("/dev/termination-log")
"""Kubernetes puts this file into each container, and what is in it at the end into the pod's status."""

_LONGEST_WORD = 4096
"""Characters; Kubernetes cuts off the rest."""


def leave_word(text: str, file: Path = TERMINATION_LOG) -> None:
    """Tell Kubernetes why a process ends, where this is a container."""
    if file.exists():
        file.write_text(text[:_LONGEST_WORD])

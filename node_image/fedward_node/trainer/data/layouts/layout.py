"""What a layout says: its name, its label convention, and the cases that it finds in a folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fedward_node.trainer.data.case import CaseFiles
from fedward_node.trainer.data.labels import Convention


@dataclass(frozen=True, slots=True)
class Layout:
    """One release's way to lay out and label its cases.

    Attributes:
        name: as in plan.data.format.
        convention: what its label values mean.
        find: the cases under a folder, sorted by name; empty where the folder is not laid out this way.
    """

    name: str
    convention: Convention
    find: Callable[[Path], list[CaseFiles]]

"""What `fedward audit verify` says: whether each log in a folder is whole, and its head to note elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fedward_cli.problems import InputError, Problem

if TYPE_CHECKING:
    from fedward_node.gateway.audit import Verdict


@dataclass(frozen=True, slots=True)
class Line:
    """What was found in one log."""

    log: Path
    verdict: Verdict

    @property
    def is_intact(self) -> bool:
        """Whether it is whole, and ends where it should."""
        return self.verdict.is_intact

    @property
    def text(self) -> str:
        """Say it to people."""
        found = self.verdict
        if found.broken is None:
            return f"{self.log}: whole, {found.records} records from {found.first} to {found.last}, head {found.head}"
        return f"{self.log}: NOT whole after {found.records} records: {found.broken}"

    def document(self) -> dict[str, Any]:
        """Give it to programs."""
        found = self.verdict
        return {
            "log": str(self.log),
            "intact": found.is_intact,
            "records": found.records,
            "first": found.first.isoformat() if found.first else None,
            "last": found.last.isoformat() if found.last else None,
            "head": found.head,
            "broken": found.broken,
        }


def verify_folder(folder: Path, head: str | None) -> Iterator[Line]:
    """Check a site's audit log, or every site's of a run's --out folder.

    Raises:
        InputError: no log is there, or a head is given for more than one.
    """
    from fedward_node.gateway.audit import verify

    logs = logs_in(folder)
    if not logs:
        raise InputError([Problem(str(folder), (), "holds no audit log")])
    if head is not None and len(logs) > 1:
        raise InputError([Problem(str(folder), (), "holds several logs; give --head with the folder of one")])
    for log in logs:
        yield Line(log, verify(log, head))


def logs_in(folder: Path) -> list[Path]:
    """Find the folders of logs: this one, or those of the sites in a run's folder or in its `audit/`."""
    if (folder / "audit").is_dir():
        return logs_in(folder / "audit")
    if any(folder.glob("*.jsonl")):
        return [folder]
    return sorted({path.parent for path in folder.glob("*/*.jsonl")})

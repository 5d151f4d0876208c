"""What `fedward audit verify` says: whether each log in a folder is whole, and its head to note elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fedward_cli.problems import InputError, Problem


@dataclass(frozen=True, slots=True)
class Line:
    """What was found in one log."""

    text: str
    is_intact: bool


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
        verdict = verify(log, head)
        if verdict.broken is None:
            text = (
                f"{log}: whole, {verdict.records} records from {verdict.first} to {verdict.last}, head {verdict.head}"
            )
        else:
            text = f"{log}: NOT whole after {verdict.records} records: {verdict.broken}"
        yield Line(text, verdict.is_intact)


def logs_in(folder: Path) -> list[Path]:
    """Find the folders of logs: this one, or those of the sites in a run's folder or in its `audit/`."""
    if (folder / "audit").is_dir():
        return logs_in(folder / "audit")
    if any(folder.glob("*.jsonl")):
        return [folder]
    return sorted({path.parent for path in folder.glob("*/*.jsonl")})

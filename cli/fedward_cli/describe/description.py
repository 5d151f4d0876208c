"""What `fedward describe` says of a job: how it is, what is wrong first, its sites, what has happened lately."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from rich.console import RenderableType
from rich.table import Table

from fedward_cli.cluster.finding_document import document_of
from fedward_cli.progress.state import Progress
from fedward_cli.progress.view import sites_table
from fedward_operator.checks.finding import Finding, Level
from fedward_operator.checks.lifetime import span
from fedward_operator.checks.writing import write
from fedward_operator.policy.conditions import read_time


@dataclass(frozen=True, slots=True)
class Happening:
    """An Event; `when` is None where Kubernetes does not say."""

    when: datetime | None
    type: str
    about: str
    reason: str
    message: str

    def document(self) -> dict[str, Any]:
        """Give it to programs."""
        when = self.when.isoformat() if self.when else None
        return {"when": when, "type": self.type, "about": self.about, "reason": self.reason, "message": self.message}


@dataclass(frozen=True, slots=True)
class Description:
    """A job.

    Attributes:
        what: which job, and how it is, in a sentence.
        details: name and value of what else is worth a line.
        findings: what is wrong, and what could not be seen.
        progress: its sites; None at a hospital, which knows of no other.
    """

    what: str
    details: Mapping[str, str]
    findings: Sequence[Finding]
    progress: Progress | None
    events: Sequence[Happening]

    def document(self) -> dict[str, Any]:
        """Give it to programs."""
        return {
            "what": self.what,
            "details": dict(self.details),
            "findings": [document_of(each) for each in self.findings],
            "progress": self.progress.document() if self.progress else None,
            "events": [each.document() for each in self.events],
        }

    def text(self, now: datetime) -> Iterator[RenderableType]:
        """Say it to people, problems first."""
        yield self.what
        yield ""
        # The last line counts what the lines before it say.
        yield from list(write([each for each in self.findings if each.level is not Level.OK]))[:-1] or [
            "nothing is wrong with it"
        ]
        yield ""
        for name, value in self.details.items():
            yield f"{name:<10} {value}"
        if self.progress and self.progress.sites:
            yield ""
            yield sites_table(self.progress)
        if self.events:
            yield ""
            yield _events_table(self.events, now)


def dated(finding: Finding, conditions: Sequence[Mapping[str, Any]], now: datetime) -> Finding:
    """Add since when it is so, from the condition that has said so."""
    times = [read_time(each.get("lastTransitionTime")) for each in conditions if each["reason"] == finding.reason]
    known = [each for each in times if each is not None]
    if not finding.reason or not known:
        return finding
    return replace(finding, said=f"{finding.said} (for {span(now - min(known))})")


def _events_table(events: Sequence[Happening], now: datetime) -> Table:
    table = Table("when", "type", "about", "reason", "message", box=None, padding=(0, 2, 0, 0))
    for each in events:
        when = f"{span(now - each.when)} ago" if each.when else ""
        table.add_row(when, each.type, each.about, each.reason, each.message)
    return table

"""A log line with who wrote it, as people and as programs read it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from fedward_operator.checks.printable import printable

_POD = re.compile(r"(?P<margin>\[pod/(?P<pod>[^/\]]+)/(?P<container>[^\]]+)\] ?)(?P<text>.*)")


@dataclass(frozen=True, slots=True)
class Line:
    """A line.

    Attributes:
        source: the process of a local run, or `pod/container`; empty where kubectl itself says something.
        text: as it was written.
        margin: what people see before it.
    """

    source: str
    text: str
    margin: str = ""

    @classmethod
    def of_kubectl(cls, line: str) -> Line:
        """Read a line as `kubectl logs --prefix` gives it."""
        match = _POD.fullmatch(line)
        if match is None:
            return cls("", line)
        return cls(f"{match['pod']}/{match['container']}", match["text"], match["margin"])

    def __str__(self) -> str:
        # A trainer runs what its image holds, so its words are given fit for a terminal.
        return str(printable(f"{self.margin}{self.text}"))

    def fields(self) -> dict[str, Any] | None:
        """Read the object that the line holds, if its process writes JSON."""
        if not self.text.startswith("{"):
            return None
        try:
            found = json.loads(self.text)
        except (ValueError, RecursionError):
            return None
        return found if isinstance(found, dict) else None

    def document(self) -> dict[str, Any]:
        """Give it to programs."""
        return {"from": self.source or None, "text": printable(self.text), "fields": printable(self.fields())}

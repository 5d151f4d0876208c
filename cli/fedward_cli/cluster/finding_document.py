"""A finding as programs read it."""

from __future__ import annotations

from typing import Any

from fedward_operator.checks.finding import Finding


def document_of(finding: Finding) -> dict[str, Any]:
    """Give a finding to programs."""
    see = f"docs/troubleshooting.md#{finding.reason.lower()}" if finding.reason else None
    return {
        "level": finding.level.value,
        "about": finding.about,
        "reason": finding.reason or None,
        "message": finding.said,
        "next": finding.then or None,
        "see": see,
    }

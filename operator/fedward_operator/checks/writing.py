"""Findings as text for people, 80 columns wide: problems first, and under each what to do next."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from fedward_operator.checks.finding import Finding, Level
from fedward_operator.checks.printable import printable

_WIDTH = 80
_INDENT = " " * 9
_PAGE = "docs/troubleshooting.md"


def write(findings: Sequence[Finding]) -> Iterator[str]:
    """Yield the lines, the worst findings first and otherwise in their order."""
    order = list(Level)
    for finding in sorted(findings, key=lambda each: order.index(each.level)):
        reason = f"{finding.reason}: " if finding.reason else ""
        yield from _wrapped(f"{finding.level:<{len(_INDENT)}}", f"{finding.about}: {reason}{finding.said}")
        if finding.then:
            # A command stays on its line, to be copied.
            yield f"{_INDENT}next: {finding.then}"
        if finding.reason:
            yield f"{_INDENT}see:  {_PAGE}#{finding.reason.lower()}"
    yield summary(findings)


def summary(findings: Sequence[Finding]) -> str:
    """Count them in one line."""
    counts = {level: sum(each.level is level for each in findings) for level in Level}
    return ", ".join(f"{count} {level}" for level, count in counts.items() if count) or "nothing was looked at"


def is_healthy(findings: Sequence[Finding]) -> bool:
    """Tell whether nothing is wrong; warnings do not count."""
    return all(each.level is not Level.WRONG for each in findings)


def _wrapped(head: str, text: str) -> list[str]:
    # Kubernetes' own messages come with line breaks of their own, and a site's may come with anything.
    words = " ".join(printable(text).split())
    return textwrap.wrap(words, _WIDTH, initial_indent=head, subsequent_indent=_INDENT, break_on_hyphens=False)

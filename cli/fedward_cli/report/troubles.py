"""What went wrong, the worst first, the same thing said once."""

from __future__ import annotations

from dataclasses import dataclass

from fedward_cli.report.words import count, listed, ranges
from fedward_cli.results import Problem, Result
from fedward_protocol.reasons import Reason, describe

SHOWN = 12
"""More kinds of trouble than this say one thing: read the logs."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """One kind of trouble: its code, its sentence, and where and how often it happened."""

    code: str
    sentence: str
    where: str


def troubles(result: Result) -> tuple[Trouble, ...]:
    """Group the run's problems by reason and detail, the most frequent first."""
    groups: dict[tuple[str, str], list[Problem]] = {}
    for problem in result.problems:
        groups.setdefault((problem.reason, problem.detail), []).append(problem)
    skipped = [f"{site.name} ({site.skipped_cases})" for site in result.sites if site.skipped_cases]
    found = sorted(groups.items(), key=lambda item: -sum(problem.count for problem in item[1]))
    listing = [Trouble(reason, explain(reason, detail), _where(same)) for (reason, detail), same in found]
    if skipped:
        text = "cases that could not be used were left out"
        listing.append(Trouble(Reason.CASE_UNREADABLE, text, listed(skipped)))
    return tuple(listing)


def explain(reason: str, detail: str) -> str:
    """Turn a reason code and its particulars into a sentence; a code that is not ours stands for itself."""
    try:
        sentence = describe(Reason(reason))
    except ValueError:
        return detail or reason
    return f"{sentence}: {detail}" if detail else sentence


def _where(same: list[Problem]) -> str:
    sites = sorted({problem.site for problem in same if problem.site})
    rounds = [problem.round for problem in same if problem.round is not None]
    times = sum(problem.count for problem in same)
    parts = [listed(sites)] if sites else []
    if rounds:
        parts.append(f"round{'s' if len(set(rounds)) > 1 else ''} {ranges(rounds)}")
    if times > 1:
        parts.append(count(times, "time"))
    return ", ".join(parts)

"""A local run described, from its --out folder."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from fedward_cli.describe.description import Description
from fedward_cli.local.folder import Folder, is_in_use
from fedward_cli.problems import InputError, Problem
from fedward_cli.progress.of_folder import SUSPENDED, read
from fedward_cli.results import Result, read_result
from fedward_operator.checks.finding import Finding, Level, skipped, warning, wrong
from fedward_operator.checks.lifetime import show, span


def describe(out: Path, now: datetime) -> Description:
    """Describe it.

    Raises:
        InputError: the run has not begun to train, or a file of it is damaged.
    """
    progress = read(out)
    if progress is None:
        message = f"the run has written no result yet; its logs are in {out / 'logs'}"
        raise InputError([Problem(str(out), (), message)])
    result = read_result(out)
    ended = result.finished_at
    details = {
        "started": f"{show(result.started_at)}, {span(now - result.started_at)} ago",
        "ended": f"{show(ended)}, {span(now - ended)} ago" if ended else "",
        "attempt": str(result.attempt),
        "plan": result.plan_digest,
        "model": f"of round {result.model.round}: {out / 'model.safetensors'}" if result.model else "",
        "logs": "" if result.fetched else str(out / "logs"),
    }
    value = f", {progress.metric} {progress.value:.3f}" if progress.value is not None else ""
    return Description(
        what=f"{result.name} in {out}: {progress.state}, round {progress.round} of {progress.rounds}{value}",
        details={name: text for name, text in details.items() if text},
        findings=list(_findings(out, result)),
        progress=progress,
        events=(),
    )


def _findings(out: Path, result: Result) -> Iterator[Finding]:
    logs = f"fedward logs {result.name} -n {result.namespace}" if result.fetched else f"fedward logs {out}"
    if result.failure is not None:
        said = result.failure.detail or "no more is said of it"
        yield wrong("job", result.failure.reason, said, logs)
    elif result.state == "Stopped" and result.fetched:
        yield skipped("job", SUSPENDED)
    elif result.state == "Stopped":
        yield skipped("job", "it was stopped; the same fedward run goes on from there")
    elif result.state == "Running" and not is_in_use(Folder(out)):
        said = "nobody works on it: fedward run was killed; the same command goes on from there"
        yield Finding("job", Level.WRONG, said, then=logs)
    for each in result.problems:
        where = f"round {each.round}: " if each.round else ""
        times = f" ({each.count} times)" if each.count > 1 else ""
        then = f"{logs} --site {each.site}" if each.site else logs
        yield warning(f"site {each.site}" if each.site else "job", each.reason, f"{where}{each.detail}{times}", then)

"""A local run's progress, as its --out folder says it: written whenever a round closes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from fedward_cli.local.folder import Folder, is_in_use
from fedward_cli.progress.state import Progress, SiteProgress
from fedward_cli.results import (
    METRICS,
    RESULT,
    Result,
    RoundRecord,
    mean_over_sites,
    read_closed,
    read_result,
    read_rounds,
)

SUSPENDED = "it was suspended when fedward report fetched it; at the hub it may have gone on since"

_PAUSE_S = 1.0
"""Between two looks: nothing tells another process that a file was written."""


def is_run(folder: Path) -> bool:
    """Tell whether a folder is the --out of a local run."""
    return (folder / RESULT).is_file() or (folder / "run" / "plan.json").is_file()


def read(out: Path) -> Progress | None:
    """Read how a run goes; None while it has not written anything yet.

    Raises:
        InputError: a file is not what its name says.
    """
    if not (out / RESULT).is_file():
        return None
    result, records, metric = read_result(out), read_rounds(out), _metric(out)
    values = _values(records, metric)
    is_left = result.state == "Running" and not is_in_use(Folder(out))
    state = "Stopped" if is_left else result.state
    return Progress(
        name=result.name,
        namespace=result.namespace,
        state="Training" if state == "Running" else state,
        message=_message(result, is_left=is_left),
        round=min(result.rounds_done + (result.state == "Running"), result.rounds_planned),
        rounds=result.rounds_planned,
        attempt=result.attempt,
        metric=metric,
        value=values[max(values)] if values else None,
        started=result.started_at,
        sites=tuple(
            SiteProgress(site.name, site.state or "Attending", round=site.rounds, value=_of(site.name, records, metric))
            for site in result.sites
        ),
        outcome=None if state == "Running" else state,
        values=values,
        closed={each.round: datetime.fromtimestamp(each.closed_at, UTC) for each in read_closed(out)},
    )


def follow(out: Path, pause: Callable[[float], None]) -> Iterator[Progress]:
    """Give a run's progress now and whenever its files change, until nobody works on it any more."""
    before: tuple[object, ...] | None = None
    while True:
        now = (_mark(out / RESULT), _mark(out / METRICS), is_in_use(Folder(out)))
        progress = read(out) if now != before else None
        before = now
        if progress is not None:
            yield progress
        if not now[-1]:
            return
        pause(_PAUSE_S)


def _metric(out: Path) -> str:
    """Read which metric decides; a folder without its plan is of the usual job."""
    try:
        return Folder(out).read_plan().evaluation.metric
    except OSError:
        return "dice"


def _mark(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_mtime_ns, found.st_size


def _values(records: Sequence[RoundRecord], metric: str) -> dict[int, float]:
    """Give each evaluated model's mean over sites, by how many rounds are in it."""
    rounds = sorted({record.evaluated_round for record in records if record.metrics})
    found = {}
    for each in rounds:
        by_site = {record.site: record.metrics for record in records if record.evaluated_round == each}
        value = mean_over_sites(by_site).get(metric)
        if value is not None:
            found[each] = value
    return found


def _of(site: str, records: Sequence[RoundRecord], metric: str) -> float | None:
    for record in reversed(records):
        if record.site == site and metric in record.metrics:
            return record.metrics[metric].value
    return None


def _message(result: Result, *, is_left: bool) -> str:
    if result.failure is not None:
        return f"{result.failure.reason} {result.failure.detail}".strip()
    if result.fetched and result.state == "Stopped":
        return SUSPENDED
    return "nobody works on it; the same fedward run goes on from there" if is_left or result.state == "Stopped" else ""

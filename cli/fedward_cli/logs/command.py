"""Which logs a name asks for."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

from fedward_cli.cluster.kubectl import ClusterError, Kubectl, kubectl, streamed
from fedward_cli.cluster.whose import AtHub, find_job
from fedward_cli.logs import of_cluster, of_folder
from fedward_cli.logs.line import Line
from fedward_cli.problems import InputError, Problem
from fedward_cli.progress.of_cluster import Stream

_TIME = re.compile(r"([1-9][0-9]{0,5})([smh])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours"}


def lines(
    asked: Path | str,
    namespace: str | None,
    site: str | None,
    since: str | None,
    *,
    follow: bool,
    now: datetime,
    complain: Callable[[str], None],
    run: Kubectl = kubectl,
    stream: Stream = streamed,
) -> Iterator[Line]:
    """Give a job's log lines: of a local run, or what this cluster has of it.

    Args:
        asked: the folder of a local run, or the name of a job in the cluster.
        namespace: the job's; kubectl's own where None.
        site: only what is about this site.
        since: no older than this: `10m`.
        follow: go on as more is written.
        now: the present, time zone included.
        complain: is told what cannot be seen from here.
        run: runs kubectl.
        stream: runs kubectl for as long as it writes.

    Raises:
        InputError: the time cannot be read, or the folder holds no such logs.
        ClusterError: there is no such job or site, or its logs may not be read.
    """
    ago = _ago(since) if since else None
    if isinstance(asked, Path):
        since_then = now - ago if ago else None
        yield from of_folder.lines(asked, site, since_then, follow=follow, pause=time.sleep)
        return
    options = [*([f"--since={since}"] if since else []), *(["--follow"] if follow else [])]
    found = find_job(asked, namespace, run)
    if isinstance(found, AtHub):
        if site is not None:
            complain(of_cluster.beyond_the_hub(found, site))
        yield from of_cluster.at_hub(found, site, options, run, stream)
    else:
        if site not in (None, found.site):
            raise ClusterError(f"this is the hospital {found.site}: nothing of {site} can be seen from here")
        yield from of_cluster.at_site(found, options, stream)


def _ago(text: str) -> timedelta:
    match = _TIME.fullmatch(text)
    if match is None:
        raise InputError([Problem("--since", (), f'"{text}" is no time; write it as 90s, 10m or 2h')])
    return timedelta(**{_UNITS[match[2]]: int(match[1])})

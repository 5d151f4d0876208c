"""A FederatedJob's progress, as its status says it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Literal

from fedward_cli.cluster.kubectl import ClusterError, ForbiddenError, KindUnknownError, Object, streamed, within
from fedward_cli.cluster.whose import JOBS, absent
from fedward_cli.progress.state import Progress, SiteProgress
from fedward_operator.checks.printable import printable
from fedward_operator.policy.conditions import find, holds, read_time

Stream = Callable[[Sequence[str]], AbstractContextManager[Iterator[str]]]
"""Runs kubectl and gives its lines as they come."""

_LONGEST_PAUSE_S = 30.0


def read(job: Object) -> Progress:
    """Read a FederatedJob."""
    metadata, spec, status = job["metadata"], job["spec"], job.get("status") or {}
    conditions = status.get("conditions") or ()
    metric = (spec.get("evaluation") or {}).get("metric", "dice")
    return Progress(
        name=metadata["name"],
        namespace=metadata["namespace"],
        state=status.get("state", "Pending"),
        message=_message(conditions),
        round=status.get("round", 0),
        rounds=status.get("rounds") or spec["rounds"]["count"],
        attempt=status.get("attempt", 0),
        metric=metric,
        value=_value(status, metric),
        started=read_time(status.get("startTime")),
        sites=tuple(_site(each, metric) for each in status.get("sites") or ()),
        outcome=_outcome(conditions),
    )


def follow(
    name: str,
    namespace: str | None,
    pause: Callable[[float], None],
    say: Callable[[str], None],
    stream: Stream = streamed,
) -> Iterator[Progress]:
    """Give a job's progress now and whenever it changes, for ever; a cluster that is away is asked again.

    Args:
        name: the job's.
        namespace: the job's; kubectl's own where None.
        pause: waits so many seconds.
        say: is told when the cluster does not answer.
        stream: runs kubectl.

    Raises:
        ClusterError: there is no such job, it was deleted, or a right is missing.
    """
    command = ["get", JOBS, name, "--watch", "--output-watch-events", "-o", "json"]
    failures, was_seen = 0, False
    while True:
        try:
            with stream([*command, *within(namespace)]) as lines:
                for event in documents(lines):
                    if event["type"] == "DELETED":
                        raise _gone(name)
                    failures, was_seen = 0, True
                    yield read(printable(event["object"]))
        except KindUnknownError as error:
            raise absent(name, namespace, error) from error
        except (ForbiddenError, _GoneError):
            raise
        except ClusterError as error:
            if "(NotFound)" in str(error):
                raise _gone(name) if was_seen else absent(name, namespace) from error
            if not was_seen:
                raise
            failures += 1
            if failures == 1:
                say(f"the cluster does not answer, and is asked again: {error}")
        # An API server ends every watch after a while.
        pause(min(_LONGEST_PAUSE_S, 2.0**failures))


def documents(lines: Iterable[str]) -> Iterator[Any]:
    """Give the JSON documents of what kubectl prints one after the other, each as soon as its last line is there."""
    held: list[str] = []
    for line in lines:
        held.append(line)
        # A document is indented, or all on one line: both are kubectl's, by its options and version.
        if line == "}" or (len(held) == 1 and line.endswith("}")):
            yield json.loads("\n".join(held))
            held = []


class _GoneError(ClusterError):
    """There is nothing left to follow."""


def _gone(name: str) -> _GoneError:
    return _GoneError(f"the job {name} was deleted")


def _outcome(conditions: Sequence[Mapping[str, Any]]) -> Literal["Completed", "Failed"] | None:
    if holds(conditions, "Completed"):
        return "Completed"
    return "Failed" if holds(conditions, "Failed") else None


def _message(conditions: Sequence[Mapping[str, Any]]) -> str:
    failed, admitted = find(conditions, "Failed"), find(conditions, "Admitted")
    if failed is not None and failed["status"] == "True":
        return str(failed.get("message", ""))
    if admitted is not None and admitted["status"] == "False":
        return str(admitted.get("message", ""))
    return str((find(conditions, "Running") or {}).get("message", ""))


def _site(site: Mapping[str, Any], metric: str) -> SiteProgress:
    return SiteProgress(
        name=site["name"],
        state=site["state"],
        reason=site.get("reason", ""),
        message=site.get("message", ""),
        round=site.get("round", 0),
        value=_value(site, metric),
    )


def _value(said: Mapping[str, Any], metric: str) -> float | None:
    value = (said.get("metrics") or {}).get(metric)
    return float(value) if value is not None and math.isfinite(value) else None

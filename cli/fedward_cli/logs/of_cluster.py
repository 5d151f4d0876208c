"""The log lines of a job in a cluster: at the hub the aggregator's, at a hospital its trainer's and gateway's."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from fedward_cli.cluster.kubectl import ClusterError, Kubectl, within
from fedward_cli.cluster.whose import AtHub, AtSite
from fedward_cli.logs.line import Line
from fedward_cli.progress.of_cluster import Stream
from fedward_operator.policy import naming

_MOST_PODS = "20"


def at_hub(found: AtHub, site: str | None, options: Sequence[str], run: Kubectl, stream: Stream) -> Iterator[Line]:
    """Give the lines of the job's aggregator, and of what made the first model; of one site those that name it.

    Raises:
        ClusterError: there is no pod, or the logs may not be read.
    """
    selector = f"{naming.LABEL_COMPONENT}=aggregator,{naming.LABEL_JOB}={found.name}"
    pods = run(["get", "pods", "-l", selector, "-o", "name", *within(found.namespace)])
    if not pods.strip():
        state = (found.job.get("status") or {}).get("state", "Pending")
        why = f"fedward describe {found.name} -n {found.namespace} says why"
        raise ClusterError(f"{found.name} has no aggregator's pod now ({state}): {why}")
    with stream(_command(selector, found.namespace, options)) as lines:
        for line in map(Line.of_kubectl, lines):
            if site is None or names(line, "site", site):
                yield line


def at_site(found: AtSite, options: Sequence[str], stream: Stream) -> Iterator[Line]:
    """Give the lines of the job's trainer, and those of the gateway that are about the job.

    Raises:
        ClusterError: the logs may not be read.
    """
    selector = f"{naming.LABEL_COMPONENT} in (trainer,gateway)"
    job = f"{found.part['spec']['job']['namespace']}/{found.job}"
    with stream(_command(selector, found.namespace, options)) as lines:
        yield from of_part(map(Line.of_kubectl, lines), found.name, job)


def of_part(lines: Iterable[Line], part: str, job: str) -> Iterator[Line]:
    """Keep the trainer's lines of one SiteJob, and the gateway's that name the job."""
    for line in lines:
        is_trainers = re.fullmatch(rf"{re.escape(part)}-[0-9]+-\w+/.*", line.source)
        if is_trainers or names(line, "job", job):
            yield line


def names(line: Line, field: str, value: str) -> bool:
    """Tell whether a log line, JSON or text, has a field of this value."""
    if line.text.startswith("{"):
        return (line.fields() or {}).get(field) == value
    return f" {field}={value} " in f"{line.text} "


def beyond_the_hub(found: AtHub, site: str) -> str:
    """Say what cannot be seen of a hospital from the hub, and what is known of it.

    Raises:
        ClusterError: the job has no such site.
    """
    asked = {each["name"]: each for each in (found.job.get("status") or {}).get("sites") or ()}
    if site not in asked:
        raise ClusterError(f"{site} takes no part in {found.name}; its sites are {', '.join(asked) or 'not known yet'}")
    part = asked[site]
    why = f"{part.get('reason', '')} {part.get('message', '')}".strip()
    return (
        f"{site} is {part['state']}{f': {why}' if why else ''}. Its trainer's and gateway's logs stay at the hospital: "
        f"ask its administrator, who reads them with: fedward logs {found.name} -n fedward\n"
        f"What follows is what the hub's aggregator says of {site}."
    )


def _command(selector: str, namespace: str, options: Sequence[str]) -> list[str]:
    every = ("--all-containers", "--prefix", "--tail=-1", "--ignore-errors", f"--max-log-requests={_MOST_PODS}")
    return ["logs", "-l", selector, *every, *options, *within(namespace)]

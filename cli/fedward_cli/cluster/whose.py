"""Which side of a federation a job's name is about here: a FederatedJob at the hub, or a hospital's part in one."""

from __future__ import annotations

from dataclasses import dataclass

from fedward_cli.cluster.kubectl import (
    ClusterError,
    ForbiddenError,
    KindUnknownError,
    Kubectl,
    Object,
    find,
    listed,
    within,
)
from fedward_operator.checks.printable import printable
from fedward_operator.policy import naming

JOBS, PARTS = "federatedjobs.fedward.io", "sitejobs.fedward.io"


@dataclass(frozen=True, slots=True)
class AtHub:
    """A FederatedJob."""

    job: Object

    @property
    def name(self) -> str:
        """The job's name."""
        return str(self.job["metadata"]["name"])

    @property
    def namespace(self) -> str:
        """The namespace that it was found in."""
        return str(self.job["metadata"]["namespace"])


@dataclass(frozen=True, slots=True)
class AtSite:
    """A SiteJob, as it is mirrored to the hospital."""

    part: Object

    @property
    def name(self) -> str:
        """The SiteJob's name."""
        return str(self.part["metadata"]["name"])

    @property
    def namespace(self) -> str:
        """The namespace that it was found in."""
        return str(self.part["metadata"]["namespace"])

    @property
    def job(self) -> str:
        """The job's name at the hub."""
        return str(self.part["spec"]["job"]["name"])

    @property
    def site(self) -> str:
        """The hospital's name in the federation."""
        return str(self.part["spec"]["site"])


def find_job(name: str, namespace: str | None, run: Kubectl) -> AtHub | AtSite:
    """Find a job by its name at the hub, or by a SiteJob's own.

    Args:
        name: the job's, or the SiteJob's.
        namespace: where to look; kubectl's own where None.
        run: runs kubectl.

    Raises:
        ClusterError: there is none, there are several, or a right is missing.
    """
    why: ClusterError | None = None
    try:
        job = find(run, JOBS, name, namespace)
        if job is not None:
            return AtHub(printable(job))
    except (ForbiddenError, KindUnknownError) as error:
        why = error
    try:
        parts = [each for each in listed(run, PARTS, *within(namespace)) if name in _names(each)]
    except (ForbiddenError, KindUnknownError) as error:
        # A researcher may not see SiteJobs, and a hospital knows no FederatedJobs.
        raise why if isinstance(why, ForbiddenError) else absent(name, namespace, why or error) from error
    if len(parts) > 1:
        names = ", ".join(sorted(each["metadata"]["name"] for each in parts))
        raise ClusterError(f"several SiteJobs are parts of a job {name}; name one of {names}")
    if not parts:
        raise absent(name, namespace, why)
    return AtSite(printable(parts[0]))


def absent(name: str, namespace: str | None, why: ClusterError | None = None) -> ClusterError:
    """Say that there is no such job, and how to look elsewhere."""
    where = f"the namespace {namespace}" if namespace else "kubectl's namespace"
    if isinstance(why, KindUnknownError):
        return ClusterError(
            f"there is no job {name} in {where}, and this cluster knows no FederatedJobs: is it the hub?"
        )
    return ClusterError(f"there is no job {name} in {where}, and no folder of a run; name another namespace with -n")


def _names(part: Object) -> tuple[str, str]:
    # In a cluster of both, the hub's own copies lie in the mailboxes.
    labels = part["metadata"].get("labels") or {}
    if labels.get(naming.LABEL_SIDE) == "hub":
        return ("", "")
    return (part["metadata"]["name"], part["spec"]["job"]["name"])

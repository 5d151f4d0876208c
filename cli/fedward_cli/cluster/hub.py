"""What the hub's chart says of the hub: the federation, the door, where the authority is kept."""

from __future__ import annotations

from dataclasses import dataclass

from fedward_cli.cluster.kubectl import ClusterError, Kubectl, find

_SAYS = "fedward-hub"


@dataclass(frozen=True, slots=True)
class Hub:
    """A hub.

    Attributes:
        namespace: of the chart's release.
        federation: SPIFFE trust domain.
        door: host:port at which sites reach it.
        authority: the Secret of the federation's authority.
    """

    namespace: str
    federation: str
    door: str
    authority: str


def find_hub(run: Kubectl, namespace: str) -> Hub:
    """Find the hub in a namespace.

    Raises:
        ClusterError: there is none, or kubectl says no.
    """
    found = find(run, "configmap", _SAYS, namespace)
    if found is None:
        raise ClusterError(f"there is no hub in the namespace {namespace}: name its release's namespace with -n")
    try:
        said = found["data"]
        return Hub(namespace, said["federation"], said["door"], said["authority"])
    except KeyError as error:
        text = (
            f"the ConfigMap {namespace}/{_SAYS} lacks {error}: upgrade the hub's chart to the version of this command"
        )
        raise ClusterError(text) from error

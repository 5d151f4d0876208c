"""What to do about a reason, as the next command; the page of reasons says the rest."""

from __future__ import annotations

from collections.abc import Mapping

_AT_HUB: Mapping[str, str] = {
    "SpecInvalid": "correct the field that the message names, and kubectl apply -f job.yaml -n {namespace}",
    "NameTaken": "kubectl get configmap {job}-plan -n {namespace} -o yaml",
    "WaitingForSites": "fedward sites",
    "TooFewSites": "fedward sites",
    "WaitingForQuorum": "fedward sites",
    "SiteOffline": "fedward sites, and ask the administrator of {site}: fedward doctor there says why",
    "Suspended": """kubectl patch fjob {job} -n {namespace} --type=merge -p '{{"spec":{{"suspend":false}}}}'""",
    "QuorumLost": "fedward logs {job} -n {namespace}",
    "DeadlineExceeded": "apply it under another name, with a larger activeDeadlineSeconds",
    "HubDoesNotTrack": "once it has ended: fedward report {job} -n {namespace}, and fedward track on what that writes",
    "SiteRevoked": "nothing: the hub's administrator has revoked {site}",
}
_OF_A_TRACKER = "kubectl logs -n {namespace} -l fedward.io/component=tracker,fedward.io/job={job}"
_TRACKED = frozenset({"Behind", "TrackerFailed", "NotLogged"})
_OF_A_SITE = "ask the administrator of {site}, who sees more with: fedward describe {job} -n fedward"
_OF_A_POD = "fedward logs {job} -n {namespace}"
_PODS = frozenset({"CrashLoop", "ContainerFailed", "OutOfMemory", "PodFailed", "BackoffLimitExceeded"})


def at_hub(reason: str, namespace: str, job: str, site: str = "") -> str:
    """Say what to do at the hub about a job, or about one site's part in it; empty where its page is all there is."""
    tracker = _OF_A_TRACKER if reason in _TRACKED else ""
    known = _AT_HUB.get(reason) or tracker or (_OF_A_SITE if site else _OF_A_POD if reason in _PODS else "")
    return known.format(namespace=namespace, job=job, site=site)

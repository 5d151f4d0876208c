"""What `kubectl describe` shows of a FederatedJob's life: an Event for what a researcher would want to hear of."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from fedward_operator.hub.status import is_troubled
from fedward_operator.kube.events import Note
from fedward_operator.policy.quorum import TAKES_PART

_EACH_ROUND = ("Training", "Aggregating")
"""A running job goes from one to the other with each round, which the status shows and no Event."""
_FINE = ("Completed", "Suspended", "WaitingForSites")
"""Why a job that is as it should be does not run."""

Status = Mapping[str, Any]
_Condition = Mapping[str, Any]


def notes(before: Status, after: Status) -> Iterator[Note]:
    """Say what has happened between two statuses; the same is not said twice, whoever looks again."""
    old = {each["type"]: each for each in before.get("conditions") or ()}
    holds = {each["type"] for each in after["conditions"] if each["status"] == "True"}
    for now in after["conditions"]:
        was = old.get(now["type"])
        if was is None or (was["status"], was["reason"]) != (now["status"], now["reason"]):
            yield from _of_condition(was, now, holds)
    if not holds & {"Completed", "Failed", "Suspended"}:
        yield from _of_sites(before, after)


def _of_condition(was: _Condition | None, now: _Condition, holds: set[str]) -> Iterator[Note]:
    text = now["message"] or now["reason"]
    occasion = f"{now['type']} {now['status']} after {was['lastTransitionTime'] if was else 'nothing'}"
    occasion += f" {was['reason']}" if was else ""
    held = was is not None and was["status"] == "True"
    match now["type"], now["status"]:
        case "Admitted", status:
            yield Note("Normal" if status == "True" else "Warning", now["reason"], text, occasion)
        case "Tracked", "False":
            yield Note("Warning", now["reason"], text, occasion)
        case "Running", status:
            if now["reason"] in _EACH_ROUND and was is not None and was["reason"] in _EACH_ROUND:
                return
            fine = status == "True" or now["reason"] in _FINE
            yield Note("Normal" if fine else "Warning", now["reason"], text, occasion)
        case "QuorumMet", "False" if held and "Running" in holds:
            yield Note("Warning", now["reason"], text, occasion)
        case "QuorumMet", "True" if "Running" in holds:
            yield Note("Normal", now["reason"], text, occasion)
        case "Suspended", "False" if held:
            yield Note("Normal", "Resumed", "the job goes on from its checkpoint", occasion)
        case _:
            return


def _of_sites(before: Status, after: Status) -> Iterator[Note]:
    """Say which sites got into trouble and which came out of it; those of one reason together."""
    known = {site["name"]: site for site in before.get("sites") or ()}
    told: dict[tuple[str, str], list[str]] = defaultdict(list)
    for site in after.get("sites") or ():
        name, was = site["name"], known.get(site["name"])
        reason = _trouble(site)
        if reason is not None and (was is None or _trouble(was) != reason):
            told["Warning", reason].append(f"{name}: {site['message']}" if site["message"] else name)
        elif reason is None and was is not None and _trouble(was) is not None and site["state"] in TAKES_PART:
            told["Normal", "SiteBack"].append(name)
    degraded = next((each for each in before.get("conditions") or () if each["type"] == "Degraded"), None)
    since = degraded["lastTransitionTime"] if degraded else "nothing"
    for (kind, reason), sites in told.items():
        # Of a site that comes and goes within one round while others are lost, the first time is enough.
        occasion = f"{', '.join(sites)} in round {after.get('round', 0)} after {since}"
        yield Note("Warning" if kind == "Warning" else "Normal", reason, "; ".join(sites), occasion)


def _trouble(site: Mapping[str, Any]) -> str | None:
    """Give the reason why a site takes no part; None where it does, or will."""
    if not is_troubled(site):
        return None
    return str(site.get("reason") or f"Site{site['state']}")

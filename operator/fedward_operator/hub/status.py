"""What a FederatedJob's status says."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from fedward_operator.api.job import FederatedJobStatus
from fedward_operator.hub.decide import Decision, Observed, Stage
from fedward_operator.hub.progress import dismissed
from fedward_operator.hub.tracking.finding import TrackedJob, tracked
from fedward_operator.policy import conditions
from fedward_operator.policy.conditions import Finding
from fedward_operator.policy.problem import Problem
from fedward_operator.policy.quorum import COUNTS, TAKES_PART, quorum_of
from fedward_protocol.reasons import Reason, describe

_SITE_TROUBLE = ("Refused", "Failed", "Lost", "Offline")
_SITE_FINE = ("Pending", "Waiting", "Starting", "Suspended", "Completed", *TAKES_PART)
"""Any other state is why its trainer does not run, in Kubernetes' words."""

_STAGE_STATES = {
    Stage.UNPLANNED: "Unplanned",
    Stage.WAITING: "WaitingForSites",
    Stage.SUSPENDED: "Suspended",
    Stage.COMPLETED: "Completed",
    Stage.FAILED: "Failed",
    Stage.DELETED: "Deleting",
}

Status = dict[str, Any]


def status_of(seen: Observed, decision: Decision, plan_digest: str | None) -> Status:
    """Write the status, defaults and all, as the API server will give it back."""
    if seen.progress is not None and seen.progress.attempt != decision.attempt:
        seen = replace(seen, progress=None)  # it is about what was before
    before, stage = seen.status, decision.stage
    sites = [_site(seen, stage, name) for name in seen.sites or ()]
    state = _state(seen, decision)
    # Left out while there are none: an API server makes a null of a map that an apply empties, and then refuses it.
    metrics = (dict(seen.progress.metrics) if seen.progress else before.get("metrics")) or None
    document: Status = {
        "observedGeneration": seen.generation,
        "planDigest": plan_digest,
        "attempt": decision.attempt,
        "startTime": _start_time(seen, decision),
        "completionTime": before.get("completionTime"),
        "round": seen.progress.round if seen.progress else before.get("round", 0),
        "rounds": seen.spec.rounds.count,
        "metrics": metrics,
        "score": (metrics or {}).get(seen.spec.evaluation.metric),
        "participation": f"{_participants(sites, stage)}/{len(sites)}" if seen.sites is not None else "",
        "state": state,
        "sites": sites,
    }
    if stage in (Stage.COMPLETED, Stage.FAILED) and not document["completionTime"]:
        document["completionTime"] = conditions.show_time(seen.now)
    if stage is Stage.COMPLETED:
        document["round"] = seen.spec.rounds.count
    document["progress"] = f"{document['round']}/{document['rounds']}"
    findings = tuple(_findings(seen, decision, state, sites))
    document["conditions"] = conditions.join(before.get("conditions") or (), findings, seen.generation, seen.now)
    checked = FederatedJobStatus.model_validate({key: value for key, value in document.items() if value is not None})
    written: Status = json.loads(checked.model_dump_json(by_alias=True, exclude_none=True))
    return written


def is_troubled(site: Mapping[str, Any]) -> bool:
    """Tell of a site's status whether it keeps the site from taking part."""
    return site["state"] not in _SITE_FINE


def is_mere_progress(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Tell whether only numbers went on: such news can wait a little and be told together."""
    if _essence(before) != _essence(after):
        return False
    return [_site_essence(each) for each in before.get("sites") or ()] == [
        _site_essence(each) for each in after["sites"]
    ]


def _essence(status: Mapping[str, Any]) -> tuple[Any, ...]:
    said = tuple((each["type"], each["status"], each["reason"]) for each in status.get("conditions") or ())
    return said, status.get("state"), status.get("attempt"), status.get("planDigest"), status.get("observedGeneration")


def _site_essence(site: Mapping[str, Any]) -> tuple[Any, ...]:
    # Between attending and submitted a site moves several times a round.
    return site["name"], site["state"] in TAKES_PART, site.get("reason")


def _state(seen: Observed, decision: Decision) -> str:
    if decision.stage is not Stage.RUNNING:
        return _STAGE_STATES[decision.stage]
    if decision.why is not None:
        return decision.why.reason
    if seen.progress is None:
        return "Starting"
    return {"Waiting": "WaitingForQuorum"}.get(seen.progress.state, seen.progress.state)


def _start_time(seen: Observed, decision: Decision) -> str | None:
    if decision.stage is not Stage.RUNNING:
        return None if decision.stage is Stage.SUSPENDED else seen.status.get("startTime")
    before = seen.status.get("startTime")
    return before or conditions.show_time(seen.now)


def _participants(sites: list[Status], stage: Stage) -> int:
    if stage in (Stage.SUSPENDED, Stage.WAITING, Stage.UNPLANNED):
        return 0
    return sum(site["state"] in COUNTS for site in sites)


def _site(seen: Observed, stage: Stage, name: str) -> Status:
    progress = seen.progress.sites.get(name) if seen.progress else None
    before: Status = next((each for each in seen.status.get("sites") or () if each["name"] == name), {})
    state, reason, message = _site_state(seen, stage, name, before)
    site: Status = {"name": name, "state": state, "message": message, "round": before.get("round", 0)}
    for key in ("samples", "metrics"):
        if key in before:
            site[key] = before[key]
    if reason:
        site["reason"] = reason
    if progress is not None:
        site |= {"round": progress.round, "metrics": dict(progress.metrics) or None}
        if progress.samples:
            site["samples"] = progress.samples
    return site


def _site_state(seen: Observed, stage: Stage, name: str, before: Status) -> tuple[str, str | None, str]:
    """Say how a site is: its state, the reason where there is one, and a message."""
    if _is_revoked(seen, stage, name, before):
        is_told = stage is not Stage.RUNNING or name in dismissed(seen.progress)
        more = "" if is_told else "; the aggregator does not know it yet"
        return "Failed", Reason.SITE_REVOKED.value, describe(Reason.SITE_REVOKED) + more
    part = (seen.parts or {}).get(name)
    progress = seen.progress.sites.get(name) if seen.progress else None
    state, reason, message = "Pending", None, ""
    if part is not None and part.answered == part.attempt:
        state, reason, message = part.state, part.reason or None, part.message
    if stage is Stage.RUNNING and progress and progress.state != "Absent" and state not in _SITE_TROUBLE:
        state, reason = progress.state, progress.reason or None
    elif progress is None and before and stage in (Stage.COMPLETED, Stage.FAILED) and state == "Pending":
        state = before["state"]
    if not seen.connected.get(name) and stage in (Stage.RUNNING, Stage.WAITING) and state not in TAKES_PART:
        state, reason, message = "Offline", "SiteOffline", "the site's operator is not heard"
    return state, reason, message


def _is_revoked(seen: Observed, stage: Stage, name: str, before: Status) -> bool:
    """Tell whether a site takes no part because it was revoked; what is revoked after the end changes nothing."""
    has_ended = stage in (Stage.COMPLETED, Stage.FAILED)
    was_so = before.get("reason") == Reason.SITE_REVOKED.value
    return name in dismissed(seen.progress) or (was_so if has_ended else name in seen.revoked)


def _findings(seen: Observed, decision: Decision, state: str, sites: list[Status]) -> Iterator[Finding]:
    stage, why = decision.stage, decision.why
    planned = seen.sites is not None
    if planned:
        yield Finding("Admitted", True, "Planned", f"the plan is made for {len(seen.sites or ())} sites")
    else:
        yield Finding("Admitted", False, why.reason if why else "Unplanned", why.message if why else "")
    running = stage is Stage.RUNNING and (why is None)
    yield Finding("Running", running, state, _explain(seen, decision))
    yield _quorum(seen, stage, sites)
    yield _degraded(stage, why, sites)
    outcome = why or Problem(stage.name.capitalize(), "")
    open_ = Finding("Completed", False, "NotFinished"), Finding("Failed", False, "NotFailed")
    yield Finding("Completed", True, "Completed", outcome.message) if stage is Stage.COMPLETED else open_[0]
    yield Finding("Failed", True, outcome.reason, outcome.message) if stage is Stage.FAILED else open_[1]
    if stage is Stage.SUSPENDED:
        yield Finding("Suspended", True, "Suspended", outcome.message)
    else:
        yield Finding("Suspended", False, "NotSuspended")
    heard, ended = seen.progress is not None, stage in (Stage.COMPLETED, Stage.FAILED)
    about = TrackedJob(seen.spec, seen.status, seen.now, runs=running, heard=heard, ended=ended)
    if (finding := tracked(about, seen.trackers)) is not None:
        yield finding


def _explain(seen: Observed, decision: Decision) -> str:
    if decision.why is not None:
        return decision.why.message
    if seen.progress is None:
        return "the aggregator is starting"
    return f"round {seen.progress.round} of {seen.spec.rounds.count}"


def _quorum(seen: Observed, stage: Stage, sites: list[Status]) -> Finding:
    if seen.sites is None:
        return Finding("QuorumMet", None, "Unplanned")
    quorum, there = quorum_of(seen.spec.rounds, len(sites)), _participants(sites, stage)
    met = there >= quorum
    if stage is Stage.COMPLETED:
        return Finding("QuorumMet", True, "Completed", f"every round reached its quorum of {quorum}")
    return Finding(
        "QuorumMet", met, "EnoughSites" if met else "TooFewSites", f"{there} take part, the quorum is {quorum}"
    )


def _degraded(stage: Stage, why: Problem | None, sites: list[Status]) -> Finding:
    if stage in (Stage.COMPLETED, Stage.FAILED, Stage.SUSPENDED, Stage.UNPLANNED):
        return Finding("Degraded", False, "NotRunning")
    troubled = [site for site in sites if is_troubled(site)]
    if stage is Stage.RUNNING and why is not None:
        return Finding("Degraded", True, why.reason, why.message)
    if troubled:
        first = troubled[0].get("reason") or f"Site{troubled[0]['state']}"
        each = "; ".join(
            f"{site['name']}: {site.get('reason') or site['state']} {site['message']}".strip() for site in troubled
        )
        return Finding("Degraded", True, first, each[:4096])
    return Finding("Degraded", False, "AsExpected")

"""A FederatedJob to begin from, a kubectl that knows some objects, and lines as a watching kubectl prints them."""

from __future__ import annotations

import contextlib
import copy
import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from fedward_cli.cluster.kubectl import ClusterError, error_of

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def ago(**time: float) -> str:
    return (NOW - timedelta(**time)).strftime("%Y-%m-%dT%H:%M:%SZ")


def condition(kind: str, status: str, reason: str, message: str = "", since: str = "") -> dict[str, str]:
    said = {"type": kind, "status": status, "reason": reason, "message": message}
    return {**said, "lastTransitionTime": since or ago(hours=3)}


def site(name: str, state: str, reason: str = "", message: str = "", dice: float | None = None) -> dict[str, Any]:
    made: dict[str, Any] = {"name": name, "state": state, "message": message, "round": 7}
    made |= {"reason": reason} if reason else {}
    return made | ({"metrics": {"dice": dice}} if dice is not None else {})


def job(*conditions: dict[str, str], name: str = "brain", **status: Any) -> dict[str, Any]:
    """A job that trains, but for what is said."""
    said = {
        "Admitted": condition("Admitted", "True", "Planned"),
        "Running": condition("Running", "True", "Training", "round 7 of 30"),
        "QuorumMet": condition("QuorumMet", "True", "EnoughSites"),
        "Degraded": condition("Degraded", "False", "AsExpected"),
    }
    said |= {each["type"]: each for each in conditions}
    sites = [site("north", "Training", dice=0.7), site("south", "Submitted", dice=0.66)]
    usual = {"observedGeneration": 1, "attempt": 1, "startTime": ago(hours=4), "round": 7, "rounds": 30}
    usual |= {"progress": "7/30", "participation": "2/2", "state": "Training", "metrics": {"dice": 0.68}}
    return {
        "apiVersion": "fedward.io/v1alpha1",
        "kind": "FederatedJob",
        "metadata": {
            "name": name,
            "namespace": "research",
            "uid": "0c1d",
            "generation": 1,
            "creationTimestamp": ago(hours=5),
        },
        "spec": {"data": {"dataset": "brats"}, "rounds": {"count": 30}},
        "status": {**usual, "sites": sites, "conditions": list(said.values()), **status},
    }


def part(name: str = "brain-00000000", of: str = "brain", **status: Any) -> dict[str, Any]:
    """A SiteJob at a hospital."""
    spec = {"job": {"namespace": "research", "name": of, "uid": "0c1d"}, "site": "north", "dataset": "brats"}
    return {
        "metadata": {"name": name, "namespace": "fedward", "labels": {"fedward.io/side": "site"}},
        "spec": {**spec, "attempt": 1, "planDigest": "a" * 64},
        "status": status,
    }


class Kubectl:
    """Answers gets from a table of kinds; an error in the table is what the cluster says."""

    def __init__(self, **kinds: list[dict[str, Any]] | ClusterError) -> None:
        self.kinds, self.asked = kinds, []

    def __call__(self, arguments: Sequence[str], given: str | None = None) -> str:
        self.asked.append(list(arguments))
        verb, kind, *rest = arguments
        assert verb == "get", "it only looks"
        found = self.kinds.get(kind.partition(".")[0], [])
        if isinstance(found, ClusterError):
            raise found
        if "--ignore-not-found" in rest and not rest[0].startswith("-"):
            return next((json.dumps(each) for each in found if each["metadata"]["name"] == rest[0]), "")
        if "name" in rest:
            return "".join(f"{kind}/{each['metadata']['name']}\n" for each in found)
        return json.dumps({"kind": "List", "items": found})


def forbidden(verb: str, plural: str, namespace: str = "research", group: str = "fedward.io") -> ClusterError:
    """What kubectl says of a right that is missing."""
    where = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
    said = f'cannot {verb} resource "{plural}" in API group "{group}" {where}'
    return error_of(f'Error from server (Forbidden): {plural}.{group} is forbidden: User "ada" {said}', 1)


UNKNOWN = error_of('error: the server doesn\'t have a resource type "federatedjobs"', 1)


class Stream:
    """Gives lines, one script a call; an error at its end is how kubectl ended."""

    def __init__(self, *scripts: Sequence[str | ClusterError]) -> None:
        self.scripts, self.asked = list(scripts), []

    @contextlib.contextmanager
    def __call__(self, arguments: Sequence[str]) -> Iterator[Iterator[str]]:
        self.asked.append(list(arguments))
        yield self._lines(self.scripts.pop(0))

    @staticmethod
    def _lines(script: Sequence[str | ClusterError]) -> Iterator[str]:
        for each in script:
            if isinstance(each, ClusterError):
                raise each
            yield each


def event(found: dict[str, Any], kind: str = "MODIFIED") -> str:
    return json.dumps({"type": kind, "object": copy.deepcopy(found)})

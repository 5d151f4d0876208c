"""A cluster as kubectl shows it, and what `fedward doctor` makes of it."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta

from fedward_cli.cluster.doctor import examine
from fedward_cli.cluster.kubectl import ClusterError
from fedward_operator.api.crds import KINDS, definition
from fedward_operator.checks.finding import Level
from fedward_protocol.identity import Identity
from fedward_protocol.pki import Authority

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
NAMESPACE = "fedward"
FEDERATION = "fed.example.org"


def ago(**time):
    return (NOW - timedelta(**time)).strftime("%Y-%m-%dT%H:%M:%SZ")


def meta(name, namespace=NAMESPACE, **more):
    return {"name": name, "namespace": namespace, "uid": f"uid-{name}", "creationTimestamp": ago(hours=2), **more}


def condition(kind, status="True", reason="Because", message="so it is"):
    return {"type": kind, "status": status, "reason": reason, "message": message}


class Kubectl:
    """Stands for kubectl and the cluster behind it."""

    def __init__(self, forbidden=(), secrets=None, **kinds):
        self.forbidden, self.secrets, self.kinds, self.asked = forbidden, secrets or {}, kinds, []

    def __call__(self, arguments, given=None):
        self.asked.append(list(arguments))
        verb, kind, *rest = arguments
        kind = kind.partition(".")[0]
        assert (verb, given) == ("get", None), "it only looks"
        if kind in self.forbidden:
            raise ClusterError(f'Error from server (Forbidden): {kind} is forbidden: User "x" cannot list')
        if kind == "secret":
            path = rest[rest.index("-o") + 1].removeprefix("jsonpath={.data.").removesuffix("}").replace("\\.", ".")
            return base64.b64encode(self.secrets.get(rest[0], {}).get(path, b"")).decode()
        found = self.kinds.get(kind, [])
        if "--namespace" in rest:
            wanted = rest[rest.index("--namespace") + 1]
            found = [each for each in found if each["metadata"]["namespace"] == wanted]
        if "--ignore-not-found" in rest:
            names = rest[rest.index("--ignore-not-found") + 1 :]
            found = [each for each in found if each["metadata"]["name"] in names]
            if len(found) < 2:
                return "".join(json.dumps({"kind": "One"} | each) for each in found)
        return json.dumps({"kind": "List", "items": found})


def deployment(name, *arguments, **status):
    labels = {"app.kubernetes.io/instance": "mine"}
    spec = {"template": {"spec": {"containers": [{"args": list(arguments)}]}}}
    return {"metadata": meta(name, labels=labels), "spec": spec, "status": status}


def pod(
    name, phase="Running", ready=True, *, component="gateway", owner=None, created=None, namespace=NAMESPACE, **status
):
    metadata = meta(name, namespace, labels={"fedward.io/component": component})
    if owner:
        metadata["ownerReferences"] = [{"kind": owner.partition("/")[0], "uid": owner}]
    if created:
        metadata["creationTimestamp"] = created
    conditions = [condition("Ready", str(ready)), *status.pop("conditions", [])]
    return {"metadata": metadata, "status": {"phase": phase, "conditions": conditions, **status}}


def container(restarts=0, **state):
    return {"name": "c", "restartCount": restarts, "state": state}


AUTHORITY = Authority.create(FEDERATION, NOW - timedelta(days=1))
HELD = AUTHORITY.issue(Identity(FEDERATION, "site", "north"), [], NOW - timedelta(days=1), timedelta(days=30))


MADE = {kind.plural: definition(kind) for kind in KINDS}


def kind_of(plural):
    return MADE[plural] | {"status": {"conditions": [condition("Established")]}}


def found(run, role=None):
    (diagnosis,) = examine(role, NAMESPACE, NOW, run)
    return diagnosis


def troubles(run):
    levels = (Level.WRONG, Level.WARNING)
    return {each.about: (each.level.value, each.reason) for each in found(run).findings if each.level in levels}


def then(run, about):
    return next(each.then for each in found(run).findings if each.about == about)


UNSCHEDULABLE = condition(
    "PodScheduled", "False", "Unschedulable", "0/1 nodes are available: 1 Insufficient nvidia.com/gpu."
)


def event(kind, name, reason, message="because", *, minutes=5, type_="Warning", namespace=NAMESPACE):
    about = {"kind": kind, "name": name, "namespace": namespace}
    time = {"lastTimestamp": ago(minutes=minutes)}
    return {
        "metadata": meta(f"{name}.{reason}"),
        "type": type_,
        "reason": reason,
        "message": message,
        "involvedObject": about,
    } | time


def job(name, *conditions, **status):
    return {"metadata": meta(name), "spec": {}, "status": {"conditions": list(conditions), **status}}

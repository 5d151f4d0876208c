"""The CustomResourceDefinitions, made from the models: scope, names, printer columns and the rules across fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel

from fedward_operator.api.job import FederatedJobSpec, FederatedJobStatus
from fedward_operator.api.meta import API_VERSION
from fedward_operator.api.policy import SLICED, SitePolicySpec, SitePolicyStatus
from fedward_operator.api.site import FederatedSiteSpec, FederatedSiteStatus
from fedward_operator.api.site_job import SiteJobSpec, SiteJobStatus
from fedward_operator.api.structural import Schema, structural
from fedward_operator.api.tracking import CREDENTIALS_REFUSED, HAS_CREDENTIALS

_LONGEST_JOB_NAME = 40
"""What is derived from a job's name (Jobs, their pods) has to fit 63 characters."""

_MUTABLE = ("suspend", "activeDeadlineSeconds", "ttlSecondsAfterFinished")
"""What may change of a job once its plan is made: nothing of it is in the plan, whose digest hospitals admitted."""

_ASKED_ANEW = ("suspend", "attempt", "aggregator")
"""What the hub may change of a SiteJob: when, from where, but not what."""

_ONE_OF = "has(self.{0}) != has(self.{1})"


@dataclass(frozen=True, slots=True)
class Kind:
    """What a CustomResourceDefinition says besides the fields.

    Attributes:
        rules: CEL rules and their messages, by the path of the object that they are about; "" is the whole resource.
        columns: name, JSONPath and, where it is no text, type of what `kubectl get` prints.
        wide: the same, printed with `-o wide` only.
    """

    name: str
    plural: str
    short: str
    scope: Literal["Namespaced", "Cluster"]
    description: str
    spec: type[BaseModel]
    status: type[BaseModel]
    rules: Mapping[str, tuple[tuple[str, str], ...]]
    columns: tuple[tuple[str, str], ...]
    wide: tuple[tuple[str, str], ...] = ()
    needs_spec: bool = True


def _condition(kind: str, field: str = "status") -> str:
    return f'.status.conditions[?(@.type=="{kind}")].{field}'


def _unchanged(spec: type[BaseModel], mutable: tuple[str, ...]) -> str:
    """Write the CEL rule that holds every field of a spec as it was, but these."""
    kept = [str(field.alias) for field in spec.model_fields.values() if field.alias not in mutable]
    same = (
        f"has(self.spec.{name}) == has(oldSelf.spec.{name}) && "
        f"(!has(self.spec.{name}) || self.spec.{name} == oldSelf.spec.{name})"
        for name in kept
    )
    return " && ".join(f"({each})" for each in same)


KINDS = (
    Kind(
        name="FederatedJob",
        plural="federatedjobs",
        short="fjob",
        scope="Namespaced",
        description="A model trained across sites without moving their data",
        spec=FederatedJobSpec,
        status=FederatedJobStatus,
        rules={
            "": (
                (
                    f"size(self.metadata.name) <= {_LONGEST_JOB_NAME} && "
                    "self.metadata.name.matches('^[a-z][-a-z0-9]*$')",
                    f"a job's name has {_LONGEST_JOB_NAME} characters at most, a letter first, and no dot: "
                    "other names are made from it",
                ),
                (
                    f"!has(oldSelf.status) || !has(oldSelf.status.planDigest) || "
                    f"({_unchanged(FederatedJobSpec, _MUTABLE)})",
                    f"spec stays as it is once the job's plan is made, but for {', '.join(_MUTABLE)}; "
                    "make another job instead",
                ),
            ),
            "spec.model": ((_ONE_OF.format("network", "bundle"), 'needs exactly one of "network" and "bundle"'),),
            "spec.sites": ((_ONE_OF.format("names", "selector"), 'needs exactly one of "names" and "selector"'),),
            "spec.tracking.mlflow": ((f"!self.uri.matches('{HAS_CREDENTIALS}')", f"uri {CREDENTIALS_REFUSED}"),),
        },
        columns=(
            ("State", ".status.state"),
            ("Round", ".status.progress"),
            ("Sites", ".status.participation"),
            ("Score", ".status.score"),
        ),
        wide=(
            ("Quorum", _condition("QuorumMet")),
            ("Degraded", _condition("Degraded", "reason")),
            ("Attempt", ".status.attempt"),
            ("Message", _condition("Running", "message")),
        ),
    ),
    Kind(
        name="FederatedSite",
        plural="federatedsites",
        short="fsite",
        scope="Cluster",
        description="A hospital that was invited to the federation; its labels are what jobs select by",
        spec=FederatedSiteSpec,
        status=FederatedSiteStatus,
        rules={
            "": (
                (
                    "size(self.metadata.name) <= 40 && self.metadata.name.matches('^[a-z0-9][-a-z0-9]*$')",
                    "a site's name has 40 characters at most, and no dot: its namespace is named after it",
                ),
            ),
        },
        columns=(
            ("Connected", _condition("Connected")),
            ("Why", _condition("Connected", "reason")),
            ("GPUs", ".status.gpus"),
            ("Version", ".status.version"),
        ),
        wide=(
            ("Hospital", ".spec.displayName"),
            ("Datasets", ".status.datasets"),
            ("Cases", ".status.cases"),
        ),
        needs_spec=False,
    ),
    Kind(
        name="SiteJob",
        plural="sitejobs",
        short="sjob",
        scope="Namespaced",
        description="One site's part in one job: asked by the hub, answered by the hospital",
        spec=SiteJobSpec,
        status=SiteJobStatus,
        rules={
            "": (
                (
                    _unchanged(SiteJobSpec, _ASKED_ANEW),
                    f"spec stays as it is, but for {', '.join(_ASKED_ANEW)}: the hospital admitted it as it is",
                ),
                ("self.spec.attempt >= oldSelf.spec.attempt", "an attempt never goes back"),
            ),
        },
        # A SiteJob's name begins with its job's.
        columns=(("State", ".status.state"), ("From", ".spec.job.namespace")),
        wide=(("Job", ".spec.job.name"), ("Attempt", ".spec.attempt"), ("Message", ".status.message")),
    ),
    Kind(
        name="SitePolicy",
        plural="sitepolicies",
        short="spol",
        scope="Namespaced",
        description="What a hospital allows",
        spec=SitePolicySpec,
        status=SitePolicyStatus,
        rules={
            "spec.datasets[].volume": (
                (
                    _ONE_OF.format("hostPath", "persistentVolumeClaim"),
                    'needs exactly one of "hostPath" and "persistentVolumeClaim"',
                ),
            ),
            "spec.gpus": (
                (
                    f"!has(self.migProfile) || self.resource in {list(SLICED)}",
                    f"migProfile goes with the resource {' or '.join(SLICED)} only",
                ),
            ),
        },
        columns=(
            ("Datasets", ".spec.datasets[*].name"),
            ("Approval", ".spec.approval"),
            ("Running", ".status.running"),
            ("Waiting", ".status.waiting"),
        ),
        wide=(
            ("GPUs", ".spec.gpus.count"),
            ("Ready", _condition("Ready", "reason")),
            ("Data", _condition("DataSound", "reason")),
        ),
    ),
)


def definition(kind: Kind) -> Schema:
    """Make the CustomResourceDefinition of a kind, ready to be applied."""
    group, _, version = API_VERSION.partition("/")
    schema: Schema = {
        "type": "object",
        "description": kind.description,
        "properties": {"spec": structural(kind.spec), "status": structural(kind.status)},
        "required": ["spec"] if kind.needs_spec else [],
    }
    if not kind.needs_spec:
        schema["properties"]["spec"]["default"] = {}
    for path, rules in kind.rules.items():
        _at(schema, path)["x-kubernetes-validations"] = [{"rule": rule, "message": text} for rule, text in rules]
    age = {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}
    columns: list[Schema] = [{"name": name, "type": "string", "jsonPath": path} for name, path in kind.columns]
    wide: list[Schema] = [{"name": name, "type": "string", "jsonPath": path, "priority": 1} for name, path in kind.wide]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{group}"},
        "spec": {
            "group": group,
            "scope": kind.scope,
            "names": {
                "kind": kind.name,
                "listKind": f"{kind.name}List",
                "plural": kind.plural,
                "singular": kind.name.lower(),
                "shortNames": [kind.short],
                "categories": ["fedward"],
            },
            "versions": [
                {
                    "name": version,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [*columns, age, *wide],
                    "schema": {"openAPIV3Schema": schema},
                }
            ],
        },
    }


def _at(schema: Schema, path: str) -> dict[str, Any]:
    for step in path.split(".") if path else ():
        schema = schema["properties"][step.removesuffix("[]")]
        if step.endswith("[]"):
            schema = schema["items"]
    return schema

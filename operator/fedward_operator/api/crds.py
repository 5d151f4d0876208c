"""The CustomResourceDefinitions, made from the models: scope, names, printer columns and the rules across fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel

from fedward_operator.api.job import FederatedJobSpec
from fedward_operator.api.meta import API_VERSION
from fedward_operator.api.policy import SitePolicySpec
from fedward_operator.api.site import FederatedSiteSpec
from fedward_operator.api.structural import Schema, structural

_LONGEST_JOB_NAME = 40
"""What is derived from a job's name (Jobs, their pods) has to fit 63 characters."""

_ONE_OF = "has(self.{0}) != has(self.{1})"


@dataclass(frozen=True, slots=True)
class Kind:
    """What a CustomResourceDefinition says besides the fields.

    Attributes:
        rules: CEL rules and their messages, by the path of the object that they are about; "" is the whole resource.
        columns: name and JSONPath of what `kubectl get` prints.
    """

    name: str
    plural: str
    short: str
    scope: Literal["Namespaced", "Cluster"]
    description: str
    spec: type[BaseModel]
    rules: Mapping[str, tuple[tuple[str, str], ...]]
    columns: tuple[tuple[str, str], ...]
    needs_spec: bool = True


KINDS = (
    Kind(
        name="FederatedJob",
        plural="federatedjobs",
        short="fjob",
        scope="Namespaced",
        description="A model trained across sites without moving their data",
        spec=FederatedJobSpec,
        rules={
            "": (
                (
                    f"size(self.metadata.name) <= {_LONGEST_JOB_NAME} && "
                    "self.metadata.name.matches('^[a-z][-a-z0-9]*$')",
                    f"a job's name has {_LONGEST_JOB_NAME} characters at most, a letter first, and no dot: "
                    "other names are made from it",
                ),
            ),
            "spec.model": ((_ONE_OF.format("network", "bundle"), 'needs exactly one of "network" and "bundle"'),),
            "spec.sites": ((_ONE_OF.format("names", "selector"), 'needs exactly one of "names" and "selector"'),),
        },
        columns=(("Rounds", ".spec.rounds.count"), ("Suspended", ".spec.suspend")),
    ),
    Kind(
        name="FederatedSite",
        plural="federatedsites",
        short="fsite",
        scope="Cluster",
        description="A hospital that was invited to the federation; its labels are what jobs select by",
        spec=FederatedSiteSpec,
        rules={
            "": (
                (
                    "size(self.metadata.name) <= 40 && self.metadata.name.matches('^[a-z0-9][-a-z0-9]*$')",
                    "a site's name has 40 characters at most, and no dot: its namespace is named after it",
                ),
            ),
        },
        columns=(("Hospital", ".spec.displayName"),),
        needs_spec=False,
    ),
    Kind(
        name="SitePolicy",
        plural="sitepolicies",
        short="spol",
        scope="Namespaced",
        description="What a hospital allows",
        spec=SitePolicySpec,
        rules={
            "spec.datasets[].volume": (
                (
                    _ONE_OF.format("hostPath", "persistentVolumeClaim"),
                    'needs exactly one of "hostPath" and "persistentVolumeClaim"',
                ),
            ),
        },
        columns=(("Datasets", ".spec.datasets[*].name"),),
    ),
)


def definition(kind: Kind) -> Schema:
    """Make the CustomResourceDefinition of a kind, ready to be applied."""
    group, _, version = API_VERSION.partition("/")
    schema: Schema = {
        "type": "object",
        "description": kind.description,
        "properties": {"spec": structural(kind.spec)},
        "required": ["spec"] if kind.needs_spec else [],
    }
    if not kind.needs_spec:
        schema["properties"]["spec"]["default"] = {}
    if kind.name == "SitePolicy":
        schema["properties"]["spec"]["properties"]["datasets"] |= {
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
        }
    for path, rules in kind.rules.items():
        _at(schema, path)["x-kubernetes-validations"] = [{"rule": rule, "message": text} for rule, text in rules]
    age = {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}
    columns = [{"name": name, "type": "string", "jsonPath": path} for name, path in kind.columns]
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
                    "additionalPrinterColumns": [*columns, age],
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

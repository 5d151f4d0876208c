"""Whether the cluster knows our kinds, each as this version has it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fedward_operator.api.crds import KINDS, definition
from fedward_operator.checks.finding import Finding, Trouble, fine, warning, wrong
from fedward_operator.policy.conditions import find, holds

PLURALS = tuple(kind.plural for kind in KINDS)


def installed(found: Mapping[str, Mapping[str, Any] | None], plurals: Sequence[str], then: str) -> Iterator[Finding]:
    """Judge CustomResourceDefinitions, by plural; None for one that is not there."""
    for kind in KINDS:
        if kind.plural in plurals:
            yield _judge(found.get(kind.plural), definition(kind), then)


def _judge(found: Mapping[str, Any] | None, wanted: Mapping[str, Any], then: str) -> Finding:
    about = f"kind {wanted['spec']['names']['kind']}"
    if found is None:
        return wrong(about, Trouble.KIND_MISSING, f"the cluster does not know {wanted['metadata']['name']}", then)
    conditions = (found.get("status") or {}).get("conditions") or ()
    if not holds(conditions, "Established"):
        names = find(conditions, "NamesAccepted") or {}
        return wrong(
            about, Trouble.KIND_MISSING, f"it is not served: {names.get('message') or 'not established'}", then
        )
    if _schemas(found) != _schemas(wanted):
        said = "its fields are not those of this version: an upgrade left it out, or another installation has made it"
        return warning(about, Trouble.KIND_OUTDATED, said, then)
    return fine(about, "as this version has it")


def _schemas(definition: Mapping[str, Any]) -> dict[str, Any]:
    schemas = {each["name"]: each["schema"]["openAPIV3Schema"] for each in definition["spec"]["versions"]}
    # The API server does not keep an empty list.
    return {name: {key: said for key, said in schema.items() if said != []} for name, schema in schemas.items()}

"""What every status holds: conditions by type, times as Kubernetes writes them, and where a schema keys its lists."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from fedward_operator.api.meta import Resource


def keyed_by(*keys: str) -> dict[str, Any]:
    """Say, as part of a list's JSON Schema, that its items are told apart by these fields."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(keys)}


Timestamp = Annotated[
    str, StringConstraints(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?Z$")
]
"""An instant in UTC: `2026-03-01T12:00:00Z`."""

CamelCase = Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{1,64}$")]
"""A word for programs: `WaitingForSites`."""

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""A SHA-256 digest in hexadecimal."""

Sentence = Annotated[str, Field(max_length=2048)]
"""A sentence for people."""


class Condition(Resource):
    """One aspect of how a resource is, as metav1.Condition has it."""

    type: Annotated[CamelCase, Field(description="Which aspect")]
    status: Annotated[Literal["True", "False", "Unknown"], Field(description="Whether it holds")]
    observed_generation: Annotated[int, Field(ge=0, description="The generation that this was found for")] = 0
    last_transition_time: Annotated[Timestamp, Field(description="Since when it is so")]
    reason: Annotated[CamelCase, Field(description="Why, in one word")]
    message: Annotated[str, Field(max_length=8192, description="Why, in a sentence")] = ""


Conditions = Annotated[
    tuple[Condition, ...],
    Field(max_length=16, description="How it is, aspect by aspect", json_schema_extra=keyed_by("type")),
]

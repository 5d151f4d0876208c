"""What every custom resource has: group and version, a closed camelCase schema, and the metadata that users write."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from fedward_operator.api.scalars import LabelKey, Labels
from fedward_protocol.plan import Name

API_VERSION = "fedward.io/v1alpha1"


class Resource(BaseModel):
    """Part of a custom resource: immutable, camelCase, and closed to unknown fields."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True, allow_inf_nan=False
    )


class Metadata(Resource):
    """Kubernetes' metadata, as far as a user writes it, and the uid."""

    name: Annotated[Name, Field(description="Unique among the resources of its kind in its namespace")]
    namespace: Annotated[Name, Field(description="Whose it is")] = "default"
    uid: Annotated[str, Field(min_length=8, max_length=64, description="Set by the API server")] | None = None
    labels: Annotated[Labels, Field(description="By which selectors find it")] = {}
    annotations: Annotated[
        dict[LabelKey, Annotated[str, Field(max_length=65_536)]],
        Field(max_length=64, description="Notes that nothing selects by"),
    ] = {}


ApiVersion = Annotated[Literal["fedward.io/v1alpha1"], Field(description="Group and version")]

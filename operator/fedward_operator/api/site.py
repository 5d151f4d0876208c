"""FederatedSite: a hospital that the hub's administrator invited."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from fedward_operator.api.meta import ApiVersion, Metadata, Resource
from fedward_operator.api.status import Conditions, Timestamp
from fedward_protocol.inspection import Count
from fedward_protocol.plan import Name


class FederatedSiteSpec(Resource):
    """What the hub's administrator says about a site."""

    display_name: Annotated[str, Field(max_length=128, description="The hospital's name, for people")] = ""
    approval: Annotated[
        Literal["automatic", "manual"],
        Field(description="Whether an invitation is enough to join, or a person of the hub has to approve the request"),
    ] = "automatic"
    revoked: Annotated[
        bool, Field(description="It belongs to the federation no more: it gets no certificate and has no access")
    ] = False


class FederatedSiteStatus(Resource):
    """What the site says of itself, and whether it can be heard."""

    observed_generation: Annotated[int, Field(ge=0, description="The generation that this is about")] = 0
    last_seen: (
        Annotated[Timestamp, Field(description="When it was last heard, once it is not heard any more")] | None
    ) = None
    version: Annotated[str, Field(max_length=64, description="Of the site's operator")] = ""
    hub_version: Annotated[str, Field(max_length=64, description="Of the hub's operator, for the site to know")] = ""
    gpus: Annotated[int, Field(ge=0, description="GPUs that its policy lends to one job")] = 0
    datasets: Annotated[tuple[Name, ...], Field(max_length=64, description="What it offers; the names jobs use")] = ()
    cases: (
        Annotated[
            dict[Annotated[str, Field(max_length=63)], Count],
            Field(max_length=64, description="How many cases a dataset has, where the hospital tells"),
        ]
        | None
    ) = None
    certificate_expires: (
        Annotated[Timestamp, Field(description="When its certificate does, as it says; it renews itself before")] | None
    ) = None
    conditions: Conditions = ()


class FederatedSite(Resource):
    """A hospital that was invited to the federation; its labels are what jobs select by."""

    api_version: ApiVersion
    kind: Annotated[Literal["FederatedSite"], Field(description="FederatedSite")]
    metadata: Annotated[Metadata, Field(description="Name and labels")]
    spec: Annotated[FederatedSiteSpec, Field(description="What is known about the site")] = FederatedSiteSpec()

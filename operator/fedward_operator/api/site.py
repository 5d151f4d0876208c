"""FederatedSite: a hospital that the hub's administrator invited."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from fedward_operator.api.meta import ApiVersion, Metadata, Resource


class FederatedSiteSpec(Resource):
    """What the hub's administrator says about a site."""

    display_name: Annotated[str, Field(max_length=128, description="The hospital's name, for people")] = ""


class FederatedSite(Resource):
    """A hospital that was invited to the federation; its labels are what jobs select by."""

    api_version: ApiVersion
    kind: Annotated[Literal["FederatedSite"], Field(description="FederatedSite")]
    metadata: Annotated[Metadata, Field(description="Name and labels")]
    spec: Annotated[FederatedSiteSpec, Field(description="What is known about the site")] = FederatedSiteSpec()

"""SitePolicy: the hospital's own words on what may run on its data and what may leave."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from fedward_operator.api.job import ConfigMapName
from fedward_operator.api.meta import ApiVersion, Metadata, Resource
from fedward_protocol.plan import Filter, Name


class HostPath(Resource):
    """A folder on the node, or on this machine in a local run."""

    path: Annotated[
        str,
        Field(
            min_length=1, max_length=4096, description="Absolute in a cluster; in a local file relative to that file"
        ),
    ]


class PersistentVolumeClaim(Resource):
    """A claim in the policy's namespace."""

    claim_name: Annotated[ConfigMapName, Field(description="Name of the claim")]


class Volume(Resource):
    """Where a dataset lies; it is mounted read-only."""

    host_path: Annotated[HostPath, Field(description="A folder")] | None = None
    persistent_volume_claim: Annotated[PersistentVolumeClaim, Field(description="A volume claim")] | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> Volume:
        if (self.host_path is None) == (self.persistent_volume_claim is None):
            raise ValueError('needs exactly one of "hostPath" and "persistentVolumeClaim"')
        return self


class Dataset(Resource):
    """A dataset that the hospital offers under a name."""

    name: Annotated[Name, Field(description="What jobs call it")]
    volume: Annotated[Volume, Field(description="Where it lies")]


class Budget(Resource):
    """The privacy loss that a dataset may ever suffer, over all jobs."""

    epsilon: Annotated[float, Field(gt=0, description="Total ε")]
    delta: Annotated[float, Field(gt=0, lt=1, description="Total δ")] = 1e-5


class PrivacyFloor(Resource):
    """The least that is done to an update before it leaves, whatever the job asked for."""

    floor: Annotated[
        tuple[Filter, ...], Field(max_length=16, description="Filters applied after the job's own, in this order")
    ] = ()
    budget: Annotated[Budget, Field(description="For each dataset; nothing leaves once it is spent")] | None = None


class SitePolicySpec(Resource):
    """The hospital's rules."""

    datasets: Annotated[
        tuple[Dataset, ...], Field(min_length=1, max_length=64, description="What may be trained on, keyed by name")
    ]
    privacy: Annotated[PrivacyFloor, Field(description="What may leave")] = PrivacyFloor()

    @model_validator(mode="after")
    def _names_differ(self) -> SitePolicySpec:
        names = [dataset.name for dataset in self.datasets]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f'has two datasets called "{name}"')
        return self


class SitePolicy(Resource):
    """What a hospital allows; in a local file its name is the site's."""

    api_version: ApiVersion
    kind: Annotated[Literal["SitePolicy"], Field(description="SitePolicy")]
    metadata: Annotated[Metadata, Field(description="Name and namespace")]
    spec: Annotated[SitePolicySpec, Field(description="The rules")]

"""SiteJob: one site's part in one job. The hub asks in `spec`, the hospital answers in `status`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from fedward_operator.api.job import Image, PodTemplate, Resources
from fedward_operator.api.meta import ApiVersion, Metadata, Resource
from fedward_operator.api.status import CamelCase, Conditions, Sentence, Sha256, Timestamp
from fedward_protocol.plan import Name

LONGEST_PLAN = 1_200_000
"""Characters; with everything around it a SiteJob stays below what etcd takes (1.5 MiB)."""


class JobReference(Resource):
    """Which FederatedJob of the hub this is a part of."""

    namespace: Annotated[Name, Field(description="Its namespace at the hub")]
    name: Annotated[Name, Field(description="Its name")]
    uid: Annotated[str, Field(min_length=8, max_length=64, description="Its uid at the hub")]


class AggregatorAddress(Resource):
    """Where the job's aggregator is met."""

    address: Annotated[
        str, Field(pattern=r"^[^\s/]{1,253}:[0-9]{1,5}$", max_length=259, description="Host and port to connect to")
    ]
    server_name: Annotated[str, Field(min_length=1, max_length=253, description="The name that its certificate holds")]


class SiteJobSpec(Resource):
    """What is asked of a site."""

    job: Annotated[JobReference, Field(description="Which job")]
    site: Annotated[Name, Field(description="Which site")]
    federation: Annotated[str, Field(pattern=r"^[a-z0-9.-]{1,253}$", description="The SPIFFE trust domain")]
    attempt: Annotated[int, Field(ge=1, le=1_000_000, description="Fences off what an earlier attempt left behind")]
    suspend: Annotated[bool, Field(description="Stop the trainer, so that it can go on later")] = False
    aggregator: Annotated[AggregatorAddress, Field(description="Where the gateway connects")]
    plan: Annotated[str, Field(max_length=LONGEST_PLAN, description="The resolved plan, JSON in its canonical form")]
    plan_digest: Annotated[Sha256, Field(description="SHA-256 of the plan")]
    dataset: Annotated[Name, Field(description="Which of the SitePolicy's datasets")]
    image: Annotated[Image, Field(description="Trainer image; the site's own where left out")] | None = None
    resources: Annotated[Resources, Field(description="What the trainer needs")] = Resources()
    pod_template: Annotated[PodTemplate, Field(description="Wishes about the trainer's pod")] = PodTemplate(
        node_selector={}
    )
    backoff_limit: Annotated[int, Field(ge=0, le=100, description="How often the trainer may fail")] = 3


class SiteJobStatus(Resource):
    """What the site decided and how its part goes."""

    observed_generation: Annotated[int, Field(ge=0, description="The generation at the hub that this answers")] = 0
    attempt: Annotated[int, Field(ge=0, description="The attempt that this is about")] = 0
    state: Annotated[CamelCase, Field(description="In one word, how it goes")] = "Pending"
    message: Annotated[Sentence, Field(description="Why, in a sentence")] = ""
    approval_digest: (
        Annotated[Sha256, Field(description="Digest of all that `fedward approve` has to approve")] | None
    ) = None
    approved_digest: Annotated[Sha256, Field(description="Digest of what was approved")] | None = None
    started_at: Annotated[Timestamp, Field(description="When this attempt's trainer was created")] | None = None
    conditions: Conditions = ()


class SiteJob(Resource):
    """One site's part in one job."""

    api_version: ApiVersion
    kind: Annotated[Literal["SiteJob"], Field(description="SiteJob")]
    metadata: Annotated[Metadata, Field(description="Name and namespace")]
    spec: Annotated[SiteJobSpec, Field(description="What is asked")]

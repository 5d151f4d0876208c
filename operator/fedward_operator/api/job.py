"""FederatedJob: what a researcher asks for, from the model to how long the result is kept."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from fedward_operator.api.meta import ApiVersion, Metadata, Resource
from fedward_operator.api.scalars import (
    Duration,
    ExtendedResource,
    LabelKey,
    Labels,
    LabelValue,
    PositiveDuration,
    Quantity,
    Quorum,
)
from fedward_operator.api.status import CamelCase, Conditions, Sentence, Sha256, Timestamp, keyed_by
from fedward_operator.api.tracking import Tracking
from fedward_protocol.metric_names import MOST_METRICS
from fedward_protocol.plan import (
    Aggregation,
    Data,
    Evaluation,
    FedAvg,
    Name,
    Network,
    Privacy,
    Training,
    Transport,
)

Image = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9][-A-Za-z0-9._:/]{0,255}(@sha256:[0-9a-f]{64})?$", max_length=512)
]
"""A container image: `registry/name:tag` or, better, `registry/name@sha256:...`."""

ConfigMapName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$")]


MetricName = Annotated[str, Field(max_length=64)]


class BundleSource(Resource):
    """Where a MONAI bundle's files are."""

    config_map: Annotated[
        ConfigMapName,
        Field(description="ConfigMap in the job's namespace; *.json goes to configs/, *.py to scripts/"),
    ]


class ModelSource(Resource):
    """What is trained: a network for the built-in segmentation task, or a MONAI bundle."""

    network: Annotated[Network, Field(description="A network of MONAI's, by name")] | None = None
    bundle: Annotated[BundleSource, Field(description="A MONAI bundle that brings its own training")] | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> ModelSource:
        if (self.network is None) == (self.bundle is None):
            raise ValueError('needs exactly one of "network" and "bundle"')
        return self


class LabelSelector(Resource):
    """Which FederatedSites, by their labels."""

    match_labels: Annotated[Labels, Field(min_length=1, description="Every one of these labels must be there")]


class SiteSelection(Resource):
    """Which sites are asked to take part: by name, or by label."""

    names: (
        Annotated[tuple[Name, ...], Field(min_length=1, max_length=256, description="Names of FederatedSites")] | None
    ) = None
    selector: Annotated[LabelSelector, Field(description="Selects FederatedSites when the job starts")] | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> SiteSelection:
        if (self.names is None) == (self.selector is None):
            raise ValueError('needs exactly one of "names" and "selector"')
        return self


class RoundsSpec(Resource):
    """How many rounds, and when one closes."""

    count: Annotated[int, Field(ge=1, le=10_000, description="Rounds to train")]
    quorum: Annotated[
        Quorum, Field(description="Updates that close a round at its deadline: a number, or a share rounded up")
    ] = "100%"
    min_sites: Annotated[int, Field(ge=1, le=256, description="Fewest sites that a round may ever count")] = 1
    deadline: Annotated[PositiveDuration, Field(description="From the opening of a round to its closing")] = timedelta(
        minutes=30
    )
    grace: Annotated[Duration, Field(description="What stragglers get on top once the quorum is met")] = timedelta(
        seconds=60
    )


class Gpu(Resource):
    """The accelerators of one trainer."""

    resource: Annotated[
        ExtendedResource,
        Field(description="Name of the extended resource; a site's policy says what it is called there"),
    ] = "nvidia.com/gpu"
    count: Annotated[int, Field(ge=0, le=16, description="How many")] = 1


class Resources(Resource):
    """What one trainer needs; only a cluster reads it."""

    gpu: Annotated[Gpu, Field(description="Accelerators")] | None = None
    cpu: Annotated[Quantity, Field(description="Cores")] | None = None
    memory: Annotated[Quantity, Field(description="Memory")] | None = None


class Toleration(Resource):
    """A taint that the trainer's pod puts up with."""

    key: Annotated[LabelKey, Field(description="The taint's key; every taint where left out")] | None = None
    operator: Annotated[Literal["Exists", "Equal"], Field(description="How value is compared")] = "Equal"
    value: Annotated[LabelValue, Field(description="The taint's value")] = ""
    effect: (
        Annotated[
            Literal["NoSchedule", "PreferNoSchedule", "NoExecute"],
            Field(description="The taint's effect; every effect where left out"),
        ]
        | None
    ) = None


class PodTemplate(Resource):
    """The part of the trainer's pod that a job may wish for; the site's policy wins. Only a cluster reads it."""

    node_selector: Annotated[Labels, Field(default_factory=dict, description="Labels that the node must have")]
    tolerations: Annotated[tuple[Toleration, ...], Field(max_length=16, description="Taints put up with")] = ()
    priority_class_name: Annotated[ConfigMapName, Field(description="A PriorityClass of the site's")] | None = None


class FederatedJobSpec(Resource):
    """What a researcher asks for."""

    model: Annotated[ModelSource, Field(description="What is trained")]
    data: Annotated[Data, Field(description="What it is trained on")]
    sites: Annotated[SiteSelection, Field(description="Who takes part")]
    seed: Annotated[int, Field(ge=0, lt=2**31, description="Of the first model and of every shuffle")] = 0
    training: Annotated[Training, Field(description="One site's work in a round")] = Training()
    rounds: Annotated[RoundsSpec, Field(description="How many rounds, and when one closes")]
    aggregation: Annotated[Aggregation, Field(description="How updates become the next model")] = FedAvg()
    privacy: Annotated[
        Privacy, Field(description="Filters that gateways run over each update; the site's floor comes after them")
    ] = Privacy()
    evaluation: Annotated[Evaluation, Field(description="When models are evaluated, and which is best")] = Evaluation()
    transport: Annotated[Transport, Field(description="How updates travel")] = Transport()
    tracking: Annotated[Tracking, Field(description="Where the job is logged besides its status")] | None = None
    resources: Annotated[Resources, Field(description="What one trainer needs")] = Resources()
    pod_template: Annotated[PodTemplate, Field(description="Wishes about the trainer's pod")] = PodTemplate(
        node_selector={}
    )
    image: (
        Annotated[Image, Field(description="Trainer image that every site shall run; each site's own where left out")]
        | None
    ) = None
    suspend: Annotated[bool, Field(description="Hold the job: nothing starts, what runs is stopped, resumable")] = False
    managed_by: (
        Annotated[str, Field(max_length=253, description="Another controller that runs the job instead")] | None
    ) = None
    active_deadline_seconds: (
        Annotated[int, Field(ge=1, le=31_536_000, description="The job fails when it has run for longer")] | None
    ) = None
    ttl_seconds_after_finished: (
        Annotated[int, Field(ge=0, le=31_536_000, description="The finished job is deleted after this long")] | None
    ) = None
    backoff_limit: Annotated[
        int, Field(ge=0, le=100, description="How often each process may fail before it counts as lost")
    ] = 3


class SiteInJob(Resource):
    """How one site's part goes."""

    name: Annotated[Name, Field(description="Which site")]
    state: Annotated[CamelCase, Field(description="In one word: Pending, Refused, Training, Lost, ...")]
    reason: Annotated[CamelCase, Field(description="Why, in one word")] | None = None
    message: Annotated[Sentence, Field(description="Why, in a sentence")] = ""
    round: Annotated[int, Field(ge=0, description="The last round that it worked on")] = 0
    samples: Annotated[int, Field(ge=0, description="Training cases that it counted")] | None = None
    metrics: (
        Annotated[
            dict[MetricName, float],
            Field(max_length=MOST_METRICS, description="Of the last model that it evaluated"),
        ]
        | None
    ) = None


class FederatedJobStatus(Resource):
    """How a job goes."""

    observed_generation: Annotated[int, Field(ge=0, description="The generation that this is about")] = 0
    plan_digest: Annotated[Sha256, Field(description="Of the plan that was made; from then on spec stays")] | None = (
        None
    )
    attempt: Annotated[int, Field(ge=0, description="Rises each time the job is started from its checkpoint")] = 0
    start_time: Annotated[Timestamp, Field(description="When it started, or was resumed")] | None = None
    completion_time: Annotated[Timestamp, Field(description="When it completed or failed")] | None = None
    round: Annotated[int, Field(ge=0, description="The open round, or the last one")] = 0
    rounds: Annotated[int, Field(ge=0, description="Rounds to train")] = 0
    progress: Annotated[str, Field(max_length=32, description="Rounds for people: 7/30")] = ""
    participation: Annotated[str, Field(max_length=32, description="Sites that take part, of those asked: 3/4")] = ""
    state: Annotated[CamelCase, Field(description="In one word, how it goes; the Running condition's reason")] = (
        "Pending"
    )
    metrics: (
        Annotated[
            dict[MetricName, float],
            Field(max_length=MOST_METRICS, description="Of the global model, over the cases of all sites"),
        ]
        | None
    ) = None
    score: (
        Annotated[float, Field(description="The one of these that the best model is chosen by: evaluation.metric")]
        | None
    ) = None
    sites: Annotated[
        tuple[SiteInJob, ...],
        Field(max_length=256, description="The sites asked", json_schema_extra=keyed_by("name")),
    ] = ()
    conditions: Conditions = ()


class FederatedJob(Resource):
    """A model trained across sites without moving their data."""

    api_version: ApiVersion
    kind: Annotated[Literal["FederatedJob"], Field(description="FederatedJob")]
    metadata: Annotated[Metadata, Field(description="Name, namespace and labels")]
    spec: Annotated[FederatedJobSpec, Field(description="What is asked for")]

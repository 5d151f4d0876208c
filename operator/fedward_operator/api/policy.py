"""SitePolicy: the hospital's own words on what may run on its data and what may leave."""

from __future__ import annotations

from typing import Annotated, Literal
from zoneinfo import available_timezones

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from fedward_operator.api.job import ConfigMapName, Toleration
from fedward_operator.api.meta import ApiVersion, Metadata, Resource
from fedward_operator.api.scalars import ExtendedResource, Labels, Quantity
from fedward_operator.api.status import CamelCase, Conditions, Sentence, Timestamp, keyed_by
from fedward_protocol.inspection import Count, Problem
from fedward_protocol.plan import Filter, Name
from fedward_protocol.work_order import Export

ImagePattern = Annotated[str, StringConstraints(pattern=r"^[-A-Za-z0-9._:/@*]{1,512}$")]
"""An image, in which `*` stands for anything but a slash."""

ClockTime = Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
"""A time of the day: `18:30`."""

Day = Literal["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]


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
    format: (
        Annotated[
            Literal["brats2018", "brats2021", "brats2023", "decathlon"],
            Field(description="Its layout; a job that asks for another is refused here, before anything starts"),
        ]
        | None
    ) = None
    share: Annotated[
        Literal["none", "name", "counts"],
        Field(
            description="What the hub is told of it before a job asks: nothing, its name, or also how many cases it "
            "has; a job may ask for it by name in any case"
        ),
    ] = "name"


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


class ExportedNumbers(Resource):
    """Numbers on how fast training goes, which stay in the hospital unless they are named here."""

    metrics: Annotated[
        tuple[Export, ...],
        Field(
            max_length=2,
            description="casesPerSecond: training cases worked through per second; gpuUtilisation: share of time that "
            "the trainer's GPU is busy. Both leave with progress reports, every two seconds or so, to three decimals, "
            "and tell about the hospital's machines; the trainer measures them, so code that was written in order to "
            "steal could hide a few bits in them",
            json_schema_extra={"x-kubernetes-list-type": "set"},
        ),
    ] = ()


SLICED = ("nvidia.com/gpu", "nvidia.com/gpu.shared")
"""What MIG profiles are profiles of."""


class GpuOffer(Resource):
    """The accelerators that the hospital lends to one trainer."""

    resource: Annotated[
        ExtendedResource,
        Field(
            description="Name of the extended resource on the hospital's nodes, such as nvidia.com/gpu.shared, "
            "amd.com/gpu or gpu.intel.com/xe"
        ),
    ] = "nvidia.com/gpu"
    mig_profile: (
        Annotated[
            str,
            StringConstraints(pattern=r"^[1-9]g\.[0-9]{1,3}gb([-+.](me|gfx|me\.all))?$"),
            Field(description="Lend slices of this MIG profile, such as 1g.10gb, instead of whole GPUs of NVIDIA's"),
        ]
        | None
    ) = None
    count: Annotated[int, Field(ge=1, le=16, description="How many one trainer may have")] = 1
    node_selector: Annotated[Labels, Field(default_factory=dict, description="Labels that the node must have")]
    tolerations: Annotated[tuple[Toleration, ...], Field(max_length=16, description="Taints put up with")] = ()
    runtime_class_name: Annotated[ConfigMapName, Field(description="RuntimeClass of pods with a GPU")] | None = None

    @model_validator(mode="after")
    def _has_profiles(self) -> GpuOffer:
        if self.mig_profile is not None and self.resource not in SLICED:
            raise ValueError(f"has a migProfile, which goes with the resource {' or '.join(SLICED)} only")
        return self


class Limits(Resource):
    """The most that one trainer may ask for."""

    cpu: Annotated[Quantity, Field(description="Cores")] | None = None
    memory: Annotated[Quantity, Field(description="Memory")] | None = None


class Window(Resource):
    """A time of the week at which trainers may run; one that ends before it begins goes on past midnight."""

    days: Annotated[
        tuple[Day, ...], Field(max_length=7, description="Days on which it begins; every day where empty")
    ] = ()
    begins: Annotated[ClockTime, Field(description="From this time on")]
    ends: Annotated[ClockTime, Field(description="Until this time")]


def _check_zone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError(f'no time zone is called "{name}"; write it as "Europe/London"')
    return name


class Schedule(Resource):
    """When trainers may run."""

    time_zone: Annotated[
        str,
        StringConstraints(pattern=r"^[A-Za-z0-9_+/-]{1,64}$"),
        AfterValidator(_check_zone),
        Field(description="Time zone of the windows, such as Europe/London"),
    ] = "UTC"
    windows: Annotated[tuple[Window, ...], Field(min_length=1, max_length=32, description="When trainers may run")]


class StateVolume(Resource):
    """The claim on which a trainer keeps what it resumes from."""

    size: Annotated[Quantity, Field(description="Size of the claim")] = "5Gi"
    storage_class_name: Annotated[ConfigMapName, Field(description="StorageClass")] | None = None


class SitePolicySpec(Resource):
    """The hospital's rules."""

    datasets: Annotated[
        tuple[Dataset, ...],
        Field(
            min_length=1,
            max_length=64,
            description="What may be trained on, keyed by name",
            json_schema_extra=keyed_by("name"),
        ),
    ]
    approval: Annotated[
        Literal["automatic", "manual"],
        Field(description="Whether a person of the hospital has to approve each job (fedward approve)"),
    ] = "automatic"
    images: Annotated[
        tuple[ImagePattern, ...],
        Field(max_length=64, description="Images that may run, beside the one that the hospital installed"),
    ] = ()
    gpus: Annotated[GpuOffer, Field(description="Accelerators lent to a trainer; none where left out")] | None = None
    without_gpu: Annotated[
        Literal["refuse", "train"],
        Field(description="What becomes of a job that asks for a GPU where none is lent: refused, or trained on CPUs"),
    ] = "refuse"
    limits: Annotated[Limits, Field(description="The most that one trainer may ask for")] = Limits()
    concurrency: Annotated[int, Field(ge=1, le=256, description="Trainers that run at once; others wait")] = 1
    schedule: Annotated[Schedule, Field(description="When trainers may run; always where left out")] | None = None
    state: (
        Annotated[
            StateVolume,
            Field(description="Keeps a trainer's state over the loss of its pod; it starts its round anew without one"),
        ]
        | None
    ) = None
    privacy: Annotated[PrivacyFloor, Field(description="What may leave")] = PrivacyFloor()
    export: Annotated[
        ExportedNumbers,
        Field(
            description="What the hub may see of how fast training goes; nothing where left out. Trainers that run are "
            "started anew when it changes; trainer images from before this field was there run only where it names none"
        ),
    ] = ExportedNumbers()

    @model_validator(mode="after")
    def _names_differ(self) -> SitePolicySpec:
        names = [dataset.name for dataset in self.datasets]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f'has two datasets called "{name}"')
        return self


class InspectedDataset(Resource):
    """What a look at a dataset has found."""

    name: Annotated[Name, Field(description="Which dataset")]
    basis: Annotated[
        str,
        StringConstraints(pattern=r"^[0-9a-f]{32}$"),
        Field(description="Digest of the volume, the format and the request that this is about"),
    ]
    cases: Annotated[Count, Field(description="Cases found")] | None = None
    labelled: Annotated[Count, Field(description="Cases whose label map can be read")] | None = None
    complete: Annotated[Count, Field(description="Cases that nothing is wrong with")] | None = None
    problems: (
        Annotated[
            dict[Problem, Count],
            Field(max_length=len(Problem), description="In how many cases there is which problem"),
        ]
        | None
    ) = None
    inspected_at: Annotated[Timestamp, Field(description="When it was last inspected, or that last failed")] | None = (
        None
    )
    reason: Annotated[CamelCase, Field(description="Why it is not inspected, or not anew")] | None = None
    message: Annotated[Sentence, Field(description="The same in a sentence")] | None = None


class SitePolicyStatus(Resource):
    """What the policy means at the moment."""

    observed_generation: Annotated[int, Field(ge=0, description="The generation that this is about")] = 0
    running: Annotated[int, Field(ge=0, description="Trainers that run")] = 0
    waiting: Annotated[int, Field(ge=0, description="Jobs that wait for a turn, a window or an approval")] = 0
    datasets: Annotated[
        tuple[InspectedDataset, ...],
        Field(
            max_length=64,
            description="What the datasets look like, counted by a pod that nothing leaves",
            json_schema_extra=keyed_by("name"),
        ),
    ] = ()
    conditions: Conditions = ()


class SitePolicy(Resource):
    """What a hospital allows; in a local file its name is the site's."""

    api_version: ApiVersion
    kind: Annotated[Literal["SitePolicy"], Field(description="SitePolicy")]
    metadata: Annotated[Metadata, Field(description="Name and namespace")]
    spec: Annotated[SitePolicySpec, Field(description="The rules")]

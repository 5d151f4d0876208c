"""The plan: a job fully resolved, immutable, read by every process; what a hospital admits is its digest."""

from __future__ import annotations

import hashlib
import json
import math
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints
from pydantic.alias_generators import to_camel

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")]
"""A Kubernetes name: at most 63 lower-case letters, digits and hyphens."""

Voxels = Annotated[int, Field(ge=8, le=1024)]

Encoding = Literal["fp32", "fp16", "bf16", "int8", "sparse"]


MOST_ROUNDS = 10_000


class Frozen(BaseModel):
    """A value of the plan: immutable, camelCase in JSON, and closed to unknown fields."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True, allow_inf_nan=False
    )


class JobIdentity(Frozen):
    """Which job this is; `uid` is unique over all time."""

    name: Name
    namespace: Name
    uid: Annotated[str, Field(min_length=8, max_length=64)]


class Network(Frozen):
    """A network of MONAI's, by name, trained with the built-in segmentation task."""

    name: Annotated[str, Field(max_length=64, description="Class of monai.networks.nets")] = "SegResNet"
    args: Annotated[
        dict[str, JsonValue],
        Field(description="Keyword arguments of the class; channels and classes follow from the data where left out"),
    ] = {}


class Bundle(Frozen):
    """A MONAI bundle: paths inside it (configs/train.json, scripts/…) to their text."""

    files: dict[str, str]


class Model(Frozen):
    """Either a network for the built-in task, or a bundle that brings its own."""

    network: Network | None = None
    bundle: Bundle | None = None


class Data(Frozen):
    """What each site trains on; the site's policy maps `dataset` to a volume."""

    dataset: Annotated[Name, Field(description="Matched by name against each site's SitePolicy.datasets")]
    format: Annotated[
        Literal["auto", "brats2018", "brats2021", "brats2023", "decathlon"],
        Field(description="Layout and label convention of the folder; auto detects it"),
    ] = "auto"
    modalities: Annotated[
        tuple[Annotated[str, Field(max_length=32)], ...],
        Field(min_length=1, max_length=16, description="Which volumes a case must have, in channel order"),
    ] = ("t1c", "t1n", "t2w", "t2f")
    validation_fraction: Annotated[float, Field(gt=0, lt=1, description="Share of patients held out at each site")] = (
        0.2
    )
    unreadable_cases: Annotated[
        Literal["skip", "stop"],
        Field(description="Whether a case that cannot be read is left out and counted, or stops the site"),
    ] = "skip"


class Optimizer(Frozen):
    """A class of torch.optim by name, with its learning rate."""

    name: Annotated[Literal["Adam", "AdamW", "SGD"], Field(description="Class of torch.optim")] = "Adam"
    lr: Annotated[float, Field(gt=0, le=10, description="Learning rate")] = 1e-4
    weight_decay: Annotated[float, Field(ge=0, le=1, description="Weight decay")] = 0.0


class Training(Frozen):
    """One site's work in a round."""

    local_epochs: Annotated[int, Field(ge=1, le=1000, description="Passes over the training cases in a round")] = 2
    batch_size: Annotated[int, Field(ge=1, le=256, description="Crops in a step")] = 1
    optimizer: Annotated[Optimizer, Field(description="Made anew each round")] = Optimizer()
    loss: Annotated[
        Literal["DiceFocal", "DiceCE"], Field(description="Sum of Dice and focal, or of Dice and cross-entropy")
    ] = "DiceFocal"
    amp: Annotated[bool, Field(description="Mixed precision where there is a GPU")] = True
    patch: Annotated[
        tuple[Voxels, Voxels, Voxels],
        Field(description="Voxels of a training crop and of the sliding window; a smaller volume is padded to it"),
    ] = (128, 128, 128)
    cache_rate: Annotated[float, Field(ge=0, le=1, description="Share of the cases kept in memory")] = 1.0
    weight_cap: (
        Annotated[
            int,
            Field(ge=1, description="The most training cases a site may count for, so that a lying count buys little"),
        ]
        | None
    ) = None


class Rounds(Frozen):
    """How many rounds, and when one closes."""

    count: Annotated[int, Field(ge=1, le=MOST_ROUNDS)]
    quorum: Annotated[int, Field(ge=1)]
    """Updates that may close a round at its deadline."""
    deadline_s: Annotated[float, Field(gt=0)]
    grace_s: Annotated[float, Field(ge=0)]


_SLACK = 1e-9  # 1 / 0.1 may come out a hair above 10, and means 10


class _Rule(Frozen):
    """How updates become the next model."""

    @property
    def fewest_updates(self) -> int:
        """The least number of updates for which the rule keeps its promise; a quorum below it is refused."""
        return 1


class FedAvg(_Rule):
    """Weighted mean of the updates (McMahan et al., 2017)."""

    algorithm: Annotated[Literal["FedAvg"], Field(description="The rule")] = "FedAvg"


class FedAvgM(_Rule):
    """FedAvg with momentum at the server (Hsu et al., 2019)."""

    algorithm: Annotated[Literal["FedAvgM"], Field(description="The rule")]
    server_momentum: Annotated[
        float, Field(ge=0, lt=1, description="Share of the last step that the next one keeps")
    ] = 0.9
    server_learning_rate: Annotated[float, Field(gt=0, le=10, description="Factor on the averaged update")] = 1.0


class Median(_Rule):
    """Coordinate-wise median (Yin et al., 2018); weights are not used."""

    algorithm: Annotated[Literal["Median"], Field(description="The rule")]


class TrimmedMean(_Rule):
    """Coordinate-wise trimmed mean (Yin et al., 2018); weights are not used."""

    algorithm: Annotated[Literal["TrimmedMean"], Field(description="The rule")]
    trim: Annotated[float, Field(gt=0, lt=0.5, description="The share of sites cut off at each end, rounded down")] = (
        0.2
    )

    @property
    def fewest_updates(self) -> int:
        """The least number of which any are cut off; of fewer, the rule would only be a mean."""
        return math.ceil(1 / self.trim - _SLACK)


class Krum(_Rule):
    """(Multi-)Krum (Blanchard et al., 2017); weights are not used."""

    algorithm: Annotated[Literal["Krum"], Field(description="The rule")]
    byzantine: Annotated[int, Field(ge=0, description="How many sites may lie")] = 1
    keep: Annotated[int, Field(ge=1, description="How many updates are averaged; 1 is Krum, more is Multi-Krum")] = 1

    @property
    def fewest_updates(self) -> int:
        """The least number for which Krum holds, and `keep` of which can all be honest."""
        return max(2 * self.byzantine + 3, self.keep + self.byzantine)


class NormClippedMean(_Rule):
    """Weighted mean of updates whose L2 norm is clipped first (Sun et al., 2019)."""

    algorithm: Annotated[Literal["NormClippedMean"], Field(description="The rule")]
    max_norm: Annotated[float, Field(gt=0, description="L2 norm that an update is scaled down to")]


Aggregation = Annotated[
    FedAvg | FedAvgM | Median | TrimmedMean | Krum | NormClippedMean, Field(discriminator="algorithm")
]


class NormClip(Frozen):
    """Scale the update down to an L2 norm of at most `max_norm`."""

    name: Annotated[Literal["normClip"], Field(description="The filter")]
    max_norm: Annotated[float, Field(gt=0, description="L2 norm that the update is scaled down to")]


class Percentile(Frozen):
    """Share only the largest part of the update, clipped (Li et al., 2019, section 2.2).

    `keep` is the share of parameters that leaves; their values are clipped to ±`clip`.
    """

    name: Annotated[Literal["percentile"], Field(description="The filter")]
    keep: Annotated[float, Field(gt=0, le=1, description="Share of the parameters that leaves, the largest first")] = (
        0.4
    )
    clip: Annotated[float, Field(gt=0, description="Bound on the magnitude of what leaves")] | None = None


class SparseVector(Frozen):
    """The sparse-vector technique (Li et al., 2019, algorithm 2); as in the paper, ε is per released parameter."""

    name: Annotated[Literal["svt"], Field(description="The filter")]
    keep: Annotated[float, Field(gt=0, le=1, description="Share of the parameters that leaves")] = 0.1
    epsilon1: Annotated[float, Field(gt=0, description="Privacy budget of the threshold, per released parameter")] = 1.0
    epsilon2: Annotated[float, Field(gt=0, description="Privacy budget of the comparisons, per released parameter")] = (
        1.0
    )
    epsilon3: Annotated[
        float, Field(gt=0, description="Privacy budget of the released values, per released parameter")
    ] = 1.0
    clip: Annotated[float, Field(gt=0, description="Bound on the magnitude of a parameter")] = 1e-4
    threshold: Annotated[float, Field(ge=0, description="Magnitude above which a parameter is released")] = 1e-6


class GaussianNoise(Frozen):
    """Clip to `max_norm`, then add Gaussian noise of `multiplier` × `max_norm` (Dwork & Roth, 2014)."""

    name: Annotated[Literal["gaussianNoise"], Field(description="The filter")]
    max_norm: Annotated[
        float, Field(gt=0, description="L2 norm that the update is scaled down to before noise is added")
    ]
    multiplier: Annotated[float, Field(gt=0, description="Standard deviation of the noise over maxNorm")]
    delta: Annotated[float, Field(gt=0, lt=1, description="The δ for which ε is stated")] = 1e-5


class Exclude(Frozen):
    """Tensors whose names match any of these shell patterns stay at the site: their difference leaves as zeros."""

    name: Annotated[Literal["exclude"], Field(description="The filter")]
    tensors: Annotated[
        tuple[Annotated[str, Field(max_length=256)], ...],
        Field(min_length=1, max_length=64, description="Shell patterns of tensors' names"),
    ]


Filter = Annotated[NormClip | Percentile | SparseVector | GaussianNoise | Exclude, Field(discriminator="name")]


class Privacy(Frozen):
    """Filters that the gateway runs over each update, in this order; the site's floor comes after them."""

    filters: Annotated[
        tuple[Filter, ...], Field(max_length=16, description="What the job asks for, in this order")
    ] = ()


class Evaluation(Frozen):
    """Every so many rounds each site evaluates the global model that it receives; the last model always."""

    every: Annotated[int, Field(ge=1, description="Rounds between evaluations")] = 1
    metric: Annotated[
        str, Field(max_length=64, description="The metric, higher is better, by which the best model is kept")
    ] = "dice"


class Transport(Frozen):
    """How updates travel."""

    encoding: Annotated[Encoding, Field(description="How numbers are written in an update")] = "fp32"
    compression: Annotated[Literal["none", "zstd"], Field(description="How chunks are compressed")] = "none"


class Plan(Frozen):
    """A resolved `FederatedJob`."""

    federation: Annotated[str, Field(pattern=r"^[a-z0-9.-]{1,253}$")]
    """The SPIFFE trust domain."""
    job: JobIdentity
    sites: Annotated[tuple[Name, ...], Field(min_length=1, max_length=256)]
    """Sorted; the order in which updates are added up."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    model: Model
    data: Data
    training: Training = Training()
    rounds: Rounds
    aggregation: Aggregation = FedAvg()
    privacy: Privacy = Privacy()
    evaluation: Evaluation = Evaluation()
    transport: Transport = Transport()
    active_deadline_s: Annotated[float, Field(gt=0)] | None = None

    def canonical(self) -> bytes:
        """Serialise to the one JSON text that the digest is taken over: sorted keys, no spaces, UTF-8."""
        document = self.model_dump(mode="json", by_alias=True)
        return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    def digest(self) -> bytes:
        """Return the SHA-256 of the canonical form, 32 bytes."""
        return hashlib.sha256(self.canonical()).digest()

    @classmethod
    def parse(cls, text: bytes) -> Plan:
        """Read a plan from JSON.

        Raises:
            pydantic.ValidationError: the text is not a plan.
        """
        return cls.model_validate_json(text)

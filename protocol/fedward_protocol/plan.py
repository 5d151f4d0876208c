"""The plan: a job fully resolved, immutable, read by every process; what a hospital admits is its digest."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints
from pydantic.alias_generators import to_camel

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")]
"""A Kubernetes name: at most 63 lower-case letters, digits and hyphens."""

Encoding = Literal["fp32", "fp16", "bf16", "int8", "sparse"]


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

    name: Annotated[str, Field(max_length=64)] = "SegResNet"
    args: dict[str, JsonValue] = {}


class Bundle(Frozen):
    """A MONAI bundle: paths inside it (configs/train.json, scripts/…) to their text."""

    files: dict[str, str]


class Model(Frozen):
    """Either a network for the built-in task, or a bundle that brings its own."""

    network: Network | None = None
    bundle: Bundle | None = None


class Data(Frozen):
    """What each site trains on; the site's policy maps `dataset` to a volume."""

    dataset: Name
    format: Literal["auto", "brats2018", "brats2021", "brats2023", "decathlon"] = "auto"
    modalities: tuple[str, ...] = ("t1c", "t1n", "t2w", "t2f")
    validation_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.2
    unreadable_cases: Literal["skip", "stop"] = "skip"


class Optimizer(Frozen):
    """A class of torch.optim by name, with its learning rate."""

    name: Literal["Adam", "AdamW", "SGD"] = "Adam"
    lr: Annotated[float, Field(gt=0, le=10)] = 1e-4
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 0.0


class Training(Frozen):
    """One site's work in a round."""

    local_epochs: Annotated[int, Field(ge=1, le=1000)] = 2
    batch_size: Annotated[int, Field(ge=1, le=256)] = 1
    optimizer: Optimizer = Optimizer()
    loss: Literal["DiceFocal", "DiceCE"] = "DiceFocal"
    amp: bool = True
    patch: tuple[int, int, int] = (128, 128, 128)
    """Voxels of a training crop and of the sliding window; a smaller volume is padded to it."""
    cache_rate: Annotated[float, Field(ge=0, le=1)] = 1.0
    weight_cap: Annotated[int, Field(ge=1)] | None = None
    """The most training cases a site may count for, so that a lying count buys little."""


class Rounds(Frozen):
    """How many rounds, and when one closes."""

    count: Annotated[int, Field(ge=1, le=10_000)]
    quorum: Annotated[int, Field(ge=1)]
    """Updates that may close a round at its deadline."""
    deadline_s: Annotated[float, Field(gt=0)]
    grace_s: Annotated[float, Field(ge=0)]


class FedAvg(Frozen):
    """Weighted mean of the updates (McMahan et al., 2017)."""

    algorithm: Literal["FedAvg"] = "FedAvg"


class FedAvgM(Frozen):
    """FedAvg with momentum at the server (Hsu et al., 2019)."""

    algorithm: Literal["FedAvgM"]
    server_momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    server_learning_rate: Annotated[float, Field(gt=0, le=10)] = 1.0


class Median(Frozen):
    """Coordinate-wise median (Yin et al., 2018); weights are not used."""

    algorithm: Literal["Median"]


class TrimmedMean(Frozen):
    """Coordinate-wise trimmed mean (Yin et al., 2018); weights are not used."""

    algorithm: Literal["TrimmedMean"]
    trim: Annotated[float, Field(gt=0, lt=0.5)] = 0.2
    """The share of sites cut off at each end, rounded down."""


class Krum(Frozen):
    """(Multi-)Krum (Blanchard et al., 2017); weights are not used."""

    algorithm: Literal["Krum"]
    byzantine: Annotated[int, Field(ge=0)] = 1
    keep: Annotated[int, Field(ge=1)] = 1


class NormClippedMean(Frozen):
    """Weighted mean of updates whose L2 norm is clipped first (Sun et al., 2019)."""

    algorithm: Literal["NormClippedMean"]
    max_norm: Annotated[float, Field(gt=0)]


Aggregation = Annotated[
    FedAvg | FedAvgM | Median | TrimmedMean | Krum | NormClippedMean, Field(discriminator="algorithm")
]


class NormClip(Frozen):
    """Scale the update down to an L2 norm of at most `max_norm`."""

    name: Literal["normClip"]
    max_norm: Annotated[float, Field(gt=0)]


class Percentile(Frozen):
    """Share only the largest part of the update, clipped (Li et al., 2019, section 2.2).

    `keep` is the share of parameters that leaves; their values are clipped to ±`clip`.
    """

    name: Literal["percentile"]
    keep: Annotated[float, Field(gt=0, le=1)] = 0.4
    clip: Annotated[float, Field(gt=0)] | None = None


class SparseVector(Frozen):
    """The sparse-vector technique (Li et al., 2019, algorithm 2); as in the paper, ε is per released parameter."""

    name: Literal["svt"]
    keep: Annotated[float, Field(gt=0, le=1)] = 0.1
    epsilon1: Annotated[float, Field(gt=0)] = 1.0
    epsilon2: Annotated[float, Field(gt=0)] = 1.0
    epsilon3: Annotated[float, Field(gt=0)] = 1.0
    clip: Annotated[float, Field(gt=0)] = 1e-4
    threshold: Annotated[float, Field(ge=0)] = 1e-6


class GaussianNoise(Frozen):
    """Clip to `max_norm`, then add Gaussian noise of `multiplier` × `max_norm` (Dwork & Roth, 2014)."""

    name: Literal["gaussianNoise"]
    max_norm: Annotated[float, Field(gt=0)]
    multiplier: Annotated[float, Field(gt=0)]
    delta: Annotated[float, Field(gt=0, lt=1)] = 1e-5


class Exclude(Frozen):
    """Tensors whose names match any of these shell patterns stay at the site: their difference leaves as zeros."""

    name: Literal["exclude"]
    tensors: Annotated[tuple[Annotated[str, Field(max_length=256)], ...], Field(min_length=1, max_length=64)]


Filter = Annotated[NormClip | Percentile | SparseVector | GaussianNoise | Exclude, Field(discriminator="name")]


class Privacy(Frozen):
    """Filters that the gateway runs over each update, in this order; the site's floor comes after them."""

    filters: Annotated[tuple[Filter, ...], Field(max_length=16)] = ()


class Evaluation(Frozen):
    """Every so many rounds each site evaluates the global model that it receives; the last model always."""

    every: Annotated[int, Field(ge=1)] = 1
    metric: Annotated[str, Field(max_length=64)] = "dice"
    """The metric, higher is better, by which the best model is kept."""


class Transport(Frozen):
    """How updates travel."""

    encoding: Encoding = "fp32"
    compression: Literal["none", "zstd"] = "none"


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

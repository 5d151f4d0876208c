"""What can happen to a job, as the journal keeps it: replaying these in order gives the job's exact state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from fedward_protocol.reasons import Reason


class Record(BaseModel):
    """Part of an event: immutable, closed to unknown fields; digests are hexadecimal in JSON."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", ser_json_bytes="hex", val_json_bytes="hex", ser_json_inf_nan="strings"
    )


class Mean(Record):
    """A mean that adds up across sites: sum over cases, and how many were counted."""

    sum: float
    count: int


class Report(Record):
    """What a site measured in a round; `metrics` describe the model that it received."""

    metrics: Mapping[str, Mean]
    train_loss: float
    fetch_seconds: float
    evaluate_seconds: float
    train_seconds: float
    steps: int


class Release(Record):
    """What the hospital's gateway did to an update, and what it let out."""

    filters: tuple[str, ...]
    epsilon: float
    delta: float
    spent_epsilon: float
    meaningful: bool
    nbytes_in: int
    filter_seconds: float


class Model(Record):
    """A global model: `round` rounds are aggregated into it; `digest` is the SHA-256 of its file."""

    round: int
    digest: bytes
    nbytes: int


class Cases(Record):
    """What a site has to train on, by its own count."""

    training: int
    validation: int
    skipped: int


class Event(Record):
    """Something that happened, at a Unix time in seconds."""

    at: float


class AttemptStarted(Event):
    """The job was started, or started again from its last model; anything of a lower attempt is fenced off."""

    kind: Literal["AttemptStarted"] = "AttemptStarted"
    attempt: int
    plan: bytes


class SiteJoined(Event):
    """A site said hello, for the first time or with other counts, or came back after it had failed."""

    kind: Literal["SiteJoined"] = "SiteJoined"
    site: str
    cases: Cases
    software: str


class SiteFailed(Event):
    """A site said that it cannot take part any further."""

    kind: Literal["SiteFailed"] = "SiteFailed"
    site: str
    reason: Reason
    message: str


class SiteDismissed(Event):
    """The federation has revoked a site: it has no part in this job any more, in whatever attempt."""

    kind: Literal["SiteDismissed"] = "SiteDismissed"
    site: str


class TrainingStarted(Event):
    """Enough sites are there: round 1 is open."""

    kind: Literal["TrainingStarted"] = "TrainingStarted"


class UpdateArrived(Event):
    """A site's update lies complete, checked and durable in the spool."""

    kind: Literal["UpdateArrived"] = "UpdateArrived"
    site: str
    attempt: int
    round: int
    digest: bytes
    nbytes: int
    samples: int
    report: Report
    release: Release | None
    submit_seconds: float


class RoundClosed(Event):
    """These updates make the next model, whatever happens from here on."""

    kind: Literal["RoundClosed"] = "RoundClosed"
    round: int
    counted: Mapping[str, bytes]
    """Site to the digest of its update."""
    missing: tuple[str, ...]
    why: str


class ModelMade(Event):
    """A global model is durable; it opens the next round, or the final evaluation after the last one."""

    kind: Literal["ModelMade"] = "ModelMade"
    model: Model
    seconds: float
    shares: Mapping[str, float]
    """Each site's share in the aggregate; empty for the initial model."""


class SiteEvaluated(Event):
    """A site evaluated the last model."""

    kind: Literal["SiteEvaluated"] = "SiteEvaluated"
    site: str
    round: int
    metrics: Mapping[str, Mean]
    seconds: float


class JobCompleted(Event):
    """All rounds are done and the last model is evaluated, except at the sites that are `missing`."""

    kind: Literal["JobCompleted"] = "JobCompleted"
    missing: tuple[str, ...]


class JobFailed(Event):
    """The job cannot go on; a higher attempt may take it up again from its last model."""

    kind: Literal["JobFailed"] = "JobFailed"
    reason: Reason
    message: str


AnyEvent = (
    AttemptStarted
    | SiteJoined
    | SiteFailed
    | SiteDismissed
    | TrainingStarted
    | UpdateArrived
    | RoundClosed
    | ModelMade
    | SiteEvaluated
    | JobCompleted
    | JobFailed
)

_ADAPTER: TypeAdapter[AnyEvent] = TypeAdapter(Annotated[AnyEvent, Field(discriminator="kind")])


def to_json(event: AnyEvent) -> str:
    """Serialise an event to one JSON object."""
    return event.model_dump_json()


def from_json(text: str) -> AnyEvent:
    """Read an event back.

    Raises:
        pydantic.ValidationError: the text is no event of this version.
    """
    return _ADAPTER.validate_json(text)

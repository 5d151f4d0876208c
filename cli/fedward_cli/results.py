"""The records of a run's output folder: `result.json`, `metrics.jsonl`, `rounds.jsonl` and `baselines.json`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from fedward_cli.problems import damaged
from fedward_protocol.plan import MOST_ROUNDS, Name

RESULT = "result.json"
METRICS = "metrics.jsonl"
ROUNDS = "rounds.jsonl"
BASELINES = "baselines.json"
EXAMPLES = "examples"
REPORT = "report.html"

# Wide enough for whatever a run can be, and narrow enough that sums, means and dates of what is read can be told.
LARGEST = 1e100
LONGEST_S = 2.0**32
"""Of a duration, and the last Unix second: that of the year 2106."""
_EARLIEST, _LATEST = datetime.fromtimestamp(0, UTC), datetime.fromtimestamp(LONGEST_S, UTC)

Count = Annotated[int, Field(ge=0, lt=2**64)]
Number = Annotated[int, Field(ge=0, le=MOST_ROUNDS)]
"""Of a round, or of the rounds aggregated into a model."""
AttemptNumber = Annotated[int, Field(ge=1, lt=2**32)]
Value = Annotated[float, Field(ge=-LARGEST, le=LARGEST)]
Amount = Annotated[float, Field(ge=0, le=LARGEST)]
Duration = Annotated[float, Field(ge=0, le=LONGEST_S)]
"""Seconds."""
UnixTime = Annotated[float, Field(ge=0, le=LONGEST_S)]
"""Unix seconds, the aggregator's clock."""
Moment = Annotated[AwareDatetime, Field(ge=_EARLIEST, le=_LATEST)]


class Record(BaseModel):
    """A value of the output folder: immutable, camelCase in JSON; fields that a later version added are ignored."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True, allow_inf_nan=False
    )


_Kind = TypeVar("_Kind", bound=Record)


class Mean(Record):
    """A mean that still adds up: the sum over cases, and how many cases were counted."""

    sum: Value
    count: Count

    @property
    def value(self) -> float | None:
        """The mean, or None where no case was counted."""
        return self.sum / self.count if self.count else None


Metrics = dict[str, Mean]
"""By name: dice, dice_wt, dice_tc, dice_et, hd95_wt, …; whatever the trainer measured."""


class Release(Record):
    """What a hospital's gateway did to an update before it let it out."""

    filters: tuple[str, ...] = ()
    epsilon: Amount = 0.0
    """Of this update, total over its parameters; 0 where no private mechanism ran."""
    delta: Amount = 0.0
    spent_epsilon: Amount = 0.0
    """Of this dataset so far, this update included."""
    meaningful: bool = False
    """Whether epsilon is small enough to protect anyone."""
    nbytes_in: Count = 0
    """What the trainer handed to the gateway."""


class Seconds(Record):
    """Where a site's time in a round went; `wait` is from its receipt until the round closed."""

    fetch: Duration = 0.0
    evaluate: Duration = 0.0
    train: Duration = 0.0
    filter: Duration = 0.0
    submit: Duration = 0.0
    wait: Duration = 0.0


class RoundRecord(Record):
    """A line of `metrics.jsonl`: one site's part in a closed round, or (no samples) its evaluation of the last."""

    attempt: AttemptNumber = 1
    round: Number
    site: Name
    samples: Count = 0
    weight: Amount = 0.0
    """Its share in the aggregate, 0 to 1."""
    metrics: Metrics = {}
    """Of the model of round `evaluated_round`, on this site's validation cases; empty where none was evaluated."""
    evaluated_round: Number = 0
    train_loss: Value | None = None
    steps: Count = 0
    nbytes_up: Count = 0
    nbytes_down: Count = 0
    seconds: Seconds = Seconds()
    release: Release | None = None
    received_at: UnixTime | None = None


class ClosedRound(Record):
    """A line of `rounds.jsonl`: a closed round as a whole, written once all its sites' lines are in `metrics.jsonl`."""

    round: Number
    sites: tuple[Name, ...] = ()
    """Whose updates were counted."""
    missing: tuple[Name, ...] = ()
    opened_at: UnixTime
    closed_at: UnixTime
    wait_seconds: Duration = 0.0
    """From the first update to the last."""
    aggregate_seconds: Duration = 0.0


class Problem(Record):
    """A refusal or a failure: `reason` is a code from fedward_protocol.reasons."""

    reason: str
    detail: str = ""
    site: str | None = None
    round: Number | None = None
    count: Annotated[int, Field(ge=1)] = 1


class SiteResult(Record):
    """How it went at one site; the metrics are those of the delivered model."""

    name: str
    state: str = ""
    training_cases: Count = 0
    validation_cases: Count = 0
    skipped_cases: Count = 0
    rounds: Number = 0
    """In how many rounds its update was counted."""
    metrics: Metrics = {}
    nbytes_up: Count = 0
    nbytes_down: Count = 0
    refusals: Count = 0
    spent_epsilon: Amount = 0.0
    delta: Amount = 0.0
    meaningful: bool = False


class ModelRecord(Record):
    """The model that the run delivered; `round` says how many rounds were aggregated into it."""

    round: Number
    digest: str
    """SHA-256 of the safetensors file, hexadecimal."""
    nbytes: Count = 0
    parameters: Count = 0


class Network(Record):
    """What was trained: the network's name, and the training behind one round, as the plan has them."""

    name: str
    local_epochs: Count = 0
    modalities: tuple[str, ...] = ()
    aggregation: str = ""
    filters: tuple[str, ...] = ()
    """Of the plan, in order; the site's own floor shows in each release."""


class Result(Record):
    """`result.json`: how the run ended and what came out of it."""

    schema_version: Literal[1] = 1
    state: Literal["Running", "Completed", "Failed", "Stopped"]
    name: str
    namespace: str = ""
    federation: str = ""
    network: Network | None = None
    seed: Count = 0
    attempt: AttemptNumber = 1
    fetched: bool = False
    """Whether it is what a hub knew of a job: it did not run in this folder, and does not go on there."""
    software: str = ""
    plan_digest: str = ""
    started_at: Moment
    finished_at: Moment | None = None
    """None while it runs."""
    rounds_planned: Number
    rounds_done: Number = 0
    model: ModelRecord | None = None
    metrics: dict[str, Value] = {}
    """Means over sites of the site means (each hospital counts the same), of the delivered model."""
    sites: tuple[SiteResult, ...] = ()
    nbytes_up: Count = 0
    nbytes_down: Count = 0
    aggregate_seconds: Duration = 0.0
    failure: Problem | None = None
    problems: tuple[Problem, ...] = ()

    @property
    def seconds(self) -> float | None:
        """From start to finish; None while it runs."""
        return (self.finished_at - self.started_at).total_seconds() if self.finished_at else None


class BaselineRun(Record):
    """A model trained without a federation, and how it does on each site's validation cases."""

    sites: dict[str, Metrics]
    seconds: Duration = 0.0
    epochs: Count = 0


class Baselines(Record):
    """`baselines.json`: what the federated model is measured against."""

    local: dict[str, BaselineRun] = {}
    """By the site whose cases alone it was trained on."""
    central: BaselineRun | None = None
    """Trained on all sites' cases pooled, which real hospitals could not do."""


def mean_over_sites(by_site: dict[str, Metrics]) -> dict[str, float]:
    """Average each metric's site means, each hospital the same; one that counted no case is left out."""
    values: dict[str, list[float]] = {}
    for metrics in by_site.values():
        for name, mean in metrics.items():
            if mean.value is not None:
                values.setdefault(name, []).append(mean.value)
    return {name: sum(found) / len(found) for name, found in sorted(values.items())}


def parse(kind: type[_Kind], text: bytes, where: str) -> _Kind:
    """Read a record from JSON; `where` names its place for people: the file, or `file:line`.

    Raises:
        InputError: it is no such record.
    """
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        raise damaged(where, error) from error


def read_result(out: Path) -> Result:
    """Read `result.json`.

    Raises:
        FileNotFoundError: there is none.
        InputError: it is not a result.
    """
    return parse(Result, (out / RESULT).read_bytes(), str(out / RESULT))


def write_record(path: Path, record: Result | Baselines) -> None:
    """Write a record as indented JSON, atomically, so that a reader never sees half of it."""
    partial = path.with_name(path.name + ".tmp")
    partial.write_text(record.model_dump_json(by_alias=True, indent=2) + "\n", encoding="utf-8")
    partial.replace(path)


def read_rounds(out: Path) -> tuple[RoundRecord, ...]:
    """Read `metrics.jsonl` in its order; no file is no rounds, and a last line cut off by a crash is left out.

    Raises:
        InputError: a complete line is not a round record.
    """
    return _lines(RoundRecord, out / METRICS)


def read_closed(out: Path) -> tuple[ClosedRound, ...]:
    """Read `rounds.jsonl` as `read_rounds` reads `metrics.jsonl`.

    Raises:
        InputError: a complete line is not a closed round.
    """
    return _lines(ClosedRound, out / ROUNDS)


def read_baselines(out: Path) -> Baselines | None:
    """Read `baselines.json`; None where no baselines were run.

    Raises:
        InputError: it is not a record of baselines.
    """
    path = out / BASELINES
    return parse(Baselines, path.read_bytes(), str(path)) if path.exists() else None


def _lines(kind: type[_Kind], path: Path) -> tuple[_Kind, ...]:
    if not path.exists():
        return ()
    complete = path.read_bytes().split(b"\n")[:-1]
    return tuple(parse(kind, line, f"{path}:{number}") for number, line in enumerate(complete, 1) if line.strip())

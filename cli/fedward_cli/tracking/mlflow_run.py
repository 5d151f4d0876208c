"""One run on an MLflow server for one job: whatever is logged into it, however often, is there once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar
from urllib.parse import urlsplit

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from requests import RequestException

from fedward_cli.tracking.points import Point
from fedward_cli.tracking.subject import Subject
from fedward_cli.tracking.trouble import TrackingError, explain

if TYPE_CHECKING:
    from mlflow.entities import Run

JOB_TAG = "fedward.job_uid"
"""Says which job a run is of; it is what a run is found by."""
MARKER = "round"
"""The metric that ends each round: what is logged after it is of a later one."""
# What one request to an MLflow server may hold.
_MOST_METRICS, _MOST_PARAMETERS = 1000, 100

_Item = TypeVar("_Item")
Status = Literal["RUNNING", "FINISHED", "FAILED", "KILLED"]


class MlflowRun:
    """The job's run. Every method raises TrackingError where the server does not do it; `attach` then comes again."""

    def __init__(self, uri: str, subject: Subject, *, shares_disk: bool) -> None:
        """Begin with none found.

        Args:
            uri: the server's address.
            subject: what the run is about.
            shares_disk: whether a path that the server names for artifacts may be meant here too.
        """
        self._uri, self._subject, self._shares_disk = uri, subject, shares_disk
        self._client = MlflowClient(uri)
        self._id = ""
        self._experiment_id = ""
        self._keys: set[str] = set()
        self._is_doubtful = True

    @property
    def address(self) -> str:
        """Where people find the run."""
        return f"{self._uri.rstrip('/')}/#/experiments/{self._experiment_id}/runs/{self._id}"

    @property
    def is_found(self) -> bool:
        """Whether it is known which run on the server is the job's."""
        return bool(self._id)

    def attach(self) -> int:
        """Find the job's run, or make it, and say up to which round everything is logged; 0 for none."""
        with self._spoken():
            self._experiment_id = self._experiment()
            wanted = f"tags.`{JOB_TAG}` = '{self._subject.uid}'"
            found = self._client.search_runs([self._experiment_id], filter_string=wanted)
            # Where an answer got lost, a run may have been made twice; everybody then takes the same one.
            run = min(found, key=lambda each: each.info.run_id) if found else self._create()
            self._id = run.info.run_id
            self._keys = set(run.data.metrics)
            self._is_doubtful = True
            missing = [Param(*each) for each in self._subject.parameters.items() if each[0] not in run.data.params]
            for part in _parts(missing, _MOST_PARAMETERS):
                self._client.log_batch(self._id, params=part)
            return int(run.data.metrics.get(MARKER, 0))

    def log(self, points: Sequence[Point], closed_round: int | None = None) -> None:
        """Log a round's points, those that are not there; with `closed_round`, its end too.

        Only the first round after `attach` can be there in part: rounds are logged in their order.
        """
        metrics = [Metric(point.key, point.value, round(1000 * point.at), point.step) for point in points]
        with self._spoken():
            if self._is_doubtful or closed_round is None:
                metrics = [metric for metric in metrics if not self._has(metric)]
            if closed_round is not None:
                at = max((point.at for point in points), default=0.0)
                metrics.append(Metric(MARKER, float(closed_round), round(1000 * at), closed_round))
            for part in _parts(metrics, _MOST_METRICS):
                self._client.log_batch(self._id, metrics=part)
        self._keys.update(metric.key for metric in metrics)
        self._is_doubtful = False

    def tag(self, tags: Mapping[str, str]) -> None:
        """Set tags, over any of the same name."""
        with self._spoken():
            for part in _parts([RunTag(*each) for each in tags.items()], _MOST_PARAMETERS):
                self._client.log_batch(self._id, tags=part)

    def set_status(self, status: Status, ended_at: float | None = None) -> None:
        """Say how the run goes; `ended_at` in Unix seconds, once it goes no more."""
        with self._spoken():
            if ended_at is None:
                self._client.update_run(self._id, status)
            else:
                self._client.set_terminated(self._id, status, round(1000 * ended_at))

    def upload(self, path: Path, digest: str) -> None:
        """Log a file, unless the file of this name that is there has this digest."""
        name = f"fedward.sha256.{path.name}"
        with self._spoken():
            run = self._client.get_run(self._id)
            if run.data.tags.get(name) != digest:
                self._check_store(run.info.artifact_uri)
                self._client.log_artifact(self._id, str(path))
                self._client.set_tag(self._id, name, digest)

    def _check_store(self, place: str) -> None:
        # MLflow's client would write to this path here, where nobody finds it, and say nothing.
        if not self._shares_disk and urlsplit(place).scheme in ("", "file"):
            raise TrackingError(
                f"keeps artifacts at a path of its own machine ({place}): start it with --serve-artifacts, and log to "
                "an experiment that is made after that"
            )

    def _experiment(self) -> str:
        name = self._subject.experiment
        found = self._client.get_experiment_by_name(name)
        if found is None:
            try:
                return str(self._client.create_experiment(name))
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
                found = self._client.get_experiment_by_name(name)
        return str(found.experiment_id)

    def _create(self) -> Run:
        subject = self._subject
        return self._client.create_run(
            self._experiment_id,
            start_time=round(1000 * subject.started_at),
            tags={JOB_TAG: subject.uid, **subject.tags},
            run_name=subject.name,
        )

    def _has(self, metric: Metric) -> bool:
        if metric.key not in self._keys:
            return False
        return any(each.step == metric.step for each in self._client.get_metric_history(self._id, metric.key))

    @contextmanager
    def _spoken(self) -> Iterator[None]:
        """Turn what goes wrong at the server, on the way or at its store of artifacts into one error with a reason."""
        try:
            yield
        except (MlflowException, RequestException, OSError, ImportError) as error:
            raise TrackingError(explain(error)) from error


def _parts(items: Sequence[_Item], most: int) -> Iterable[Sequence[_Item]]:
    return (items[start : start + most] for start in range(0, len(items), most))

"""What a tracker shows Prometheus; all names begin with `fedward_tracker_`, every sample names the job."""

from __future__ import annotations

from importlib.metadata import version

from prometheus_client import Counter, Gauge, Info

from fedward_protocol.labelled_registry import LabelledRegistry
from fedward_protocol.plan import Plan

_PREFIX = "fedward_tracker_"


class Metrics:
    """The tracker's metrics; `registry` is what /metrics shows."""

    def __init__(self, plan: Plan) -> None:
        self.registry = LabelledRegistry({"job_namespace": plan.job.namespace, "job_name": plan.job.name})
        Info(_PREFIX + "build", "Version of the software", registry=self.registry).info({"version": version("fedward")})
        self.logged_round = Gauge(
            _PREFIX + "logged_round", "Up to which round the MLflow server has everything", registry=self.registry
        )
        self.server_up = Gauge(
            _PREFIX + "server_up", "1 while the MLflow server takes what it is told", registry=self.registry
        )
        self.failures = Counter(
            _PREFIX + "failures", "Tries to tell the MLflow server that came to nothing", registry=self.registry
        )

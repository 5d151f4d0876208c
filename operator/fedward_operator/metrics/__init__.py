"""The operator's metrics, all called `fedward_operator_*`; `job_namespace` and `job_name` name a federated job."""

from fedward_operator.metrics.process import ApiMeter, Metrics

__all__ = ["ApiMeter", "Metrics"]

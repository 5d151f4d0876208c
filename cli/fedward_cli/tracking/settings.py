"""What a run and the process that logs it agree on, and how MLflow's client is to behave in the latter."""

from __future__ import annotations

from collections.abc import MutableMapping
from importlib.util import find_spec

SETTINGS = "tracking.json"
"""Under `run/`: where the run is logged to, as its job said."""
NOT_INSTALLED = "logging to MLflow takes its client, which is not installed: pip install 'fedward[tracking]'"
ENVIRONMENT = {
    # What to do about an outage is decided here, not deep in the client, which would wait for minutes.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    # A run in a hospital tells nobody that it runs.
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


def is_installed() -> bool:
    """Tell whether MLflow's client is there."""
    return find_spec("mlflow") is not None


def settle(environ: MutableMapping[str, str]) -> None:
    """Set what MLflow's client goes by, before it is imported, where nobody has set it otherwise."""
    for name, value in ENVIRONMENT.items():
        environ.setdefault(name, value)

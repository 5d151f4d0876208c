"""What a run and the process that logs it agree on."""

from __future__ import annotations

from importlib.util import find_spec

SETTINGS = "tracking.json"
"""Under `run/`: where the run is logged to, as its job said."""
NOT_INSTALLED = "logging to MLflow takes its client, which is not installed: pip install 'fedward[tracking]'"


def is_installed() -> bool:
    """Tell whether MLflow's client is there."""
    return find_spec("mlflow") is not None

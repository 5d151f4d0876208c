"""Where a job's course is logged besides its own status: experiment tracking where researchers already look."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, Field, WithJsonSchema

from fedward_operator.api.meta import Resource

_HTTP = r"^https?://[^\s/?#]+(/[^\s?#]*)?$"
_LONGEST_URI = 2048
CREDENTIALS = ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")
"""The variables that MLflow's client takes its credentials from; a Secret names its keys so."""

PATIENCE = timedelta(hours=24)
"""For how long a hub tries to log what is left of a job that has ended: a night's maintenance of the server."""

HAS_CREDENTIALS = "^[^/]*//[^/]*@"
# Not shown in any message: whoever reads that would read the password.
CREDENTIALS_REFUSED = (
    "holds a user name or a password, which everybody could read who may read the job; set "
    "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, in the environment instead, "
    "or in the Secret that secretName gives"
)


def _check(uri: str) -> str:
    if re.match(HAS_CREDENTIALS, uri):
        raise ValueError(CREDENTIALS_REFUSED)
    if not re.fullmatch(_HTTP, uri) or len(uri) > _LONGEST_URI:
        raise ValueError("must be the address of an MLflow server, such as https://mlflow.example.org, without ? and #")
    return uri


MlflowUri = Annotated[
    str,
    AfterValidator(_check),
    WithJsonSchema({"type": "string", "pattern": _HTTP, "maxLength": _LONGEST_URI}),
]
"""The address of an MLflow server: http or https, never with credentials in it."""


class MlflowTracking(Resource):
    """An MLflow server that a job is logged to."""

    uri: Annotated[MlflowUri, Field(description="Address of the server, http or https; credentials are never in it")]
    experiment: (
        Annotated[str, Field(min_length=1, max_length=250, description="Experiment; NAMESPACE/JOB where left out")]
        | None
    ) = None
    secret_name: (
        Annotated[
            str,
            Field(
                min_length=1,
                max_length=253,
                pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$",
                description=f"Secret beside the job: {', '.join(CREDENTIALS)}, and ca.crt for a server of an authority "
                "of one's own; for a job on a hub's cluster",
            ),
        ]
        | None
    ) = None


class Tracking(Resource):
    """Where a job is logged."""

    mlflow: Annotated[MlflowTracking, Field(description="An MLflow server")]

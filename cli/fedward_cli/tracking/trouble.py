"""Why an MLflow server could not be told something, in words that say what to look at."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator

from requests import ConnectionError as Unreachable
from requests import Timeout
from requests.exceptions import SSLError

_LONGEST = 200
_REFUSED = re.compile(r"\b(?:error code (401|403)|PERMISSION_DENIED|UNAUTHENTICATED|CUSTOMER_UNAUTHORIZED)\b")


class TrackingError(Exception):
    """The server was not told; the text continues a sentence that begins with it: `does not answer`."""


def explain(error: BaseException) -> str:
    """Say what went wrong, as a TrackingError does."""
    text = " ".join(str(error).split())
    if _REFUSED.search(text):
        return (
            "refuses the credentials: it wants MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, "
            "or MLFLOW_TRACKING_TOKEN, in the environment, or on a cluster in the job's Secret"
        )
    causes = tuple(_causes(error))
    if any(isinstance(cause, SSLError) for cause in causes):
        why = next((cause.strerror or str(cause) for cause in causes if isinstance(cause, ssl.SSLError)), "TLS failed")
        return (
            f"is not believed ({why[:_LONGEST]}): where its certificate is of an authority of one's own, "
            "MLFLOW_TRACKING_SERVER_CERT_PATH names that, or on a cluster ca.crt in the job's Secret"
        )
    if any(isinstance(cause, Timeout) for cause in causes):
        return "does not answer in time"
    if any(isinstance(cause, Unreachable) for cause in causes):
        return "cannot be reached"
    return f"does not take it ({text[:_LONGEST] or type(error).__name__})"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__

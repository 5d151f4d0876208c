"""Why an MLflow server could not be told something, in words that say what to look at."""

from __future__ import annotations

import re
from collections.abc import Iterator

from requests import ConnectionError as Unreachable
from requests import Timeout

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
            "or MLFLOW_TRACKING_TOKEN, in the environment"
        )
    causes = tuple(_causes(error))
    if any(isinstance(cause, Timeout) for cause in causes):
        return "does not answer in time"
    if any(isinstance(cause, Unreachable) for cause in causes):
        return "cannot be reached"
    return f"does not take it ({text[:_LONGEST] or type(error).__name__})"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__

"""What is said of a server that could not be told, by what its client raises."""

from __future__ import annotations

import ssl

import pytest
from mlflow.exceptions import MlflowException, RestException
from requests import ConnectionError as Unreachable
from requests import ReadTimeout
from requests.exceptions import SSLError

from fedward_cli.tracking.trouble import explain


def raised(cause: Exception) -> BaseException:
    """Wrap a cause as MLflow's client does: not as a cause, but by raising while handling it."""
    try:
        try:
            raise cause
        except OSError as error:
            raise MlflowException(f"API request to https://… failed with exception {error}")  # noqa: B904
    except MlflowException as error:
        return error


def test_a_server_that_is_away_and_one_that_is_silent_are_told_apart() -> None:
    assert explain(raised(Unreachable("refused"))) == "cannot be reached"
    assert explain(raised(ReadTimeout("10 s"))) == "does not answer in time"


def test_a_certificate_that_is_not_believed_is_no_absence() -> None:
    unbelieved = SSLError("HTTPSConnectionPool(host=…): Max retries exceeded")
    unbelieved.__context__ = ssl.SSLCertVerificationError(1, "certificate verify failed: unknown CA")
    text = explain(raised(unbelieved))
    assert text.startswith("is not believed (certificate verify failed: unknown CA): ")
    assert "MLFLOW_TRACKING_SERVER_CERT_PATH" in text
    assert explain(raised(SSLError("?"))).startswith("is not believed (TLS failed): ")


@pytest.mark.parametrize(
    "error",
    [
        MlflowException("API request to endpoint /x failed with error code 401 != 200. Response body: 'no'"),
        MlflowException("API request to endpoint /x failed with error code 403 != 200. Response body: 'no'"),
        RestException({"error_code": "PERMISSION_DENIED", "message": "Permission denied"}),
    ],
)
def test_refused_credentials_say_where_they_are_given(error: Exception) -> None:
    assert explain(error).startswith("refuses the credentials: it wants MLFLOW_TRACKING_USERNAME")


def test_anything_else_is_quoted_on_one_line_and_not_at_length() -> None:
    error = RestException({"error_code": "INVALID_PARAMETER_VALUE", "message": "no\nsuch thing" + "!" * 1000})
    text = explain(error)
    assert text.startswith("does not take it (INVALID_PARAMETER_VALUE: no such thing!")
    assert len(text) < 250
    assert explain(ImportError()) == "does not take it (ImportError)"

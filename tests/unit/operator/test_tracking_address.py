"""Where a job may be logged: an MLflow server's address, and never a password in it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from pydantic import ValidationError

from fedward_operator.api.crds import KINDS, definition
from fedward_operator.api.tracking import HAS_CREDENTIALS, MlflowTracking


@pytest.mark.parametrize(
    "uri", ["https://mlflow.example.org", "http://10.0.0.7:5000", "https://example.org/mlflow/", "https://e.org/a@b"]
)
def test_an_address_of_a_server_is_taken(uri: str) -> None:
    assert MlflowTracking(uri=uri).uri == uri
    assert re.match(schema()["pattern"], uri)
    assert not re.search(HAS_CREDENTIALS, uri)


@pytest.mark.parametrize("uri", ["https://me:secret@mlflow.example.org", "http://token@10.0.0.7:5000/mlflow"])
def test_credentials_in_it_are_refused_and_not_repeated(uri: str) -> None:
    with pytest.raises(ValidationError) as raised:
        MlflowTracking(uri=uri)
    (error,) = raised.value.errors()
    assert "MLFLOW_TRACKING_PASSWORD" in error["msg"]
    assert uri not in error["msg"]
    # The API server says it in the same words, by a rule: its pattern alone would only say that it does not match.
    assert re.match(schema()["pattern"], uri)
    assert re.search(HAS_CREDENTIALS, uri)


@pytest.mark.parametrize("uri", ["mlflow.example.org", "file:///tmp/runs", "https://e.org?token=1", "https://", ""])
def test_anything_else_is_refused_with_an_example(uri: str) -> None:
    with pytest.raises(ValidationError, match=re.escape("such as https://mlflow.example.org")):
        MlflowTracking(uri=uri)
    assert not re.match(schema()["pattern"], uri)


def schema() -> dict[str, Any]:
    kind = next(kind for kind in KINDS if kind.name == "FederatedJob")
    (version,) = definition(kind)["spec"]["versions"]
    spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    found: dict[str, Any] = spec["properties"]["tracking"]["properties"]["mlflow"]["properties"]["uri"]
    return found

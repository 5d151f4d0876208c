"""Makes the toy federation importable by the tests that run it, and gives an MLflow server to those that log to one."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.process.mlflow_gate import Gate, mlflow_server

from fedward_cli.tracking.settings import ENVIRONMENT

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with mlflow_server(tmp_path_factory.mktemp("mlflow")) as address:
        yield address


@pytest.fixture
def gate(server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    for name, value in {**ENVIRONMENT, "MLFLOW_HTTP_REQUEST_TIMEOUT": "20"}.items():
        monkeypatch.setenv(name, value)
    gate = Gate(server)
    gate.open()
    yield gate
    gate.shut()

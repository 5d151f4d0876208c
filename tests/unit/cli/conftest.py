"""Documents to begin from, and files to put them in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fedward_cli.documents import Documents, load_documents

GOOD = """\
apiVersion: fedward.io/v1alpha1
kind: FederatedJob
metadata: {name: glioma, namespace: research}
spec:
  model:
    network: {name: UNet}
  data:
    dataset: brats
  sites:
    names: [north, south]
  rounds:
    count: 3
    quorum: 50%
    deadline: 30s
  backoffLimit: 2
---
apiVersion: fedward.io/v1alpha1
kind: FederatedSite
metadata: {name: north}
---
apiVersion: fedward.io/v1alpha1
kind: FederatedSite
metadata: {name: south}
---
apiVersion: fedward.io/v1alpha1
kind: SitePolicy
metadata: {name: north}
spec:
  datasets:
    - name: brats
      volume: {hostPath: {path: data/north}}
---
apiVersion: fedward.io/v1alpha1
kind: SitePolicy
metadata: {name: south}
spec:
  datasets:
    - name: brats
      volume: {hostPath: {path: data/south}}
  privacy:
    floor: [{name: normClip, maxNorm: 5}]
    budget: {epsilon: 8, delta: 1e-6}
  export: {metrics: [casesPerSecond]}
"""

Write = Callable[[str], Path]


@pytest.fixture
def good() -> str:
    return GOOD


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_file(text: str) -> Path:
        path = tmp_path / "job.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write_file


@pytest.fixture
def documents(write: Write) -> Documents:
    path = write(GOOD)
    for site in ("north", "south"):
        (path.parent / "data" / site).mkdir(parents=True)
    return load_documents(path)

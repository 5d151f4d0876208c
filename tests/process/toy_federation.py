"""A federation of three sites with the toy trainer, run by the product's own local runner."""

from __future__ import annotations

import sys
from pathlib import Path

from fedward_cli.documents import Documents, load_documents
from fedward_cli.local.run import run_local
from fedward_cli.local.view import Silent, View
from fedward_cli.results import Result

TRAINER = (sys.executable, str(Path(__file__).parent / "toy_trainer.py"))
SITES = ("east", "north", "south")

JOB = """
apiVersion: fedward.io/v1alpha1
kind: FederatedJob
metadata: {name: toy, namespace: research}
spec:
  model: {network: {name: UNet}}
  data: {dataset: brats}
  sites: {names: [east, north, south]}
  rounds: {count: 3, quorum: 100%, deadline: 5m, grace: 5s}
  aggregation: {algorithm: FedAvgM, serverMomentum: 0.5}
  backoffLimit: 20
"""
SITE = """
---
apiVersion: fedward.io/v1alpha1
kind: FederatedSite
metadata: {name: %s}
spec: {}
---
apiVersion: fedward.io/v1alpha1
kind: SitePolicy
metadata: {name: %s}
spec:
  datasets: [{name: brats, volume: {hostPath: {path: %s}}}]
"""


def documents(folder: Path, overrides: tuple[str, ...] = ()) -> Documents:
    """Write the job's file, and an empty folder of data for each site."""
    text = JOB
    for site in SITES:
        (folder / site).mkdir(parents=True, exist_ok=True)
        text += SITE % (site, site, folder / site)
    file = folder / "job.yaml"
    file.write_text(text)
    return load_documents(file, overrides)


def federate(
    folder: Path, view: View | None = None, overrides: tuple[str, ...] = (), trainer: tuple[str, ...] = TRAINER
) -> Result:
    """Run the federation in `folder`/out to its end."""
    return run_local(documents(folder, overrides), folder / "out", trainer_command=trainer, view=view or Silent())

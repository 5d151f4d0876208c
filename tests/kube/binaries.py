"""Where the tests' Kubernetes binaries come from; looked up once, and never built unasked."""

from __future__ import annotations

import os
from pathlib import Path

from tests.kube.build import cache

NEEDED = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok", "kubectl")
MISSING = "no Kubernetes binaries: run `make kube` (takes Go), or set KUBEBUILDER_ASSETS"


def binaries() -> Path | None:
    """Give the folder of the binaries: KUBEBUILDER_ASSETS if it is set, else the cache; None where they are missing."""
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    folder = Path(assets) if assets else cache() / "bin"
    return folder if all((folder / name).exists() for name in NEEDED) else None

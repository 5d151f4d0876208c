"""Renders the charts with the real helm."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from tests.kube.build import cache

ROOT = Path(__file__).resolve().parents[2]
CHARTS = {"hub": ROOT / "charts/fedward-hub", "site": ROOT / "charts/fedward-site"}
VALUES = Path(__file__).parent / "values"
MISSING = "no helm: run `make kube` (takes Go), or put helm on the PATH"

RELEASE = NAMESPACE = "fedward"

Manifest = dict[str, Any]


class HelmError(Exception):
    """Helm refused; the message is what it said."""


def helm() -> Path | None:
    """Find helm where the other binaries of the tests are, or on the PATH; None where there is none."""
    folder = Path(os.environ.get("KUBEBUILDER_ASSETS") or cache() / "bin")
    if (folder / "helm").exists():
        return folder / "helm"
    found = shutil.which("helm")
    return Path(found) if found else None


def run(*arguments: str | Path, given: str | None = None) -> str:
    """Run helm and return what it printed.

    Raises:
        HelmError: it failed.
    """
    command = [str(part) for part in (helm() or "helm", *arguments)]
    done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=120)
    if done.returncode:
        raise HelmError(done.stderr)
    return done.stdout


def cases(part: str) -> list[str]:
    """Name the files of values that this chart is tested with."""
    return sorted(path.stem for path in (VALUES / part).glob("*.yaml"))


def render(part: str, case: str = "defaults", values: Mapping[str, Any] | None = None) -> list[Manifest]:
    """Render a chart with the values of a case, and others on top of them.

    Raises:
        HelmError: it cannot be rendered.
    """
    text = _rendered(part, case, json.dumps(values or {}))
    return [document for document in yaml.load_all(text, yaml.CSafeLoader) if document]


def install(part: str, line: str) -> str:
    """Say what `helm install --set LINE` would make of the defaults, and print; takes no cluster."""
    command: list[str | Path] = ["install", RELEASE, CHARTS[part], "--namespace", NAMESPACE, "--dry-run=client"]
    return run(*command, "--values", VALUES / part / "defaults.yaml", "--set", line)


@functools.cache
def _rendered(part: str, case: str, values: str) -> str:
    command: list[str | Path] = ["template", RELEASE, CHARTS[part], "--namespace", NAMESPACE]
    return run(*command, "--values", VALUES / part / f"{case}.yaml", "--values", "-", given=values)


def of_kind(manifests: Sequence[Manifest], *kinds: str) -> dict[str, Manifest]:
    """Pick the objects of some kinds, by name."""
    return {each["metadata"]["name"]: each for each in manifests if each["kind"] in kinds}


def pod_templates(manifests: Sequence[Manifest]) -> Iterator[tuple[str, Manifest]]:
    """Yield the template of every pod that a chart makes, with its name; a pod of its own is one too."""
    for each in manifests:
        name = each["metadata"]["name"]
        if each["kind"] == "Pod":
            yield name, {"metadata": each["metadata"], "spec": each["spec"]}
        elif "template" in each.get("spec", {}):
            yield name, each["spec"]["template"]

"""Builds Kubernetes' own binaries from their Go modules: `python -m tests.kube.build` makes those that are missing."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

VERSION = "1.35.4"

_STAGING = re.compile(r"(k8s\.io/[-a-z]+) => \./staging/")
"""How Kubernetes names the modules that live in its own repository."""

PACKAGES: Mapping[str, str] = {
    "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
    "etcd": "go.etcd.io/etcd/server/v3",
    "kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
    "kube-scheduler": "k8s.io/kubernetes/cmd/kube-scheduler",
    "kubectl": "k8s.io/kubernetes/cmd/kubectl",
    "kubelet": "k8s.io/kubernetes/cmd/kubelet",
    "kube-proxy": "k8s.io/kubernetes/cmd/kube-proxy",
}
"""Binary to Go package, in the order in which building is cheapest."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A binary from a module of its own, with libraries of its own.

    Attributes:
        tags: Go's build tags.
        manifest: a file of the module, kept beside the binary as `<name>.yaml`; none where empty.
    """

    name: str
    module: str
    version: str
    package: str
    tags: str = ""
    manifest: str = ""


_PROMETHEUS = "github.com/prometheus/prometheus"
_PROMETHEUS_VERSION = "v0.316.0"
"""As a library; the release is 3.16.0."""
_PROMETHEUS_TAGS = "remove_all_sd,enable_kubernetes_sd"
"""Of all that it can ask for targets, Kubernetes alone: the others bring a library for each cloud."""
_PROMETHEUS_OPERATOR = "github.com/prometheus-operator/prometheus-operator"


TOOLS = (
    Tool("kwok", "sigs.k8s.io/kwok", "v0.8.0", "sigs.k8s.io/kwok/cmd/kwok"),
    Tool("helm", "helm.sh/helm/v4", "v4.2.4", "helm.sh/helm/v4/cmd/helm"),
    Tool("coredns", "github.com/coredns/coredns", "v1.14.7", "github.com/coredns/coredns"),
    Tool("cyclonus", "github.com/mattfenwick/cyclonus", "v0.5.6", "github.com/mattfenwick/cyclonus/cmd/cyclonus"),
    Tool(
        *("prometheus-operator", _PROMETHEUS_OPERATOR, "v0.85.0", f"{_PROMETHEUS_OPERATOR}/cmd/operator"),
        manifest="bundle.yaml",
    ),
    Tool("prometheus", _PROMETHEUS, _PROMETHEUS_VERSION, f"{_PROMETHEUS}/cmd/prometheus", _PROMETHEUS_TAGS),
    Tool("promtool", _PROMETHEUS, _PROMETHEUS_VERSION, f"{_PROMETHEUS}/cmd/promtool", _PROMETHEUS_TAGS),
)
"""What plays the nodes, installs the charts, answers for names, judges network policies, and finds what to scrape."""


def cache() -> Path:
    """Give the folder of the built binaries, outside any checkout."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "fedward" / "kube" / f"v{VERSION}"


def build(folder: Path, say: Callable[[str], object]) -> None:
    """Build what is missing into `folder`/bin; two runs at once wait for each other.

    Raises:
        FileNotFoundError: there is no Go here.
        subprocess.CalledProcessError: Go found an error and has printed it.
    """
    if shutil.which("go") is None:
        raise FileNotFoundError("building Kubernetes takes Go 1.25 or newer on the PATH")
    (folder / "bin").mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for name, package in PACKAGES.items():
            target = folder / "bin" / name
            if target.exists():
                continue
            started = time.monotonic()
            _build_one(_module(folder), package, target)
            say(f"built {name} in {time.monotonic() - started:.0f} s")

        for tool in TOOLS:
            if not (folder / "bin" / tool.name).exists():
                _build_tool(folder, tool, say)


def _build_tool(folder: Path, tool: Tool, say: Callable[[str], object]) -> None:
    started = time.monotonic()
    module = folder / tool.name
    module.mkdir(exist_ok=True)
    (module / "go.mod").write_text(f"module fedward.io/{tool.name}\n")
    _go(module, "get", f"{tool.module}@{tool.version}")
    if tool.manifest:
        described = _go(module, "mod", "download", "-json", f"{tool.module}@{tool.version}")
        manifest = Path(json.loads(described)["Dir"]) / tool.manifest
        (folder / "bin" / f"{tool.name}.yaml").write_bytes(manifest.read_bytes())
    _build_one(module, tool.package, folder / "bin" / tool.name, tool.tags)
    say(f"built {tool.name} in {time.monotonic() - started:.0f} s")


def _build_one(module: Path, package: str, target: Path, tags: str = "") -> None:
    major, minor, _ = VERSION.split(".")
    stamp = "k8s.io/component-base/version"
    flags = f"-s -w -X {stamp}.gitVersion=v{VERSION} -X {stamp}.gitMajor={major} -X {stamp}.gitMinor={minor}"
    partial = target.with_suffix(".partial")
    _go(module, "build", "-mod=mod", "-trimpath", "-tags", tags, "-ldflags", flags, "-o", str(partial), package)
    partial.rename(target)


def _module(folder: Path) -> Path:
    """Write the module that requires Kubernetes as a library, which it allows only with its staging modules named."""
    module = folder / "module"
    module.mkdir(exist_ok=True)
    if (module / "go.mod").exists():
        return module
    described = _go(module, "mod", "download", "-json", f"k8s.io/kubernetes@v{VERSION}")
    theirs = Path(json.loads(described)["GoMod"]).read_text()
    staging = sorted(set(_STAGING.findall(theirs)))
    etcd = re.search(r"go\.etcd\.io/etcd/client/v3 (v\S+)", theirs)
    language = re.search(r"^go (\S+)", theirs, re.MULTILINE)
    if not staging or etcd is None or language is None:
        raise RuntimeError(f"the go.mod of Kubernetes {VERSION} is not written as expected")
    lines = [
        "module fedward.io/kube",
        f"go {language[1]}",
        f"require k8s.io/kubernetes v{VERSION}",
        f"require go.etcd.io/etcd/server/v3 {etcd[1]}",
        *(f"replace {name} => {name} v0.{VERSION.partition('.')[2]}" for name in staging),
    ]
    partial = module / "go.mod.partial"
    partial.write_text("\n".join(lines) + "\n")
    partial.rename(module / "go.mod")
    return module


def _go(module: Path, *arguments: str) -> str:
    environment = {**os.environ, "CGO_ENABLED": "0"}
    done = subprocess.run(
        ["go", *arguments], cwd=module, env=environment, check=True, stdout=subprocess.PIPE, text=True
    )
    return done.stdout


if __name__ == "__main__":
    build(cache(), lambda line: sys.stderr.write(f"{line}\n"))

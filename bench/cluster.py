"""Measures a federation on two real clusters of containers: `python -m bench.cluster`, as root, on an idle machine.

The job is that of the end-to-end tests: the example's, at three hospitals. What it costs beyond its training is its
rounds' length beside that of the same job by `fedward run` on the same machine.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any

import yaml
from tests.e2e.images import archives
from tests.e2e.installation import RESEARCH, ROOT, Installation, ended, example, has_successor, pods, volume
from tests.e2e.phantom_data import provide
from tests.e2e.rounds import seconds
from tests.kube.cluster import Cluster
from tests.kube.waiting import wait_until

from bench.operator import Row

JOB = "brain-tumour"
_IDLE_S = 60.0
_TICKS = os.sysconf("SC_CLK_TCK")


def main() -> int:
    """Print each row when it is known."""
    folder = Path("/var/tmp/fedward-bench")
    shutil.rmtree(folder, ignore_errors=True)
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}", flush=True)
    shown = Installation(folder, archives())
    try:
        for row in _rows(shown):
            print(row, flush=True)
    finally:
        shown.stop()
    return 0


def _rows(shown: Installation) -> Iterator[Row]:
    shown.start()
    shown.install_hub()
    shown.hub.kubectl("create", "namespace", RESEARCH)
    for name in shown.sites:
        shown.install_site(name, shown.invite(name))
    for what, taken in shown.seconds.items():
        yield Row(what, taken, "", "s")
    yield from _start_ups(shown)
    yield from _idle(shown.hospital, "south")
    began = time.monotonic()
    shown.apply(JOB)
    shown.wait_for_round(JOB, 1)
    yield Row("kubectl apply until the first round is open", time.monotonic() - began, "", "s")
    _completed(shown, JOB)
    on_cluster = median(seconds(volume(shown.hub, RESEARCH, f"{JOB}-aggregator") / "journal.db"))
    yield Row("a round on the cluster", on_cluster, "", "s")
    shown.hub.kubectl("delete", "fjob", JOB, "-n", RESEARCH)
    yield from _killed(shown)
    shown.stop()
    on_machine = median(_local())
    yield Row("the same round by fedward run", on_machine, "", "s")
    yield Row("a round on the cluster, of the same by fedward run", on_cluster / on_machine, "<= 1.2", "x")


def _start_ups(shown: Installation) -> Iterator[Row]:
    for cluster, namespace, part in (
        (shown.hub, "fedward", "hub-operator"),
        (shown.hub, "fedward", "door"),
        (shown.hospital, "north", "gateway"),
    ):
        (pod,) = pods(cluster, namespace, part)
        (container,) = pod["status"]["containerStatuses"]
        ready = next(each for each in pod["status"]["conditions"] if each["type"] == "Ready")
        started = _time(container["state"]["running"]["startedAt"])
        yield Row(f"{part}: container started until ready", _time(ready["lastTransitionTime"]) - started, "", "s")


def _idle(cluster: Cluster, namespace: str) -> Iterator[Row]:
    found = {part: _processes(cluster, pods(cluster, namespace, part)[0]) for part in ("site-operator", "gateway")}
    before = {part: sum(map(_cpu, processes)) for part, processes in found.items()}
    time.sleep(_IDLE_S)
    for part, processes in found.items():
        share = (sum(map(_cpu, processes)) - before[part]) / _IDLE_S
        yield Row(f"idle site, {part}: share of a core", share * 100, "", "%")
        yield Row(f"idle site, {part}: memory", sum(map(_memory, processes)) / 1e6, "", "MB")


def _killed(shown: Installation) -> Iterator[Row]:
    shown.apply("killed", rounds={"count": 3, "quorum": "66%", "minSites": 2, "deadline": "5m"})
    shown.wait_for_round("killed", 2)
    (pod,) = pods(shown.hub, RESEARCH, "aggregator")
    os.kill(shown.hub.machine.runtime.pid_of(pod), signal.SIGKILL)
    began = time.monotonic()
    wait_until("it is back", lambda: has_successor(shown.hub, pod), 120)
    yield Row("aggregator killed until it takes connections again", time.monotonic() - began, "<= 30", "s")
    _completed(shown, "killed")


def _completed(shown: Installation, job: str) -> None:
    status = shown.wait_for_end(job, 900)
    if ended(status) != "Completed":
        raise RuntimeError(f"{job}: {status}")


def _local() -> list[float]:
    """Run the same job, with the same hospitals and policies, by `fedward run`."""
    with tempfile.TemporaryDirectory(prefix="fedward-bench-") as folder:
        data = provide(Path(folder) / "data")
        job = example()
        job["spec"]["sites"] = {"names": ["north", "south", "west"]}
        documents = [job, *(each for site in ("north", "south", "west") for each in _site(site, data[site]))]
        file = Path(folder) / "job.yaml"
        file.write_text(yaml.safe_dump_all(documents))
        out = Path(folder) / "out"
        command = [str(Path(sys.executable).parent / "fedward"), "run", str(file), "--out", str(out)]
        subprocess.run(command, check=True, capture_output=True, cwd=ROOT)
        return seconds(out / "run" / "aggregator" / "journal.db")


def _site(name: str, data: Path) -> Iterator[dict[str, Any]]:
    version = "fedward.io/v1alpha1"
    yield {"apiVersion": version, "kind": "FederatedSite", "metadata": {"name": name}, "spec": {}}
    spec: dict[str, Any] = {"datasets": [{"name": "brats", "volume": {"hostPath": {"path": str(data)}}}]}
    if name == "south":
        spec["privacy"] = {"floor": [{"name": "normClip", "maxNorm": 50}]}
    yield {"apiVersion": version, "kind": "SitePolicy", "metadata": {"name": name}, "spec": spec}


def _processes(cluster: Cluster, pod: Mapping[str, Any]) -> list[int]:
    """Find a container's processes: the first one, which passes signals on, and its children."""
    first = cluster.machine.runtime.pid_of(pod)
    children = Path(f"/proc/{first}/task/{first}/children").read_text().split()
    return [first, *map(int, children)]


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _memory(pid: int) -> int:
    """Read a process's anonymous resident memory, bytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))


def _time(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


if __name__ == "__main__":
    sys.exit(main())

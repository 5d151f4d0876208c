"""Measures the operator on a real API server: `python -m bench.operator`, on an idle machine, after `make kube`.

The operator is a process of its own, with the rights that it is installed with. The ceiling is a bare client that
writes the same objects, as many at a time, to the same API server in the same run.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tests.cluster.conftest import run_kubectl
from tests.cluster.operators import GROUP, POLICY, ROOT, Federation, Operator, end_pod, make, the_pod
from tests.kube.binaries import MISSING, binaries
from tests.kube.control_plane import ControlPlane
from tests.kube.waiting import wait_until

from fedward_operator.api.job import FederatedJobSpec
from fedward_operator.hub import children
from fedward_operator.hub.authority import HubAuthority
from fedward_operator.hub.certificates import CertificateSecrets
from fedward_operator.hub.owned import Owner, head_of
from fedward_operator.hub.settings import HubSettings
from fedward_operator.kube import kinds
from fedward_operator.kube.access import from_kubeconfig
from fedward_operator.kube.client import Client
from fedward_operator.kube.kinds import Kind
from fedward_operator.policy import naming
from fedward_protocol.pki import Authority

JOBS = int(os.environ.get("FEDWARD_BENCH_JOBS", "1000"))
SITES = 4
CHILDREN = 6 + SITES
"""Plan, claim, Service, Secret and Job at the hub, and a SiteJob in each mailbox."""

_AT_ONCE = 24
_TICKS = os.sysconf("SC_CLK_TCK")
_WRITES = ("apply", "create", "patch", "delete", "update")


@dataclass(frozen=True, slots=True)
class Row:
    """One figure and its goal."""

    measure: str
    value: float
    goal: str
    unit: str

    def __str__(self) -> str:
        return f"{self.measure:<66} {self.value:>9.3g} {self.unit:<6} {self.goal}"


class _Silent:
    def called(self, verb: str, code: int) -> None:
        pass


def main() -> int:
    """Print each figure when it is known."""
    if binaries() is None:
        print(MISSING)
        return 1
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {JOBS} jobs of {SITES} sites", flush=True)
    for rows in (_burst, _reach, _lifecycle):
        for row in rows():
            print(row, flush=True)
    return 0


# ---------------------------------------------------------------- a burst, what it leaves, and a restart


def _burst() -> Iterator[Row]:
    with _planes(controllers=False) as (hub, _, folder):
        federation = Federation(hub, hub, folder, 0)
        sites = [_invite(federation, f"site-{number}") for number in range(SITES)]
        with _beating(federation, sites):
            operator = federation.start_hub()
            wait_until(
                "the operator listens",
                lambda: operator.metric("fedward_operator_objects_cached", kind="sites") == SITES,
            )
            idle_mb = _memory_mb(operator)
            others = _children(hub)
            cpu_before, began = _cpu_s(operator), time.monotonic()
            asyncio.run(_submit(hub, federation, sites))
            _wait_for_children(hub, others + JOBS * CHILDREN)
            took, cpu = time.monotonic() - began, _cpu_s(operator) - cpu_before
            lost = others + JOBS * CHILDREN - _children(hub)
            _settle(operator)
            bare = asyncio.run(_write_bare(hub, federation, sites))
            yield Row(f"burst of {JOBS} jobs until every child exists", took, "", "s")
            yield Row("the same objects by a bare client", bare, "", "s")
            yield Row("of what the bare client reaches", bare / took, ">= 0.8", "x")
            yield Row("lost", lost, "0", "")
            yield Row("CPU an object, in the burst", cpu / (JOBS * CHILDREN) * 1000, "<= 3.2", "ms")
            yield Row(
                "CPU a write, statuses, finalizers and Events counted", cpu / max(_writes(operator), 1) * 1000, "", "ms"
            )
            yield Row("memory, at most (VmHWM)", _memory_mb(operator, "VmHWM"), "<= 128", "MB")
            yield Row("memory before the burst", idle_mb, "", "MB")
            yield from _steady(operator)
            operator.kill()
            yield from _restart(federation, hub)


def _steady(operator: Operator) -> Iterator[Row]:
    _settle(operator)
    seconds = 30.0
    cpu, writes = _cpu_s(operator), _writes(operator)
    threading.Event().wait(seconds)
    yield Row(
        f"{JOBS} jobs, nothing changing: share of a core",
        (_cpu_s(operator) - cpu) / seconds * 100,
        "<= 1 (500 jobs)",
        "%",
    )
    leases = seconds / 2
    yield Row("the same: writes, but for the Lease", max(_writes(operator) - writes - leases, 0), "0", "")


def _restart(federation: Federation, hub: ControlPlane) -> Iterator[Row]:
    pods = {
        "apiVersion": "v1",
        "kind": "Pod",
        "spec": {"containers": [{"name": "main", "image": "example.org/none:1"}]},
    }
    make(hub, "/api/v1/namespaces", {"metadata": {"name": "others"}})
    make(hub, "/api/v1/namespaces/others/serviceaccounts", {"metadata": {"name": "default"}})
    asyncio.run(
        _many(
            hub,
            [(kinds.POD, {**pods, "metadata": {"name": f"pod-{n}", "namespace": "others"}}) for n in range(5 * JOBS)],
        )
    )
    began = time.monotonic()
    operator = federation.restart(federation.running[0])
    wait_until(
        "caught up",
        lambda: operator.metric("fedward_operator_reconciles_total", kind="FederatedJob") >= JOBS,
        120,
    )
    yield Row(f"restart with {JOBS} jobs until caught up", time.monotonic() - began, "<= 10", "s")
    _settle(operator)
    yield Row("the same: writes", _writes(operator, "apply", "patch", "delete"), "0", "")
    yield Row(f"memory with {5 * JOBS} pods of others (VmHWM)", _memory_mb(operator, "VmHWM"), "as before", "MB")
    operator.kill()


# ---------------------------------------------------------------- from apply to pods at twenty hospitals


def _reach() -> Iterator[Row]:
    with _planes(controllers=True) as (hub, hospital, folder):
        federation = Federation(hub, hospital, folder, 0)
        policy = {name: value for name, value in POLICY.items() if name != "gpus"} | {"concurrency": 100}
        sites = [federation.invite(f"site-{number}", policy) for number in range(20)]
        operator = federation.start_hub()
        operators = [federation.start_site(site) for site in sites]
        _wait_for_sites(operator, len(sites))
        _calm(operators)
        seconds = sorted(asyncio.run(_pods_of(federation, sites, jobs=5)))
        yield Row("apply to trainer pods at 20 sites, median", seconds[len(seconds) // 2], "", "s")
        yield Row("apply to trainer pods at 20 sites, 95th percentile", seconds[int(len(seconds) * 0.95)], "<= 1", "s")
        federation.stop()


async def _pods_of(federation: Federation, sites: list[str], jobs: int) -> list[float]:
    """Submit one job after another; return when each trainer's pod was seen, counted from its apply."""
    access = from_kubeconfig(federation.hospital.admin_kubeconfig)
    found: list[float] = []
    async with Client(access, "bench", _Silent()) as client:
        version = [listed async for _, listed in client.pages(kinds.POD, None, {})][-1]
        wanted = len(sites)
        for number in range(jobs):
            seen: set[str] = set()
            began = time.monotonic()
            await asyncio.to_thread(federation.submit, f"job-{number}", sites, resources={"memory": "1Gi"})
            async for event, pod in client.watch(
                kinds.POD, None, {"labelSelector": "fedward.io/component=trainer"}, version
            ):
                version = pod["metadata"]["resourceVersion"]
                if event == "ADDED" and pod["metadata"]["uid"] not in seen:
                    seen.add(pod["metadata"]["uid"])
                    found.append(time.monotonic() - began)
                if len(seen) == wanted:
                    break
            await asyncio.sleep(2.0)
    return found


# ---------------------------------------------------------------- writes of one job's life


def _lifecycle() -> Iterator[Row]:
    with _planes(controllers=True) as (hub, hospital, folder):
        federation = Federation(hub, hospital, folder, 0)
        sites = [federation.invite(f"site-{number}", POLICY) for number in range(SITES)]
        operator = federation.start_hub()
        operators = [federation.start_site(site) for site in sites]
        _wait_for_sites(operator, SITES)
        for site in sites:
            _end_inspection(hospital, site)
        _calm([operator, *operators])
        before, sites_before = _written(operator), sum(_written(each) for each in operators)
        federation.submit("brain", sites)
        federation.wait_for("brain", "Running", "True")
        for site in sites:
            end_pod(hospital, the_pod(hospital, site, "trainer"), 0)
        end_pod(hub, the_pod(hub, federation.namespace, "aggregator"), 0)
        federation.wait_for("brain", "Completed", "True")
        _calm([operator, *operators])
        yield Row(f"API writes of the hub, apply to finished, {SITES} sites", _written(operator) - before, "", "")
        per_site = (sum(_written(each) for each in operators) - sites_before) / SITES
        yield Row("API writes of a site, both clusters, Leases counted", per_site, "", "")
        federation.stop()


# ---------------------------------------------------------------- means


@contextmanager
def _planes(*, controllers: bool) -> Iterator[tuple[ControlPlane, ControlPlane, Path]]:
    found = binaries()
    assert found is not None
    with tempfile.TemporaryDirectory(prefix="fedward-bench-") as name:
        folder = Path(name)
        planes = [ControlPlane(found, folder / each) for each in (("hub", "hospital") if controllers else ("hub",))]
        try:
            for plane in planes:
                plane.start()
                if controllers:
                    plane.start_controllers()
                    plane.start_scheduler()
                    plane.start_nodes("node-1", "node-2", gpus=1000)
                _install(plane)
            (folder / "federation").mkdir()
            yield planes[0], planes[-1], folder / "federation"
        finally:
            for plane in planes:
                plane.stop()


def _install(plane: ControlPlane) -> None:
    run_kubectl(plane, "apply", "-f", str(ROOT / "operator/crds"))
    run_kubectl(plane, "wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")


def _invite(federation: Federation, site: str) -> str:
    name = federation.site_name(site)
    make(
        federation.hub,
        f"{GROUP}/federatedsites",
        {"apiVersion": "fedward.io/v1alpha1", "kind": "FederatedSite", "metadata": {"name": name}, "spec": {}},
    )
    make(federation.hub, "/api/v1/namespaces", {"metadata": {"name": f"fedward-site-{name}"}})
    return name


@contextmanager
def _beating(federation: Federation, sites: list[str]) -> Iterator[None]:
    """Keep sites heard that have no operator."""
    over = threading.Event()

    def beat() -> None:
        while True:
            for site in sites:
                federation.heartbeat(site)
            if over.wait(5.0):
                return

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


async def _submit(hub: ControlPlane, federation: Federation, sites: list[str]) -> None:
    await _many(hub, [(kinds.FEDERATED_JOB, federation.job(f"job-{number}", sites)) for number in range(JOBS)])


async def _write_bare(hub: ControlPlane, federation: Federation, sites: list[str]) -> float:
    """Write what the operator wrote, for jobs of other names; return the seconds."""
    settings = HubSettings(
        "fed.example.org", "hub.example.org:443", "example.org/aggregator:1", "example.org/trainer:1"
    )
    authority = HubAuthority(Authority.create("fed.example.org", datetime.now(UTC)), "fed.example.org")
    example = hub.request("GET", f"{GROUP}/namespaces/{federation.namespace}/federatedjobs/job-0")
    plan = hub.request("GET", f"/api/v1/namespaces/{federation.namespace}/configmaps/job-0-plan")["data"]["plan.json"]
    spec = FederatedJobSpec.model_validate(example["spec"])
    first = Owner(federation.namespace, "job", example["metadata"]["uid"], {})
    secret = CertificateSecrets(authority, None).of_aggregator(first, datetime.now(UTC))
    held = {"attempt": 1, "suspend": False, "address": settings.door}
    jobs, rest = [], []
    for number in range(JOBS):
        # Owned by a job that is there, so that what follows from owners costs the same.
        owner = Owner(federation.namespace, f"bare-{number}", example["metadata"]["uid"], {})
        jobs.append((kinds.FEDERATED_JOB, federation.job(owner.name, sites, managedBy="example.org/bench")))
        rest.append((kinds.CONFIG_MAP, children.plan_map(owner, plan)))
        rest.append((kinds.CLAIM, children.claim(owner, settings)))
        rest.append((kinds.SERVICE, children.service(owner)))
        rest.append((kinds.NETWORK_POLICY, children.network_policy(owner, settings, tracked=False)))
        rest.append((kinds.SECRET, {**secret, **head_of(kinds.SECRET, owner, naming.aggregator_tls(owner.name))}))
        rest.append((kinds.JOB, children.aggregator_job(owner, spec, 1, settings)))
        rest += [
            (kinds.SITE_JOB, children.site_job(owner, spec, site, (plan, "0" * 64), settings, held)) for site in sites
        ]
    began = time.monotonic()
    await _many(hub, jobs)
    await _many(hub, rest)
    return time.monotonic() - began


async def _many(plane: ControlPlane, objects: list[tuple[Kind, dict]]) -> None:
    """Apply objects, as many at a time as the operator does."""
    access = from_kubeconfig(plane.admin_kubeconfig)
    async with Client(access, "bench", _Silent()) as client:
        waiting = iter(objects)

        async def work() -> None:
            for kind, manifest in waiting:
                await client.apply(kind, manifest)

        await asyncio.gather(*(work() for _ in range(_AT_ONCE)))


def _children(hub: ControlPlane) -> int:
    """Count the children by asking the API server: a scrape of the operator would be work of the operator's."""
    in_core = (kinds.CONFIG_MAP, kinds.CLAIM, kinds.SERVICE, kinds.SECRET)
    counted = 0
    for kind in (*in_core, kinds.NETWORK_POLICY, kinds.JOB, kinds.SITE_JOB):
        page = hub.request("GET", f"{kind.path()}?limit=1")
        counted += len(page["items"]) + page["metadata"].get("remainingItemCount", 0)
    return counted


def _end_inspection(hospital: ControlPlane, site: str) -> None:
    """Let a hospital's data be counted: that is done once, and no part of any job's life."""
    report = {"cases": 120, "labelled": 120, "complete": 120, "problems": {}}
    end_pod(hospital, the_pod(hospital, site, "preflight"), 0, message=json.dumps(report))
    path = f"/apis/batch/v1/namespaces/{site}/jobs"
    wait_until(f"{site} has counted", lambda: hospital.request("GET", path)["items"], 60, lambda found: not found)


def _wait_for_sites(operator: Operator, count: int) -> None:
    def heard() -> float:
        return operator.metric("fedward_operator_objects_cached", kind="heartbeats")

    wait_until("every site is heard", heard, 120, lambda found: found == count)


def _wait_for_children(hub: ControlPlane, wanted: int) -> None:
    wait_until("every child exists", lambda: _children(hub), 600, lambda found: found >= wanted)


def _settle(operator: Operator) -> None:
    """Wait until statuses are written and nothing is in line."""
    _calm([operator])


def _calm(operators: list[Operator]) -> None:
    last: list[float] = []
    for _ in range(200):
        now = [_writes(each, "apply", "patch", "delete") for each in operators]
        if now == last:
            return
        last = now
        threading.Event().wait(3.0)
        if len(operators) > 1:
            return


def _writes(operator: Operator, *verbs: str) -> float:
    """Count calls that write, in one scrape."""
    return operator.metric("fedward_operator_api_calls_total", verb="|".join(verbs or _WRITES))


def _written(operator: Operator) -> float:
    """Count writes, but for the Lease of the election."""
    return _writes(operator, "apply", "patch", "delete", "create")


def _cpu_s(operator: Operator) -> float:
    fields = Path(f"/proc/{operator.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _memory_mb(operator: Operator, field: str = "VmRSS") -> float:
    for line in Path(f"/proc/{operator.process.pid}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise ValueError(field)


if __name__ == "__main__":
    sys.exit(main())

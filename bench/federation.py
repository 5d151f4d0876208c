"""A federation of real processes that trains nothing: aggregator, sites, and gateways between them where asked for."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench.processes import Watch
from fedward_cli.local.observe import observe
from fedward_cli.local.ports import Ports
from fedward_protocol.identity import Identity, aggregator_name, gateway_name
from fedward_protocol.pki import Authority, Credentials
from fedward_protocol.plan import Data, Filter, JobIdentity, Model, Network, Plan, Privacy, Rounds
from fedward_protocol.tensors.file import TensorFile, write_tensors
from fedward_protocol.tensors.layout import Layout
from fedward_protocol.tensors.update import encode_update
from fedward_protocol.wire import federation_pb2 as pb
from fedward_protocol.work_order import WorkOrder, sign

FEDERATION = "bench"
TENSORS = 20
LIFETIME = timedelta(days=1)
STOP_S = 15


@dataclass(frozen=True, slots=True)
class Setting:
    """What to run: so many sites, a model of so many bytes, so many rounds, gateways and their filters."""

    sites: int
    nbytes: int
    rounds: int
    gateways: bool = False
    filters: tuple[Filter, ...] = ()

    def plan(self) -> Plan:
        """Describe it as a job."""
        return Plan(
            federation=FEDERATION,
            job=JobIdentity(name="bench", namespace="bench", uid="bench-00000000"),
            sites=tuple(f"site-{number:02}" for number in range(self.sites)),
            model=Model(network=Network()),
            data=Data(dataset="bench"),
            rounds=Rounds(count=self.rounds, quorum=self.sites, deadline_s=600, grace_s=0),
            privacy=Privacy(filters=self.filters),
        )


@dataclass(frozen=True, slots=True)
class Measured:
    """What a federation cost.

    Attributes:
        round_seconds: from one round's opening to the next one's, the first left out.
        aggregate_seconds: of these, making the next model.
        cpu_seconds: of all processes, a round.
        aggregator_nbytes: the most anonymous memory of the aggregator, over the whole run.
        gateway_nbytes: likewise, of the largest gateway; 0 without.
        cpu_by_process: CPU seconds a round of the aggregator, of all gateways, of all sites.
    """

    round_seconds: float
    aggregate_seconds: float
    cpu_seconds: float
    aggregator_nbytes: int
    gateway_nbytes: int
    cpu_by_process: dict[str, float]


@dataclass
class _Account:
    """What the observer hears, and the CPU seconds when it heard it."""

    watch: Watch
    closed: dict[int, pb.RoundClosed] = field(default_factory=dict)
    cpu: dict[int, dict[str, float]] = field(default_factory=dict)
    failure: str = ""

    def take(self, observation: pb.Observation) -> None:
        if observation.WhichOneof("body") == "round_closed":
            closed = observation.round_closed
            if closed.round not in self.closed:
                self.closed[closed.round] = closed
                self.cpu[closed.round] = {name: self.watch.cpu([name]) for name in self.watch.pids}
        elif observation.status.state == "Failed":
            self.failure = observation.status.failure.message


def run(setting: Setting) -> Measured:
    """Run a federation to its end and say what it cost."""
    if setting.rounds < 2:
        raise ValueError("the first round is left out, so it takes two")
    with tempfile.TemporaryDirectory(prefix="fedward-bench-") as root, Ports() as ports:
        return _run(setting, Path(root), ports)


def _run(setting: Setting, root: Path, ports: Ports) -> Measured:
    plan = setting.plan()
    (root / "plan.json").write_bytes(plan.canonical())
    _make_files(root, setting)
    hub = _certify(root, plan)
    address = ports.reserve()
    if setting.gateways:
        _order(root, plan, address)
    with contextlib.ExitStack() as stack:
        started = {"aggregator": stack.enter_context(_process(root, _aggregator(root, address, ports)))}
        for site in plan.sites:
            entrance = address
            if setting.gateways:
                entrance = ports.reserve()
                command = _gateway(root, site, entrance, ports)
                started[f"gateway-{site}"] = stack.enter_context(_process(root, command))
            started[site] = stack.enter_context(_process(root, _client(root, site, entrance, through=setting.gateways)))
        watch = stack.enter_context(Watch({name: process.pid for name, process in started.items()}))
        account = _Account(watch)
        asyncio.run(asyncio.wait_for(observe(address, lambda: hub, plan, 1, account.take, random.random), 900))
        if account.failure or len(account.closed) != setting.rounds:
            raise RuntimeError(account.failure or f"{len(account.closed)} of {setting.rounds} rounds were closed")
    return _sum_up(setting, account)


def _sum_up(setting: Setting, account: _Account) -> Measured:
    opened = [account.closed[number].opened_at for number in range(1, setting.rounds + 1)]
    # Opening to opening, so that aggregating and telling the sites is in it; the last round has no next one.
    cycles = [later - earlier for earlier, later in zip(opened[1:], opened[2:], strict=False)]
    last = account.closed[setting.rounds]
    cycles = cycles or [last.closed_at - last.opened_at + last.aggregate_seconds]
    groups = {"aggregator": 0.0, "gateways": 0.0, "sites": 0.0}
    for name, used in account.cpu[setting.rounds].items():
        group = "aggregator" if name == "aggregator" else "gateways" if name.startswith("gateway-") else "sites"
        groups[group] += (used - account.cpu[1][name]) / (setting.rounds - 1)
    peaks = account.watch.peaks
    return Measured(
        round_seconds=statistics.median(cycles),
        aggregate_seconds=statistics.median(account.closed[number].aggregate_seconds for number in account.closed),
        cpu_seconds=sum(groups.values()),
        aggregator_nbytes=peaks["aggregator"],
        gateway_nbytes=max((peak for name, peak in peaks.items() if name.startswith("gateway-")), default=0),
        cpu_by_process=groups,
    )


# ---------------------------------------------------------------- what the processes are given


def _make_files(root: Path, setting: Setting) -> None:
    drawn = np.random.default_rng(0)
    size = setting.nbytes // 4 // TENSORS
    (root / "aggregator").mkdir()
    initial, update = root / "aggregator" / "initial.safetensors", root / "update.safetensors"
    tensors = {f"layer-{number:02}.weight": drawn.standard_normal(size, np.float32) for number in range(TENSORS)}
    write_tensors(initial, tensors)
    with TensorFile.open(initial) as model:
        # Any values will do for an update.
        encode_update(update, model, Layout.parse(initial), "fp32")


def _certify(root: Path, plan: Plan) -> Credentials:
    now = datetime.now(UTC)
    authority = Authority.create(FEDERATION, now)
    server = aggregator_name(plan.job.name, plan.job.namespace, FEDERATION)
    authority.issue(Identity(FEDERATION, "job", plan.job.uid), [server], now, LIFETIME).write(root / "tls-aggregator")
    for site in plan.sites:
        names = [gateway_name(site, FEDERATION)]
        authority.issue(Identity(FEDERATION, "site", site), names, now, LIFETIME).write(root / f"tls-{site}")
    return authority.issue(Identity(FEDERATION, "hub"), [], now, LIFETIME)


def _order(root: Path, plan: Plan, aggregator: str) -> None:
    key, now = Ed25519PrivateKey.generate(), datetime.now(UTC)
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (root / "operator.pem").write_bytes(public)
    for site in plan.sites:
        order = WorkOrder(
            order_id=site,
            federation=FEDERATION,
            job=plan.job,
            attempt=1,
            site=site,
            dataset=plan.data.dataset,
            plan_digest=plan.digest().hex(),
            aggregator=aggregator,
            aggregator_name=aggregator_name(plan.job.name, plan.job.namespace, FEDERATION),
            not_before=now - LIFETIME,
            expires=now + LIFETIME,
        )
        (root / f"{site}.order").write_bytes(sign(order, key))


def _aggregator(root: Path, address: str, ports: Ports) -> list[str]:
    return [
        *("fedward_server", "--plan", f"{root}/plan.json", "--attempt", "1", "--state", f"{root}/aggregator"),
        *("--listen", address, "--metrics", ports.reserve(), "--tls", f"{root}/tls-aggregator"),
    ]


def _gateway(root: Path, site: str, address: str, ports: Ports) -> list[str]:
    return [
        *("fedward_node.gateway", "--state", f"{root}/gateway-{site}", "--audit", f"{root}/audit-{site}"),
        *("--listen", address, "--metrics", ports.reserve(), "--tls", f"{root}/tls-{site}"),
        *("--operator-key", f"{root}/operator.pem"),
    ]


def _client(root: Path, site: str, address: str, *, through: bool) -> list[str]:
    (root / site).mkdir()
    order = ["--work-order", f"{root}/{site}.order"] if through else []
    return [
        *("bench.clients", "--plan", f"{root}/plan.json", "--site", site, "--update", f"{root}/update.safetensors"),
        *("--state", f"{root}/{site}", "--tls", f"{root}/tls-{site}", "--address", address, *order),
    ]


@contextlib.contextmanager
def _process(root: Path, arguments: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    surroundings = {**os.environ, "OMP_NUM_THREADS": "1"}
    with (root / "log").open("ab") as log:
        process = subprocess.Popen([sys.executable, "-m", *arguments], stdout=log, stderr=log, env=surroundings)
    try:
        yield process
    except BaseException:
        sys.stderr.write((root / "log").read_text()[-3000:])
        raise
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

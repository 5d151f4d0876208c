"""The gateway and the trainer as processes: their arguments, their exit codes, and a kill in the middle."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import ssl
import sys
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from fedward_protocol.identity import Identity
from fedward_protocol.wire import federation_pb2 as pb

pytestmark = pytest.mark.process

FINISH = pb.HubMessage(finish=pb.Finish())

TRAINER = """
import pathlib, sys
import numpy as np
from fedward_node.trainer.algorithm import Cases, LocalResult
from fedward_node.trainer.main import run
from fedward_node.trainer.run import Assignment
from fedward_protocol.plan import Plan
from fedward_protocol.tensors.file import read_tensors, write_tensors

class AddOne:
    def open(self):
        return Cases(20, 5, 0)
    def evaluate(self, model, control):
        return {}
    def train(self, model, round_number, out, control):
        write_tensors(out, {name: values + np.float32(1) for name, values in read_tensors(model).items()})
        return LocalResult(20, 40, 0.25)
    def close(self):
        pass

plan, order, state, gateway, ca = sys.argv[1:]
order, state, ca = pathlib.Path(order), pathlib.Path(state), pathlib.Path(ca)
sys.exit(run(Assignment(Plan.parse(pathlib.Path(plan).read_bytes()), order, state, gateway, ca), AddOne()))
"""


def reserve():
    """Hold a port as the local supervisor does: bound, not listening, shared."""
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    held.bind(("127.0.0.1", 0))
    return held, held.getsockname()[1]


@pytest.fixture
async def start(tmp_path):
    """Start processes; those that still run are killed in the end."""
    started = []

    async def start(*arguments):
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        log = (tmp_path / f"log-{len(started)}").open("wb")
        process = await asyncio.create_subprocess_exec(sys.executable, *arguments, stderr=log, env=environment)
        started.append(process)
        return process

    yield start
    for process in started:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.fixture
async def gateway(site, start, tmp_path):
    """Start the gateway as a process in the place of the site's own; return how to start it again."""
    await site.server.stop(None)
    (tmp_path / "operator.pem").write_bytes(
        site.operator.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    (held, site.port), (held_too, site.probes) = reserve(), reserve()

    async def again(*more):
        return await start(
            *("-m", "fedward_node.gateway"),
            *("--state", tmp_path / "gateway", "--audit", tmp_path / "audit", "--tls", tmp_path / "tls"),
            *("--listen", f"127.0.0.1:{site.port}", "--metrics", f"127.0.0.1:{site.probes}"),
            *("--operator-key", tmp_path / "operator.pem"),
            *more,
        )

    yield again
    held.close()
    held_too.close()


@pytest.fixture
def trainer(site, start, tmp_path):
    async def trainer(**order):
        (tmp_path / "plan.json").write_bytes(site.plan.canonical())
        (tmp_path / "order").write_bytes(site.envelope(**order))
        (tmp_path / "ca.pem").write_bytes(site.authority.ca_pem)
        paths = [tmp_path / name for name in ("plan.json", "order", "trainer")]
        return await start("-c", TRAINER, *paths, f"127.0.0.1:{site.port}", tmp_path / "ca.pem")

    return trainer


def train(model):
    ref = pb.ModelRef(round=0, digest=model[1], nbytes=model[0].stat().st_size)
    return pb.HubMessage(train=pb.Train(round=1, model=ref))


async def test_a_job_runs_to_its_finish_and_sigterm_stops_the_gateway_cleanly(site, hub, gateway, trainer, model):
    hub.instruction = train(model)
    service, part = await gateway(), await trainer()
    await hub.until(lambda: hub.complete)
    hub.say(FINISH)
    assert await part.wait() == 0
    page = await asyncio.to_thread(urllib.request.urlopen, f"http://127.0.0.1:{site.probes}/metrics")
    released = 'fedward_gateway_released_total{job_name="brain",job_namespace="research",site="mercy"} 1.0'
    text = page.read().decode()
    assert released in text
    assert "fedward_gateway_certificate_not_after_timestamp_seconds" in text
    service.send_signal(signal.SIGTERM)
    assert await service.wait() == 0


async def test_metrics_that_are_secured_are_for_who_has_a_certificate(site, gateway, tmp_path):
    identity = Identity("north.example", "site", "monitoring")
    issued = site.authority.issue(identity, ["localhost"], datetime.now(UTC), timedelta(days=1))
    issued.write(tmp_path / "metrics")
    context = ssl.create_default_context(cadata=issued.ca_pem.decode())
    context.load_cert_chain(tmp_path / "metrics/tls.crt", tmp_path / "metrics/tls.key")
    held, port = reserve()
    await gateway("--secure-metrics", f"127.0.0.1:{port}", "--secure-metrics-tls", tmp_path / "metrics")

    assert await ask(site, "/readyz") == (200, "ready\n")
    assert (await ask(site, "/metrics"))[0] == 403
    page = await asyncio.to_thread(urllib.request.urlopen, f"https://localhost:{port}/metrics", context=context)
    assert "fedward_gateway_build_info" in page.read().decode()
    held.close()


async def ask(site, path):
    """Return status and text of a probe; the gateway is asked again until it listens."""
    url = f"http://127.0.0.1:{site.probes}{path}"
    while True:
        try:
            page = await asyncio.to_thread(urllib.request.urlopen, url)
            return page.status, page.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except urllib.error.URLError:
            continue


async def test_readiness_names_what_is_to_be_mended_and_comes_back_without_a_restart(site, gateway, tmp_path):
    await gateway()
    assert await ask(site, "/readyz") == (200, "ready\n")
    (tmp_path / "audit").rename(tmp_path / "unmounted")
    status, text = await ask(site, "/readyz")
    assert (status, "the audit log cannot be written" in text) == (503, True)
    (tmp_path / "unmounted").rename(tmp_path / "audit")
    site.certify(timedelta(minutes=-1))
    status, text = await ask(site, "/readyz")
    assert (status, "certificate expired" in text) == (503, True)
    assert await ask(site, "/healthz") == (200, "ok\n")
    site.certify()
    assert await ask(site, "/readyz") == (200, "ready\n")


async def test_what_expired_jobs_left_behind_is_deleted_when_the_gateway_starts(site, gateway, tmp_path):
    leftover = tmp_path / "gateway" / "releases" / "of-a-job-long-ago" / "1-1-0.safetensors"
    leftover.parent.mkdir()
    leftover.write_bytes(b"filtered")
    await gateway()
    while leftover.parent.exists():
        assert await ask(site, "/healthz") == (200, "ok\n")


async def test_a_trainer_that_is_refused_for_good_exits_with_4(site, hub, gateway, trainer):
    await gateway()
    part = await trainer(plan_digest="0" * 64)
    assert await part.wait() == 4


async def test_a_trainer_stopped_by_sigterm_says_so_by_its_exit_code(site, hub, gateway, trainer):
    await gateway()
    part = await trainer()
    await hub.attached.wait()
    part.send_signal(signal.SIGTERM)
    assert await part.wait() == 128 + signal.SIGTERM


@pytest.mark.parametrize("victim", ["gateway", "trainer"])
async def test_after_a_kill_in_the_middle_of_an_upload_the_very_update_arrives(
    site, hub, gateway, trainer, model, victim
):
    hub.instruction = train(model)
    hub.holds_after = 1
    service, part = await gateway(), await trainer()
    await hub.holding.wait()
    struck = service if victim == "gateway" else part
    struck.kill()
    await struck.wait()
    await (gateway() if victim == "gateway" else trainer())
    hub.go_on.set()
    await hub.until(lambda: hub.complete)
    assert len({header.digest for header in hub.headers}) == 1

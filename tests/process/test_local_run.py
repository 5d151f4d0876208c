"""Whole local runs with the product's own aggregator and gateways, and trainers that need no torch."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from fedward_cli.documents import load_documents
from fedward_cli.local.extras import Extras
from fedward_cli.local.run import run_local
from fedward_cli.local.view import Lines
from fedward_cli.results import METRICS, read_baselines, read_rounds
from fedward_node.gateway.audit import verify

pytestmark = [pytest.mark.process, pytest.mark.timeout(180)]

TOY = (sys.executable, str(Path(__file__).with_name("toy_trainer.py")))
SITES = ("east", "north", "south")
JOB = """\
apiVersion: fedward.io/v1alpha1
kind: FederatedJob
metadata: {name: toy}
spec:
  model: {network: {name: UNet}}
  data: {dataset: brats}
  sites: {selector: {matchLabels: {toy: "yes"}}}
  rounds: {count: 3, deadline: 60s, grace: 0s}
  privacy: {filters: [{name: percentile, keep: 0.5}]}
"""
SITE = """\
---
apiVersion: fedward.io/v1alpha1
kind: FederatedSite
metadata: {{name: {site}, labels: {{toy: "yes"}}}}
---
apiVersion: fedward.io/v1alpha1
kind: SitePolicy
metadata: {{name: {site}}}
spec: {{datasets: [{{name: brats, volume: {{hostPath: {{path: .}}}}}}]}}
"""
DRIVER = """
import sys
from pathlib import Path
from fedward_cli.documents import load_documents
from fedward_cli.local.run import run_local
from fedward_cli.local.view import Lines
documents = load_documents(Path(sys.argv[1]), ["rounds.count=20"])
view = Lines(lambda line: print(line, flush=True))
print("ended", run_local(documents, Path(sys.argv[2]), trainer_command=tuple(sys.argv[3:]), view=view).state)
"""


@pytest.fixture
def job(tmp_path: Path) -> Path:
    path = tmp_path / "job.yaml"
    path.write_text(JOB + "".join(SITE.format(site=site) for site in SITES))
    return path


def processes_of(out: Path) -> list[int]:
    """Find the running processes whose command line names the run's folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command, state = (
                (entry / "cmdline").read_bytes(),
                (entry / "stat").read_text().rpartition(")")[2].split()[0],
            )
        except OSError:
            continue
        if f"{out}/run".encode() in command and state != "Z":
            found.append(int(entry.name))
    return found


def points_of(folder: Path) -> list[int]:
    """Read, with TensorBoard, of which models there is a Dice in one of its runs."""
    reader = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    reader.Reload()
    return [event.step for event in reader.Scalars("dice")]


def wait_for_the_end_of(pids: list[int]) -> None:
    for pid in pids:
        try:
            process = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        ended, _, _ = select.select([process], [], [], 10)
        os.close(process)
        assert ended, f"process {pid} outlived the run that had started it"


def started(job: Path, out: Path) -> subprocess.Popen[str]:
    """Start a run of 20 rounds in a process of its own."""
    return subprocess.Popen([sys.executable, "-c", DRIVER, str(job), str(out), *TOY], stdout=subprocess.PIPE, text=True)


def lines_of(run: subprocess.Popen[str]) -> Iterator[str]:
    assert run.stdout is not None
    # Not `yield from`, which would close the pipe when the reader stops half-way.
    yield from iter(run.stdout.readline, "")


def until(run: subprocess.Popen[str], text: str) -> None:
    assert any(text in line for line in lines_of(run)), f"the run ended without saying {text!r}"


def test_a_job_goes_from_a_file_to_a_model_a_bundle_and_an_account_of_it(job: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    lines: list[str] = []

    result = run_local(load_documents(job), out, trainer_command=TOY, view=Lines(lines.append))

    assert (result.state, result.rounds_done, result.problems) == ("Completed", 3, ())
    assert [site.state for site in result.sites] == ["Finished"] * 3
    assert result.model is not None
    assert (out / "bundle" / "models" / "model.safetensors").read_bytes() == (out / "model.safetensors").read_bytes()
    assert json.loads((out / "result.json").read_text())["state"] == "Completed"
    records = read_rounds(out)
    assert len(records) == 3 * 3 + 3
    assert {record.release.filters for record in records if record.release} == {("percentile",)}
    assert sum(1 for line in lines if " round " in line) == 3
    assert points_of(out / "tensorboard") == [0, 1, 2, 3]
    assert all(verify(out / "audit" / site).is_intact for site in SITES)
    assert processes_of(out) == []


def test_a_completed_job_is_not_run_again(job: Path, tmp_path: Path) -> None:
    first = run_local(load_documents(job), tmp_path / "out", trainer_command=TOY)
    before = (tmp_path / "out" / METRICS).read_bytes()

    again = run_local(load_documents(job), tmp_path / "out", trainer_command=("false",))

    assert again == first
    assert (tmp_path / "out" / METRICS).read_bytes() == before
    assert points_of(tmp_path / "out" / "tensorboard" / "north") == [0, 1, 2, 3]


def test_a_run_that_was_stopped_or_killed_goes_on_to_the_very_same_model(job: Path, tmp_path: Path) -> None:
    out, undisturbed = tmp_path / "out", tmp_path / "undisturbed"
    expected = run_local(load_documents(job, ["rounds.count=20"]), undisturbed, trainer_command=TOY)

    stopped = started(job, out)
    until(stopped, "round 2/20")
    stopped.send_signal(signal.SIGINT)
    assert [line.split()[-1] for line in lines_of(stopped)][-1] == "Stopped"
    assert stopped.wait(60) == 0
    assert processes_of(out) == []
    assert json.loads((out / "result.json").read_text())["state"] == "Stopped"

    killed = started(job, out)
    until(killed, "attempt 2")
    until(killed, "round")
    killed.kill()
    killed.wait(60)
    wait_for_the_end_of(processes_of(out))

    result = run_local(load_documents(job, ["rounds.count=20"]), out, trainer_command=TOY)

    assert (result.state, result.attempt) == ("Completed", 3)
    assert result.model is not None
    assert expected.model is not None
    assert result.model.digest == expected.model.digest
    assert len(read_rounds(out)) == 20 * 3 + 3
    assert points_of(out / "tensorboard") == list(range(21))


def test_a_first_model_that_cannot_be_made_ends_the_job_at_once(job: Path, tmp_path: Path) -> None:
    result = run_local(load_documents(job), tmp_path / "out", trainer_command=("false",))

    assert result.state == "Failed"
    assert result.failure is not None
    assert result.failure.detail == "the first model could not be made; see logs/initialise.log"
    assert processes_of(tmp_path / "out") == []


def test_a_site_that_is_lost_for_good_ends_a_job_that_needs_it(job: Path, tmp_path: Path) -> None:
    fails = tmp_path / "fails.py"
    fails.write_text(
        f"import os, sys\nif 'run' in sys.argv and '/east.json' in ' '.join(sys.argv): sys.exit(1)\n"
        f"os.execv(sys.executable, {list(TOY)!r} + sys.argv[1:])\n"
    )
    documents = load_documents(job, ["backoffLimit=1"])

    result = run_local(documents, tmp_path / "out", trainer_command=(sys.executable, str(fails)))

    assert result.state == "Failed"
    assert result.failure is not None
    assert (result.failure.reason, result.failure.detail) == ("QuorumLost", "2 of 3 sites are left, the quorum is 3")
    assert [(problem.site, problem.reason) for problem in result.problems] == [("east", "BackoffLimitExceeded")]


def test_a_site_that_is_lost_for_good_does_not_hold_up_a_job_that_can_do_without(job: Path, tmp_path: Path) -> None:
    fails = tmp_path / "fails.py"
    fails.write_text(
        f"import os, sys\nif 'run' in sys.argv and '/east.json' in ' '.join(sys.argv): sys.exit(1)\n"
        f"os.execv(sys.executable, {list(TOY)!r} + sys.argv[1:])\n"
    )
    documents = load_documents(job, ["backoffLimit=0", "rounds.quorum=2", "rounds.deadline=3s", "rounds.count=1"])

    result = run_local(documents, tmp_path / "out", trainer_command=(sys.executable, str(fails)))

    assert (result.state, result.rounds_done) == ("Completed", 1)
    assert {problem.site for problem in result.problems} == {"east"}


def test_baselines_and_example_slices_are_made_once_and_failures_named(job: Path, tmp_path: Path) -> None:
    trainer = tmp_path / "trainer.py"
    trainer.write_text(
        "import json, os, pathlib, sys\n"
        "command, out = sys.argv[1], pathlib.Path(sys.argv[-1])\n"
        "if command == 'baseline':\n"
        "    names = [part.split('=')[0] for part in sys.argv if '=' in part]\n"
        "    dice = {'dice': {'sum': 1.0 * len(names), 'count': 2}}\n"
        "    out.write_text(json.dumps({'sites': {name: dice for name in names}, 'seconds': 1.5, 'curve': []}))\n"
        "elif command == 'examples':\n"
        "    sys.exit(5 if '/east' in str(out) else out.write_bytes(b'slices') and 0)\n"
        f"else: os.execv(sys.executable, {list(TOY)!r} + sys.argv[1:])\n"
    )
    lines: list[str] = []
    documents, command = load_documents(job, ["rounds.count=1"]), (sys.executable, str(trainer))
    wanted = Extras(baselines=True, examples=True, report=False)

    run_local(documents, tmp_path / "out", trainer_command=command, view=Lines(lines.append), wanted=wanted)
    baselines = read_baselines(tmp_path / "out")
    again = run_local(documents, tmp_path / "out", trainer_command=("false",), wanted=Extras(baselines=True))

    assert baselines is not None
    assert {site: run.sites[site]["dice"].value for site, run in baselines.local.items()} == dict.fromkeys(SITES, 0.5)
    assert baselines.central is not None
    assert set(baselines.central.sites) == set(SITES)
    assert baselines.central.epochs == 2
    assert sorted(path.name for path in (tmp_path / "out" / "examples").iterdir()) == ["north.npz", "south.npz"]
    assert sum("examples-east failed" in line for line in lines) == 1
    assert again.state == "Completed"

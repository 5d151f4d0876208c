"""The `fedward` command from the outside: exit codes, what goes to stderr, and how fast it answers."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from fedward_cli.audit_command import verify_folder
from fedward_cli.documents import Documents, load_documents
from fedward_cli.plan_command import document, notices, processes
from fedward_cli.problems import InputError
from fedward_cli.results import RESULT, Result, write_record
from fedward_node.gateway.audit import AuditLog

Write = Callable[[str], Path]


def fedward(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fedward_cli.main", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_help_needs_nothing_that_is_slow_to_import() -> None:
    slow = ("torch", "monai", "numpy", "grpc", "pydantic", "yaml", "cryptography", "kubernetes", "kopf", "jinja2")
    code = f"import sys, fedward_cli.main; print([name for name in {slow!r} if name in sys.modules])"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)

    assert done.stdout.strip() == "[]"


def test_help_lists_every_command() -> None:
    done = fedward("--help")

    assert done.returncode == 0
    commands = ("run", "plan", "watch", "describe", "logs", "report", "sites", "phantom", "audit", "completion")
    assert all(f" {command} " in done.stdout for command in commands)
    assert "Exit codes: 0 done; 1 the job failed" in done.stdout


def test_bad_input_ends_with_2_and_plain_lines_on_stderr(good: str, write: Write) -> None:
    path = write(good.replace("count: 3", "cuont: 3"))

    done = fedward("plan", path)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        f"{path}:11: spec.rounds.count: is required",
        f'{path}:12: spec.rounds.cuont: unknown field, did you mean "count"?',
    ]


@pytest.mark.parametrize("arguments", [("--metrics={}", "{file}"), ("--metrics", "{}", "{file}")])
def test_a_run_whose_port_for_metrics_is_taken_ends_with_2_before_anything_is_done(
    good: str, write: Write, arguments: tuple[str, ...]
) -> None:
    path = write(good)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        given = [argument.format(address, file=path) for argument in arguments]

        done = fedward("run", *given, "--out", path.parent / "out")

    assert done.returncode == 2
    assert done.stderr.startswith(f"--metrics: cannot listen on {address}: Address already in use; choose another")
    assert not (path.parent / "out").exists()


def test_settings_that_every_process_would_die_of_end_a_run_with_2_before_anything_is_done(
    good: str, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(good)
    monkeypatch.setenv("FEDWARD_LOG_LEVEL", "loud")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "collector")

    done = fedward("run", path, "--out", path.parent / "out")

    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "environment: FEDWARD_LOG_LEVEL is 'loud'; set it to one of debug, info, warning, error, critical",
        "environment: OTEL_EXPORTER_OTLP_ENDPOINT is 'collector'; write it as http://collector:4317",
    ]
    assert not (path.parent / "out").exists()


def test_a_run_may_leave_out_where_its_metrics_are(good: str, write: Write) -> None:
    path = write(good.replace("count: 3", "cuont: 3"))

    done = fedward("run", "--metrics", path)

    assert "spec.rounds.cuont: unknown field" in done.stderr, "the file is not taken for the option's value"


def test_a_missing_dataset_is_bad_input_for_a_run_and_a_note_for_a_plan(good: str, write: Write) -> None:
    path = write(good)

    ran, planned = fedward("run", path, "--out", path.parent / "out"), fedward("plan", path)

    assert (ran.returncode, planned.returncode) == (2, 0)
    assert f'{path}: site "north" has no folder {path.parent}/data/north' in ran.stderr
    assert "note: north has no folder" in planned.stdout
    assert not (path.parent / "out").exists()


def test_an_unknown_option_ends_with_2() -> None:
    assert fedward("run", "--rounds", "3").returncode == 2


def test_a_report_of_nothing_is_bad_input(tmp_path: Path) -> None:
    done = fedward("report", tmp_path)

    assert done.returncode == 2
    assert "holds no result.json" in done.stderr


def test_the_plan_as_json_is_the_plan_that_is_run(documents: Documents) -> None:
    written = json.loads(json.dumps(document(documents)))

    assert written["plan"] == json.loads(documents.plan().canonical())
    assert written["processes"] == processes(documents)
    assert [each["name"] for each in written["sites"][1]["filters"]] == ["normClip"]
    assert written["sites"][1]["budget"] == "ε 8, δ 1e-06"


def test_what_a_local_run_does_not_act_on_is_said(good: str, documents: Documents, write: Write) -> None:
    for_clusters = "resources: {memory: 16Gi}\n  ttlSecondsAfterFinished: 60\n  suspend: true\n  backoffLimit: 2"
    file = write(good.replace("backoffLimit: 2", for_clusters))

    assert notices(documents) == []
    assert notices(load_documents(file)) == [
        "only a cluster acts on spec.resources",
        "only a cluster acts on spec.ttlSecondsAfterFinished",
        "spec.suspend is true: a cluster would not start it, a local run does",
    ]


@pytest.fixture
def audited(tmp_path: Path) -> Path:
    for site in ("north", "south"):
        with AuditLog(tmp_path / "out" / "audit" / site) as log:
            log.append("released", {"nbytes": 5})
    return tmp_path / "out"


def test_every_sites_log_of_a_run_is_verified(audited: Path) -> None:
    assert [line.is_intact for line in verify_folder(audited, None)] == [True, True]
    assert [line.is_intact for line in verify_folder(audited / "audit", None)] == [True, True]
    assert fedward("audit", "verify", audited / "audit" / "north").returncode == 0


def test_an_altered_log_ends_with_1_and_names_the_line(audited: Path) -> None:
    log = next((audited / "audit" / "south").glob("*.jsonl"))
    log.write_bytes(log.read_bytes().replace(b"released", b"returned"))

    done = fedward("audit", "verify", audited)

    assert done.returncode == 1
    assert "south: NOT whole" in done.stderr
    assert f"{log}:" in done.stderr
    assert "north: whole" in done.stdout


def test_a_known_head_is_looked_for_in_one_log_only(audited: Path) -> None:
    north = audited / "audit" / "north"
    with AuditLog(north) as log:
        head = log.head

    assert [line.is_intact for line in verify_folder(north, head)] == [True]
    assert [line.is_intact for line in verify_folder(north, "0" * 63 + "1")] == [False]
    with pytest.raises(InputError, match="with the folder of one"):
        list(verify_folder(audited, head))


def test_a_folder_without_a_log_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no audit log"):
        list(verify_folder(tmp_path, None))


@pytest.mark.parametrize(("output", "read"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_programs_read_what_was_verified_and_the_exit_code_is_the_same(audited: Path, output: str, read: Any) -> None:
    whole = fedward("audit", "verify", audited, "-o", output)
    log = next((audited / "audit" / "south").glob("*.jsonl"))
    log.write_bytes(log.read_bytes().replace(b"released", b"returned"))
    broken = fedward("audit", "verify", audited, "-o", output)

    assert (whole.returncode, broken.returncode) == (0, 1)
    assert [each["intact"] for each in read(whole.stdout)["logs"]] == [True, True]
    north, south = read(broken.stdout)["logs"]
    assert (north["intact"], south["intact"]) == (True, False)
    assert str(log) in south["broken"]


def finished(folder: Path, state: str) -> Path:
    """The folder of a run that has ended."""
    said = {"name": "glioma", "started_at": datetime(2026, 3, 1, tzinfo=UTC), "rounds_planned": 3, "rounds_done": 3}
    write_record(folder / RESULT, Result.model_validate({"state": state, **said}))
    return folder


def test_a_run_is_watched_in_lines_of_json_and_in_documents_of_yaml(tmp_path: Path) -> None:
    folder = finished(tmp_path, "Completed")

    lines, documents = fedward("watch", folder, "-o", "json"), fedward("watch", folder, "-o", "yaml")

    assert documents.stdout.startswith("---\n")
    assert list(map(json.loads, lines.stdout.splitlines())) == list(yaml.safe_load_all(documents.stdout))


@pytest.mark.parametrize(("state", "code"), [("Completed", 0), ("Failed", 1), ("Stopped", 1)])
def test_how_a_watched_run_ended_is_the_exit_code(tmp_path: Path, state: str, code: int) -> None:
    done = fedward("watch", finished(tmp_path, state), "-o", "json")

    assert (done.returncode, json.loads(done.stdout)["outcome"]) == (code, state)


def test_a_run_is_described_to_people_and_to_programs_alike(tmp_path: Path) -> None:
    folder = finished(tmp_path, "Completed")

    people, program = fedward("describe", folder), fedward("describe", folder, "-o", "yaml")

    assert (people.returncode, program.returncode) == (0, 0)
    assert yaml.safe_load(program.stdout)["what"] == people.stdout.splitlines()[0]
    assert "nothing is wrong with it" in people.stdout


@pytest.mark.parametrize("command", ["watch", "describe", "report"])
@pytest.mark.parametrize(
    ("name", "content", "where", "passed_over_by"),
    [
        ("result.json", b'{"some": "thing"}', "result.json: state: Field required", ()),
        ("result.json", b"\xff{", "result.json: Invalid JSON", ()),
        ("metrics.jsonl", b'{"round": 1, "site": "north"}\n{"round"\n', "metrics.jsonl:2: Invalid JSON", ()),
        ("metrics.jsonl", b"\xff\n", "metrics.jsonl:1: Invalid JSON", ()),
        ("rounds.jsonl", b"[]\n", "rounds.jsonl:1: Input should be an object", ("report",)),
        ("run/plan.json", b"{}", "run/plan.json: ", ("report",)),
        ("baselines.json", b"", "baselines.json: Invalid JSON", ("watch", "describe")),
    ],
)
def test_a_damaged_folder_is_bad_input_to_whoever_reads_the_damage(
    tmp_path: Path, command: str, name: str, content: bytes, where: str, passed_over_by: tuple[str, ...]
) -> None:
    finished(tmp_path, "Completed")
    (tmp_path / "run").mkdir()
    (tmp_path / name).write_bytes(content)

    done = fedward(command, tmp_path)

    if command in passed_over_by:
        assert (done.returncode, done.stderr) == (0, "")
    else:
        assert (done.returncode, done.stderr.startswith(f"{tmp_path}/{where}")) == (2, True), done.stderr
        assert "the file is damaged, or no run's" in done.stderr


def test_a_result_whose_times_name_no_zone_is_bad_input(tmp_path: Path) -> None:
    result = finished(tmp_path, "Completed") / RESULT
    result.write_text(result.read_text().replace("2026-03-01T00:00:00Z", "2026-03-01T00:00:00"))

    done = fedward("describe", tmp_path)

    assert done.returncode == 2
    assert "result.json: startedAt: Input should have timezone info" in done.stderr


def test_the_report_of_a_run_is_written_anew(tmp_path: Path) -> None:
    done = fedward("report", finished(tmp_path, "Completed"))

    assert (done.returncode, done.stdout.strip()) == (0, str(tmp_path / "report.html"))
    assert (tmp_path / "report.html").is_file()


def test_programs_read_where_a_report_is_and_that_there_is_no_model(tmp_path: Path) -> None:
    done = fedward("report", finished(tmp_path, "Failed"), "-o", "json")

    said = {"folder": str(tmp_path), "model": None, "report": str(tmp_path / "report.html")}
    assert (done.returncode, json.loads(done.stdout)) == (0, said)


@pytest.mark.parametrize("words", [("sites", "-o", "xml"), ("authority", "show", "-o", "xml")])
def test_a_choice_that_is_none_is_refused_in_a_users_words(words: tuple[str, ...]) -> None:
    done = fedward(*words)

    assert done.returncode == 2
    assert " 'xml' is not one of" in done.stderr
    assert "Value error" not in done.stderr


@pytest.mark.parametrize("command", ["watch", "describe", "logs", "report"])
def test_a_name_that_no_cluster_can_be_asked_for_is_said_to_be_no_folder_either(command: str, tmp_path: Path) -> None:
    away = ("--kubeconfig", str(tmp_path / "none"))
    environment = {"PATH": ""}
    program = [sys.executable, "-m", "fedward_cli.main"]
    done, at_cluster = (
        subprocess.run([*program, *words], env=environment, capture_output=True, text=True, timeout=60, check=False)
        for words in ((command, "nosuch"), (*away, command, "nosuch"))
    )

    assert (done.returncode, done.stdout, at_cluster.returncode) == (2, "", 2)
    said = "error: nosuch is no folder of a run, and no cluster can be asked for it: this needs kubectl on the PATH"
    assert done.stderr.startswith(said)
    assert at_cluster.stderr.startswith("error: this needs kubectl")


@pytest.mark.parametrize(
    "arguments",
    [
        ("logs", "brain", "--since", "soon"),
        ("sites", "-o", "table"),
        ("completion", "csh"),
        ("plan", "nowhere.yaml", "-o", "json"),
    ],
)
def test_what_cannot_be_meant_ends_with_2_and_prints_nothing(arguments: tuple[str, ...]) -> None:
    done = fedward(*arguments)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr


def test_without_kubectl_a_command_of_the_cluster_ends_with_2() -> None:
    command = [sys.executable, "-m", "fedward_cli.main", "sites"]
    done = subprocess.run(command, env={"PATH": ""}, capture_output=True, text=True, timeout=60, check=False)

    assert (done.returncode, "needs kubectl on the PATH" in done.stderr) == (2, True)

"""How a run ends on the command line: to people in lines, to programs as one document."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from fedward_cli import run_command
from fedward_cli.output import Format
from fedward_cli.results import Result

FOLDER = Path("runs/glioma")


def ended(state: str) -> Result:
    said = {"name": "glioma", "started_at": datetime(2026, 3, 1, tzinfo=UTC), "rounds_planned": 3, "rounds_done": 2}
    failure = {"reason": "QuorumUnreachable", "detail": "two sites are gone"} if state == "Failed" else None
    return Result.model_validate({"state": state, "failure": failure, **said})


@pytest.mark.parametrize(("state", "code"), [("Completed", 0), ("Failed", 1), ("Stopped", 130)])
@pytest.mark.parametrize(("output", "read"), [(Format.JSON, json.loads), (Format.YAML, yaml.safe_load)])
def test_programs_read_the_result_alone_however_it_ended(state, code, output, read, capsys):
    assert run_command.end(ended(state), FOLDER, output) == code
    document = read(capsys.readouterr().out)
    assert (document["folder"], document["state"], document["roundsDone"]) == ("runs/glioma", state, 2)


def test_what_goes_on_meanwhile_is_kept_out_of_what_programs_read(capsys):
    run_command.view(Format.JSON).say("site north is here")
    said = capsys.readouterr()
    assert (said.out, "site north is here" in said.err) == ("", True)

    run_command.view(Format.TEXT).say("site north is here")
    said = capsys.readouterr()
    assert ("site north is here" in said.out, said.err) == (True, "")


def test_people_read_where_model_and_report_are_or_why_there_is_none(capsys):
    assert run_command.end(ended("Completed"), FOLDER, Format.TEXT) == 0
    assert capsys.readouterr().out == "model:  runs/glioma/model.safetensors\nreport: runs/glioma/report.html\n"

    assert run_command.end(ended("Failed"), FOLDER, Format.TEXT) == 1
    said = capsys.readouterr()
    assert (said.out, said.err.splitlines()[0]) == ("", "error: the job failed: QuorumUnreachable two sites are gone")

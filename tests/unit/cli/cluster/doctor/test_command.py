"""How `fedward doctor` is written, and by which code it ends."""

from __future__ import annotations

import json
import sys

import pytest
from tests.unit.cli.cluster.doctor.looked_at import (
    NAMESPACE,
    NOW,
    UNSCHEDULABLE,
    found,
    pod,
)

from fedward_cli.cluster.doctor import examine
from fedward_cli.cluster.kubectl import ClusterError
from fedward_cli.main import main


def test_it_is_read_at_80_columns(site):
    site.kinds["pods"].append(pod("x", "Pending", False, conditions=[UNSCHEDULABLE]))

    lines = str(found(site)).splitlines()
    assert [line for line in lines if len(line) > 80] == []
    assert lines[1].startswith("wrong    pod x: GpuUnschedulable: ")
    assert "         see:  docs/troubleshooting.md#gpuunschedulable" in lines


PROGRAM = """\
import json, os, sys
kind = sys.argv[2].partition(".")[0]
if kind != "secret":
    print(json.dumps({"kind": "List", "items": json.loads(os.environ["SHOWN"]).get(kind, [])}))
"""


def test_the_command_ends_by_what_it_found(site, tmp_path, monkeypatch, capsys):
    program = tmp_path / "kubectl"
    program.write_text(f"#!{sys.executable}\n{PROGRAM}")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    for shown, arguments, code, words in (
        (site.kinds, ["doctor", "site"], 1, "certificate of the site: NotJoined"),
        (site.kinds, ["doctor", "site", "-o", "json"], 1, '"reason": "NotJoined"'),
        (site.kinds, ["doctor", "site", "-o", "yaml"], 1, "healthy: false"),
        ({}, ["doctor", "-n", "elsewhere"], 2, "neither a hub nor a site in the namespace elsewhere"),
    ):
        monkeypatch.setenv("SHOWN", json.dumps(shown))
        monkeypatch.setattr(sys, "argv", ["fedward", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == code
        assert words in "".join(capsys.readouterr())


def test_what_kubectl_says_is_passed_on_without_its_log(tmp_path, monkeypatch):
    program = tmp_path / "kubectl"
    program.write_text("#!/bin/sh\necho 'E1125 21:27:53.4 1 memcache.go:265] tried' >&2; echo 'refused' >&2; exit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(ClusterError) as error:
        examine(None, NAMESPACE, NOW)
    assert str(error.value) == "refused"

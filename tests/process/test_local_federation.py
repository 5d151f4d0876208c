"""A whole federation on this machine: real processes, real certificates, the real wire."""

from __future__ import annotations

import hashlib
import json

import pytest
from toy_federation import SITES, federate

from fedward_node.gateway.audit import verify
from fedward_protocol.tensors.file import read_tensors

pytestmark = pytest.mark.process


def test_a_federation_runs_to_a_model_a_result_and_sound_audit_logs(tmp_path):
    result = federate(tmp_path)
    out = tmp_path / "out"
    assert result.state == "Completed"
    assert read_tensors(out / "model.safetensors").keys() == {"a", "b"}
    records = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    trained = [(record["round"], record["site"]) for record in records if record["samples"]]
    assert sorted(trained) == [(number, site) for number in (1, 2, 3) for site in SITES]
    for site in SITES:
        verdict = verify(out / "audit" / site)
        assert verdict.broken is None
        assert verdict.records > 3


def test_every_process_that_serves_stops_by_itself_in_the_end(tmp_path):
    federate(tmp_path, overrides=("rounds.count=1",))
    for process in ("aggregator", *(f"gateway-{site}" for site in SITES)):
        last = (tmp_path / "out" / "logs" / f"{process}.log").read_text().splitlines()[-1]
        assert " stopped" in last, f"{process} was killed: {last}"


def test_filters_of_job_and_site_are_applied_and_reported(tmp_path):
    result = federate(tmp_path, overrides=("rounds.count=1", "privacy.filters=[{name: percentile, keep: 0.4}]"))
    assert result.state == "Completed"
    records = [json.loads(line) for line in (tmp_path / "out" / "metrics.jsonl").read_text().splitlines()]
    assert [record["release"]["filters"] for record in records if record["samples"]] == [["percentile"]] * 3


def test_two_runs_of_one_job_give_the_same_bits(tmp_path):
    digests = set()
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        federate(tmp_path / name)
        digests.add(hashlib.sha256((tmp_path / name / "out" / "model.safetensors").read_bytes()).hexdigest())
    assert len(digests) == 1

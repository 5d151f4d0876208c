"""A hospital whose training goes wrong: its updates are refused by reason, and the federation trains on without it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from faulty_trainer import FAULTS
from toy_federation import SITES, federate

from fedward_node.gateway.audit import verify
from fedward_protocol.tensors.file import read_tensors

pytestmark = pytest.mark.process

FAULTY = (sys.executable, str(Path(__file__).parent / "faulty_trainer.py"))
ROUNDS = max(FAULTS) + 1


def test_a_site_that_spoils_its_updates_is_refused_and_the_rounds_go_on_without_it(tmp_path):
    # The deadline is also what a first round waits for its sites, however slowly they start.
    settings = (f"rounds.count={ROUNDS}", "rounds.quorum=2", "rounds.deadline=4s", "rounds.grace=0s")
    result = federate(tmp_path, overrides=settings, trainer=FAULTY)
    out = tmp_path / "out"
    assert (result.state, result.rounds_done) == ("Completed", ROUNDS)
    records = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    counted = {(record["round"], record["site"]) for record in records if record["samples"]}
    spoilt = {(number, site) for number, site in counted if number in FAULTS}
    assert spoilt == {(number, site) for number in FAULTS for site in ("east", "south")}
    assert {site.name: site.refusals for site in result.sites} == {"east": 0, "north": 2, "south": 0}
    log = (out / "logs" / "aggregator.log").read_text()
    assert ("NotFinite" in log, "BadSampleCount" in log) == (True, True)
    assert all(np.isfinite(values).all() for values in read_tensors(out / "model.safetensors").values())
    assert all(verify(out / "audit" / site).broken is None for site in SITES)

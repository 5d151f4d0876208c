"""A plan as an experiment's parameters: every choice by its name, none that a server would refuse."""

from __future__ import annotations

import re

from fedward_cli.documents import Documents
from fedward_cli.tracking.parameters import LONGEST_VALUE, parameters
from fedward_protocol.plan import Bundle, GaussianNoise, Model, Network, Privacy


def test_every_choice_has_the_name_that_the_jobs_file_uses(documents: Documents) -> None:
    found = parameters(documents.plan())
    assert (found["training.optimizer.lr"], found["rounds.count"], found["sites"]) == ("0.0001", "3", "north, south")
    assert (found["aggregation.algorithm"], found["training.amp"]) == ("FedAvg", "true")
    assert not any(name.startswith(("job.", "federation")) for name in found), "which job it is stands in the tags"


def test_filters_are_written_whole(documents: Documents) -> None:
    noise = GaussianNoise(name="gaussianNoise", max_norm=1, multiplier=10)
    plan = documents.plan().model_copy(update={"privacy": Privacy(filters=(noise,))})
    assert '"multiplier": 10' in parameters(plan)["privacy.filters"]


def test_a_bundle_gives_the_names_of_its_files_alone(documents: Documents) -> None:
    bundle = Bundle(files={"configs/train.json": "secret", "scripts/a.py": "secret"})
    plan = documents.plan().model_copy(update={"model": Model(bundle=bundle)})
    assert parameters(plan)["model.bundle"] == "configs/train.json, scripts/a.py"


def test_what_a_server_would_refuse_is_cut_or_written_otherwise(documents: Documents) -> None:
    network = Network(name="UNet", args={"strange: key!": "x" * 1000})
    plan = documents.plan().model_copy(update={"model": Model(network=network)})
    found = parameters(plan)
    value = found["model.network.args.strange_ key_"]
    assert (len(value), value[-1]) == (LONGEST_VALUE, "…")
    assert all(re.fullmatch(r"[A-Za-z0-9_. -]{1,250}", name) for name in found)

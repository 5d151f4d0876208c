"""A trainer without torch: the product's own loop around arithmetic, so that a federation runs in a second.

What it trains is a function of model, site and round alone, so any two undisturbed runs give the same bits.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
from pathlib import Path

import numpy as np

from fedward_node.trainer.algorithm import Cases, Control, LocalResult, MeanMetric
from fedward_node.trainer.main import run
from fedward_node.trainer.run import Assignment
from fedward_protocol import logs, work_order
from fedward_protocol.plan import Plan
from fedward_protocol.tensors.file import read_tensors, write_tensors

CASES = 4


class Arithmetic:
    """Moves each weight by what a hash of site and round says."""

    def __init__(self, site: str) -> None:
        self._site = site

    def open(self) -> Cases:
        return Cases(CASES, 2, 0)

    def evaluate(self, model: Path, control: Control) -> dict[str, MeanMetric]:
        del control
        total = sum(float(np.abs(values).mean()) for values in read_tensors(model).values())
        return {"dice": MeanMetric(total / (1 + total), 1)}

    def train(self, model: Path, round_number: int, out: Path, control: Control) -> LocalResult:
        control.progress("train", 0.5, 1.0 / round_number)
        seed = int.from_bytes(hashlib.sha256(f"{self._site}/{round_number}".encode()).digest()[:8], "big")
        drawn = np.random.default_rng(seed)
        weights = {
            name: values + drawn.standard_normal(values.shape, dtype=np.float32) * np.float32(0.01)
            for name, values in read_tensors(model).items()
        }
        write_tensors(out, weights)
        return LocalResult(samples=CASES, steps=1, train_loss=1.0 / round_number)

    def close(self) -> None:
        pass


def initialise(plan: Plan, out: Path) -> None:
    size = int(os.environ.get("TOY_ELEMENTS", "300000"))
    drawn = np.random.default_rng(plan.seed)
    write_tensors(out, {"a": drawn.standard_normal((size // 3, 2), dtype=np.float32), "b": np.zeros(size // 3, "f4")})


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("command")
    for name in ("--plan", "--work-order", "--state", "--gateway-ca", "--data", "--out"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--gateway")
    chosen = parser.parse_args()
    plan = Plan.parse(chosen.plan.read_bytes())
    if chosen.command == "initialise":
        initialise(plan, chosen.out)
        return 0
    logs.configure("trainer")
    site = work_order.read(chosen.work_order.read_bytes()).site
    assignment = Assignment(plan, chosen.work_order, chosen.state, chosen.gateway, chosen.gateway_ca)
    return run(assignment, Arithmetic(site))


if __name__ == "__main__":
    sys.exit(main())

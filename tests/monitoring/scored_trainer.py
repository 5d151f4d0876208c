"""The toy trainer with a score, called $METRIC, for each region: all sites get better, and "west" is served worst.

In the folder $FAULTS, a file `spoil-west` makes it count cases that it does not have; `forget-west`, score nothing;
`stall-west`, take no more step, and go on to say that it trains.
A round's training takes twenty steps of $STEP_S seconds.
"""

from __future__ import annotations

import math
import os
import sys
import threading
from dataclasses import replace
from pathlib import Path

import toy_trainer

from fedward_node.trainer.algorithm import Control, LocalResult, MeanMetric, Step

REGIONS = {"": 0.0, "_et": -0.06, "_tc": -0.02, "_wt": 0.07}
"""How each region's score differs from the mean."""
HANDICAPS = {"east": 0.02, "north": 0.0, "south": 0.05, "west": 0.28}
_STEPS = 20


class Scored(toy_trainer.Arithmetic):
    """Arithmetic whose scores rise with each model that it sees."""

    def __init__(self, site: str) -> None:
        super().__init__(site)
        self._name, self._seen, self._metric = site, 0, os.environ["METRIC"]
        self._faults, self._step_s = Path(os.environ["FAULTS"]), float(os.environ["STEP_S"])

    def evaluate(self, model: Path, control: Control) -> dict[str, MeanMetric]:
        control.progress("evaluate", 0.5)
        self._seen += 1
        if (self._faults / f"forget-{self._name}").exists():
            return {self._metric: MeanMetric(0.0, toy_trainer.CASES)}
        score = 0.86 * (1 - math.exp(-self._seen / 8)) - HANDICAPS[self._name] * self._seen / (self._seen + 4)
        return {
            self._metric + region: MeanMetric(max(score + more, 0.0) * toy_trainer.CASES, toy_trainer.CASES)
            for region, more in REGIONS.items()
        }

    def train(self, model: Path, round_number: int, out: Path, control: Control) -> LocalResult:
        for step in range(_STEPS):
            control.progress("train", step / _STEPS, 1.0 / round_number)
            while (self._faults / f"stall-{self._name}").exists():
                control.progress("train", step / _STEPS, 1.0 / round_number)
                threading.Event().wait(self._step_s)
            # A stage that lasts no time at all could not be seen at any scrape.
            threading.Event().wait(self._step_s)
            control.stepped(Step(cases=toy_trainer.CASES / _STEPS, seconds=self._step_s, waited_s=self._step_s / 4))
        result = super().train(model, round_number, out, control)
        if (self._faults / f"spoil-{self._name}").exists():
            return replace(result, samples=10 * toy_trainer.CASES)
        return result


if __name__ == "__main__":
    toy_trainer.Arithmetic = Scored  # type: ignore[misc]
    sys.exit(toy_trainer.main())

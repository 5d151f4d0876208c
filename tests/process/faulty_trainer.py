"""The toy trainer, whose site "north" spoils all rounds but the first and the last, each in its own way."""

from __future__ import annotations

import sys
import threading
from dataclasses import replace

import numpy as np
import toy_trainer

from fedward_node.trainer.algorithm import Superseded
from fedward_protocol.tensors.file import read_tensors, write_tensors

FAULTS = {2: "not a number", 3: "more samples than there are", 4: "no answer"}


class Faulty(toy_trainer.Arithmetic):
    """Arithmetic that goes wrong by the round's number."""

    def __init__(self, site: str) -> None:
        super().__init__(site)
        self._faults = FAULTS if site == "north" else {}

    def train(self, model, round_number, out, control):
        result = super().train(model, round_number, out, control)
        match self._faults.get(round_number):
            case "not a number":
                weights = {name: values.copy() for name, values in read_tensors(out).items()}
                weights["b"][-1] = np.nan
                write_tensors(out, weights)
            case "more samples than there are":
                return replace(result, samples=10 * toy_trainer.CASES)
            case "no answer":
                while not control.superseded():
                    threading.Event().wait(0.01)
                raise Superseded
            case _:
                pass
        return result


if __name__ == "__main__":
    toy_trainer.Arithmetic = Faulty
    sys.exit(toy_trainer.main())

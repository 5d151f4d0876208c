"""A MONAI bundle as the trainer's loop runs it, through MONAI's own client for federated learning.

The bundle's `dataset_dir` is set to the site's folder and `bundle_root` to where its files were written; checkpoints
named in it are not loaded, because the model comes from the hub. A round that was cut off starts again from its
beginning, with the same random numbers.
"""

from __future__ import annotations

import copy
import logging
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Engine, Events
from monai.data.utils import set_rnd
from monai.fl.client.monai_algo import MonaiAlgo
from monai.fl.utils.constants import ExtraItems
from monai.fl.utils.exchange_object import ExchangeObject
from monai.utils.misc import set_determinism

from fedward_node.trainer import weights
from fedward_node.trainer.algorithm import Cases, Control, LocalResult, MeanMetric, Step, Superseded
from fedward_node.trainer.bundles import files
from fedward_node.trainer.bundles.network import innermost, scripts_of
from fedward_node.trainer.seeds import seed_of
from fedward_protocol.plan import Bundle, Plan
from fedward_protocol.reasons import Reason, RefusedError

_logger = logging.getLogger(__name__)
_SEEDS = 2**32  # numpy's legacy generator, which MONAI seeds, takes no larger ones


class BundleAlgorithm:
    """A bundle on one site's dataset; an `Algorithm`."""

    def __init__(self, plan: Plan, bundle: Bundle, data: Path, state: Path, site: str) -> None:
        self._plan = plan
        self._bundle = bundle
        self._data = data
        self._folder = state / "bundle"
        self._site = site
        self._resources = ExitStack()
        self._client: Any = None
        self._fresh_optimizer: dict[str, Any] = {}

    def open(self) -> Cases:
        """Write the bundle's files, and let MONAI make its trainer and evaluator."""
        laid_out = files.lay_out(self._bundle)
        files.check(laid_out)
        shutil.rmtree(self._folder, ignore_errors=True)
        files.write(laid_out, self._folder)
        self._resources.enter_context(scripts_of(self._folder))
        overrides = {
            "dataset_dir": str(self._data),
            "bundle_root": str(self._folder),
            "run_name": self._site,  # else MONAI makes one up from the time
        }
        client: Any = MonaiAlgo(
            bundle_root=str(self._folder),
            local_epochs=self._plan.training.local_epochs,
            send_weight_diff=False,
            config_train_filename=files.TRAIN,
            train_kwargs=dict(overrides),
            config_evaluate_filename=[name for name in (files.TRAIN, files.EVALUATE) if name in laid_out],
            eval_kwargs=dict(overrides),
        )
        try:
            client.initialize({ExtraItems.CLIENT_NAME: self._site})
            counts = len(client.trainer.data_loader.dataset), len(client.evaluator.data_loader.dataset)
        except Exception as error:
            # The cause may hold a patient's file name, so it stays in the site's log; the refusal names the expression.
            _logger.error("the bundle cannot be set up: %s", innermost(error))
            raise RefusedError(Reason.BUNDLE_INVALID, f"{_first_lines(error)}; the site's log has the cause") from error
        if counts[0] == 0:
            raise RefusedError(Reason.DATASET_EMPTY, "the bundle's train#dataset finds no case in dataset_dir")
        self._client = client
        self._fresh_optimizer = copy.deepcopy(client.trainer.optimizer.state_dict())
        return Cases(counts[0], counts[1], 0)

    def evaluate(self, model: Path, control: Control) -> Mapping[str, MeanMetric]:
        """Run the bundle's evaluator; each metric that it keeps per case becomes (sum, count)."""
        client = self._opened()
        weights.load(client.evaluator.network, model)
        with _Watch(client.evaluator, control, "evaluate", 1):
            client.evaluate(ExchangeObject(weights=client.evaluator.network.state_dict()))
        return summed(client.evaluator, len(client.evaluator.data_loader.dataset))

    def train(self, model: Path, round_number: int, out: Path, control: Control) -> LocalResult:
        """Run the bundle's trainer for the plan's local epochs, from the model and a fresh optimiser."""
        client = self._opened()
        seed = seed_of(self._plan.seed, self._site, round_number) % _SEEDS
        # MONAI's engine goes on counting where it was stopped, and its optimiser remembers: a round must know neither.
        client.trainer.state.epoch = client.trainer.state.iteration = 0
        client.trainer.optimizer.load_state_dict(copy.deepcopy(self._fresh_optimizer))
        set_determinism(seed)
        # Without this, transforms keep the generators that they were given when the loader was made.
        set_rnd(client.trainer.data_loader.dataset, seed)
        weights.load(client.trainer.network, model)
        with _Watch(client.trainer, control, "train", self._plan.training.local_epochs) as watch:
            client.train(ExchangeObject(weights=client.trainer.network.state_dict()))
        weights.save(client.trainer.network, out)
        samples = len(client.trainer.data_loader.dataset)
        return LocalResult(samples, watch.steps, watch.loss_sum / max(1, watch.steps))

    def close(self) -> None:
        """Let the bundle finish, and its scripts be forgotten."""
        try:
            if self._client is not None:
                self._client.finalize()
        finally:
            self._client = None
            self._resources.close()

    def _opened(self) -> Any:
        if self._client is None:
            raise RuntimeError("open() comes first")
        return self._client


def summed(evaluator: Any, cases: int) -> dict[str, MeanMetric]:
    """Turn an evaluator's metrics into sums: from its details by case where it keeps them, else mean × cases.

    Values that are not numbers, MONAI's mark for a class that is absent, are not counted.
    """
    details = getattr(evaluator.state, "metric_details", None) or {}
    means = {}
    for name, value in evaluator.state.metrics.items():
        if name in details and isinstance(details[name], torch.Tensor):
            values = details[name].double()
            counted = values[torch.isfinite(values)]
            means[name] = MeanMetric(float(counted.sum()), int(counted.numel()))
        elif isinstance(value, int | float) or (isinstance(value, torch.Tensor) and value.numel() == 1):
            means[name] = MeanMetric(float(value) * cases, cases)
    return means


class _Watch:
    """Follows an engine while it runs: reports its steps, and stops it when the work is no longer wanted."""

    def __init__(
        self,
        engine: Engine,
        control: Control,
        stage: str,
        epochs: int,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._engine = engine
        self._control = control
        self._stage = stage
        self._epochs = epochs
        self._clock = clock
        self._ended = self._asked = clock()
        self._waited_s = 0.0
        self._stopped = False
        self.steps = 0
        self.loss_sum = 0.0

    def __enter__(self) -> _Watch:
        self._handles = [
            self._engine.add_event_handler(Events.GET_BATCH_STARTED, self._before_batch),
            self._engine.add_event_handler(Events.GET_BATCH_COMPLETED, self._after_batch),
            self._engine.add_event_handler(Events.ITERATION_COMPLETED, self._after_step),
        ]
        self._ended = self._clock()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for handle in self._handles:
            handle.remove()
        if self._stopped and kind is None:
            raise Superseded

    def _before_batch(self) -> None:
        self._asked = self._clock()

    def _after_batch(self) -> None:
        self._waited_s += self._clock() - self._asked

    def _after_step(self, engine: Engine) -> None:
        self.steps += 1
        loss = _loss_of(engine.state.output)
        self.loss_sum += loss
        length = engine.state.epoch_length or 1
        if self._stage == "train":
            self._control.stepped(self._step(length))
        self._control.progress(self._stage, min(1.0, self.steps / (length * self._epochs)), loss)
        if self._control.superseded():
            # Raising here would pass through the bundle's own handlers, which may swallow it.
            self._stopped = True
            engine.terminate()

    def _step(self, length: int) -> Step:
        """Measure the step that has ended; its cases are the epoch's share, as a batch may hold crops of one case."""
        now, waited_s = self._clock(), self._waited_s
        took, self._ended, self._waited_s = now - self._ended, now, 0.0
        engine: Any = self._engine
        return Step(len(engine.data_loader.dataset) / length, took, waited_s, _scale_of(engine))


def _scale_of(trainer: Any) -> float | None:
    """Read the factor of mixed precision; a trainer of the bundle's own making need not have one."""
    scaler = getattr(trainer, "scaler", None)
    return float(scaler.get_scale()) if scaler is not None and scaler.is_enabled() else None


def _loss_of(output: Any) -> float:
    item = output[0] if isinstance(output, list) and output else output
    value = item.get("loss", 0.0) if isinstance(item, dict) else 0.0
    return float(value)


def _first_lines(error: Exception) -> str:
    """Name the kind of error, and the expression of the bundle that raised it where MONAI says so."""
    text = str(error)
    known = text.startswith(("Failed to evaluate", "Failed to instantiate"))
    return " ".join(text.split())[:300] if known else f"setting it up raises {type(error).__name__}"

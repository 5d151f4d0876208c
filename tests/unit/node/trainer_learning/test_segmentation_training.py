from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import brats_folders as folders
import numpy as np
import pytest

from fedward_node.trainer.algorithm import Algorithm, Step, Superseded
from fedward_protocol.plan import Plan
from fedward_protocol.reasons import Reason, RefusedError
from fedward_protocol.tensors.file import read_tensors, write_tensors

pytestmark = pytest.mark.torch


class Killed(BaseException):
    """Stands for SIGKILL: nothing in the trainer catches it."""


class Control:
    """Watches a stage; `at` may kill or supersede it."""

    def __init__(self, at: Callable[[str, float], None] = lambda stage, fraction: None) -> None:
        self.seen: list[tuple[str, float, float]] = []
        self.steps: list[Step] = []
        self.wanted = True
        self._at = at

    def progress(self, stage: str, fraction: float, loss: float = math.nan) -> None:
        self.seen.append((stage, fraction, loss))
        self._at(stage, fraction)

    def stepped(self, step: Step) -> None:
        self.steps.append(step)

    def superseded(self) -> bool:
        return not self.wanted


@pytest.fixture
def plan() -> Plan:
    return folders.a_plan()


@pytest.fixture
def model(plan: Plan, tmp_path: Path) -> Path:
    from fedward_node.trainer.initialise import initialise

    initialise(plan, tmp_path / "initial.safetensors")
    return tmp_path / "initial.safetensors"


@pytest.fixture
def start(plan: Plan, tmp_path: Path) -> Callable[..., Algorithm]:
    """Start a trainer; with the same state folder it is the same one, restarted."""
    data = folders.brats(tmp_path / "data", 5)

    def begin(state: str = "state", site: str = "north", plan: Plan = plan) -> Algorithm:
        from fedward_node.trainer.algorithms import build

        algorithm = build(plan, data, tmp_path / state, site)
        algorithm.open()
        return algorithm

    return begin


def _same(one: Path, other: Path) -> bool:
    return one.read_bytes() == other.read_bytes()


def test_training_lowers_the_loss_and_raises_dice(
    start: Callable[..., Algorithm], model: Path, plan: Plan, tmp_path: Path
) -> None:
    algorithm = start()
    before = algorithm.evaluate(model, Control())["dice"]
    losses = []
    for number in (1, 2, 3):
        result = algorithm.train(model, number, tmp_path / "trained.safetensors", Control())
        model = (tmp_path / "trained.safetensors").rename(tmp_path / f"{number}.safetensors")
        losses.append(result.train_loss)
        assert (result.samples, result.steps) == (4, 12)
    after = algorithm.evaluate(model, Control())["dice"]
    assert losses[2] < losses[0]
    assert after.sum / after.count > before.sum / before.count + 0.2
    assert after.count == 1


def test_progress_rises_to_the_end_and_tells_the_loss(
    start: Callable[..., Algorithm], model: Path, tmp_path: Path
) -> None:
    control = Control()
    algorithm = start()
    algorithm.evaluate(model, control)
    algorithm.train(model, 1, tmp_path / "out.safetensors", control)
    fractions = [fraction for stage, fraction, loss in control.seen if stage == "train" and math.isfinite(loss)]
    assert len(fractions) == 12
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1
    assert ("evaluate", 1.0) in [seen[:2] for seen in control.seen]


def test_each_step_tells_its_cases_its_time_and_how_long_it_waited_for_them(
    start: Callable[..., Algorithm], model: Path, tmp_path: Path
) -> None:
    control = Control()
    start().train(model, 1, tmp_path / "out.safetensors", control)
    assert [step.cases for step in control.steps] == [1] * 12
    assert all(0 <= step.waited_s < step.seconds for step in control.steps)
    assert {step.amp_scale for step in control.steps} == {None}, "on a CPU nothing is scaled"


def test_a_step_waits_for_its_data_from_the_end_of_the_step_before(plan: Plan, tmp_path: Path) -> None:
    import torch

    from fedward_node.trainer.data.dataset import open_dataset
    from fedward_node.trainer.segmentation.network import build_network
    from fedward_node.trainer.segmentation.training import StepResult, Trainee

    # It is looked at when the epoch begins, and then in each step once its data are there and once it has ended.
    times = iter([0.0, 3.0, 4.0, 4.5, 8.0, 8.0, 9.0])
    dataset = open_dataset(folders.brats(tmp_path / "three", 4), plan)
    trainee = Trainee(build_network(plan), plan.training, torch.device("cpu"), lambda: next(times))
    told: list[StepResult] = []
    trainee.epoch([dataset.training], 1, told.append)
    assert [(step.number, step.took.seconds, step.took.waited_s) for step in told] == [
        (1, 4.0, 3.0),
        (2, 4.0, 0.5),
        (3, 1.0, 0.0),
    ]


@pytest.mark.parametrize("step", [1, 3, 4, 5, 8, 10, 12])
def test_killed_at_any_step_and_started_again_it_gives_the_very_same_weights(
    step: int, start: Callable[..., Algorithm], model: Path, tmp_path: Path
) -> None:
    undisturbed = start("elsewhere").train(model, 1, tmp_path / "whole.safetensors", Control())
    steps = iter(range(1, 99))

    def die(stage: str, fraction: float) -> None:
        if next(steps) == step:
            raise Killed

    with pytest.raises(Killed):
        start().train(model, 1, tmp_path / "resumed.safetensors", Control(die))
    assert not (tmp_path / "resumed.safetensors").exists()
    control = Control()
    result = start().train(model, 1, tmp_path / "resumed.safetensors", control)

    assert _same(tmp_path / "whole.safetensors", tmp_path / "resumed.safetensors")
    assert result == undisturbed
    assert len(control.seen) == 12 - (step - 1) // 4 * 4  # only the epoch that was cut off is done again


def test_a_round_that_was_done_gives_the_same_weights_when_asked_again(
    start: Callable[..., Algorithm], model: Path, tmp_path: Path
) -> None:
    algorithm = start()
    algorithm.train(model, 1, tmp_path / "one.safetensors", Control())
    algorithm.train(model, 1, tmp_path / "two.safetensors", Control())
    assert _same(tmp_path / "one.safetensors", tmp_path / "two.safetensors")


def test_a_checkpoint_of_another_round_or_model_is_not_used(
    start: Callable[..., Algorithm], model: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.safetensors"
    write_tensors(other, {name: values + 0.01 for name, values in read_tensors(model).items()})
    start("fresh").train(other, 1, tmp_path / "wanted.safetensors", Control())
    algorithm = start()
    algorithm.train(model, 1, tmp_path / "first.safetensors", Control())
    algorithm.train(other, 1, tmp_path / "second.safetensors", Control())
    assert _same(tmp_path / "wanted.safetensors", tmp_path / "second.safetensors")


def test_a_checkpoint_cut_short_by_a_full_disk_is_as_good_as_none(
    start: Callable[..., Algorithm], model: Path, tmp_path: Path
) -> None:
    algorithm = start()
    algorithm.train(model, 1, tmp_path / "one.safetensors", Control())
    (tmp_path / "state" / "round.pt").write_bytes(b"PK\x03\x04 cut")
    algorithm.train(model, 1, tmp_path / "two.safetensors", Control())
    assert _same(tmp_path / "one.safetensors", tmp_path / "two.safetensors")


def test_sites_and_rounds_draw_different_numbers(start: Callable[..., Algorithm], model: Path, tmp_path: Path) -> None:
    for name, site, number in (("a", "north", 1), ("b", "south", 1), ("c", "north", 2)):
        start(name, site).train(model, number, tmp_path / f"{name}.safetensors", Control())
    assert len({(tmp_path / f"{name}.safetensors").read_bytes() for name in "abc"}) == 3


@pytest.mark.parametrize("stage", ["train", "evaluate"])
def test_superseded_work_stops_at_the_next_step(
    stage: str, start: Callable[..., Algorithm], model: Path, tmp_path: Path
) -> None:
    control = Control()
    control.wanted = False
    algorithm = start()
    work = {
        "train": lambda: algorithm.train(model, 1, tmp_path / "out.safetensors", control),
        "evaluate": lambda: algorithm.evaluate(model, control),
    }
    with pytest.raises(Superseded):
        work[stage]()
    assert len(control.seen) <= 1
    assert not (tmp_path / "out.safetensors").exists()


def test_a_loss_that_is_no_number_fails_the_training_and_says_what_to_do(
    start: Callable[..., Algorithm], model: Path, tmp_path: Path
) -> None:
    training = {"localEpochs": 3, "optimizer": {"name": "SGD", "lr": 10}, "patch": [16, 16, 16]}
    broken = tmp_path / "broken.safetensors"
    write_tensors(broken, {name: values * np.float32(1e38) for name, values in read_tensors(model).items()})
    with pytest.raises(RefusedError, match=r"lower training\.optimizer\.lr") as refused:
        start(plan=folders.a_plan(training=training)).train(broken, 1, tmp_path / "out.safetensors", Control())
    assert refused.value.reason is Reason.TRAINING_FAILED


@pytest.mark.parametrize("changes", [{"batchSize": 3}, {"cacheRate": 0.0}, {"loss": "DiceCE"}, {"patch": [8, 24, 12]}])
def test_every_setting_of_training_runs(
    changes: dict[str, object], start: Callable[..., Algorithm], model: Path, tmp_path: Path
) -> None:
    training = {"localEpochs": 1, "optimizer": {"name": "AdamW", "lr": 0.01}, "patch": [16, 16, 16]} | changes
    algorithm = start(plan=folders.a_plan(training=training))
    result = algorithm.train(model, 1, tmp_path / "out.safetensors", Control())
    assert result.steps == math.ceil(4 / int(str(changes.get("batchSize", 1))))
    assert set(algorithm.evaluate(tmp_path / "out.safetensors", Control())) >= {"dice", "dice_et", "hd95_wt"}


def test_mixed_precision_changes_nothing_on_a_cpu(start: Callable[..., Algorithm], model: Path, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("a GPU here")
    trained = []
    for amp in (True, False):
        plan = folders.a_plan(training={"localEpochs": 1, "patch": [16, 16, 16], "amp": amp})
        algorithm = start(f"state-{amp}", plan=plan)
        algorithm.train(model, 1, tmp_path / f"{amp}.safetensors", Control())
        trained.append((tmp_path / f"{amp}.safetensors").read_bytes())
        assert algorithm.evaluate(tmp_path / f"{amp}.safetensors", Control())["dice"].count
    assert trained[0] == trained[1]


def test_mixed_precision_trains_on_a_gpu(start: Callable[..., Algorithm], model: Path, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("no GPU here")
    result = start().train(model, 1, tmp_path / "out.safetensors", Control())
    assert math.isfinite(result.train_loss)

from __future__ import annotations

import pytest

from fedward_node.trainer.compute import thread_count
from fedward_node.trainer.seeds import generator, seed_of


def test_a_seed_depends_on_every_part_of_its_purpose() -> None:
    seeds = {seed_of(0, "north", 1, 2), seed_of(1, "north", 1, 2), seed_of(0, "south", 1, 2), seed_of(0, "north", 12)}
    assert len(seeds) == 4
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_the_same_purpose_draws_the_same_numbers_and_always_will() -> None:
    assert generator(7, "order").integers(100, size=3).tolist() == generator(7, "order").integers(100, size=3).tolist()
    assert seed_of(0, "north", 1, 2) == 5460941100258469702


@pytest.mark.parametrize(
    ("title", "environment", "cores", "quota", "wanted"),
    [
        ("the environment has the last word", {"OMP_NUM_THREADS": "3"}, 8, "100000 100000", 3),
        ("nonsense in it is passed over", {"OMP_NUM_THREADS": "x"}, 8, "", 8),
        ("a container's quota", {}, 64, "250000 100000", 2),
        ("less than one CPU is still one thread", {}, 64, "50000 100000", 1),
        ("no quota", {}, 4, "max 100000", 4),
    ],
)
def test_threads_follow_what_may_be_used(title, environment, cores, quota, wanted) -> None:  # type: ignore[no-untyped-def]
    assert thread_count(environment, cores, quota) == wanted


@pytest.mark.torch
@pytest.mark.parametrize(("named", "said"), [("GPU-42", 1), ("void", 0)])
def test_a_gpu_that_was_lent_and_that_pytorch_cannot_see_is_an_error_in_the_log(
    named: str, said: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import torch

    from fedward_node.trainer.algorithms import prepare_device

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr("os.path.exists", lambda _: False)
    monkeypatch.setenv("NVIDIA_VISIBLE_DEVICES", named)
    device, _ = prepare_device()
    assert device.type == "cpu"
    found = [record for record in caplog.records if "a GPU was lent (NVIDIA_VISIBLE_DEVICES=GPU-42)" in record.message]
    assert [record.levelname for record in found] == ["ERROR"] * said

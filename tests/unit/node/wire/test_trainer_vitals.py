"""How a trainer measures its own work, and that looking at the GPU can harm nothing."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from fedward_node.trainer.algorithm import Step
from fedward_node.trainer.compute import lent_gpu
from fedward_node.trainer.gpu import Gpu
from fedward_node.trainer.vitals import WINDOW_S, Meter, Reading
from fedward_protocol.wire import federation_pb2 as pb


class NVMLError(Exception):
    pass


class Driver:
    """NVIDIA's library, for one device; `refuses` names the calls that it has no answer to."""

    NVMLError = NVMLError

    def __init__(self, device="GPU-42", refuses=()):
        self.device, self.refuses, self.asked = device, refuses, 0
        self.used = 3 << 30

    def _answer(self, call):
        if call in self.refuses:
            raise NVMLError(f"{call} is not supported")

    def nvmlInit(self):  # noqa: N802 - the library's names
        self._answer("init")

    def nvmlDeviceGetHandleByUUID(self, uuid):  # noqa: N802
        if uuid != self.device:
            raise NVMLError("not found")
        return "handle"

    def nvmlDeviceGetMemoryInfo(self, device):  # noqa: N802
        self._answer("memory")
        assert device == "handle"
        self.asked += 1
        return SimpleNamespace(used=self.used, total=8 << 30)

    def nvmlDeviceGetUtilizationRates(self, device):  # noqa: N802
        self._answer("utilisation")
        assert device == "handle"
        return SimpleNamespace(gpu=75, memory=10)


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def meter(**reading):
    return Meter(lambda: Reading(**reading))


def test_pace_and_wait_are_those_of_the_last_minute_and_cases_are_counted_from_the_beginning():
    measured = meter()
    for _ in range(10):
        measured.stepped(Step(cases=2, seconds=30.0, waited_s=30.0))
    for _ in range(3):
        measured.stepped(Step(cases=4, seconds=WINDOW_S / 3, waited_s=5.0))
    vitals = measured.read("train")
    assert (vitals.cases_per_second, vitals.data_wait_ratio, vitals.cases) == (0.2, 0.25, 32)


def test_a_step_longer_than_a_minute_has_a_pace_too():
    measured = meter()
    measured.stepped(Step(cases=1, seconds=1.0, waited_s=0.0))
    measured.stepped(Step(cases=1, seconds=10 * WINDOW_S, waited_s=6 * WINDOW_S))
    vitals = measured.read("train")
    assert (vitals.cases_per_second, vitals.data_wait_ratio) == (pytest.approx(1 / 600), pytest.approx(0.6))


def test_shares_of_a_case_add_up():
    measured = meter()
    for _ in range(4):
        measured.stepped(Step(cases=0.75, seconds=1.0, waited_s=0.0))
    assert measured.read("train").cases == 3


def test_outside_training_there_is_no_pace_and_the_next_training_begins_anew():
    measured = meter()
    measured.stepped(Step(cases=3, seconds=1.0, waited_s=0.0, amp_scale=1024.0))
    assert measured.read("train").amp_scale == 1024.0
    assert measured.read("submit") == pb.Vitals(cases=3)
    assert measured.read("train") == pb.Vitals(cases=3)
    measured.stepped(Step(cases=1, seconds=2.0, waited_s=0.0))
    after = measured.read("train")
    assert (after.cases_per_second, after.HasField("amp_scale")) == (0.5, False)


def test_what_the_gpu_says_goes_along_in_every_stage():
    vitals = meter(memory_used=3, memory_size=8, utilisation=0.0).read("wait")
    assert vitals == pb.Vitals(cases=0, gpu_memory_used=3, gpu_memory_size=8, gpu_utilisation=0.0)


def test_the_driver_is_asked_once_a_second_at_most():
    driver, clock = Driver(), Clock()
    gpu = Gpu("42", driver, clock)
    assert gpu.read() == Reading(3 << 30, 8 << 30, 0.75)
    driver.used, clock.now = 4 << 30, 0.9
    assert (gpu.read().memory_used, driver.asked) == (3 << 30, 1)
    clock.now = 1.0
    assert (gpu.read().memory_used, driver.asked) == (4 << 30, 2)


def test_a_slice_of_a_gpu_shows_its_memory_alone():
    gpu = Gpu("42", Driver("MIG-42", refuses=("utilisation",)), Clock())
    assert gpu.read() == Reading(3 << 30, 8 << 30, None)


@pytest.mark.parametrize(
    ("uuid", "driver"),
    [
        (None, Driver()),
        ("42", Driver(refuses=("init",))),
        ("43", Driver()),
        ("42", Driver(refuses=("memory", "utilisation"))),
    ],
    ids=["no GPU", "no driver", "another GPU", "a driver that tells nothing"],
)
def test_without_a_gpu_or_its_driver_nothing_is_said_and_nothing_breaks(uuid, driver):
    assert Gpu(uuid, driver, Clock()).read() == Reading()


def test_a_machine_without_the_drivers_library_says_nothing():
    assert Gpu("00000000-0000-0000-0000-000000000000").read() == Reading()


@pytest.mark.parametrize(
    ("environment", "files", "lent"),
    [
        ({"NVIDIA_VISIBLE_DEVICES": "GPU-42"}, (), "NVIDIA_VISIBLE_DEVICES=GPU-42"),
        ({"NVIDIA_VISIBLE_DEVICES": "void"}, ("/dev/nvidiactl",), "/dev/nvidiactl"),
        ({}, ("/dev/kfd",), "/dev/kfd"),
        ({"NVIDIA_VISIBLE_DEVICES": "all"}, (), None),
        ({"NVIDIA_VISIBLE_DEVICES": "void"}, (), None),
        ({}, (), None),
    ],
)
def test_a_process_tells_that_it_was_lent_a_gpu(environment, files, lent):
    assert lent_gpu(environment, files.__contains__) == lent

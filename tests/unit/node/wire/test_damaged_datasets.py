"""What the hub hears, through a real gateway, of a site whose files are damaged: the built-in task on real NIfTI."""

from __future__ import annotations

import itertools

import brats_folders as folders
import nibabel
import numpy as np
import pytest

from fedward_node.trainer.run import Assignment, Pace, take_part
from fedward_protocol.plan import Data
from fedward_protocol.reasons import Reason, RefusedError
from fedward_protocol.wire import federation_pb2 as pb

pytestmark = pytest.mark.torch

FINISH = pb.HubMessage(finish=pb.Finish())


def truncate(case):
    path = case / f"{case.name}-t1c.nii.gz"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def shift(case):
    path = case / f"{case.name}-t2w.nii.gz"
    affine = np.eye(4)
    affine[0, 3] = 2
    folders.save(path, np.asanyarray(nibabel.load(path).dataobj), affine)


HARMS = pytest.mark.parametrize(
    ("harm", "reason"),
    [
        pytest.param(truncate, Reason.CASE_UNREADABLE, id="truncated"),
        pytest.param(lambda case: (case / f"{case.name}-t2f.nii.gz").unlink(), Reason.MODALITY_MISSING, id="missing"),
        pytest.param(shift, Reason.AFFINE_MISMATCH, id="affine"),
    ],
)


@pytest.fixture
def take_part_with(make_site, tmp_path):
    """Let the built-in task take part with a damaged case among six."""

    async def take_part_with(harm, unreadable_cases):
        import monai  # noqa: F401 - whole, as bundles need it: the built-in task alone would leave half of it out

        from fedward_node.trainer.algorithms import build

        folders.brats(tmp_path / "data", 6)
        harm(tmp_path / "data" / "BraTS-GLI-00002-000")
        site = await make_site()
        data = Data(dataset="brats", unreadable_cases=unreadable_cases)
        training = folders.a_plan().training
        site.plan = site.plan.model_copy(update={"data": data, "training": training})
        order = tmp_path / "work-order"
        order.write_bytes(site.envelope())
        assignment = Assignment(
            site.plan, order, tmp_path / "trainer", f"127.0.0.1:{site.port}", site.folder / "tls/ca.crt"
        )
        algorithm = build(site.plan, tmp_path / "data", tmp_path / "trainer", "mercy")
        await take_part(assignment, algorithm, Pace(backoff=lambda: itertools.repeat(0.01)))

    return take_part_with


@HARMS
async def test_one_damaged_case_among_good_ones_is_left_out_and_the_hub_is_told_how_many(
    take_part_with, hub, harm, reason
):
    hub.instruction = FINISH
    await take_part_with(harm, "skip")
    hello = await hub.hear("hello")
    assert (hello.training_cases + hello.validation_cases, hello.skipped_cases) == (5, 1)


@HARMS
async def test_where_the_plan_says_stop_the_hub_hears_why_and_no_word_of_the_case(take_part_with, hub, harm, reason):
    with pytest.raises(RefusedError) as caught:
        await take_part_with(harm, "stop")
    assert caught.value.reason is reason
    failure = await hub.hear("failure")
    assert failure.reason == reason
    assert "BraTS" not in failure.message

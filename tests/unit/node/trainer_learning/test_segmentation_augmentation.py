from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fedward_node.trainer.data.preparation import PreparedCase, normalise
from fedward_node.trainer.segmentation.augmentation import crop, example

sizes = st.tuples(*[st.integers(1, 9)] * 3)


@given(sizes, st.tuples(*[st.integers(1, 12)] * 3), st.integers(0, 10_000))
def test_an_example_has_the_patch_s_shape_and_keeps_image_and_truth_together(
    size: tuple[int, int, int], patch: tuple[int, int, int], seed: int
) -> None:
    depths = np.random.default_rng(seed).integers(0, 4, size).astype(np.uint8)
    image = np.where(depths > 0, depths * np.float32(10), np.float32(0))[None]
    case = PreparedCase("case", image, depths, (1, 1, 1))
    drawn, truth = example(case, patch, np.random.default_rng(seed))
    again, _ = example(case, patch, np.random.default_rng(seed))
    assert drawn.shape == (1, *patch)
    assert truth.shape == (3, *patch)
    assert np.array_equal(drawn, again)
    assert np.array_equal(drawn[0] != 0, truth[0] > 0)
    assert np.array_equal(np.rint(drawn[0] / 10).astype(int).clip(0, 3) > 0, truth[0] > 0)


def test_a_crop_beyond_the_border_is_zero_there() -> None:
    volume = np.ones((1, 3, 3, 3), np.float32)
    assert crop(volume, (-1, 0, 2), (4, 3, 3)).sum() == 3 * 3 * 1


def test_normalisation_leaves_the_background_and_uses_the_brain_alone() -> None:
    image = np.zeros((2, 4, 4, 4), np.float32)
    image[0, 1:3] = np.random.default_rng(0).uniform(50, 90, (2, 4, 4))
    normal = normalise(image)
    inside = normal[0, 1:3]
    assert abs(inside.mean()) < 1e-5
    assert abs(inside.std() - 1) < 1e-5
    assert not normal[0, 0].any()
    assert not normal[1].any()

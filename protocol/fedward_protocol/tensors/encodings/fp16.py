"""Half precision: 11 significant bits from 6.1e-5 to 65504, an absolute error of 3e-8 below; above, infinity."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fedward_protocol.tensors.blocks import Values
from fedward_protocol.tensors.encodings.dense import Dense


def _to_half(values: Values) -> NDArray[np.float16]:
    # What does not fit becomes infinity, which every receiver refuses: an update that large has diverged.
    with np.errstate(over="ignore", under="ignore"):
        return values.astype("<f2")


FP16 = Dense("F16", _to_half, infinity=0x7C00)

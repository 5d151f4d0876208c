"""bfloat16: 8 significant bits over the whole range of fp32, rounded to nearest, ties to even."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fedward_protocol.tensors.blocks import Values
from fedward_protocol.tensors.encodings.dense import Dense

_INFINITY = 0x7F80_0000
_QUIET_NAN = 0x7FC0


def _to_bfloat16(values: Values) -> NDArray[np.uint16]:
    bits = values.view("<u4")
    # Adding half of the last kept bit, less one where that bit is even, carries exactly when rounding up is right.
    rounded = bits >> np.uint32(16)
    rounded &= np.uint32(1)
    rounded += bits
    rounded += np.uint32(0x7FFF)
    rounded >>= np.uint32(16)
    packed = rounded.astype("<u2")
    # The carry could make a NaN anything, a zero even.
    is_nan = np.isnan(values)
    if is_nan.any():
        packed[is_nan] = _QUIET_NAN
    return packed


BF16 = Dense("BF16", _to_bfloat16, infinity=0x7F80)

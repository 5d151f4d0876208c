"""Single precision: the update as it is."""

from __future__ import annotations

from fedward_protocol.tensors.blocks import Values
from fedward_protocol.tensors.encodings.dense import Dense


def _as_it_is(values: Values) -> Values:
    return values


FP32 = Dense("F32", _as_it_is, infinity=0x7F80_0000)

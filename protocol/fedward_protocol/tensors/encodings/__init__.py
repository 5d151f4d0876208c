"""The ways in which an update may be written down, one a file, each by its name in the plan."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from fedward_protocol.plan import Encoding
from fedward_protocol.tensors.encodings.bf16 import BF16
from fedward_protocol.tensors.encodings.codec import Codec
from fedward_protocol.tensors.encodings.fp16 import FP16
from fedward_protocol.tensors.encodings.fp32 import FP32
from fedward_protocol.tensors.encodings.int8 import Int8
from fedward_protocol.tensors.encodings.sparse import Sparse

CODECS: Mapping[Encoding, Codec] = MappingProxyType(
    {"fp32": FP32, "fp16": FP16, "bf16": BF16, "int8": Int8(), "sparse": Sparse()}
)

__all__ = ["CODECS", "Codec"]

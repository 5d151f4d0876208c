"""Speaks gRPC by a .proto alone, compiled when it is needed."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessages
from grpc_tools import protoc


class Wire:
    """The messages and services of one .proto."""

    def __init__(self, proto: Path) -> None:
        with tempfile.NamedTemporaryFile() as out:
            code = protoc.main(["protoc", f"-I{proto.parent}", f"--descriptor_set_out={out.name}", proto.name])
            assert code == 0, f"{proto} does not compile"
            files = FileDescriptorSet.FromString(Path(out.name).read_bytes()).file
        self._package, self._pool = files[0].package, DescriptorPool()
        self._classes = GetMessages(files, self._pool)

    def __getattr__(self, name: str) -> Any:
        """Return the class of a message."""
        return self._classes[f"{self._package}.{name}"]

    def served_by(self, servicer: object, service: str) -> grpc.GenericRpcHandler:
        """Make what a server serves a service by: the servicer's methods of the same names."""
        methods = self._pool.FindServiceByName(f"{self._package}.{service}").methods
        handlers = {each.name: self._handler(servicer, each) for each in methods}
        return grpc.method_handlers_generic_handler(f"{self._package}.{service}", handlers)

    def call(self, channel: grpc.Channel, service: str, method: str) -> Any:
        """Make what a service's method is called by."""
        found = self._pool.FindServiceByName(f"{self._package}.{service}").methods_by_name[method]
        make = channel.unary_stream if found.server_streaming else channel.unary_unary
        asked, answered = self._types(found)
        return make(f"/{self._package}.{service}/{method}", asked.SerializeToString, answered.FromString)

    def _handler(self, servicer: object, method: MethodDescriptor) -> grpc.RpcMethodHandler:
        streams = method.server_streaming
        make = grpc.unary_stream_rpc_method_handler if streams else grpc.unary_unary_rpc_method_handler
        asked, answered = self._types(method)
        return make(getattr(servicer, method.name), asked.FromString, answered.SerializeToString)

    def _types(self, method: MethodDescriptor) -> tuple[Any, Any]:
        return self._classes[method.input_type.full_name], self._classes[method.output_type.full_name]

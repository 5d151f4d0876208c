"""The gRPC service and its messages, generated from federation.proto by `make wire`."""

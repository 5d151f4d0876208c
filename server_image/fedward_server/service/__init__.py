"""The aggregator's gRPC service, one call a file; all decisions are made elsewhere."""

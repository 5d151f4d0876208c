"""The aggregator: opens and closes rounds, keeps what arrives, and makes the next global model."""

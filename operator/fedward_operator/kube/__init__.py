"""Talking to a Kubernetes API server: nothing in here knows what a federated job is."""

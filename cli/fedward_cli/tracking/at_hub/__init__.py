"""The tracker of a job on a hub's cluster: a pod beside the aggregator's, which alone reaches the MLflow server."""

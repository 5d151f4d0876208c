"""Logs a job to the MLflow server that it names: the trackers, what they may reach, and how it goes."""

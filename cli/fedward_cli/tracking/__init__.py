"""Puts a run's course where researchers look: TensorBoard's event files, and an MLflow server."""

"""The ways in which an update may be written down, one a file."""

"""Aggregation rules, one a file, each a function over blocks of the updates."""

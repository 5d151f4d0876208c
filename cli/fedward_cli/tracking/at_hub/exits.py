"""How a tracker's process ends, for whoever starts it again."""

DONE = 0
"""All is logged, or the rest is for `finish`."""
FAILED = 1
"""Another try may do it."""
GAVE_UP = 3
"""Something is missing, and no other try would change that."""
STOPPED = 143
"""A shell's for what SIGTERM ended."""

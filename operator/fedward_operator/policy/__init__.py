"""The operator's rules, one a file: pure functions of what was observed and of the time."""

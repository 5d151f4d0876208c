"""The `fedward` command: local runs, plans, phantom data, reports."""

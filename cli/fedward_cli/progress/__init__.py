"""How a job goes, wherever it runs: one moment, what was seen over time, and how that is shown."""

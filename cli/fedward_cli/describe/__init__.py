"""`fedward describe`: why a job does not go on, in words, wherever it runs."""

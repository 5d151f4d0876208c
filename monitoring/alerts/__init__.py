"""What somebody has to be told of: one list for the hub, one for a hospital."""

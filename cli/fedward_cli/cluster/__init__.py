"""Commands that talk to a cluster, each through kubectl: whatever way of logging in is set up there works here too."""

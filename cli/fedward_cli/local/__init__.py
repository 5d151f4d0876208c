"""Local runs: the cluster's processes, certificates and wire on one machine."""

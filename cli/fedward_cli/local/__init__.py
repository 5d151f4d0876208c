"""Local runs: the cluster's processes, certificates and wire on one machine."""

from fedward_cli.local.run import run_local

__all__ = ["run_local"]

"""What an update goes through before it leaves the hospital: one filter a file, and the chain that runs them."""

from fedward_node.gateway.filters.chain import FilteredRelease, release

__all__ = ["FilteredRelease", "release"]

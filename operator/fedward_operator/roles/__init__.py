"""The two roles of the process, each put together from its parts."""

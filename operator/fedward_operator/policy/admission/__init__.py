"""By what a hospital admits a SiteJob: one rule a file, put together in `admit`."""

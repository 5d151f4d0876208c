"""Pictures of dashboards for the documentation: the layout of their files, filled by a real Prometheus."""

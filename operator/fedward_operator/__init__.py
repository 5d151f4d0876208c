"""The Kubernetes operator: custom resources and how they are reconciled."""

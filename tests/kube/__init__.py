"""A real Kubernetes for tests, on a machine that needs no container registry; see README.md beside this file."""

"""The hub role."""

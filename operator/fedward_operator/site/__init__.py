"""The site role: what a hospital's operator does."""

"""MONAI bundles: a researcher's own configuration and scripts, trained without code around them."""

"""What runs at a hospital: the gateway, which holds the key, and the trainer, which holds the data."""

"""Real anatomy with synthetic tumours, as BraTS folders: everything can be tried without a patient."""

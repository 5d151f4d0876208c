"""A site's dataset: which cases a folder holds, whether they can be trained on, and who is held out; no torch here."""

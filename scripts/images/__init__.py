"""Builds the images of Fedward's parts, says what is in them, and packs them for a hospital without internet."""

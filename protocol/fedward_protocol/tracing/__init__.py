"""A round as one trace, of which hub and hospital each make their own spans and export them to their own collector."""

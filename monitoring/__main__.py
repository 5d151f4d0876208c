"""Writes dashboards and alert rules into the charts: `python -m monitoring`."""

from monitoring.files import ROOT, write

if __name__ == "__main__":
    write(ROOT)

"""`fedward report`: one HTML file that a clinician or a principal investigator reads, made from a run's folder."""

from fedward_cli.report.write import write_report

__all__ = ["write_report"]

"""The beginnings of a job's queries: which series are its own, and a site's whatever pod they come from."""

from __future__ import annotations

JOB = 'job_namespace="$job_namespace",job_name="$job_name"'
SITES = f'{JOB},site=~"$site"'


def of_site(series: str, labels: str = SITES, by: str = "site") -> str:
    """Give a site's number whatever pod of the aggregator it comes from."""
    return f"max by ({by}) (fedward_aggregator_{series}{{{labels}}})"


OWN = 'metric="$metric"'
"""The metric that the job chooses its best model by."""
PARTS = 'metric=~"$metric.*"'
"""That, and those whose names begin as its does: of regions, or of classes."""
SCORE = f"max by (metric) (fedward_aggregator_metric{{{JOB},{OWN}}})"
SCORE_OF_SITES = of_site("site_metric", f"{SITES},{OWN}")
SCORE_OF_ALL_SITES = of_site("site_metric", f"{JOB},{OWN}")
NO_SCORE = "No score by the job's metric"

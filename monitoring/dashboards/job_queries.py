"""The beginnings of a job's queries: which series are its own, and a site's whatever pod they come from."""

from __future__ import annotations

JOB = 'job_namespace="$job_namespace",job_name="$job_name"'
SITES = f'{JOB},site=~"$site"'


def of_site(series: str, labels: str = SITES, by: str = "site") -> str:
    """Give a site's number whatever pod of the aggregator it comes from."""
    return f"max by ({by}) (fedward_aggregator_{series}{{{labels}}})"


DICE_OF_SITES = of_site("site_metric", f'{SITES},metric="dice"')
DICE_OF_ALL_SITES = of_site("site_metric", f'{JOB},metric="dice"')

"""The beginnings of a hospital's queries: which series are its own, and how a job is called."""

from __future__ import annotations

SITE = 'site=~"$site"'
JOB = f'{SITE},job_namespace=~"$job_namespace",job_name=~"$job_name"'
BY = "job_namespace, job_name"
NAMED = "{{job_namespace}}/{{job_name}}"
NO_TRAINER = "No job has been trained yet"

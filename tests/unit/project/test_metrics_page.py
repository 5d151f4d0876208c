"""docs/metrics.md says what the code makes, and what the code makes keeps to Prometheus' naming rules and to ours."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from scripts.generate_metrics import Family, Part, parts

ROOT = Path(__file__).resolve().parents[3]

PARTS = parts()
FAMILIES = [pytest.param(part, family, id=f"{part.title}: {family.name}") for part in PARTS for family in part.families]

TAKEN = frozenset({"job", "namespace", "pod", "container", "instance", "endpoint", "service", "node"})
"""Labels that Prometheus or Kubernetes' discovery gives to a target: ours would come out as exported_*."""
PERSONAL = frozenset({"patient", "case", "file", "path", "subject", "study", "series", "user"})
NOT_BASE = frozenset({"ms", "milliseconds", "minutes", "hours", "days", "kb", "mb", "gb", "bits", "percent"})
"""Seconds, bytes and ratios are the base units."""


def test_the_page_is_what_the_code_makes(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "scripts/generate_metrics.py"), str(tmp_path)]
    subprocess.run(command, check=True, cwd=ROOT)
    assert (tmp_path / "metrics.md").read_text() == (ROOT / "docs/metrics.md").read_text(), "run `make metrics`"


def test_every_part_has_metrics() -> None:
    assert all(part.families for part in PARTS), [part.title for part in PARTS if not part.families]


@pytest.mark.parametrize(("part", "family"), FAMILIES)
def test_a_name_says_whose_it_is_and_in_what_it_counts(part: Part, family: Family) -> None:
    words = family.name.split("_")
    assert words[0] == "fedward"
    assert words[1] == part.title.split(",")[0].lower()
    assert re.fullmatch(r"[a-z][a-z0-9_]*[a-z0-9]", family.name)
    assert not NOT_BASE & set(words)
    assert ("timestamp" in words) == family.name.endswith("_timestamp_seconds")


@pytest.mark.parametrize(("part", "family"), FAMILIES)
def test_an_ending_tells_the_type(part: Part, family: Family) -> None:
    assert family.name.endswith("_total") == (family.kind == "counter")
    assert family.name.endswith("_info") == (family.kind == "info")
    assert not family.name.endswith(("_count", "_sum", "_bucket", "_created"))
    if family.kind == "histogram":
        assert family.name.endswith("_seconds")


@pytest.mark.parametrize(("part", "family"), FAMILIES)
def test_labels_are_none_of_prometheus_and_none_of_a_person(part: Part, family: Family) -> None:
    labels = [*part.always, *family.labels]
    assert len(labels) == len(set(labels))
    assert not (TAKEN | PERSONAL) & set(labels)
    assert ("job_name" in labels) == ("job_namespace" in labels)
    assert all(re.fullmatch(r"[a-z][a-z_]*", label) for label in labels)


@pytest.mark.parametrize(("part", "family"), FAMILIES)
def test_a_meaning_is_a_phrase(part: Part, family: Family) -> None:
    assert re.match(r"[A-Z0-9]", family.meaning)
    assert not family.meaning.endswith((".", " "))
    assert "\n" not in family.meaning


def test_metrics_of_one_name_mean_the_same() -> None:
    known: dict[str, Family] = {}
    for part in PARTS:
        for family in part.families:
            assert known.setdefault(family.name, family) == family

"""What dashboards and alerts ask for is what the parts show: names and labels are those of docs/metrics.md."""

from __future__ import annotations

import re
from pathlib import Path

from monitoring import files

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/metrics.md").read_text()
_OF_HISTOGRAMS = ("_bucket", "_sum", "_count")


def shown() -> set[str]:
    return set(re.findall(r"`(fedward_\w+)", PAGE))


def test_every_metric_that_is_asked_for_is_shown_by_a_part() -> None:
    asked = set(re.findall(r"\bfedward_(?:aggregator|gateway|trainer|operator)_\w+", "".join(files.files().values())))
    names = shown() | {f"{name}{more}" for name in shown() for more in _OF_HISTOGRAMS}
    assert len(asked) > 50
    assert asked - names == set()


def test_what_a_job_is_judged_by_is_its_own_word() -> None:
    assert re.findall(r"(?i)metric=~?.?\"\w+|dice", "".join(files.files().values())) == []

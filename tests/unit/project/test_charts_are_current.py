"""What the charts take from elsewhere is what it is there, and every value says what it means."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
CHARTS = ("fedward-hub", "fedward-site")


def generate(folder: Path, root: Path = ROOT) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(root / "scripts/generate_charts.py"), str(folder)]
    return subprocess.run(command, cwd=root, capture_output=True, text=True)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The part of a checkout that the generator reads."""
    for folder in ("charts", "operator/crds", "operator/rbac", "scripts"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    return tmp_path


def test_the_generated_files_are_what_their_sources_generate(tmp_path: Path) -> None:
    done = generate(tmp_path)
    assert done.returncode == 0, done.stderr

    generated = [path for path in tmp_path.rglob("*") if path.is_file()]
    stale = [
        str(path.relative_to(tmp_path))
        for path in generated
        if path.read_text() != (ROOT / "charts" / path.relative_to(tmp_path)).read_text()
    ]
    assert {path.name for path in generated} >= {"rbac.yaml", "_pods.tpl", "values.schema.json", "README.md"}
    assert not stale, f"run `make charts` and commit {stale}"


@pytest.mark.parametrize("chart", CHARTS)
def test_no_kind_is_left_in_a_chart_that_it_should_not_have(chart: str, tmp_path: Path) -> None:
    generate(tmp_path)
    crds = Path(chart) / "templates/crds"
    assert sorted(path.name for path in (tmp_path / crds).iterdir()) == sorted(
        path.name for path in (ROOT / "charts" / crds).iterdir()
    )


def test_a_value_that_does_not_say_what_it_means_is_refused(checkout: Path) -> None:
    values = checkout / "charts/fedward-hub/values.yaml"
    values.write_text(values.read_text() + "\nnews: 1\n")

    done = generate(checkout / "charts", checkout)

    assert done.returncode != 0
    assert "news has no comment that says what it means" in done.stderr

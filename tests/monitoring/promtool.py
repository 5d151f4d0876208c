"""Prometheus' own check of rules and of what a query gives, over numbers that are made up."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

_PROMTOOL = shutil.which("promtool")

needs_promtool = pytest.mark.skipif(
    _PROMTOOL is None, reason="promtool is not installed: scripts/prepare_monitoring.sh"
)


def promtool(*arguments: str | Path) -> None:
    """Run it; what it finds wrong fails the test."""
    assert _PROMTOOL is not None
    done = subprocess.run([_PROMTOOL, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr

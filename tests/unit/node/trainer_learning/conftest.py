from __future__ import annotations

import sys
from pathlib import Path

import pytest

# The builders of folders beside the tests; importlib mode puts no test folder on the path by itself.
sys.path.insert(0, str(Path(__file__).parent))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Import MONAI whole: bundles need all of it, and the built-in task, run first, would leave half of it out."""
    if item.get_closest_marker("torch"):
        import monai  # noqa: F401

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import sys
import fedward_node.trainer.segmentation.algorithm
import fedward_node.trainer.initialise
from fedward_node.trainer.segmentation.network import NETWORKS
from fedward_node.trainer.segmentation.monai_parts import nets
assert all(hasattr(nets, name) for name in NETWORKS)
print(*(name for name in ("ignite", "pandas", "sklearn") if name in sys.modules))
"""


@pytest.mark.torch
def test_the_built_in_task_imports_none_of_the_packages_that_only_bundles_use() -> None:
    run = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []

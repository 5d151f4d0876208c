"""The hospitals' scans of these tests: made up once by `fedward phantom`, and kept outside the checkout."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from tests.kube.build import cache

_NAMES = ("north", "south", "east", "west")


def provide(folder: Path) -> dict[str, Path]:
    """Copy the scans of the demo's hospitals into `folder`, and return each one's place there."""
    made = cache().parent.parent / "phantom"
    command = [str(Path(sys.executable).parent / "fedward"), "phantom", str(made)]
    subprocess.run(command, check=True, capture_output=True)
    if not folder.exists():
        shutil.copytree(made, folder)
    return {name: folder / name for name in _NAMES}

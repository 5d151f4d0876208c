"""The checked-in CustomResourceDefinitions are what the models say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def test_the_definitions_are_what_the_models_generate(tmp_path):
    subprocess.run([sys.executable, str(ROOT / "scripts/generate_crds.py"), str(tmp_path)], check=True, cwd=ROOT)
    generated = {path.name: path.read_text() for path in tmp_path.iterdir()}
    checked_in = {path.name: path.read_text() for path in (ROOT / "operator/crds").iterdir()}
    assert len(generated) >= 3
    assert generated == checked_in, "run `make crds` and commit what it changed"

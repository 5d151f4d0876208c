"""Writes the CustomResourceDefinitions into operator/crds/, or into the folder given.

Usage: python scripts/generate_crds.py [FOLDER]
"""

from __future__ import annotations

import sys
from pathlib import Path

import yaml

from fedward_operator.api.crds import KINDS, definition

CRDS = Path(__file__).resolve().parent.parent / "operator" / "crds"


def generate(folder: Path) -> None:
    """Write one file a kind, named after its plural."""
    folder.mkdir(parents=True, exist_ok=True)
    for kind in KINDS:
        text = yaml.safe_dump(definition(kind), sort_keys=False, width=120)
        (folder / f"{kind.plural}.yaml").write_text(f"# Made by `make crds` from fedward_operator.api.\n{text}")


if __name__ == "__main__":
    generate(Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else CRDS)

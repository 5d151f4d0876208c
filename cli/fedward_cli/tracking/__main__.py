"""Logs the run in the folder that is named: what a run keeps beside itself."""

import sys
from pathlib import Path

from fedward_cli.tracking.command import track


def main() -> int:
    """Say on stdout how it goes; 1 if something is missing in the end."""
    return 0 if track(Path(sys.argv[1]), None, None, lambda line: print(line, flush=True)) else 1  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())

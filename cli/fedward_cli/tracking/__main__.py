"""Logs the run in the folder that is named: what a run keeps beside itself."""

import sys
from pathlib import Path

from fedward_cli.tracking.command import track


def main() -> int:
    """Say on stdout how it goes; 1 if something is missing in the end."""
    logged = track(Path(sys.argv[1]), None, None, lambda line: print(line, flush=True))  # noqa: T201
    return 0 if logged.is_complete else 1


if __name__ == "__main__":
    sys.exit(main())

"""Runs every measure: `python -m bench`."""

from __future__ import annotations

import sys

from bench.rounds import main

sys.exit(main())

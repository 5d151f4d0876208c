"""`python -m fedward_node.trainer`."""

from __future__ import annotations

import sys

from fedward_node.trainer.main import main

sys.exit(main())

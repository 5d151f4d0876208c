"""`python -m fedward_node.gateway`."""

from __future__ import annotations

import sys

from fedward_node.gateway.main import main

sys.exit(main())

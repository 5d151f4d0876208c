"""`python -m fedward_server`."""

import sys

from fedward_server.main import main

sys.exit(main())

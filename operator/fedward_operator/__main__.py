"""`python -m fedward_operator`."""

import sys

from fedward_operator.main import main

sys.exit(main())

"""Makes the job that these tests drive importable."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

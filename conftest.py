"""Where processes that tests start find the tests' modules: behind the installed hpo."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))

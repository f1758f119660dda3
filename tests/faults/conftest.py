"""What fault tests are given: a PostgreSQL that may be stopped, fleets of workers."""

import sys
from pathlib import Path

from tests.integration.service.conftest import postgres15

__all__ = ["postgres15"]

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))

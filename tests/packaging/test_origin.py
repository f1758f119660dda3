"""The hpo that is tested is the one that was installed to be tested."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import hpo


@pytest.mark.skipif(
    "TESTED_HPO" not in os.environ and "CI" not in os.environ,
    reason="make says which installation is tested",
)
def test_what_is_tested_lies_where_it_was_installed() -> None:
    probe = "import hpo; print(hpo.__file__)"
    command = [sys.executable, "-c", probe]
    started = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    loaded = [m.__file__ for name, m in sys.modules.items() if name.startswith("hpo.")]
    for file in (started, hpo.__file__, *loaded):
        assert Path(str(file)).is_relative_to(os.environ["TESTED_HPO"])

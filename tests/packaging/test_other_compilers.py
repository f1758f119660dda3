"""The native engine compiles, without a warning, for processors and systems that are not here."""

import os
import subprocess
import sys
import sysconfig
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
(EXTENSION,) = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"][
    "setuptools"
]["ext-modules"]


@pytest.mark.skipif(
    find_spec("ziglang") is None and "CI" not in os.environ, reason="ziglang is not installed"
)
@pytest.mark.parametrize("source", EXTENSION["sources"], ids=lambda source: Path(source).stem)
@pytest.mark.parametrize("target", ["aarch64-linux-gnu", "aarch64-macos", "x86_64-macos"])
def test_clang_compiles_it_for(target: str, source: str, tmp_path: Path) -> None:
    headers = sysconfig.get_path("include")  # the limited API: nearly the same everywhere
    compiled = subprocess.run(
        [
            *(sys.executable, "-m", "ziglang", "cc", "-target", target, "-c", ROOT / source),
            *("-o", tmp_path / "object", "-Wall", "-Wextra", "-Werror", "-isystem", headers),
            *("-fPIC", *EXTENSION["extra-compile-args"]),
        ],
        env={**os.environ, "ZIG_GLOBAL_CACHE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert compiled.returncode == 0, compiled.stderr

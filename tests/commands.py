"""The command line, driven as a user drives it: in a process of its own."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Cli:
    """`hpo` in a folder and with a database of its own."""

    folder: Path
    storage: str

    def __call__(
        self, *words: str | Path, timeout_s: float = 100.0, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run `hpo WORDS` to its end: `returncode`, `stdout`, `stderr`."""
        return subprocess.run(
            self.argv(*words),
            cwd=self.folder,
            env=self.environment(env),
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def start(
        self, *words: str | Path, env: Mapping[str, str] | None = None
    ) -> subprocess.Popen[str]:
        """Start `hpo WORDS` and return at once, to be signalled or waited for."""
        return subprocess.Popen(
            self.argv(*words),
            cwd=self.folder,
            env=self.environment(env),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def argv(self, *words: str | Path) -> list[str]:
        return [sys.executable, "-m", "hpo", *map(str, words)]

    def environment(self, env: Mapping[str, str] | None = None) -> dict[str, str]:
        clean = {k: v for k, v in os.environ.items() if not k.startswith("HPO_")}
        return {**clean, "COLUMNS": "100", "HPO_STORAGE": self.storage, **(env or {})}

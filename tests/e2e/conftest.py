"""What the tests of the whole program share: a small data file and a study of seconds."""

import contextlib
import io
import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from hpo.cli import main
from tests.commands import Cli

TINY = ("--trials", "3", "--folds", "2", "--seeds", "1", "--max-steps", "30", "--cells", "2:6")
ASKED = ("--target", "sales", "--time", "month")


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


class Answered(NamedTuple):
    """A database that holds the answered study `told`, its data, and what the run printed."""

    storage: str
    csv: Path
    printed: str

    def copy_to(self, folder: Path) -> "Answered":
        """The same with a copy of the database, to be changed."""
        shutil.copy(self.storage.removeprefix("sqlite:///"), folder / "copy.db")
        return self._replace(storage=f"sqlite:///{folder / 'copy.db'}")

    def __call__(self, *words: str | Path) -> Ended:
        """`hpo WORDS` in this process, on this database."""
        return hpo_in_process(*words, "--storage", self.storage)


def hpo_in_process(*words: str | Path) -> Ended:
    """`hpo WORDS` without a process of its own: fast, for what trains nothing."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([str(word) for word in words])
    return Ended(code, out.getvalue(), err.getvalue())


def write_sales(folder: Path) -> Path:
    """Six years of months with a trend, a season and noise, as sales.csv."""
    noise_R = np.random.default_rng(7).normal(0, 3, 72)
    values_R = 100 + np.arange(72) + 20 * np.sin(np.arange(72) * np.pi / 6) + noise_R
    rows = [f"{2010 + i // 12}-{i % 12 + 1:02d},{v:.2f}" for i, v in enumerate(values_R)]
    path = folder / "sales.csv"
    path.write_text("\n".join(["month,sales", *rows]) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def sales_csv(tmp_path: Path) -> Path:
    """The data file in the folder of the `cli`."""
    return write_sales(tmp_path)


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory) -> Answered:
    """A study that a process of its own has answered."""
    folder = tmp_path_factory.mktemp("answered")
    cli = Cli(folder=folder, storage=f"sqlite:///{folder / 'cli.db'}")
    csv = write_sales(folder)
    ended = cli("run", csv, *ASKED, *TINY, "--name", "told")
    assert ended.returncode == 0, ended.stderr
    return Answered(cli.storage, csv, ended.stdout)

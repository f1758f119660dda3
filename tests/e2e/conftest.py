"""What the tests of the whole program share: a small data file and a study of seconds."""

from pathlib import Path

import numpy as np
import pytest

from tests.commands import Cli

TINY = ("--trials", "3", "--folds", "2", "--seeds", "1", "--max-steps", "30", "--cells", "2:6")
ASKED = ("--target", "sales", "--time", "month")


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
def answered(tmp_path_factory: pytest.TempPathFactory) -> tuple[Cli, str]:
    """A command line whose database holds the answered study `told`, and what its run printed."""
    folder = tmp_path_factory.mktemp("answered")
    write_sales(folder)
    cli = Cli(folder=folder, storage=f"sqlite:///{folder / 'cli.db'}")
    ended = cli("run", "sales.csv", *ASKED, *TINY, "--name", "told")
    assert ended.returncode == 0, ended.stderr
    return cli, ended.stdout

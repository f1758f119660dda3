"""A small study to break workers on: one noisy wave, trainings of a length that one may choose."""

import math
from dataclasses import asdict, dataclass
from pathlib import Path

TOML = """
name = "{name}"
[data]
source = "wave.csv"
target = "y"
season = 12
[task]
lookback = 24
[space]
layers = [1, 2]
cells = [2, 8]
[training]
max_steps = {max_steps}
patience = 1000000
engine = "{engine}"
device = "cpu"
[budget]
trials = {trials}
[validation]
folds = 2
seeds = {seeds}
[search]
sampler = "tpe"  # spends its whole budget
seed = {seed}
"""


@dataclass(frozen=True, kw_only=True)
class Wave:
    """The study's values; with 1500 steps, none left out, a trial takes tenths of a second."""

    name: str
    trials: int
    max_steps: int = 1500
    engine: str = "native"
    seeds: int = 2
    seed: int = 0

    def write(self, folder: Path, file: str = "study.toml") -> Path:
        """Write the study and its data into a folder; the path of the study."""
        rows = [f"{10 + math.sin(math.pi * n / 6) + 0.3 * math.sin(n**2)}" for n in range(240)]
        (folder / "wave.csv").write_text("\n".join(["y", *rows]) + "\n", encoding="utf-8")
        study = folder / file
        study.write_text(TOML.format(**asdict(self)), encoding="utf-8")
        return study

"""Small models to be taken away: studies on made-up rows, networks of seconds, no database."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from hpo.data.checking import check
from hpo.data.folds import Fold
from hpo.data.prepare import Prepared, prepare
from hpo.export import bundle
from hpo.export.card import card
from hpo.export.contents import Contents, to_files
from hpo.export.making import Recommended, contents_of
from hpo.export.model import Model, load
from hpo.export.refit import Ensemble, refit
from hpo.fitting.fit import fit_network, shape_of
from hpo.fitting.material import Material
from hpo.spec.answer import Answer
from hpo.spec.candidate import Candidate
from hpo.spec.study import Study
from hpo.training.engine import Engines

STEPS = 25
SEEDS = 2


def months(rows: int = 96, *, seed: int = 0) -> pd.DataFrame:
    """Positive months with a trend, a season and noise, and a covariate that leads them."""
    rng, step_R = np.random.default_rng(seed), np.arange(rows)
    lead_R = rng.normal(size=rows)
    season_R = 1 + 0.3 * np.sin(2 * np.pi * step_R / 12)
    noise_R = np.exp(0.05 * rng.normal(size=rows) + 0.05 * np.roll(lead_R, 1))
    times = pd.date_range("2010-01-01", periods=rows, freq="MS")
    return pd.DataFrame({"month": times, "y": (100 + step_R) * season_R * noise_R, "lead": lead_R})


def shops() -> pd.DataFrame:
    """Three series of months of different levels, beginnings and lengths."""
    parts = [
        months(96 - 5 * i, seed=i).assign(shop=name)
        for i, name in enumerate(("north", "south", "west"))
    ]
    for i, part in enumerate(parts):
        part["y"] *= 10**i
    parts[1]["month"] += pd.DateOffset(months=5)
    return pd.concat(parts, ignore_index=True)


@dataclass(frozen=True, eq=False)
class Case:
    """A study on a frame, with the network that it is said to recommend."""

    frame: pd.DataFrame
    prepared: Prepared
    candidate: Candidate

    @property
    def seeds(self) -> range:
        return range(SEEDS, 2 * SEEDS)

    def recommended(self, forecasts: dict[int, npt.NDArray[np.float64]]) -> Recommended:
        """As a study that is done would tell it."""
        study, candidate = self.prepared.study, self.candidate
        answer = Answer(
            study=study.name,
            state="done",
            task=study.task.model_dump(mode="json"),
            trial=0,
            layers=candidate.layers,
            cells=candidate.cells,
            learning_rate=candidate.learning_rate,
            weight_decay=0.0,
            dropout=0.0,
            lookback=candidate.lookback,
            horizon=study.task.horizon,
            steps=STEPS,
            alpha=study.bound.alpha,
            metric=study.task.metric,
            seed=0,
            fingerprint="0",
            storage="sqlite:///secret.db",
            model="/somewhere",
        )
        return Recommended(
            answer=answer, engine="native-to-96", prepared=self.prepared, forecasts=forecasts
        )

    def forecasts(self) -> dict[int, npt.NDArray[np.float64]]:
        """Mean forecasts of the folds and, by refits, of the test span."""
        folds = [(f, 0) for f in self.prepared.folds] + [(self.prepared.test, STEPS)]
        return {fold.number: self.mean_forecast(fold, steps) for fold, steps in folds}

    def mean_forecast(self, fold: Fold, steps: int) -> npt.NDArray[np.float64]:
        """As the final race makes it."""
        material = Material(self.prepared)
        trainer = Engines("native-to-96", "cpu").trainer_for(
            shape_of(self.prepared, self.candidate)
        )
        made = [
            fit_network(
                material,
                fold,
                self.candidate,
                seed=seed,
                trainer=trainer,
                on_check=lambda *_: True,
                steps=steps,
            ).forecast_OH
            for seed in self.seeds
        ]
        mean_OH: npt.NDArray[np.float64] = np.mean(made, axis=0)
        return mean_OH

    def refitted(self, fold: Fold, *, steps: int = STEPS, threads: int = 1) -> Ensemble:
        """The ensemble on a fold's training part."""
        return refit(
            self.prepared,
            fold,
            self.candidate,
            seeds=self.seeds,
            steps=steps,
            trainer_for=Engines("native-to-96", "cpu").trainer_for,
            threads=threads,
        )

    def before_the_test(self, *, with_intervals: bool = False) -> Contents:
        """A model of the rows before the test span."""
        test = self.prepared.test
        forecasts = self.forecasts() if with_intervals else {}
        return contents_of(self.recommended(forecasts), self.prepared, test, self.refitted(test))


def case(frame: pd.DataFrame, cells: tuple[int, ...] = (3,), **sections: dict[str, Any]) -> Case:
    """A case of a study on these rows; `sections` are values of it."""
    tree: dict[str, dict[str, Any]] = {
        "data": {"source": "/private/place/frame", "target": "y", "time": "month"},
        "task": {"horizon": 3, "lookback": 12},
        "training": {"max_steps": 40, "device": "cpu"},
        "validation": {"folds": 2, "seeds": SEEDS},
    }
    merged = {key: tree.get(key, {}) | sections.get(key, {}) for key in {*tree, *sections}}
    study = Study.model_validate({"name": "small", "question": "Which?", **merged})
    prepared = prepare(study, check(frame, study.data))
    candidate = Candidate(cells=cells, learning_rate=0.01, lookback=prepared.lookbacks[-1])
    return Case(frame, prepared, candidate)


def written(contents: Contents, folder: Path, **more: bytes) -> Path:
    """The folder of a model of these contents."""
    files = to_files(contents) | {bundle.README: card(contents, rows=1, with_onnx=False).encode()}
    bundle.write(folder, files | more, "0.1.0")
    return folder


def model_of(contents: Contents, folder: Path) -> Model:
    """The model, written and loaded."""
    return load(written(contents, folder))

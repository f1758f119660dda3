"""Whether a larger network should start from a smaller one's weights, as Net2Net does, or afresh.

`python benchmarks/grown_starts.py` trains, on the folds of real series, networks of 4 and 8 cells
and those twice as wide from three starts: fresh weights; cells of the small network copied, what
they send shared among the copies (Chen, Goodfellow and Shlens 2016), with a little noise that tells
the copies apart; and fresh cells added to the small network, to which nothing listens yet. Each
start has the best of three rates, the small network the middle one. Shown is the grown network's
error over the fresh one's, its steps over the fresh one's, and the gain over the small network that
each start shows: where a size gains nothing (noise), a start that shows a gain is unfair to sizes.
Shapes: C cells, G gates of all cells, K outputs, O origins.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from kept import Kept
from known_answers import known_answers
from landscape import candidate_of
from landscapes import SERIES, VALUES
from rich.console import Console
from rich.progress import track
from telling import table_of, tell
from truth import question_of

from hpo.data.folds import Fold
from hpo.data.forecast import forecast
from hpo.data.metrics import losses
from hpo.data.prepare import Prepared, truth
from hpo.data.question import ask
from hpo.fitting.fit import WEIGHTS_STREAM, shape_of
from hpo.fitting.material import Material
from hpo.fitting.schedule import make_plan
from hpo.training.native_trainer import NativeTrainer
from hpo.training.trainer import Shape, Weights
from hpo.training.weights import initial_weights

ROOT = Path(__file__).resolve().parents[1]
Row = dict[str, Any]
PAIRS = ((4, 8), (8, 16))
RATES = (10**-2.5, 1e-2, 10**-1.5)
SEEDS = 3
NOISE = 0.01  # of the copied weights' spread
FLAT = ("white_noise-0", "white_noise-1", "white_noise-2", "random_walk-0", "random_walk-1")

Grow = Callable[[Shape, Weights, Weights, np.random.Generator], Weights]
"""(wide shape, small network's weights, fresh wide weights, chance) -> where the wide one starts"""


class Outcome(NamedTuple):
    """A trained network: its mean loss on the fold, the step of its weights, and these."""

    loss: float
    steps: int
    weights: Weights


def afresh(_wide: Shape, _small: Weights, fresh: Weights, _rng: np.random.Generator) -> Weights:
    """Fresh weights."""
    return fresh


def copied(
    wide: Shape,
    small: Weights,
    _fresh: Weights,
    rng: np.random.Generator,
    noise: float = NOISE,
) -> Weights:
    """Every further cell is a copy of one of the small network's; what each sends is shared.

    >>> _changes(partial(copied, noise=0.0)) < 1e-6
    True
    """
    few, many = small["head.weight"].shape[1], wide.cells[0]
    source_C = np.concatenate([np.arange(few), rng.integers(few, size=many - few)])
    share_C = 1 / np.bincount(source_C, minlength=few)[source_C]
    gates_G = np.concatenate([gate * few + source_C for gate in range(4)])
    grown = {name: array[gates_G] for name, array in small.items() if name.startswith("layers")}
    grown["layers.0.weight_hh_l0"] = grown["layers.0.weight_hh_l0"][:, source_C] * share_C
    grown["head.weight"] = small["head.weight"][:, source_C] * share_C
    grown["head.bias"] = small["head.bias"]
    return {
        name: (array + noise * array.std() * rng.standard_normal(array.shape)).astype(np.float32)
        for name, array in grown.items()
    }


def unheard(wide: Shape, small: Weights, fresh: Weights, _rng: np.random.Generator) -> Weights:
    """The small network, and fresh cells to which neither it nor the head listens.

    >>> _changes(unheard) < 1e-6
    True
    """
    few, many = small["head.weight"].shape[1], wide.cells[0]
    old_G = np.concatenate([gate * many + np.arange(few) for gate in range(4)])
    grown = {name: array.copy() for name, array in fresh.items()}
    for name in ("weight_ih_l0", "bias_ih_l0", "bias_hh_l0"):
        grown[f"layers.0.{name}"][old_G] = small[f"layers.0.{name}"]
    grown["layers.0.weight_hh_l0"][old_G] = 0
    grown["layers.0.weight_hh_l0"][np.ix_(old_G, np.arange(few))] = small["layers.0.weight_hh_l0"]
    grown["head.weight"][:, few:] = 0
    grown["head.weight"][:, :few] = small["head.weight"]
    grown["head.bias"] = small["head.bias"]
    return grown


def _changes(grow: Grow) -> float:
    """How far the forecasts of 5 cells that are grown from 3 are from those of the 3."""
    rng, trainer = np.random.default_rng(0), NativeTrainer()
    few, many = (Shape(inputs=2, outputs=1, cells=(cells,)) for cells in (3, 5))
    small = initial_weights(few, rng)
    grown = grow(many, small, initial_weights(many, rng), rng)
    x_BTF = rng.normal(size=(4, 6, 2)).astype(np.float32)
    ours, theirs = trainer.predictor(few, small)(x_BTF), trainer.predictor(many, grown)(x_BTF)
    return float(np.abs(ours - theirs).max())


STARTS: dict[str, Grow] = {"fresh": afresh, "copied": copied, "unheard": unheard}


class Nursery:
    """Trains networks of one layer on the folds of one series."""

    def __init__(self, prepared: Prepared, threads: int) -> None:
        self.prepared, self.threads = prepared, threads
        self.material, self.trainer = Material(prepared), NativeTrainer()

    def rows(self) -> list[Row]:
        """One row for each pair of sizes and each start."""
        return [row for pair in PAIRS for row in self._rows_of(*pair)]

    def _rows_of(self, few: int, many: int) -> list[Row]:
        jobs = [(fold, seed) for seed in range(SEEDS) for fold in self.prepared.folds]
        with ThreadPoolExecutor(self.threads) as threads:
            small = list(threads.map(partial(self._small, few), jobs))
            found = {
                name: list(threads.map(partial(self._grown, name, many), jobs, small))
                for name in STARTS
            }
        loss = {name: self._best_rate(outcomes) for name, outcomes in found.items()}
        before = float(np.mean([outcome.loss for outcome in small]))
        return [
            {
                "start": name,
                "cells": f"{few} to {many}",
                "error_ratio": loss[name][0] / loss["fresh"][0],
                "steps_ratio": loss[name][1] / loss["fresh"][1],
                "gain": 1 - loss[name][0] / before,
            }
            for name in STARTS
        ]

    def _best_rate(self, outcomes: Sequence[list[Outcome]]) -> tuple[float, float]:
        """Mean loss and mean steps at the rate with the lowest mean loss."""
        loss_R = np.mean([[of_rate.loss for of_rate in of_job] for of_job in outcomes], axis=0)
        steps_R = np.mean([[of_rate.steps for of_rate in of_job] for of_job in outcomes], axis=0)
        best = int(loss_R.argmin())
        return float(loss_R[best]), float(steps_R[best])

    def _small(self, cells: int, job: tuple[Fold, int]) -> Outcome:
        return self._train(*job, cells, RATES[1], lambda _shape, fresh, _rng: fresh)

    def _grown(self, name: str, cells: int, job: tuple[Fold, int], small: Outcome) -> list[Outcome]:
        def start(shape: Shape, fresh: Weights, rng: np.random.Generator) -> Weights:
            return STARTS[name](shape, small.weights, fresh, rng)

        return [self._train(*job, cells, rate, start) for rate in RATES]

    def _train(
        self,
        fold: Fold,
        seed: int,
        cells: int,
        rate: float,
        start: Callable[[Shape, Weights, np.random.Generator], Weights],
    ) -> Outcome:
        prepared, study = self.prepared, self.prepared.study
        candidate = candidate_of(prepared, (cells,), rate)
        part = self.material.part(fold, candidate.lookback, watched=True)
        windows = len(part.inner.starts_N)
        order_SB = self.material.order(fold, seed, windows=windows, steps=study.training.max_steps)
        rng = np.random.default_rng([study.search.seed, fold.number, seed, WEIGHTS_STREAM])
        plan = make_plan(study, candidate, order_SB, windows=windows, generator=rng)
        shape = shape_of(prepared, candidate)
        weights = start(shape, initial_weights(shape, rng), rng)
        trained = self.trainer.train(shape, weights, part.inner, plan, part.tail, _go_on)
        predict = self.trainer.predictor(shape, trained.weights)
        forecast_OH = forecast(predict, prepared, fold, candidate.lookback)
        loss_O = losses(truth(prepared, fold), forecast_OH, fold.scale_O, study.task.metric)
        return Outcome(float(loss_O.mean()), trained.steps, trained.weights)


def _go_on(_step: int, _loss: float) -> bool:
    return True


def prepared_of(name: str, values: dict[str, Any]) -> Prepared:
    """A real series by the name of its study, or a generated one by the name of its case."""
    flat = {case.name: case for case in known_answers(0, first=0) if case.name in FLAT}
    if name in flat:
        return question_of(flat[name], values).prepared
    return ask(str(ROOT / "studies" / f"{name}.toml"), values).prepared


def summary(rows: Sequence[Row]) -> list[Row]:
    """Each start over the real series, and the gain that it shows on flat ones."""
    found = []
    for name in STARTS:
        real = [r for r in rows if r["start"] == name and r["series"] not in FLAT]
        flat = [r["gain"] for r in rows if r["start"] == name and r["series"] in FLAT]
        found.append(
            {
                "start": name,
                "error_ratio": float(np.exp(np.mean([np.log(r["error_ratio"]) for r in real]))),
                "better": sum(r["error_ratio"] < 1 for r in real),
                "of": len(real),
                "steps_ratio": float(np.exp(np.mean([np.log(r["steps_ratio"]) for r in real]))),
                "gain": float(np.mean([r["gain"] for r in real])),
                "flat_gain": float(np.mean(flat)) if flat else float("nan"),
            }
        )
    return found


def parse(words: Sequence[str]) -> argparse.Namespace:
    """The command line's options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("series", nargs="*", default=(*SERIES, *FLAT), help="studies/*.toml, cases")
    parser.add_argument("--json", action="store_true", help="one object on stdout")
    parser.add_argument("--quick", action="store_true", help="one short series, tiny trainings")
    parser.add_argument("--again", action="store_true", help="do again what was kept")
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "grown-starts")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args(words)
    options.values = VALUES | ({"training.max_steps": 30} if options.quick else {})
    if options.quick:
        options.series, options.folder = ("lynx",), options.folder / "quick"
    return options


def main() -> int:
    """Run what the command line asks for and print it."""
    options = parse(sys.argv[1:])
    kept = Kept(options.folder, again=options.again)
    aside = Console(stderr=True)
    rows: list[Row] = []
    for name in track(options.series, console=aside, transient=True, disable=options.json):
        prepared = prepared_of(name, options.values)
        found = kept.get(name, Nursery(prepared, options.threads).rows)
        rows += [row | {"series": name} for row in found]
    columns = {
        "start": "start",
        "error / fresh": "error_ratio",
        "better": "better",
        "of": "of",
        "steps / fresh": "steps_ratio",
        "gain over the small one": "gain",
        "on noise": "flat_gain",
    }
    told = {"rows": rows, "summary": summary(rows)}
    title = "networks of twice the cells, by where they start"
    tell(told, lambda: table_of(told["summary"], columns, title=title), as_json=options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())

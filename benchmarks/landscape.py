"""The landscape of a series: networks of any size and rate, each trained once and kept.

Shapes: S seeds, O origins of all folds, one after another; for rmse losses are squared errors.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hpo.data.folds import Fold
from hpo.data.metrics import losses
from hpo.data.prepare import Prepared, truth
from hpo.fitting.fit import Fitted, fit_network, shape_of
from hpo.fitting.material import Material, window_count
from hpo.search.known import Known
from hpo.search.objective import origins_of
from hpo.sizing.bound import parameters
from hpo.sizing.race import Entrant
from hpo.spec.candidate import Candidate
from hpo.training.engine import Engines
from hpo.training.trainer import Diverged

Floats = NDArray[np.float64]
Point = tuple[tuple[int, ...], float]
"""Cells per layer, learning rate."""
Job = tuple[Point, int, Fold]
"""A network to be trained: its point, its seed, its fold."""


class Trained(NamedTuple):
    """losses_O of a fold; steps, seconds, training and validation loss; forecast_OH."""

    losses_O: Floats
    facts: tuple[float, float, float, float]
    forecast_OH: Floats


def candidate_of(prepared: Prepared, cells: tuple[int, ...], rate: float) -> Candidate:
    """A network of this size and rate, on the longest lookback, without decay and dropout."""
    return Candidate(
        cells=cells,
        learning_rate=rate,
        weight_decay=0.0,
        dropout=0.0,
        lookback=prepared.lookbacks[-1],
    )


class Landscape:
    """Looks a network up, or trains and keeps it: its losses, its time, its refit's test losses."""

    def __init__(self, prepared: Prepared, folder: Path, *, threads: int) -> None:
        self.prepared, self.folder, self.threads = prepared, folder, threads
        self.seeds = prepared.study.validation.seeds
        self.origins = origins_of(prepared.folds, prepared.study.task.horizon)
        self._material = Material(prepared)
        self._engines = Engines("native-to-96", "cpu")
        self._known: dict[str, dict[str, Floats]] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def record(self, points: Sequence[Point], rounds: int = 0) -> None:
        """Make sure that these points are known: with the search's seeds, or so many rounds'."""
        for point in dict.fromkeys(points):
            kept, folds = self._of(point), self.prepared.folds
            seeds = [s for s in self._range(rounds) if str(s) not in kept]
            done = self._train_all([(point, seed, fold) for seed in seeds for fold in folds])
            for place, seed in enumerate(seeds):
                per_fold = done[place * len(folds) :][: len(folds)]
                kept[str(seed)] = np.concatenate([of_fold.losses_O for of_fold in per_fold])
                kept[f"facts-{seed}"] = np.array([of_fold.facts for of_fold in per_fold])
            if seeds:
                self._save(point)

    def losses(self, point: Point, rounds: int = 0) -> Floats:
        """losses_SO of the search's seeds, or of those of so many rounds of the race."""
        self.record([point], rounds)
        return np.stack([self._of(point)[str(s)] for s in self._range(rounds)])

    def known(self, point: Point) -> Known:
        """What the search of hpo would know of a trial at this point."""
        losses_SO = self.losses(point)
        facts_SFK = np.stack([self._of(point)[f"facts-{s}"] for s in range(self.seeds)])
        return Known(losses_SO=losses_SO, train_SF=facts_SFK[..., 2], valid_SF=facts_SFK[..., 3])

    def cost_s(self, point: Point, *, seeds: int = 0) -> float:
        """Seconds of training of a trial at this point (all folds; so many of its seeds)."""
        self.record([point])
        rows = [self._of(point)[f"facts-{s}"] for s in range(seeds or self.seeds)]
        return float(sum(row[:, 1].sum() for row in rows))

    def test_losses(self, point: Point) -> Floats:
        """losses_SO of refits on all rows before the test span, for the median steps."""
        return np.stack([self._refits(point)[f"test-{s}"] for s in self._range(1)])

    def delivered(self, point: Point) -> Floats:
        """losses_O on the test span of the refits' mean forecast, as an answer reports them."""
        kept, test = self._refits(point), self.prepared.test
        mean_OH = np.mean([kept[f"forecast-{s}"] for s in self._range(1)], axis=0)
        metric = self.prepared.study.task.metric
        return losses(truth(self.prepared, test), mean_OH, test.scale_O, metric)

    def _refits(self, point: Point) -> dict[str, Floats]:
        self.record([point])
        kept, test = self._of(point), self.prepared.test
        seeds = [s for s in self._range(1) if f"forecast-{s}" not in kept]
        if seeds:
            steps = self._refit_steps(point)
            done = self._train_all([(point, seed, test) for seed in seeds], steps)
            for seed, refit in zip(seeds, done, strict=True):
                kept[f"test-{seed}"], kept[f"forecast-{seed}"] = refit.losses_O, refit.forecast_OH
            self._save(point)
        return kept

    def entrant(self, point: Point, number: int, rounds: int = 0) -> Entrant:
        """The point as the verdict knows it."""
        limit = self.prepared.limit
        return Entrant(
            trial=number,
            cells=point[0],
            weights=parameters(point[0], limit.inputs, limit.outputs),
            losses_SO=self.losses(point, rounds),
        )

    def _range(self, rounds: int) -> range:
        return range(self.seeds, (1 + rounds) * self.seeds) if rounds else range(self.seeds)

    def _refit_steps(self, point: Point) -> int:
        lookback, folds = self.prepared.lookbacks[-1], self.prepared.folds
        windows = [window_count(self.prepared, f, lookback, watched=True) for f in folds]
        kept = self._of(point)
        shares = [kept[f"facts-{s}"][:, 0] / windows for s in self._range(0)]
        refit = window_count(self.prepared, self.prepared.test, lookback, watched=False)
        return max(1, round(float(np.median(shares)) * refit))

    def _train_all(self, jobs: Sequence[Job], steps: int = 0) -> list[Trained]:
        with ThreadPoolExecutor(self.threads) as threads:
            return list(threads.map(lambda j: self._train(j[0], j[1], j[2], steps), jobs))

    def _train(self, point: Point, seed: int, fold: Fold, steps: int) -> Trained:
        candidate = candidate_of(self.prepared, *point)
        try:
            fitted = self._fit(candidate, seed, fold, steps)
        except Diverged:
            infinite_OH = np.full((len(fold.origins_O), self.prepared.study.task.horizon), np.inf)
            return Trained(infinite_OH[:, 0], (0, 0.0, np.inf, np.inf), infinite_OH)
        facts = (fitted.steps, fitted.wall_s, fitted.train_loss, fitted.valid_loss)
        return Trained(fitted.losses_O, facts, fitted.forecast_OH)

    def _fit(self, candidate: Candidate, seed: int, fold: Fold, steps: int) -> Fitted:
        return fit_network(
            self._material,
            fold,
            candidate,
            seed=seed,
            trainer=self._engines.trainer_for(shape_of(self.prepared, candidate)),
            on_check=lambda _step, _loss: True,
            steps=steps,
        )

    def _of(self, point: Point) -> dict[str, Floats]:
        name = self._name(point)
        if name not in self._known:
            file = self.folder / f"{name}.npz"
            self._known[name] = dict(np.load(file)) if file.exists() else {}
        return self._known[name]

    def _save(self, point: Point) -> None:
        name = self._name(point)
        unfinished = self.folder / f"{name}.part.npz"
        np.savez(unfinished, allow_pickle=False, **self._known[name])
        unfinished.replace(self.folder / f"{name}.npz")

    @staticmethod
    def _name(point: Point) -> str:
        cells, rate = point
        return "x".join(map(str, cells)) + f"-{rate:.4g}"

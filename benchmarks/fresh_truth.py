"""The truth about a generated series: what each size of network does on fresh samples of it.

Shapes: N windows, R rows, F features.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from known_answers import Case
from landscape import candidate_of

from hpo.data.prepare import Prepared
from hpo.data.question import Question
from hpo.data.ridge import fit_ridge
from hpo.data.windows import examples
from hpo.fitting.fit import fit_network, shape_of
from hpo.fitting.material import Material
from hpo.sizing.bound import parameters
from hpo.training.native_trainer import NativeTrainer
from hpo.training.trainer import Diverged, Samples

ONE_LAYER = (2, 3, 4, 6, 8, 12, 16, 24, 32)
SIZES = (*((c,) for c in ONE_LAYER), (2, 2), (4, 4), (8, 8), (16, 16))
RATES = (0.003, 0.01, 0.03)
SEEDS = 10
RATE_SEEDS = 3  # of them choose each size's rate
FIRST_SEED = 1_000  # no study comes so far
WITHIN = 0.05  # of the grid's best error: as good
FRESH_WINDOWS = 100_000


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One size of network: its best rate, its mean error on fresh samples, and that one's SE."""

    cells: tuple[int, ...]
    weights: int
    rate: float
    error: float
    se: float


@dataclass(frozen=True, kw_only=True)
class Truth:
    """Mean absolute errors on fresh samples of networks and of ridge, in the series' own unit."""

    sizes: tuple[Measured, ...]
    ridge: float

    @property
    def best(self) -> Measured:
        """The size with the lowest error."""
        return min(self.sizes, key=lambda m: m.error)

    @property
    def smallest(self) -> Measured:
        """The size with the fewest weights whose error is within 5 % of the best."""
        most = (1 + WITHIN) * self.best.error
        return min((m for m in self.sizes if m.error <= most), key=lambda m: m.weights)

    def as_json(self) -> dict[str, Any]:
        """For a file."""
        return {"sizes": [asdict(m) for m in self.sizes], "ridge": self.ridge}

    @classmethod
    def of_json(cls, kept: dict[str, Any]) -> "Truth":
        """From a file."""
        sizes = (Measured(**{**m, "cells": tuple(m["cells"])}) for m in kept["sizes"])
        return cls(sizes=tuple(sizes), ridge=kept["ridge"])


class FreshSamples:
    """Trains networks on all rows before a study's test span, and scores them on fresh samples."""

    def __init__(self, case: Case, question: Question, *, threads: int, windows: int) -> None:
        self.prepared: Prepared = question.prepared
        self.material, self.trainer = Material(self.prepared), NativeTrainer()
        self.samples = _fresh_samples(case, self.prepared, windows)
        self.unit = float(self.prepared.transform_of(self.prepared.test).scale_SF[0, 0])
        self.threads = threads

    def truth(self, sizes: Sequence[tuple[int, ...]] = SIZES, seeds: int = SEEDS) -> Truth:
        """What each size does at the best of its rates: the rate by some seeds, then all seeds."""
        tried = [(cells, rate) for cells in sizes for rate in RATES]
        first = self.errors(tried, range(FIRST_SEED, FIRST_SEED + min(RATE_SEEDS, seeds)))
        mean = {key: float(np.mean(errors)) for key, errors in first.items()}
        chosen = [min(((c, r) for r in RATES), key=lambda key: mean[key]) for c in sizes]
        rest = self.errors(chosen, range(FIRST_SEED + RATE_SEEDS, FIRST_SEED + seeds))
        measured = tuple(self.measured(*key, [*first[key], *rest.get(key, [])]) for key in chosen)
        return Truth(sizes=measured, ridge=self.ridge())

    def measured(self, cells: tuple[int, ...], rate: float, errors: Sequence[float]) -> Measured:
        """A size with the mean of its networks' errors."""
        limit = self.prepared.limit
        spread = float(np.std(errors, ddof=1)) if len(errors) > 1 else 0.0
        return Measured(
            cells=cells,
            weights=parameters(cells, limit.inputs, limit.outputs),
            rate=rate,
            error=float(np.mean(errors)),
            se=spread / len(errors) ** 0.5,
        )

    def errors(
        self, wanted: Sequence[tuple[tuple[int, ...], float]], seeds: range
    ) -> dict[tuple[tuple[int, ...], float], list[float]]:
        """The errors on fresh samples of these (cells, learning rate), one for each seed."""
        jobs = [(cells, rate, seed) for cells, rate in wanted for seed in seeds]
        with ThreadPoolExecutor(self.threads) as threads:
            errors = list(threads.map(lambda job: self._error(*job), jobs))
        found: dict[tuple[tuple[int, ...], float], list[float]] = {key: [] for key in wanted}
        for (cells, rate, _), error in zip(jobs, errors, strict=True):
            found[cells, rate].append(error)
        return found

    def _error(self, cells: tuple[int, ...], rate: float, seed: int) -> float:
        candidate = candidate_of(self.prepared, cells, rate)
        try:
            fitted = fit_network(
                self.material,
                self.prepared.test,
                candidate,
                seed=seed,
                trainer=self.trainer,
                on_check=lambda _step, _loss: True,
            )
        except Diverged:
            return float("inf")
        shape = shape_of(self.prepared, candidate)
        return self.unit * self.trainer.loss(shape, fitted.weights, self.samples, "absolute")

    def ridge(self) -> float:
        """The error of ridge regression on the same windows."""
        lookback = self.prepared.lookbacks[-1]
        predict = fit_ridge(self.prepared, self.prepared.test, lookback)
        errors = []
        for starts_N in np.array_split(self.samples.starts_N, 20):
            x_NTF, y_NK = examples(
                self.samples.values_RF,
                starts_N,
                lookback=lookback,
                outputs=1,
                anchored=self.samples.anchored,
            )
            errors.append(np.abs(predict(x_NTF) - y_NK).mean())
        return self.unit * float(np.mean(errors))


def _fresh_samples(case: Case, prepared: Prepared, windows: int) -> Samples:
    """Windows of how the series goes on, scaled as the study's data are."""
    lookback, values_RF = prepared.lookbacks[-1], case.fresh()
    panel = replace(
        prepared.panel,
        values_RF=values_RF,
        known_R=np.ones(len(values_RF), dtype=bool),
        starts_S=np.array([0, len(values_RF)]),
    )
    transform = prepared.transform_of(prepared.test)
    return Samples(
        values_RF=transform.apply(panel),
        starts_N=np.arange(min(windows, len(values_RF) - lookback)),
        lookback=lookback,
        outputs=1,
        anchored=transform.anchored,
    )

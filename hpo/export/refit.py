"""The networks that are taken away: an ensemble of seeds, trained on every row there is."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from hpo.data.folds import Fold
from hpo.data.prepare import Prepared
from hpo.errors import StudyFailed
from hpo.fitting.fit import shape_of, train_network
from hpo.fitting.material import Material, window_count
from hpo.spec.candidate import Candidate
from hpo.training.trainer import Diverged, OutOfMemory, Shape, Trainer, Weights


@dataclass(frozen=True, kw_only=True)
class Ensemble:
    """The weights of each seed, the steps all of them took, and sentences on those that failed."""

    weights: dict[int, Weights]
    steps: int
    warnings: tuple[str, ...] = ()


def steps_for(prepared: Prepared, fold: Fold, lookback: int, *, test_steps: int) -> int:
    """As many passes over the fold's windows as `test_steps` were over those before the test."""
    before = window_count(prepared, prepared.test, lookback, watched=False)
    here = window_count(prepared, fold, lookback, watched=False)
    return max(1, round(test_steps * here / before))


def refit(
    prepared: Prepared,
    fold: Fold,
    candidate: Candidate,
    *,
    seeds: Sequence[int],
    steps: int,
    trainer_for: Callable[[Shape], Trainer],
    threads: int,
) -> Ensemble:
    """Train one network of each seed on all windows of the fold's training part, `threads` at once.

    A network that cannot be trained is left out, with a warning. Raises StudyFailed when none is
    left.
    """
    material, trainer = Material(prepared), trainer_for(shape_of(prepared, candidate))
    halt = threading.Event()

    def train(seed: int) -> Weights | str:
        try:
            trained = train_network(
                material,
                fold,
                candidate,
                seed=seed,
                trainer=trainer,
                on_check=lambda _step, _loss: not halt.is_set(),
                steps=steps,
            )
        except (Diverged, OutOfMemory) as failure:
            return f"the network of seed {seed} fell out: {failure}"
        return trained.weights

    with ThreadPoolExecutor(threads, thread_name_prefix="refit") as pool:
        try:
            made = list(pool.map(train, seeds))
        finally:
            halt.set()
    weights = {s: w for s, w in zip(seeds, made, strict=True) if not isinstance(w, str)}
    failures = tuple(w for w in made if isinstance(w, str))
    if not weights:
        raise StudyFailed(f"no network could be trained on all rows: {failures[0]}")
    return Ensemble(weights=weights, steps=steps, warnings=failures)
